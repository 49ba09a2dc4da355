//! A2: pages of others change nothing, whatever their visitor's browser sends.

use super::{Browser, NAME, PASSWORD, encode, owned, people};

/// Every address that changes something, with fields that would.
const DEEDS: [(&str, &[(&str, &str)]); 9] = [
    (
        "/people/add",
        &[
            ("name", "mallory"),
            ("password", PASSWORD),
            ("again", PASSWORD),
            ("role", "owner"),
        ],
    ),
    ("/people/remove", &[("name", "bob")]),
    (
        "/people/password",
        &[
            ("name", "bob"),
            ("password", "ganz neue Worte"),
            ("again", "ganz neue Worte"),
        ],
    ),
    ("/people/token", &[("program", "evil"), ("account", NAME)]),
    ("/people/revoke", &[("id", "00")]),
    ("/people/session", &[("id", "00")]),
    ("/people/everywhere", &[]),
    (
        "/password",
        &[
            ("old", PASSWORD),
            ("password", "ganz neue Worte"),
            ("again", "ganz neue Worte"),
        ],
    ),
    ("/logout", &[]),
];

#[track_caller]
fn unchanged(owner: &mut Browser) {
    assert_eq!(people(owner), [NAME, "bob"]);
    let page = owner.get("/people").text();
    assert!(!page.contains("evil"), "a token was made");
    let mut bob = Browser::at(owner.door, owner.from);
    assert_eq!(
        bob.log_in("bob", PASSWORD).status,
        303,
        "bob's password is what it was"
    );
}

fn house() -> (harness::granary::Granary, Browser) {
    let granary = owned();
    let mut owner = Browser::owner(&granary);
    let bob = [
        ("name", "bob"),
        ("role", "member"),
        ("password", PASSWORD),
        ("again", PASSWORD),
    ];
    assert_eq!(owner.submit("/people", "/people/add", &bob).status, 303);
    owner.get("/people");
    (granary, owner)
}

#[test]
fn twenty_seven_posts_of_other_origins_change_nothing() {
    let (_granary, mut owner) = house();
    let token = owner.token("/people");
    let kind = ("content-type", "application/x-www-form-urlencoded");
    let mut refused = 0;
    for (path, fields) in DEEDS {
        let mut with = vec![("token", token.as_str())];
        with.extend_from_slice(fields);
        // A stolen token does not help another origin; one's own origin does not help without the token.
        for (headers, fields) in [
            (vec![("origin", "http://evil.example"), kind], &with[..]),
            (
                vec![("origin", "null"), ("sec-fetch-site", "cross-site"), kind],
                &with[..],
            ),
            (vec![kind], fields),
        ] {
            let answer = owner.ask("POST", path, &headers, &encode(fields));
            assert_eq!(answer.status, 403, "{path} {headers:?}");
            refused += 1;
        }
    }
    assert_eq!(refused, 27);
    unchanged(&mut owner);
}

#[test]
fn nothing_is_changed_by_looking() {
    let (_granary, mut owner) = house();
    let token = owner.token("/people");
    for (path, fields) in DEEDS {
        let query = encode(&[&[("token", token.as_str())][..], fields].concat());
        for method in ["GET", "HEAD"] {
            let answer = owner.ask(method, &format!("{path}?{query}"), &[], "");
            assert!(
                matches!(answer.status, 200 | 404 | 405),
                "{method} {path}: {}",
                answer.status
            );
        }
    }
    unchanged(&mut owner);
}

#[test]
fn other_methods_and_cross_origin_asking_open_nothing() {
    let (granary, mut owner) = house();
    for method in ["PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "BREW"] {
        for path in ["/people", "/people/remove", "/login", "/"] {
            let answer = owner.ask(method, path, &[("content-length", "0")], "");
            assert_eq!(answer.status, 405, "{method} {path}");
            assert!(answer.header("allow").is_some(), "{method} {path}");
        }
    }
    for path in ["/people", "/api/v1/sites", "/login"] {
        let preflight = [
            ("origin", "http://evil.example"),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization"),
        ];
        let answer = owner.ask("OPTIONS", path, &preflight, "");
        let allowed = answer
            .headers
            .iter()
            .any(|(name, _)| name.starts_with("access-control-"));
        assert!(!allowed, "{path}");
    }
    // A cookie is no key to the API: another origin's page would send it along.
    for (method, path) in [
        ("GET", "/api/v1/sites"),
        ("POST", "/api/v1/sites/00/keep"),
        ("DELETE", "/api/v1/sites/00"),
    ] {
        let answer = owner.ask(method, path, &[("content-length", "0")], "");
        assert!(
            matches!(answer.status, 400 | 401),
            "{method} {path}: {}",
            answer.status
        );
    }
    unchanged(&mut owner);
    drop(granary);
}

#[test]
fn forms_before_the_login_are_bound_to_the_browser_too() {
    let granary = owned();
    let (mut mine, mut theirs) = (Browser::new(&granary), Browser::new(&granary));
    let token = mine.token("/login");
    let fields = [("token", token.as_str()), ("name", NAME), ("password", PASSWORD)];
    assert_eq!(theirs.post("/login", &fields).status, 403, "without a cookie");
    theirs.get("/login");
    assert_eq!(theirs.post("/login", &fields).status, 403, "with another one");
    assert_eq!(mine.post("/login", &fields).status, 303);
    let after = mine.token("/people");
    assert_ne!(after, token, "the session has its own");
    assert_eq!(mine.submit("/people", "/logout", &[]).status, 303);
    assert_eq!(mine.get("/people").status, 303);
}

#[test]
fn a_text_browser_that_names_no_origin_is_served() {
    let granary = owned();
    let mut lynx = Browser::new(&granary);
    lynx.headers.push(("origin".into(), String::new()));
    assert_eq!(lynx.log_in(NAME, PASSWORD).status, 303);
    let bob = [
        ("name", "bob"),
        ("role", "member"),
        ("password", PASSWORD),
        ("again", PASSWORD),
    ];
    assert_eq!(lynx.submit("/people", "/people/add", &bob).status, 303);
    assert_eq!(people(&mut lynx), [NAME, "bob"]);
}
