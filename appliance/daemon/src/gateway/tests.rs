use std::time::Duration;

use tokio::time::Instant;

use super::fixture::{Fixture, House, IH, raw, sample};

#[tokio::test]
async fn a_file_comes_with_every_promised_header() {
    let house = House::start(sample()).await;
    let page = house.get("/", &[]).await;
    assert_eq!(page.status, 200);
    assert_eq!(page.text(), "<!doctype html><title>hi</title><p>hi\n");
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("content-length", "38"),
        ("cache-control", "public, max-age=29030400, immutable"),
        ("etag", &format!("\"{IH}-0\"")),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("access-control-allow-origin", "*"),
        ("accept-ranges", "bytes"),
        ("x-bt-roots", IH),
        ("x-bt-path", "/index.html"),
        (
            "content-security-policy",
            "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob: https: wss: http://*.btlink \
             ws://*.btlink; form-action 'self' https: http://*.btlink; treat-as-public-address",
        ),
        (
            "link",
            &format!(
                "<bittorrent://{IH}/index.html>; rel=\"canonical\", \
                 <magnet:?xt=urn:btih:{IH}&dn=sample>; rel=\"alternate\""
            ),
        ),
    ] {
        assert_eq!(page.header(name), Some(value), "{name}");
    }
    assert_eq!(page.header("last-modified"), None);
    assert_eq!(page.header("strict-transport-security"), None);
}

#[tokio::test]
async fn a_path_finds_the_file_a_site_author_meant() {
    let house = House::start(sample()).await;
    for (path, status, sign) in [
        ("/css/s.css", 200, "p{color:red}\n"),
        ("/about", 200, "about"),
        ("/README", 200, "plain words\n"),
        ("/files/a%20b.txt", 200, "a"),
        ("//css//s.css", 200, "p{color:red}\n"),
        ("/site/css/s.css", 404, "<p>not in this site"),
        ("/rw", 200, "about"),
        ("/nothing/here", 404, "<p>not in this site"),
        ("/gone/x", 410, "410"),
        ("/css/../about", 400, ".. as a component"),
        ("/%00", 400, "control character"),
        ("/css%2fs.css", 400, "escaped slash"),
    ] {
        let answer = house.get(path, &[]).await;
        assert_eq!(answer.status, status, "{path}");
        let text = answer.text() + answer.header("x-reason").unwrap_or_default() + &answer.head;
        assert!(text.contains(sign), "{path}: {text}");
    }
    for (path, to) in [
        ("/files?sort=size", "/files/?sort=size"),
        ("/files/deep", "/files/deep/"),
        ("/old", "/about.html"),
        ("//files", "/files/"),
    ] {
        let answer = house.get(path, &[]).await;
        assert!([301, 308].contains(&answer.status), "{path}");
        assert_eq!(answer.header("location"), Some(to), "{path}");
    }
}

#[tokio::test]
async fn an_unknown_type_is_shown_only_when_it_is_harmless() {
    let house = House::start(sample()).await;
    let text = house.get("/README", &[]).await;
    assert_eq!(text.header("content-type"), Some("text/plain; charset=utf-8"));
    let program = house.get("/tool", &[]).await;
    assert_eq!(program.header("content-type"), Some("application/octet-stream"));
    assert_eq!(program.header("content-disposition"), Some("attachment"));
}

#[tokio::test]
async fn a_range_is_answered_exactly() {
    let house = House::start(sample()).await;
    let want: Vec<u8> = (0..100_000u32).map(|i| (i % 251) as u8).collect();
    let whole = house.get("/big.bin", &[]).await;
    assert_eq!((whole.status, &whole.body), (200, &want));
    for (range, status, from, to) in [
        ("bytes=0-0", 206, 0, 1),
        ("bytes=16000-50000", 206, 16_000, 50_001),
        ("bytes=99990-", 206, 99_990, 100_000),
        ("bytes=-10", 206, 99_990, 100_000),
        ("bytes=5-6,10-20", 206, 5, 7),
        ("bytes=9-1", 200, 0, 100_000),
        ("lines=1-2", 200, 0, 100_000),
    ] {
        let part = house.get("/big.bin", &[&format!("Range: {range}")]).await;
        assert_eq!(part.status, status, "{range}");
        assert_eq!(part.body, want[from..to], "{range}");
        if status == 206 {
            let text = format!("bytes {from}-{}/100000", to - 1);
            assert_eq!(part.header("content-range"), Some(text.as_str()));
        }
    }
    let past = house.get("/big.bin", &["Range: bytes=100000-"]).await;
    assert_eq!(
        (past.status, past.header("content-range")),
        (416, Some("bytes */100000"))
    );
}

