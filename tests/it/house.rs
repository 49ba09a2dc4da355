//! The house rules that a compiler cannot hold: layers, names, sizes, who may name which crate.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Rooms of the daemon from the top to the bottom. A room may name rooms of lower rows only; siblings never each other.
const LAYERS: &[&[&str]] = &[
    &["main"],
    &["cli"],
    &["daemon"],
    &["control", "admin"],
    &["api"],
    &[
        "gateway",
        "publish",
        "feeds",
        "sharing",
        "blocklists",
        "arrangement",
    ],
    &["sites"],
    &["swarm", "links"],
    &["health", "claim", "home"],
    &["db", "config", "fault"],
    // `tasks`, `clock` and `net` are the crate `granary-house`, which the lan half stands on too.
    &["tasks", "clock", "net", "journal", "web"],
];
/// Rooms of the lan half, likewise: the crate keeps them from everything of the web half, this from each other.
const LAN_LAYERS: &[&[&str]] = &[
    &["lan", "control"],
    &["devices"],
    &["dns", "dhcp", "ra", "mdns", "survey", "watchdog", "blocking"],
    &["frame"],
    &["api"],
    &["interfaces", "neighbours", "settings"],
];
/// `control` answers with what `publish` and the rooms below do; `start` and `demo` of `cli` are part of the top.
const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 80;
const BANNED_NAMES: &[&str] = &["utils", "util", "common", "helpers", "helper", "manager", "misc"];
/// Places where an untyped error is allowed: nobody above them has to choose between answers.
const ANYHOW: &[&str] = &[
    "appliance/daemon/src/main.rs",
    "appliance/daemon/src/daemon.rs",
    // librqbit's storage trait and callbacks speak anyhow.
    "appliance/daemon/src/swarm/fetch/",
    "image/",
    "tests/",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests lie in the root")
        .into()
}

/// Every file of ours, as path below the root and text; binary ones are left out.
fn files(endings: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the tree is readable").flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() {
                if !matches!(name.as_str(), ".git" | "target" | "node_modules" | "corpus") {
                    folders.push(path);
                }
            } else if endings.iter().any(|ending| name.ends_with(ending))
                && let Ok(text) = fs::read_to_string(&path)
            {
                let below = path.strip_prefix(root()).expect("below the root");
                found.push((below.to_string_lossy().into_owned(), text));
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no file ends in {endings:?}");
    found
}

fn rust() -> Vec<(String, String)> {
    files(&[".rs"])
}

/// The text without comments, so that a rule may be spoken about.
fn code(text: &str) -> String {
    let without = |line: &str| {
        let trimmed = line.trim_start();
        if trimmed.starts_with("//") {
            String::new()
        } else {
            line.to_string()
        }
    };
    text.lines().map(without).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn none(what: &str, broken: Vec<String>) {
    assert!(broken.is_empty(), "{what}:\n  {}", broken.join("\n  "));
}

#[test]
fn arrows_between_rooms_of_the_daemon_only_point_down() {
    arrows_point_down("appliance/daemon/src/", LAYERS);
}

/// The two at the top are one: `lan` opens the socket whose requests `control` passes back to it.
#[test]
fn arrows_between_rooms_of_the_lan_half_only_point_down() {
    arrows_point_down("appliance/lan/src/", LAN_LAYERS);
}

fn arrows_point_down(sources: &str, layers: &[&[&str]]) {
    let level = |room: &str| layers.iter().position(|row| row.contains(&room));
    let mut broken = Vec::new();
    for (path, text) in rust() {
        let Some(below) = path.strip_prefix(sources) else {
            continue;
        };
        // Tests of a room may look at it from above.
        if below.contains("tests") || below.contains("fixture") || below == "lib.rs" {
            continue;
        }
        let room = below.split(['/', '.']).next().unwrap_or_default();
        let own =
            level(room).unwrap_or_else(|| panic!("{path}: give the room {room} its place in the layers"));
        for named in named_rooms(&code(&text)) {
            let up = level(&named).is_some_and(|other| other <= own);
            if named != room && up && !(matches!(room, "lan" | "control") && own == 0) {
                broken.push(format!("{path} names crate::{named}"));
            }
        }
    }
    none("an arrow points up or sideways", broken);
}

/// What follows `crate::`, also in braces: `use crate::{a, b::{c, d}}`.
fn named_rooms(text: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    let word = |text: &str| -> String {
        text.trim_start()
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    for (at, _) in text.match_indices("crate::") {
        // `proto_crate::` is another word.
        if text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &text[at + "crate::".len()..];
        let Some(list) = rest.strip_prefix('{') else {
            rooms.insert(word(rest));
            continue;
        };
        let mut depth = 0;
        let mut start = 0;
        for (i, c) in list.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => {
                    rooms.insert(word(&list[start..i]));
                    break;
                }
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    rooms.insert(word(&list[start..i]));
                    start = i + 1;
                }
                _ => {}
            }
        }
    }
    rooms.remove("");
    rooms
}

