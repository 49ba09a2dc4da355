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

fn fits(part: &str, name: &str) -> bool {
    match part.split_once('*') {
        None => part == name,
        Some((before, after)) => {
            name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after)
        }
    }
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
            paths: vec!["usr/share/doc".into(), "etc/rc*.d".into()],
            keep: vec!["usr/share/doc/*/copyright".into()],
        };
        for path in ["usr/share/doc", "usr/share/doc/dash/changelog", "etc/rc2.d/S01x"] {
            assert!(trim.takes(path), "{path}");
        }
        for path in ["usr/share/docs", "usr/share/doc/dash/copyright", "usr/share", "etc/rc2.d.conf", "etc"] {
            assert!(!trim.takes(path), "{path}");
        }
    }
}
