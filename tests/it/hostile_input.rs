//! What strangers send: the hostile corpus, and a short run of the fuzzer over every parser of ours.

use std::{process::Command, time::Duration};

use harness::fuzz::{self, TARGETS};

/// A process of its own, so that the peak of memory is that of the corpus: a torrent must never need more than 64 MiB,
/// its own bytes and the maker of the case included.
#[test]
fn no_hostile_torrent_is_opened_or_costs_much() {
    let output = Command::new(env!("CARGO_BIN_EXE_fuzz"))
        .arg("corpus")
        .output()
        .expect("the program starts");
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let figures = text.lines().last().expect("a line of figures");
    let number = |before: &str| -> u64 {
        let words: Vec<&str> = figures.split_whitespace().collect();
        let at = words.iter().position(|word| *word == before).expect(figures);
        words[at - 1].parse().expect(figures)
    };
    assert!(number("cases,") >= 1_000, "{figures}");
    assert!(number("kB") < 64 << 10, "{figures}");
    // Optimised it is 200 ms; this build is not, and the machine may be busy.
    assert!(number("ms") < 10_000, "{figures}");
}

#[test]
fn every_parser_survives_mutated_input() {
    for target in TARGETS {
        // On a busy machine a slow parser needs longer before mutations tell its answers apart.
        let longer = |report: &fuzz::Report| report.answers <= 1;
        let run = match fuzz::run(target, 1, Duration::from_millis(700)) {
            Ok(report) if longer(&report) => fuzz::run(target, 1, Duration::from_secs(8)),
            run => run,
        };
        match run {
            Ok(report) => {
                println!("{}: {report:?}", target.name);
                assert!(
                    report.runs > 0 && report.answers > 1,
                    "{}: {report:?}",
                    target.name
                );
            }
            Err(failure) => panic!(
                "{}: {}: {}",
                target.name,
                failure.what,
                failure.input.escape_ascii()
            ),
        }
    }
}
