//! Ten thousand pasted lines: each gets an answer or a clear refusal.

use std::collections::BTreeMap;

use harness::{Granary, http, pasted};
use proto::{magnet, name::Domains};

const LINES: usize = 10_000;

#[test]
fn every_pasted_line_is_understood_or_refused_in_one_plain_sentence() {
    let domains = Domains::default();
    let (mut understood, mut refused) = (0, 0);
    for line in pasted::lines(1, LINES) {
        match magnet::paste(&line, &domains) {
            Ok(_) => understood += 1,
            Err(why) => {
                refused += 1;
                let why = why.to_string();
                assert!(why.len() < 400 && !why.chars().any(char::is_control), "{why:?}");
            }
        }
    }
    println!("{understood} understood, {refused} refused");
    assert!(
        understood > LINES / 5 && refused > LINES / 5,
        "both kinds are among them"
    );
}

#[test]
fn no_pasted_line_makes_a_mistake_of_ours() {
    let granary = Granary::start();
    let door = granary.addr("http");
    let mut seen = BTreeMap::<u16, usize>::new();
    for line in pasted::lines(2, LINES) {
        // What a browser does with a form's field; servers may refuse a head over their limit.
        let field: String = line.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let reply = http::get(door, &format!("/open?uri={field}"), &[]).expect("every line is answered");
        *seen.entry(reply.status).or_default() += 1;
        assert!(
            matches!(reply.status, 200 | 302 | 400 | 404 | 414 | 431 | 501),
            "{} for {line:?}: {}",
            reply.status,
            reply.text()
        );
    }
    println!("{seen:?}");
    assert_eq!(seen.values().sum::<usize>(), LINES);
}