#[tokio::test]
async fn validators_spare_the_body() {
    let house = House::start(sample()).await;
    let tag = format!("\"{IH}-1\"");
    let same = house
        .get("/css/s.css", &[&format!("If-None-Match: W/{tag}")])
        .await;
    assert_eq!((same.status, same.body.len()), (304, 0));
    assert_eq!(same.header("etag"), Some(tag.as_str()));
    assert_eq!(same.header("content-length"), None);
    let other = house.get("/css/s.css", &["If-None-Match: \"x\""]).await;
    assert_eq!(other.status, 200);
    let strong = house
        .get("/css/s.css", &["Range: bytes=0-0", &format!("If-Range: {tag}")])
        .await;
    assert_eq!(strong.status, 206);
    for weak in [
        format!("W/{tag}"),
        "Wed, 21 Oct 2015 07:28:00 GMT".into(),
        "\"x\"".into(),
    ] {
        let answer = house
            .get("/css/s.css", &["Range: bytes=0-0", &format!("If-Range: {weak}")])
            .await;
        assert_eq!(answer.status, 200, "{weak}");
    }
}

#[tokio::test]
async fn head_has_the_headers_of_get_and_no_body() {
    let house = House::start(sample()).await;
    let host = format!("{IH}-ih.btlink");
    for path in [
        "/",
        "/big.bin",
        "/files/",
        "/nothing",
        "/.btlink/info",
        "/.btlink/zip",
        "/empty.txt",
        "/files",
    ] {
        let get = house.get(path, &[]).await;
        let head = house.ask("HEAD", path, &host, &[]).await;
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(
            head.header("content-length"),
            Some(get.body.len().to_string().as_str()),
            "{path}"
        );
        assert!(head.body.is_empty(), "{path}");
    }
}

#[tokio::test]
async fn a_name_and_a_download_can_be_asked_for() {
    let house = House::start(sample()).await;
    for (query, want) in [
        (
            "?filename=x%22y.css",
            "inline; filename=\"x_22y.css\"; filename*=UTF-8''x%22y.css",
        ),
        (
            "?download=true",
            "attachment; filename=\"s.css\"; filename*=UTF-8''s.css",
        ),
        (
            "?filename=../../a&download=true",
            "attachment; filename=\".._.._a\"; filename*=UTF-8''.._.._a",
        ),
        (
            "?filename=%0d%0aX:1",
            "inline; filename=\"_0D_0AX_1\"; filename*=UTF-8''%0D%0AX:1",
        ),
    ] {
        let answer = house.get(&format!("/css/s.css{query}"), &[]).await;
        assert_eq!(answer.header("content-disposition"), Some(want), "{query}");
        assert_eq!(answer.status, 200);
    }
    assert_eq!(
        house
            .get("/css/s.css?download=no", &[])
            .await
            .header("content-disposition"),
        None
    );
}

#[tokio::test]
async fn only_if_cached_never_asks_the_swarm() {
    let house = House::start(sample()).await;
    let lines = ["Cache-Control: only-if-cached"];
    assert_eq!(house.get("/", &lines).await.status, 200);
    house
        .source
        .missing
        .lock()
        .unwrap()
        .insert((proto::id::InfoHash::from_hex(IH).unwrap(), 3));
    assert_eq!(house.get("/big.bin", &lines).await.status, 412);
    let unknown = format!("{}-ih.btlink", "a".repeat(40));
    assert_eq!(house.ask("GET", "/", &unknown, &lines).await.status, 412);
}

