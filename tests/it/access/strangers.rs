//! A1: names that are not ours reach nothing, whatever DNS says about our address.

use super::{Browser, NAME, encode, owned, people};

const FOREIGN: [&str; 22] = [
    "evil.example",
    "evil.example:80",
    "rebind.evil.example",
    "127.0.0.1.nip.io",
    "7f000001.c0a80001.rbndr.us",
    "localhost.evil.example",
    "box.btlink.evil.example",
    "evilbox.btlink.example",
    "granary.local.evil.example",
    "granary.locals",
    "xgranary.local",
    "granary",
    "127.0.0.2",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "0.0.0.0",
    "[::1]",
    "[::ffff:127.0.0.2]",
    "192.168.1.1",
    "wpad",
];

#[test]
fn twenty_two_foreign_hosts_read_nothing_and_change_nothing() {
    let granary = owned();
    let mut owner = Browser::owner(&granary);
    let token = owner.token("/people");
    for host in FOREIGN {
        let read = owner.ask("GET", "/people", &[("host", host)], "");
        assert!(matches!(read.status, 400 | 421), "{host}: {}", read.status);
        assert!(
            !read.text().contains(NAME) && !read.text().contains(&token),
            "{host}"
        );
        let body = encode(&[
            ("token", &token),
            ("name", "mallory"),
            ("password", super::PASSWORD),
            ("again", super::PASSWORD),
        ]);
        let kind = ("content-type", "application/x-www-form-urlencoded");
        let origin = format!("http://{host}");
        let change = owner.ask(
            "POST",
            "/people/add",
            &[("host", host), ("origin", &origin), kind],
            &body,
        );
        assert!(matches!(change.status, 400 | 421), "{host}: {}", change.status);
        assert_eq!(change.header("set-cookie"), None, "{host}");
    }
    assert_eq!(people(&mut owner), [NAME]);
}

#[test]
fn every_page_carries_every_header() {
    let granary = owned();
    let mut owner = Browser::owner(&granary);
    for (path, status) in [
        ("/", 200),
        ("/people", 200),
        ("/password", 200),
        ("/nothing", 404),
        ("/login", 200),
        ("/claim", 303),
        ("/api/v1/status", 200),
        ("/api/v1/nothing", 404),
        ("/people?%ff", 400),
    ] {
        let answer = owner.get(path);
        assert_eq!(answer.status, status, "{path}");
        let csp = answer.header("content-security-policy").unwrap_or_default();
        assert!(
            csp.contains("default-src 'none'") && csp.contains("frame-ancestors 'none'"),
            "{path}: {csp}"
        );
        assert!(!csp.contains("script-src"), "{path}");
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("x-frame-options", "DENY"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}: {name}");
        }
        let shared = answer
            .headers
            .iter()
            .any(|(name, _)| name.starts_with("access-control-"));
        assert!(!shared, "{path} is shared with other origins");
        assert!(!answer.text().contains("<script"), "{path}");
    }
}
