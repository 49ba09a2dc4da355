//! `image/system.lock`: which packages, in which version, with which checksum. One line each, sorted, so that an update of
//! Debian is a readable change.

use std::{collections::BTreeSet, fmt::Write};

use anyhow::{Context, Result, bail};

/// What the whole archive said last when the lock was made: the date of everything on the card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    pub epoch: u64,
    pub packages: Vec<Package>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    pub place: Place,
    pub name: String,
    pub version: String,
    pub size: u64,
    pub sha256: String,
}

/// Where a package's files go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The root file system.
    Root,
    /// The boot partitions and, of its modules, the root.
    Kernel,
    /// The same from backports, for boards that the stable kernel has no drivers for.
    KernelBackports,
    /// Single files of it are used by the build.
    Tool,
}

const HEAD: &str =
    "# Written by `cargo image lock` from Debian's signed archive; the rules stand in image/system.toml.
# place name version size sha256
";

impl Lock {
    pub fn parse(text: &str) -> Result<Self> {
        let mut epoch = None;
        let mut packages = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let place = || format!("system.lock, line {}", number + 1);
            if line.starts_with('#') || line.is_empty() {
                continue;
            }
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["epoch", secs] => epoch = Some(secs.parse().with_context(place)?),
                [to, name, version, size, sha256] => packages.push(Package {
                    place: Place::parse(to).with_context(place)?,
                    name: plain(name).with_context(place)?,
                    version: plain(version).with_context(place)?,
                    size: size.parse().with_context(place)?,
                    sha256: hash(sha256).with_context(place)?,
                }),
                _ => bail!("{}: {} words instead of five", place(), words.len()),
            }
        }
        let epoch = epoch.context("system.lock has no line `epoch SECONDS`")?;
        let names: BTreeSet<_> = packages.iter().map(|one| (one.place, &one.name)).collect();
        if names.len() != packages.len() {
            bail!("system.lock names a package twice");
        }
        Ok(Self { epoch, packages })
    }

    pub fn to_text(&self) -> String {
        let mut packages = self.packages.clone();
        packages.sort();
        let mut text = format!("{HEAD}epoch {}\n", self.epoch);
        for one in &packages {
            let _ = writeln!(
                text,
                "{} {} {} {} {}",
                one.place.word(),
                one.name,
                one.version,
                one.size,
                one.sha256
            );
        }
        text
    }

    pub fn of(&self, place: Place) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(move |one| one.place == place)
    }
}

impl Package {
    /// The file's name as apt makes it: an epoch's colon is escaped.
    pub fn file_is(&self, file: &str) -> bool {
        let version = self.version.replace(':', "%3a");
        file.starts_with(&format!("{}_{version}_", self.name)) && file.ends_with(".deb")
    }
}

impl Place {
    fn word(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Kernel => "kernel",
            Self::KernelBackports => "kernel-backports",
            Self::Tool => "tool",
        }
    }

    fn parse(word: &str) -> Result<Self> {
        [Self::Root, Self::Kernel, Self::KernelBackports, Self::Tool]
            .into_iter()
            .find(|place| place.word() == word)
            .with_context(|| format!("{word} is no place"))
    }
}

/// Names and versions become words of a command and names of files.
fn plain(word: &str) -> Result<String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "+-.:~_".contains(c);
    if word.is_empty() || !word.chars().all(allowed) || word.starts_with('-') {
        bail!("{word:?} is no name or version of a package");
    }
    Ok(word.into())
}

fn hash(word: &str) -> Result<String> {
    if word.len() != 64 || !word.chars().all(|c| c.is_ascii_hexdigit()) {
        bail!("{word:?} is no sha256");
    }
    Ok(word.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = include_str!("../system.lock");

    #[test]
    fn the_lock_of_the_tree_reads_and_writes_as_it_stands() {
        let lock = Lock::parse(TREE).expect("it is ours");
        assert_eq!(lock.to_text(), TREE);
        let names: Vec<_> = lock.of(Place::Root).map(|one| one.name.as_str()).collect();
        assert!(names.contains(&"systemd"), "{names:?}");
        assert!(
            lock.of(Place::Kernel)
                .any(|one| one.name.starts_with("linux-image-"))
        );
    }

    #[test]
    fn a_line_that_could_become_an_option_is_refused() {
        let bad = format!("epoch 1\nroot -o=Dir 1 1 {}\n", "0".repeat(64));
        assert!(Lock::parse(&bad).is_err());
    }

    #[test]
    fn a_short_checksum_is_refused() {
        assert!(Lock::parse("epoch 1\nroot dash 1 1 abc\n").is_err());
    }

    #[test]
    fn a_version_with_an_epoch_finds_its_file() {
        let one = Package {
            place: Place::Root,
            name: "libcap2".into(),
            version: "1:2.75-10".into(),
            size: 1,
            sha256: "0".repeat(64),
        };
        assert!(one.file_is("libcap2_1%3a2.75-10_arm64.deb"));
        assert!(!one.file_is("libcap2_1%3a2.75-1_arm64.deb"));
    }
}
