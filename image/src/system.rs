//! `image/system.toml`: what the root is made of.

use anyhow::{Context, Result};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct System {
    pub archive: Archive,
    pub packages: Packages,
    pub trim: Trim,
    pub initrd: Modules,
    pub modules: Wanted,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    pub release: String,
    pub components: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Packages {
    pub wanted: Vec<String>,
    pub without: Vec<String>,
    pub tools: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trim {
    paths: Vec<String>,
    /// Stays although a path above takes it.
    keep: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Modules {
    pub modules: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    pub wanted: Vec<String>,
}

impl System {
    pub fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).context("image/system.toml")
    }
}

impl Trim {
    pub fn takes(&self, path: &str) -> bool {
        let among = |patterns: &[String]| patterns.iter().any(|pattern| covers(pattern, path));
        among(&self.paths) && !among(&self.keep)
    }
}

/// Whether the path is what the pattern names, or lies below it. `*` is any part of one name.
fn covers(pattern: &str, path: &str) -> bool {
    let mut names = path.split('/');
    pattern
        .split('/')
        .all(|part| names.next().is_some_and(|name| fits(part, name)))
}

/// The pieces between the stars follow each other; the first begins the name and the last ends it.
fn fits(part: &str, name: &str) -> bool {
    let Some((first, rest)) = part.split_once('*') else {
        return part == name;
    };
    let Some(mut left) = name.strip_prefix(first) else {
        return false;
    };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        match left.find(piece) {
            Some(at) => left = &left[at + piece.len()..],
            None => return false,
        }
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_the_tree_is_understood() {
        let system = System::parse(include_str!("../system.toml")).expect("it is ours");
        assert!(system.packages.wanted.contains(&"systemd".into()));
    }

    #[test]
    fn a_pattern_takes_what_it_names_and_everything_below() {
        let trim = Trim {
            paths: ["usr/share/doc", "etc/rc*.d", "units/*getty*"]
                .map(String::from)
                .into(),
            keep: vec!["usr/share/doc/*/copyright".into()],
        };
        for path in [
            "usr/share/doc",
            "usr/share/doc/dash/changelog",
            "etc/rc2.d/S01x",
            "units/serial-getty@.service",
        ] {
            assert!(trim.takes(path), "{path}");
        }
        for path in [
            "usr/share/docs",
            "usr/share/doc/dash/copyright",
            "usr/share",
            "etc/rc2.d.conf",
            "etc",
            "units/get.target",
        ] {
            assert!(!trim.takes(path), "{path}");
        }
    }
}
