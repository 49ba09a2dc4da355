//! A4, A5: the first owner.

use std::collections::BTreeSet;

use harness::{
    granary::{Granary, Setup, cli},
    wait::wait_for,
};
use serde_json::Value;

use super::{Browser, NAME, PASSWORD, claim, exchange, owned, people, pin};

const SOON: std::time::Duration = std::time::Duration::from_secs(20);

#[test]
fn the_pin_is_shown_where_the_holder_of_the_box_looks_and_nowhere_else() {
    let granary = Granary::start();
    let pin = pin(&granary);
    assert!(pin.len() == 8 && pin.bytes().all(|b| b.is_ascii_digit()), "{pin}");
    assert!(granary.log().contains(&pin), "the log of the start");
    assert_eq!(granary.status()["claim_pin"], pin.as_str(), "the control socket");
    let control = granary.control.to_string_lossy().into_owned();
    let told = cli(&["status", "--control", &control]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains(&format!("{} {}", &pin[..4], &pin[4..])), "{told}");
    let mut browser = Browser::new(&granary);
    for path in [
        "/",
        "/claim",
        "/login",
        "/api/v1/status",
        "/api/v1/health",
        "/log",
        "/api/v1/log",
        "/proxy.pac",
    ] {
        let text = browser.get(path).text();
        assert!(!text.contains(&pin), "{path} shows the PIN");
    }
    assert_eq!(claim(&mut browser, &pin).status, 303);
    assert_eq!(browser.get("/people").status, 200, "the claim logs in");
    assert_eq!(granary.status()["claim_pin"], Value::Null);
    wait_for("the ready file to forget the PIN", SOON, || {
        let ready = granary.control.with_file_name("ready.json");
        !std::fs::read_to_string(ready).unwrap_or_default().contains(&pin)
    });
}

#[test]
fn ten_thousand_automated_claims_make_no_owner() {
    let granary = Granary::start();
    let right = pin(&granary);
    let mut browser = Browser::new(&granary);
    let token = browser.token("/claim");
    let cookie = format!("granary-door={}", browser.cookies["granary-door"]);
    let mut told = BTreeSet::new();
    // Kept-alive connections, a hundred guesses each, so that all of them are really sent.
    for hundred in 0..100 {
        let mut bytes = Vec::new();
        for one in 0..100 {
            let guess = format!(
                "{:08}",
                (right.parse::<u64>().expect("digits") + 1 + hundred * 100 + one) % 100_000_000
            );
            let body = format!(
                "token={token}&pin={guess}&name=mallory&password=vier+Worte+und+mehr&again=vier+Worte+und+mehr"
            );
            bytes.extend_from_slice(
                format!(
                    "POST /claim HTTP/1.1\r\nhost: {}\r\ncookie: {cookie}\r\ncontent-type: application/x-www-form-urlencoded\r\n\
                     content-length: {}\r\nconnection: {}\r\n\r\n{body}",
                    browser.door,
                    body.len(),
                    if one == 99 { "close" } else { "keep-alive" },
                )
                .as_bytes(),
            );
        }
        let answer = exchange(browser.door, browser.from, &bytes);
        told.insert(answer.status);
        assert!(
            !answer
                .headers
                .iter()
                .any(|(_, value)| value.starts_with("granary=")),
            "a session"
        );
    }
    assert!(told.iter().all(|status| matches!(status, 403 | 422)), "{told:?}");
    assert_eq!(granary.status()["claim_pin"], Value::Null, "the window is shut");
    let fields = [
        ("token", token.as_str()),
        ("pin", &right),
        ("name", NAME),
        ("password", PASSWORD),
        ("again", PASSWORD),
    ];
    assert_eq!(
        browser.post("/claim", &fields).status,
        403,
        "not even the right one opens it now"
    );
    assert_eq!(
        browser.get("/people").header("location"),
        Some("/claim"),
        "nobody is logged in"
    );
}

