//! Rules of `overlay/` that can be checked without building a card.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

/// `systemd-analyze security` counts from 0 (nothing is left to take) to 10.
const EXPOSURE_MAX: &str = "20";

fn overlay() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../overlay"))
}

fn read(below: &str) -> String {
    fs::read_to_string(overlay().join(below)).unwrap_or_else(|err| panic!("{below}: {err}"))
}

#[test]
fn both_halves_can_do_little_beyond_their_work() {
    for unit in ["granary-lan.service", "granary-web.service"] {
        let output = Command::new("systemd-analyze")
            .args([
                "security",
                "--offline=true",
                "--no-pager",
                "--threshold",
                EXPOSURE_MAX,
            ])
            .arg(overlay().join("usr/lib/systemd/system").join(unit))
            .output()
            .expect("systemd-analyze is there (tests/setup.sh installs it)");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{unit}: {said}");
    }
}

#[test]
fn nobody_has_a_password_and_nobody_a_shell() {
    for line in read("etc/passwd").lines() {
        let fields: Vec<_> = line.split(':').collect();
        assert_eq!((fields[1], fields[6]), ("*", "/usr/sbin/nologin"), "{line}");
    }
    for line in read("etc/shadow").lines() {
        assert_eq!(line.split(':').nth(1), Some("*"), "{line}");
    }
}

#[test]
fn every_name_is_known_in_all_four_files_and_every_number_once() {
    let names = |file: &str| -> BTreeSet<String> {
        let text = read(file);
        text.lines()
            .map(|line| line.split(':').next().unwrap_or_default().to_string())
            .collect()
    };
    assert_eq!(names("etc/passwd"), names("etc/shadow"));
    assert_eq!(names("etc/group"), names("etc/gshadow"));
    for file in ["etc/passwd", "etc/group"] {
        let text = read(file);
        let numbers: Vec<_> = text.lines().filter_map(|line| line.split(':').nth(2)).collect();
        let unique: BTreeSet<_> = numbers.iter().collect();
        assert_eq!(numbers.len(), unique.len(), "{file}");
    }
}

/// Files on the data partition belong to numbers, which a later release must not give to somebody else.
#[test]
fn the_numbers_of_those_who_own_files_on_the_card_never_change() {
    let passwd = read("etc/passwd");
    for line in [
        "systemd-timesync:*:602:602:",
        "granary-lan:*:701:701:",
        "granary-web:*:702:702:",
    ] {
        assert!(passwd.lines().any(|one| one.starts_with(line)), "{line}");
    }
    for line in read("usr/lib/granary/persist")
        .lines()
        .filter(|line| !line.starts_with('#'))
    {
        let words: Vec<_> = line.split(' ').collect();
        assert_eq!(words.len(), 3, "{line}");
        let owner = words[1].split(':').next().unwrap_or_default();
        assert!(
            owner == "0" || passwd.contains(&format!(":{owner}:{owner}:")),
            "{line}"
        );
    }
}

#[test]
fn the_firewall_opens_the_doors_that_are_listed_and_no_others() {
    let rules = read("etc/nftables.conf");
    let listed = fs::read_to_string(overlay().join("../hw/README.md")).expect("it is there");
    let table = listed.split("## What listens").nth(1).expect("it has a table");
    let ports: BTreeSet<u16> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| "))
        .filter_map(|line| line.split('|').next())
        .flat_map(|cell| {
            cell.split([' ', ','])
                .filter_map(|word| word.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect();
    let opened: BTreeSet<u16> = rules
        .lines()
        .filter(|line| line.trim_end().ends_with("accept") && line.contains("dport"))
        .flat_map(|line| {
            let words = line.split([' ', ',', '{', '}']);
            words.filter_map(|word| word.parse().ok()).collect::<Vec<u16>>()
        })
        .collect();
    assert_eq!(opened, ports);
    assert!(rules.contains("hook input priority filter; policy drop;"));
}

#[test]
fn scripts_of_the_card_are_shell() {
    for script in [
        "usr/lib/granary/grow",
        "usr/lib/granary/good",
        "../image/initrd/init",
    ] {
        let status = Command::new("sh").arg("-n").arg(overlay().join(script)).status();
        assert!(status.is_ok_and(|status| status.success()), "{script}");
    }
}
