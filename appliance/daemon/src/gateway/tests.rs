use super::fixture::{House, IH, sample};

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