#[test]
fn files_and_functions_stay_short_enough_to_read() {
    let mut broken = Vec::new();
    for (path, text) in rust() {
        let lines: Vec<&str> = text.lines().collect();
        if lines.len() > FILE_LINES_MAX {
            broken.push(format!("{path}: {} lines", lines.len()));
        }
        for (start, line) in lines.iter().enumerate() {
            let indent = line.len() - line.trim_start().len();
            if !is_function(line.trim_start()) {
                continue;
            }
            // rustfmt closes a function with a brace at its own indentation; one-liners close on their own line.
            let close = format!("{}}}", " ".repeat(indent));
            let ends = |l: &&str| **l == close || (**l == **line && l.ends_with(['}', ';']));
            let length = lines[start..].iter().position(ends);
            if let Some(length) = length
                && length > FUNCTION_LINES_MAX
            {
                broken.push(format!("{path}:{}: a function of {length} lines", start + 1));
            }
        }
    }
    none("too long to read", broken);
}

fn is_function(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().take(6).collect();
    let Some(at) = words.iter().position(|w| *w == "fn") else {
        return false;
    };
    words[..at]
        .iter()
        .all(|w| matches!(*w, "pub" | "async" | "const" | "unsafe") || w.starts_with("pub("))
}

#[test]
fn no_drawer_is_named_after_nothing() {
    let broken = rust()
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| path.split(['/', '.']).any(|word| BANNED_NAMES.contains(&word)))
        .collect();
    none("a module without a noun of its own", broken);
}

#[test]
fn redb_is_named_by_the_store_alone() {
    let mut broken = Vec::new();
    for (path, text) in rust() {
        if !path.starts_with("appliance/store/")
            && path != "tests/it/house.rs"
            && code(&text).contains("redb::")
        {
            broken.push(path);
        }
    }
    for (path, text) in files(&["Cargo.toml"]) {
        let names = text.lines().any(|line| line.starts_with("redb"));
        if names && path != "Cargo.toml" && path != "appliance/store/Cargo.toml" {
            broken.push(path);
        }
    }
    none("only the store may know redb", broken);
}

/// Mapping a file, and letting go of one, is what of ours needs it; `granary-mapped` says why it is sound.
#[test]
fn unsafe_code_stands_in_one_crate_of_one_page() {
    let mut broken = Vec::new();
    for (path, text) in rust() {
        let allows = code(&text).contains("allow(unsafe_code)") || code(&text).contains("memmap2::");
        if allows && path != "appliance/mapped/src/lib.rs" && path != "tests/it/house.rs" {
            broken.push(path);
        }
    }
    for (path, text) in files(&["Cargo.toml"]) {
        let own_lints = !text.contains("[lints]\nworkspace = true") && text.contains("[package]");
        let names = text.lines().any(|line| line.starts_with("memmap2"));
        if (own_lints || names) && path != "Cargo.toml" && path != "appliance/mapped/Cargo.toml" {
            broken.push(path);
        }
    }
    let page = fs::read_to_string(root().join("appliance/mapped/src/lib.rs")).expect("it is there");
    if code(&page).matches("unsafe {").count() != 2 || page.matches("// SAFETY:").count() != 2 {
        broken.push("appliance/mapped: two lines of unsafe code, each with its reason".into());
    }
    none("unsafe code stands in one place", broken);
}