#[test]
fn twenty_boxes_share_no_secret() {
    let mut seen = BTreeSet::new();
    for _ in 0..20 {
        let granary = Setup::default().start();
        let mut browser = Browser::new(&granary);
        browser.get("/claim");
        let door = browser.cookies["granary-door"].clone();
        let pin = pin(&granary);
        assert_eq!(claim(&mut browser, &pin).status, 303);
        let session = browser.cookies["granary"].clone();
        assert!(session.len() == 43 && door.len() == 43, "256 bits");
        for secret in [pin, door, session] {
            assert!(seen.insert(secret), "two boxes have one secret");
        }
    }
    assert_eq!(seen.len(), 60);
}

#[test]
fn a_claimed_box_is_not_claimed_again_and_not_after_a_restart() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut first = super::claimed(Setup::default().data(dir.path()));
    let mut stranger = Browser::new(&first);
    assert_eq!(stranger.get("/claim").header("location"), Some("/login"));
    let token = stranger.token("/login");
    let fields = [
        ("token", token.as_str()),
        ("pin", "00000000"),
        ("name", "mallory"),
        ("password", PASSWORD),
        ("again", PASSWORD),
    ];
    assert_eq!(stranger.post("/claim", &fields).status, 409);
    assert_eq!(first.stop(), 0);
    let second = Setup::default().data(dir.path()).start();
    assert_eq!(second.ready()["claim_pin"], Value::Null);
    assert_eq!(people(&mut Browser::owner(&second)), [NAME]);
}

#[test]
fn a_forgotten_password_costs_nothing_but_the_owners_entry() {
    let granary = owned();
    let mut old = Browser::owner(&granary);
    old.submit(
        "/people",
        "/people/add",
        &[
            ("name", "bob"),
            ("role", "member"),
            ("password", PASSWORD),
            ("again", PASSWORD),
        ],
    );
    let control = granary.control.to_string_lossy().into_owned();
    let told = cli(&["reset-owner", "--json", "--control", &control]);
    let told: Value = serde_json::from_slice(&told.stdout).expect("JSON");
    let pin = told["claim_pin"].as_str().expect("a PIN").to_owned();
    assert_eq!(people(&mut old).len(), 2, "nothing has changed yet");
    let mut new = Browser::new(&granary);
    let fields = [
        ("pin", pin.as_str()),
        ("name", "Clara"),
        ("password", "ganz andere Worte"),
        ("again", "ganz andere Worte"),
    ];
    assert_eq!(new.submit("/claim", "/claim", &fields).status, 303);
    assert_eq!(people(&mut new), ["bob", "clara"]);
    assert_eq!(old.get("/people").status, 303, "the old owner is out");
    assert_eq!(Browser::new(&granary).log_in(NAME, PASSWORD).status, 422);
    assert_eq!(
        Browser::new(&granary).log_in("bob", PASSWORD).status,
        303,
        "members stay"
    );
}

#[test]
fn what_can_be_corrected_costs_no_try() {
    let granary = Granary::start();
    let right = pin(&granary);
    let mut browser = Browser::new(&granary);
    let long = "x1 ".repeat(86);
    for (name, password, again) in [
        ("", PASSWORD, PASSWORD),
        ("<b>", PASSWORD, PASSWORD),
        ("a\u{202e}b", PASSWORD, PASSWORD),
        (NAME, "kurz", "kurz"),
        (NAME, "12345678", "12345678"),
        (NAME, "Password1", "Password1"),
        (NAME, PASSWORD, "etwas anderes"),
        (NAME, &long, &long),
    ] {
        for _ in 0..3 {
            let fields = [
                ("pin", "1"),
                ("name", name),
                ("password", password),
                ("again", again),
            ];
            let answer = browser.submit("/claim", "/claim", &fields);
            assert_eq!(answer.status, 422, "{name} {password}");
            assert!(
                !answer.text().contains(password) || password.is_empty(),
                "a password is not sent back"
            );
        }
    }
    assert_eq!(claim(&mut browser, &right).status, 303);
    let log = granary.log();
    assert!(!log.contains(PASSWORD), "no password in the log");
}