#[tokio::test]
async fn a_listing_sorts_and_links_without_a_script() {
    let house = House::start(sample()).await;
    let list = house.get("/files/", &[]).await;
    assert_eq!(list.status, 200);
    let text = list.text();
    let at = |sign: &str| text.find(sign).unwrap_or_else(|| panic!("{sign} in {text}"));
    assert!(at("./deep/") < at("./2.txt") && at("./2.txt") < at("./10.txt"));
    assert!(text.contains("\"./a%20b.txt\"") && !text.contains("<script"));
    assert_eq!(list.header("cache-control"), Some("public, max-age=86400"));
    let tag = list.header("etag").unwrap().to_owned();
    assert!(tag.starts_with("\"DirIndex-1_"));
    let same = house.get("/files/", &[&format!("If-None-Match: {tag}")]).await;
    assert_eq!((same.status, same.body.len()), (304, 0));
    let sized = house.get("/files/?sort=size&order=desc", &[]).await.text();
    assert!(sized.find("./2.txt").unwrap() < sized.find("./10.txt").unwrap());
    assert!(
        house
            .get("/?btlink-no-autoindex", &[])
            .await
            .text()
            .contains("./css/")
    );
}

#[tokio::test]
async fn a_huge_folder_is_cut_into_small_pages() {
    let names: Vec<String> = (0..5_000)
        .map(|i| format!("{}-{i}.txt", "long-name".repeat(12)))
        .collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"x"[..])).collect();
    let house = House::start(Fixture::default().with(IH, "huge", &files)).await;
    for query in ["/", "/?page=84", "/?page=9999", "/?page=-1&sort=nonsense"] {
        let page = house.get(query, &[]).await;
        assert_eq!(page.status, 200);
        assert!(page.body.len() < 30_000, "{} bytes", page.body.len());
    }
    assert!(house.get("/?page=2", &[]).await.text().contains("Page 2 of 84"));
}