#[test]
fn untyped_errors_stay_where_nobody_has_to_choose() {
    let broken = rust()
        .into_iter()
        .filter(|(path, text)| {
            code(text).contains("anyhow") && !ANYHOW.iter().any(|place| path.starts_with(place))
        })
        .map(|(path, _)| path)
        .collect();
    none("anyhow outside its places", broken);
}

#[test]
fn no_page_of_ours_has_a_script_tag() {
    let mut broken = Vec::new();
    let tag = concat!("<scr", "ipt");
    for (path, text) in files(&[".rs", ".html", ".svg", ".css"]) {
        let is_test = path.contains("test") || path.starts_with("tests/") || path.contains("testdata");
        // Sanitisers and tests have to speak about it.
        if !is_test && !path.starts_with("appliance/sanitize/") && code(&text).to_lowercase().contains(tag) {
            let only_in_tests = text
                .find("#[cfg(test)]")
                .is_some_and(|at| !code(&text[..at]).to_lowercase().contains(tag));
            if !only_in_tests {
                broken.push(path);
            }
        }
    }
    none("pages of ours need no script", broken);
}

#[test]
fn every_dependency_is_declared_once_with_its_reason() {
    let text = fs::read_to_string(root().join("Cargo.toml")).expect("the workspace has one");
    let section = text
        .split("[workspace.dependencies]")
        .nth(1)
        .expect("it declares dependencies");
    let section = section.split("\n[").next().unwrap_or_default();
    let mut broken = Vec::new();
    let mut reasons = String::new();
    let mut after_dependency = false;
    for line in section.lines() {
        if let Some(reason) = line.strip_prefix('#') {
            if after_dependency {
                reasons.clear();
            }
            after_dependency = false;
            reasons += reason;
        } else if let Some((name, _)) = line.split_once(" = ") {
            after_dependency = true;
            let ours = line.contains("path = ");
            if !ours && !name.starts_with([' ', ']']) && !reasons.contains(name) {
                broken.push(format!("{name} has no comment that says what it is for"));
            }
        }
    }
    for (path, text) in files(&["Cargo.toml"]) {
        let mut in_dependencies = false;
        for line in text.lines() {
            if line.starts_with('[') {
                in_dependencies = line.contains("dependencies") && path != "Cargo.toml";
            } else if in_dependencies
                && line.contains('=')
                && !line.contains("workspace = true")
                && !line.starts_with('#')
            {
                broken.push(format!("{path}: {line}"));
            }
        }
    }
    none("dependencies stand in the root, once, with a reason", broken);
}

#[test]
fn nothing_in_the_tree_knows_one_machine() {
    let mut broken = Vec::new();
    let home = concat!("/ro", "ot/");
    let work = concat!("/wo", "rk/");
    for (path, text) in files(&[
        ".rs", ".toml", ".md", ".sh", ".py", ".mjs", "Makefile", ".html", ".json",
    ]) {
        for (number, line) in text.lines().enumerate() {
            if line.contains(home)
                || line.contains(work)
                || line.contains("../shared") && path != "tests/it/house.rs"
            {
                broken.push(format!("{path}:{}", number + 1));
            }
        }
    }
    none("a path of one machine", broken);
}

#[test]
fn every_room_has_a_door_with_a_sign() {
    let mut broken = Vec::new();
    for (path, text) in rust() {
        let within = |sources| path.starts_with(sources);
        let door =
            path.ends_with("/mod.rs") && (within("appliance/daemon/src/") || within("appliance/lan/src/"));
        let room = path.matches('/').count() == 4;
        let lower = text.to_lowercase();
        let sign = text.starts_with("//!") && (lower.contains("must not know") || lower.contains("knows no"));
        if door && room && !sign {
            broken.push(format!(
                "{path} does not say what it is for and what it must not know"
            ));
        }
    }
    none("a room without a sign", broken);
}

#[test]
fn main_is_a_page() {
    let text = fs::read_to_string(root().join("appliance/daemon/src/main.rs")).expect("the daemon has one");
    assert!(
        text.lines().count() <= 80,
        "main.rs has {} lines",
        text.lines().count()
    );
}
