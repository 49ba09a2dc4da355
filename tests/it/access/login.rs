//! A3: logging in, throttled, and what a session is worth.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

use harness::granary::Setup;

use super::{Browser, NAME, PASSWORD, claimed, owned, people};

fn device(n: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 1, n).into()
}

#[test]
fn a_hundred_tries_of_one_address_are_ten_a_minute() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut granary = claimed(Setup::default().data(dir.path()));
    let begun = Instant::now();
    let mut attacker = Browser::at(granary.addr("http"), device(66));
    let mut told: BTreeMap<u16, usize> = BTreeMap::new();
    for n in 0..100 {
        let answer = attacker.log_in(NAME, &format!("geraten {n} falsch"));
        *told.entry(answer.status).or_default() += 1;
        if answer.status == 429 {
            assert!(answer.text().contains("Wait"), "{}", answer.text());
        }
    }
    let minutes = begun.elapsed().as_secs() as usize / 60 + 1;
    assert!(told[&422] <= 10 * minutes, "{told:?} in {minutes} min");
    assert_eq!(told[&422] + told[&429], 100, "{told:?}");
    assert_eq!(
        attacker.log_in(NAME, PASSWORD).status,
        429,
        "not even the right one"
    );
    Browser::owner(&granary);
    granary.kill();
    let again = Setup::default().data(dir.path()).start();
    let mut attacker = Browser::at(again.addr("http"), device(66));
    assert_eq!(
        attacker.log_in(NAME, "geraten falsch").status,
        429,
        "a restart gives no new tries"
    );
    Browser::owner(&again);
}

#[test]
fn many_addresses_do_not_keep_the_owner_out() {
    let granary = owned();
    let mut verified = 0;
    for round in 0..3 {
        for n in 1..=60 {
            let mut attacker = Browser::at(granary.addr("http"), device(n));
            let status = attacker.log_in(NAME, &format!("geraten {round}")).status;
            assert!(matches!(status, 422 | 429), "{status}");
            verified += usize::from(status == 422);
        }
    }
    assert!(verified <= 180, "{verified}");
    Browser::owner(&granary);
    let mut new = Browser::at(granary.addr("http"), device(200));
    assert_eq!(new.log_in(NAME, PASSWORD).status, 303, "from a device never seen");
}

#[test]
fn nobody_learns_who_has_an_account() {
    let granary = owned();
    let mut times = [Duration::ZERO; 2];
    let mut texts = Vec::new();
    for round in 0..3 {
        for (index, name) in [NAME, "nora"].into_iter().enumerate() {
            let mut browser = Browser::at(granary.addr("http"), device(100 + round));
            let token = browser.token("/login");
            let begun = Instant::now();
            let fields = [
                ("token", token.as_str()),
                ("name", name),
                ("password", "falsch geraten"),
            ];
            let answer = browser.post("/login", &fields);
            times[index] += begun.elapsed();
            assert_eq!(answer.status, 422);
            texts.push(answer.text().replace(&token, "").replace(name, ""));
        }
    }
    assert!(texts.windows(2).all(|two| two[0] == two[1]), "the pages differ");
    let (known, unknown) = (times[0].as_secs_f64(), times[1].as_secs_f64());
    assert!(
        unknown > known / 3.0 && known > unknown / 3.0,
        "{known} s and {unknown} s"
    );
}

#[test]
fn a_session_is_a_cookie_that_scripts_and_strangers_do_not_get() {
    let granary = owned();
    let mut browser = Browser::new(&granary);
    let answer = browser.log_in(NAME, PASSWORD);
    let set = answer.header("set-cookie").expect("a cookie");
    for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=15552000"] {
        assert!(set.contains(part), "{set}");
    }
    assert!(!set.contains("Domain"), "{set}");
    let first = browser.cookies["granary"].clone();
    let file = std::fs::read(granary.data.join("state.redb")).unwrap_or_default();
    assert!(
        !file.windows(first.len()).any(|part| part == first.as_bytes()),
        "stored in the clear"
    );
    assert_eq!(browser.log_in(NAME, PASSWORD).status, 303);
    let second = browser.cookies["granary"].clone();
    assert_ne!(first, second, "rotated at login");
    let mut thief = Browser::new(&granary);
    for stolen in [
        first.as_str(),
        "",
        "x",
        &"A".repeat(43),
        &"A".repeat(4_000),
        "\"",
        "%00",
    ] {
        let cookie = format!("granary={stolen}");
        assert_eq!(
            thief.ask("GET", "/people", &[("cookie", &cookie)], "").status,
            303,
            "{stolen}"
        );
    }
    // Another server on this machine may have put one before ours.
    let both = format!("granary=AAAA; granary={second}; theme=dark");
    assert_eq!(thief.ask("GET", "/people", &[("cookie", &both)], "").status, 200);
}