#[tokio::test(start_paused = true)]
async fn a_person_sees_progress_after_two_seconds_and_a_program_waits() {
    let house = House::start(sample()).await;
    *house.source.peers.lock().unwrap() = 4;
    let ih = proto::id::InfoHash::from_hex(IH).unwrap();
    house.source.missing.lock().unwrap().insert((ih, 0));
    let begun = Instant::now();
    let page = house.get("/", &["Accept: text/html,*/*"]).await;
    assert_eq!(page.status, 202);
    assert!(
        (1_900..4_000).contains(&(begun.elapsed().as_millis() as u64)),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(page.header("refresh"), Some("2"));
    assert_eq!(page.header("retry-after"), Some("2"));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert!(page.text().contains("4 holders") && page.text().contains("btlink-stop"));
    let part = house
        .get("/", &["Sec-Fetch-Dest: image", "Accept: text/html"])
        .await;
    assert_eq!((part.status, part.header("retry-after")), (504, Some("5")));
    assert!(
        part.header("x-reason")
            .unwrap()
            .contains("4 holders are connected")
    );
    let stop = house.get("/?btlink-stop", &["Accept: text/html"]).await;
    assert_eq!(stop.status, 200);
    assert_eq!(stop.header("refresh"), None);
}

#[tokio::test(start_paused = true)]
async fn three_kinds_of_silence_have_three_texts() {
    let house = House::start(sample()).await;
    let ih = proto::id::InfoHash::from_hex(IH).unwrap();
    house.source.missing.lock().unwrap().insert((ih, 0));
    let unknown = format!("{}-ih.btlink", "a".repeat(40));
    let dark = house.ask("GET", "/", &unknown, &[]).await;
    let no_peers = house.get("/", &[]).await;
    *house.source.peers.lock().unwrap() = 2;
    let no_piece = house.get("/", &[]).await;
    let texts: Vec<_> = [&dark, &no_peers, &no_piece]
        .iter()
        .map(|answer| answer.text())
        .collect();
    for answer in [&dark, &no_peers, &no_piece] {
        assert_eq!(answer.status, 504);
        assert!(answer.header("retry-after").is_some());
    }
    assert!(
        texts[0] != texts[1] && texts[1] != texts[2] && texts[0] != texts[2],
        "{texts:?}"
    );
    assert!(
        !house
            .tasks
            .list()
            .iter()
            .any(|row| row.age > Duration::from_secs(200))
    );
}

#[tokio::test]
async fn special_paths_tell_what_is_known() {
    let house = House::start(sample()).await;
    let info: serde_json::Value =
        serde_json::from_slice(&house.get("/.btlink/info", &[]).await.body).unwrap();
    assert_eq!(info["infohash"], IH);
    assert_eq!(info["files"], 13);
    let torrent = house.get("/.btlink/metainfo", &[]).await.body;
    assert!(torrent.starts_with(b"d4:infod5:filesl") && torrent.ends_with(b"ee"));
    let raw = house
        .get("/.btlink/raw/sample/site/css/s.css", &["Range: bytes=0-1"])
        .await;
    assert_eq!((raw.status, raw.text().as_str()), (206, "p{"));
    assert_eq!(house.get("/.btlink/versions", &[]).await.status, 200);
    for path in [
        "/.btlink/record",
        "/.btlink/rootca.pem",
        "/.btlink/raw/other/x",
        "/.btlink/none",
        "/.btlink",
    ] {
        assert_eq!(house.get(path, &[]).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn the_pac_is_the_same_for_every_host() {
    let house = House::start_with(sample(), |config| {
        config.advertise = Some("192.168.1.2".parse().unwrap())
    })
    .await;
    let want = proto::pac::pac(std::net::SocketAddr::new(
        "192.168.1.2".parse().unwrap(),
        house.proxy.port(),
    ));
    let site = format!("{IH}-ih.btlink");
    for host in [
        "wpad",
        "wpad.home.arpa",
        "192.168.1.2",
        "evil.example",
        "a..b",
        "[::1]:80",
        &site,
        "\u{fc}",
    ] {
        for path in proto::pac::PATHS.iter().copied().chain(["/.btlink/proxy.pac"]) {
            let answer = house.ask("GET", path, host, &[]).await;
            if host == "\u{fc}" {
                assert_eq!(answer.status, 400, "{host} {path}");
                continue;
            }
            assert_eq!(
                (answer.status, answer.text()),
                (200, want.clone()),
                "{host} {path}"
            );
            assert_eq!(
                answer.header("content-type"),
                Some("application/x-ns-proxy-autoconfig")
            );
            assert_eq!(answer.header("cache-control"), Some("max-age=60"));
        }
    }
    let named = house.ask("GET", "/.btlink/proxy.pac", &site, &[]).await;
    assert_eq!(
        named.header("content-disposition"),
        Some("inline; filename=btlink.pac")
    );
}

#[tokio::test]
async fn a_site_by_path_runs_no_script_and_redirects_who_has_the_proxy() {
    let house = House::start(sample()).await;
    let own = house.http.to_string();
    let page = house.ask("GET", &format!("/btih/{IH}/"), &own, &[]).await;
    assert_eq!(page.status, 200);
    assert!(
        page.header("content-security-policy")
            .unwrap()
            .starts_with("sandbox allow-downloads; default-src 'none'")
    );
    assert!(page.header("permissions-policy").is_some());
    let bare = house.ask("GET", &format!("/btih/{IH}?x=1"), &own, &[]).await;
    assert_eq!(bare.header("location"), Some(format!("/btih/{IH}/?x=1").as_str()));
    let folder = house.ask("GET", &format!("/btih/{IH}/files"), &own, &[]).await;
    assert_eq!(
        folder.header("location"),
        Some(format!("/btih/{IH}/files/").as_str())
    );
    let worker = house
        .ask(
            "GET",
            &format!("/btih/{IH}/css/s.css"),
            &own,
            &["Service-Worker: script"],
        )
        .await;
    assert_eq!(worker.status, 400);
    let named = house
        .ask("GET", &format!("/btih/{IH}/a?b"), "box.btlink", &[])
        .await;
    assert_eq!(named.status, 301);
    assert_eq!(
        named.header("location"),
        Some(format!("http://{IH}-ih.btlink/a?b").as_str())
    );
    assert_eq!(house.ask("GET", "/btih/xyz/", &own, &[]).await.status, 400);
}

#[tokio::test]
async fn what_is_pasted_leads_to_the_site() {
    let house = House::start(sample()).await;
    let own = house.http.to_string();
    let here = format!("/btih/{IH}/");
    for uri in [
        IH.to_owned(),
        format!("magnet:?xt=urn:btih:{IH}"),
        format!("http://{IH}-ih.btlink/"),
    ] {
        let escaped = uri.replace('&', "%26").replace('?', "%3F");
        let answer = house.ask("GET", &format!("/open?uri={escaped}"), &own, &[]).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (302, Some(here.as_str())),
            "{uri}"
        );
    }
    let magnet = house
        .ask("GET", &format!("/magnet:?xt=urn:btih:{IH}"), &own, &[])
        .await;
    assert_eq!(magnet.header("location"), Some(here.as_str()));
    let named = house
        .ask("GET", &format!("/open?uri={IH}"), "box.btlink", &[])
        .await;
    assert_eq!(
        named.header("location"),
        Some(format!("http://{IH}-ih.btlink/").as_str())
    );
    let page = house
        .ask("GET", &format!("/open?uri={IH}"), &own, &["Accept: text/html"])
        .await;
    assert!(page.status == 200 && page.text().contains("Safe mode"));
    assert_eq!(
        house
            .ask("GET", "/open?uri=%3Cb%3E", &own, &["Accept: text/html"])
            .await
            .status,
        400
    );
    let status = house.ask("GET", "/api/v1/status", &own, &[]).await;
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&status.body).unwrap()["peers"],
        12
    );
    assert_eq!(status.header("access-control-allow-origin"), None);
    assert!(
        house
            .ask("GET", "/", &own, &[])
            .await
            .text()
            .contains("/proxy.pac")
    );
}

#[tokio::test]
async fn both_doors_answer_both_forms() {
    let house = House::start(sample()).await;
    for door in [house.http, house.proxy] {
        for head in [
            format!(
                "GET http://{IH}-ih.btlink/about HTTP/1.1\r\nHost: {IH}-ih.btlink\r\nConnection: close\r\n\r\n"
            ),
            format!("GET /about HTTP/1.1\r\nHost: {IH}-ih.btlink\r\nConnection: close\r\n\r\n"),
            format!("GET http://{IH}-ih.btlink/about HTTP/1.0\r\n\r\n"),
        ] {
            let answer = raw(door, head.as_bytes()).await;
            assert_eq!((answer.status, answer.text().as_str()), (200, "about"), "{head}");
        }
        let other = raw(
            door,
            b"GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\nAccept: text/html\r\n\r\n",
        )
        .await;
        assert_eq!(other.status, 403);
        assert!(other.text().contains("This proxy only opens BitTorrent sites"));
    }
}

#[tokio::test]
async fn an_archive_is_as_long_as_it_said_and_others_can_read_it() {
    let house = House::start(sample()).await;
    let folder = tempfile::tempdir().unwrap();
    for (path, module, list) in [
        ("/.btlink/zip", "zipfile", "z.testzip() or z.namelist()"),
        (
            "/.btlink/zip?path=/files/",
            "zipfile",
            "z.testzip() or z.namelist()",
        ),
        ("/.btlink/tar", "tarfile", "z.getnames()"),
        ("/.btlink/zip?format=tar&path=/files/", "tarfile", "z.getnames()"),
    ] {
        let answer = house.get(path, &[]).await;
        assert_eq!(
            answer.header("content-length"),
            Some(answer.body.len().to_string().as_str()),
            "{path}"
        );
        let file = folder.path().join("archive");
        std::fs::write(&file, &answer.body).unwrap();
        let open = if module == "zipfile" { "ZipFile" } else { "open" };
        let code = format!("import {module},sys\nz={module}.{open}(sys.argv[1])\nprint('\\n'.join({list}))");
        let out = std::process::Command::new("python3")
            .arg("-c")
            .arg(code)
            .arg(&file)
            .output()
            .unwrap();
        let names = String::from_utf8(out.stdout).unwrap();
        assert!(
            out.status.success(),
            "{path}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        assert!(
            names.contains("/a b.txt") && names.contains("/deep/x.txt"),
            "{path}: {names}"
        );
    }
    assert_eq!(house.get("/.btlink/zip?path=/none/", &[]).await.status, 404);
}

#[tokio::test]
async fn a_preflight_is_answered_for_every_origin() {
    let house = House::start(sample()).await;
    let answer = house
        .ask(
            "OPTIONS",
            "/css/s.css",
            &format!("{IH}-ih.btlink"),
            &["Origin: null"],
        )
        .await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert!(
        answer
            .header("access-control-allow-headers")
            .unwrap()
            .contains("Range")
    );
}
