//! Bodies no browser sends: refused with a status, never a 500, never a hang, and the next person is served.

use super::{Browser, NAME, PASSWORD, encode, exchange, owned};

const FORM: &str = "application/x-www-form-urlencoded";

#[test]
fn bodies_no_browser_sends_are_refused() {
    let granary = owned();
    let mut browser = Browser::new(&granary);
    let token = browser.token("/login");
    let good = encode(&[("token", &token), ("name", NAME), ("password", PASSWORD)]);
    let twice = |field: &str| format!("{good}&{field}=x");
    let huge = "a".repeat(1 << 20);
    let many = format!("{good}{}", "&x=1".repeat(3_000));
    let kinds = [
        ("multipart/form-data; boundary=x", 415),
        ("text/plain", 415),
        ("application/json", 415),
        ("application/x-www-form-urlencodedx", 415),
        ("", 415),
        ("x", 415),
    ];
    for (kind, status) in kinds {
        assert_eq!(
            browser
                .ask("POST", "/login", &[("content-type", kind)], &good)
                .status,
            status,
            "{kind}"
        );
    }
    for (body, status) in [
        (String::new(), 403),
        ("token".into(), 403),
        ("&&&&====".into(), 403),
        ("%%%".into(), 403),
        ("a=%ff".into(), 400),
        ("a=%00".into(), 400),
        (format!("token={token}"), 400),
        (format!("token={token}&name=x"), 400),
        (twice("token"), 403),
        (twice("name"), 400),
        (twice("password"), 400),
        (many, 400),
        (format!("{good}&x={huge}"), 413),
        (
            format!("token={token}&name={}&password=x", "a".repeat(100_000)),
            422,
        ),
        (
            format!("token={token}&name=x&password={}", "a".repeat(900_000)),
            422,
        ),
    ] {
        let shown: String = body.chars().take(60).collect();
        let answer = browser.ask("POST", "/login", &[("content-type", FORM)], &body);
        assert_eq!(answer.status, status, "{shown} ({} bytes)", body.len());
    }
    assert_eq!(browser.log_in(NAME, PASSWORD).status, 303);
}

#[test]
fn a_large_body_to_a_site_gets_its_answer() {
    let granary = owned();
    let host = "951ead31d09e4049fc1f21f137e233dd0589fcbd-ih.btlink";
    for length in [0, 1, 70_000, 1 << 20] {
        let head = format!("POST / HTTP/1.1\r\nhost: {host}\r\ncontent-length: {length}\r\n\r\n");
        let mut bytes = head.into_bytes();
        bytes.resize(bytes.len() + length, b'a');
        let answer = exchange(granary.addr("http"), std::net::Ipv4Addr::LOCALHOST.into(), &bytes);
        assert_eq!(answer.status, 405, "{length}");
    }
}

#[test]
fn bodies_that_never_come_are_given_up() {
    let granary = owned();
    let door = granary.addr("http");
    let here = std::net::Ipv4Addr::LOCALHOST.into();
    let mut browser = Browser::new(&granary);
    let token = browser.token("/login");
    let cookie = format!("granary-door={}", browser.cookies["granary-door"]);
    let head =
        format!("POST /login HTTP/1.1\r\nhost: {door}\r\ncookie: {cookie}\r\ncontent-type: {FORM}\r\n");
    let began = std::time::Instant::now();
    let slow = format!("{head}content-length: 5000\r\n\r\ntoken={token}&name=");
    let answer = exchange(door, here, slow.as_bytes());
    assert_eq!(answer.status, 408);
    assert!(began.elapsed().as_secs() < 40, "{:?}", began.elapsed());
    for (lines, status) in [
        ("transfer-encoding: chunked\r\n", 411),
        ("content-length: 5\r\ntransfer-encoding: chunked\r\n", 400),
        ("content-length: 5\r\ncontent-length: 5\r\n", 400),
        ("content-length: 1048577\r\n", 413),
        ("content-length: 99999999999999999999\r\n", 400),
        ("content-length: -1\r\n", 400),
    ] {
        let shape = format!("{head}{lines}\r\n5\r\nhello\r\n0\r\n\r\n");
        assert_eq!(exchange(door, here, shape.as_bytes()).status, status, "{lines}");
    }
    assert_eq!(browser.log_in(NAME, PASSWORD).status, 303);
}
