use std::time::Duration;

use tokio::time::Instant;

use super::fixture::{Fixture, House, IH, raw, sample};

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
    assert_eq!(info["held_bytes"], info["size"]);
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
    assert_eq!(page.header("access-control-allow-origin"), None);
    let lines = ["Accept: text/html"];
    let onward = house
        .ask("GET", &format!("/open?uri={IH}"), "box.btlink", &lines)
        .await;
    assert_eq!(
        (onward.status, onward.header("refresh")),
        (200, Some(format!("0; url=http://{IH}-ih.btlink/").as_str()))
    );
}

#[tokio::test]
async fn everything_else_on_the_boxs_names_goes_to_its_own_pages() {
    let house = House::start(sample()).await;
    let own = house.http.to_string();
    for (method, path, host, want) in [
        ("GET", "/", own.as_str(), "own GET / named=false body=0"),
        (
            "GET",
            "/people/x",
            "box.btlink",
            "own GET /people/x named=true body=0",
        ),
        (
            "DELETE",
            "/api/v1/x",
            "granary.local",
            "own DELETE /api/v1/x named=false body=0",
        ),
        ("BREW", "/", "admin.btlink", "own BREW / named=true body=0"),
        ("OPTIONS", "/", &own, "own OPTIONS / named=false body=0"),
    ] {
        let answer = house.ask(method, path, host, &[]).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, want));
    }
    let head = house.ask("HEAD", "/", &own, &[]).await;
    assert_eq!((head.header("content-length"), head.body.len()), (Some("29"), 0));
    for (host, path, status) in [
        (&own, "/proxy.pac", 405),
        (&own, "/open", 405),
        (&own, "/btih/x/", 405),
        (&format!("{IH}-ih.btlink"), "/", 405),
        (&"alice.btlink".to_owned(), "/", 405),
        (&"evil.example".to_owned(), "/", 421),
        (&"evil.example".to_owned(), "/proxy.pac", 421),
    ] {
        let answer = house.ask("POST", path, host, &["Content-Length: 0"]).await;
        assert_eq!(answer.status, status, "{host} {path}");
    }
}

#[tokio::test]
async fn a_body_of_a_mebibyte_arrives_and_no_more() {
    let house = House::start(sample()).await;
    for (length, status) in [(0, 200), (1, 200), (1 << 20, 200), ((1 << 20) + 1, 413)] {
        let head = format!(
            "POST /x HTTP/1.1\r\nHost: box.btlink\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        );
        let mut bytes = head.into_bytes();
        bytes.resize(bytes.len() + length, b'a');
        let answer = raw(house.http, &bytes).await;
        assert_eq!(answer.status, status, "{length}");
        let told = answer.text().contains(&format!("body={length}"));
        assert_eq!(told, status == 200);
    }
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