#[test]
fn logging_out_ends_one_browser_or_all() {
    let granary = owned();
    let (mut one, mut two) = (Browser::owner(&granary), Browser::owner(&granary));
    let kept = one.cookies.clone();
    assert_eq!(one.submit("/people", "/logout", &[]).status, 303);
    assert!(!one.cookies.contains_key("granary"), "the cookie is taken away");
    one.cookies = kept;
    assert_eq!(one.get("/people").status, 303, "and would open nothing");
    let mut three = Browser::owner(&granary);
    let listed = two.get("/people").text();
    assert_eq!(
        listed.matches("action=\"/people/session\"").count(),
        2,
        "the claim's browser and the third"
    );
    assert_eq!(two.submit("/people", "/people/everywhere", &[]).status, 303);
    assert_eq!(
        (two.get("/people").status, three.get("/people").status),
        (303, 303)
    );
    let mut again = Browser::owner(&granary);
    let changed = [
        ("old", PASSWORD),
        ("password", "ganz neue Worte"),
        ("again", "ganz neue Worte"),
    ];
    let mut other = Browser::owner(&granary);
    assert_eq!(again.submit("/password", "/password", &changed).status, 303);
    assert_eq!(again.get("/people").status, 200, "this browser stays");
    assert_eq!(other.get("/people").status, 303, "the others do not");
    assert_eq!(Browser::new(&granary).log_in(NAME, PASSWORD).status, 422);
}

#[test]
fn members_and_tokens_may_what_their_account_may() {
    let granary = owned();
    let mut owner = Browser::owner(&granary);
    let bob = [
        ("name", "Bob"),
        ("role", "member"),
        ("password", PASSWORD),
        ("again", PASSWORD),
    ];
    assert_eq!(owner.submit("/people", "/people/add", &bob).status, 303);
    assert_eq!(
        owner.submit("/people", "/people/add", &bob).status,
        422,
        "the name is taken"
    );
    let mut member = Browser::new(&granary);
    assert_eq!(member.log_in(" BOB ", PASSWORD).status, 303);
    assert_eq!(member.get("/log").status, 403);
    for deed in ["add", "remove", "password", "token", "revoke"] {
        let answer = member.submit("/people", &format!("/people/{deed}"), &[("name", NAME)]);
        assert_eq!(answer.status, 403, "{deed}");
    }
    assert_eq!(
        owner
            .submit("/people", "/people/remove", &[("name", NAME)])
            .status,
        422,
        "the last owner"
    );
    let program = [("program", "backup <b>"), ("account", "bob")];
    assert_eq!(owner.submit("/people", "/people/token", &program).status, 303);
    let shown = owner.get("/people").text();
    let token = shown
        .split("only this once: ")
        .nth(1)
        .and_then(|rest| rest.split('<').next());
    let token = token.expect("the token").to_owned();
    assert!(!owner.get("/people").text().contains(&token), "shown once");
    let mut program = Browser::new(&granary);
    let bearer = format!("Bearer {token}");
    let mut ask = |method: &str, path: &str, value: &str| {
        let headers = [("authorization", value), ("content-length", "0")];
        program.ask(method, path, &headers, "").status
    };
    assert_eq!(ask("GET", "/api/v1/sites", &bearer), 200);
    assert_eq!(ask("GET", "/api/v1/log", &bearer), 403, "an owner's");
    assert_eq!(
        ask("POST", "/api/v1/reset-owner", &bearer),
        403,
        "the control socket's"
    );
    let flipped = format!("Bearer {}A", &token[..token.len() - 1]);
    for wrong in ["Bearer", "Bearer ", "Basic YTpi", &token, &flipped, "Bearer x y"] {
        assert_eq!(ask("GET", "/api/v1/status", wrong), 401, "{wrong}");
    }
    assert_eq!(
        owner
            .submit("/people", "/people/remove", &[("name", "bob")])
            .status,
        303
    );
    assert_eq!(ask("GET", "/api/v1/sites", &bearer), 401, "gone with its account");
    assert_eq!(member.get("/people").status, 303);
    assert_eq!(people(&mut owner), [NAME]);
}
