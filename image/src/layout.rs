//! The partitions of the card and their rules.

use std::collections::BTreeSet;

use serde::Deserialize;

/// GPT limits names to 36 characters; ours also become `/dev/disk/by-partlabel/…`.
const NAME_MAX: usize = 36;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    pub disk: Disk,
    #[serde(rename = "partition")]
    pub partitions: Vec<Partition>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    table: String,
    pub id: String,
    pub align_mib: u64,
    card_mib_min: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partition {
    pub name: String,
    pub id: String,
    pub kind: Kind,
    pub slot: Option<String>,
    fs: String,
    pub size_mib: u64,
    #[serde(default)]
    grow: bool,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Esp,
    Boot,
    Root,
    Data,
}

impl Layout {
    pub fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|err| format!("partitions.toml: {}", err.to_string().trim()))
    }

    /// Number in the table, from 1, of the partition of this name.
    pub fn number(&self, name: &str) -> Option<usize> {
        self.partitions
            .iter()
            .position(|part| part.name == name)
            .map(|at| at + 1)
    }

    /// Partitions with the MiB at which each starts.
    pub fn places(&self) -> impl Iterator<Item = (u64, &Partition)> {
        self.partitions.iter().scan(self.disk.align_mib, |at, part| {
            let start = *at;
            *at += part.size_mib;
            Some((start, part))
        })
    }

    /// The whole card as it is written; the last MiB holds the second copy of the table.
    pub fn card_mib(&self) -> u64 {
        self.disk.align_mib + self.partitions.iter().map(|part| part.size_mib).sum::<u64>() + 1
    }
}

/// Every fault of the layout file.
pub fn check(text: &str) -> Vec<String> {
    let layout = match Layout::parse(text) {
        Ok(layout) => layout,
        Err(err) => return vec![err],
    };
    let mut faults = Vec::new();
    let mut fault = |text: String| faults.push(format!("partitions.toml: {text}"));
    if layout.disk.table != "gpt" {
        fault(format!("table {:?} is not gpt", layout.disk.table));
    }
    let mut names = BTreeSet::new();
    for part in &layout.partitions {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if part.name.is_empty() || part.name.len() > NAME_MAX || !part.name.chars().all(plain) {
            fault(format!(
                "{:?} is no name: a-z, 0-9 and -, at most {NAME_MAX}",
                part.name
            ));
        }
        if !names.insert(&part.name) || !names.insert(&part.id) || part.id == layout.disk.id {
            fault(format!("the name or id of {} is there twice", part.name));
        }
        if !is_id(&part.id) || !is_id(&layout.disk.id) {
            fault(format!(
                "{}: its id or the disk's is no UUID in small letters",
                part.name
            ));
        }
        let fs: &[&str] = match part.kind {
            Kind::Esp | Kind::Boot => &["vfat"],
            Kind::Root => &["squashfs", "erofs"],
            Kind::Data => &["ext4"],
        };
        if !fs.contains(&part.fs.as_str()) {
            fault(format!("{}: {} is not one of {fs:?}", part.name, part.fs));
        }
        if part.size_mib == 0 || part.size_mib % layout.disk.align_mib.max(1) != 0 {
            fault(format!(
                "{}: {} MiB is not a multiple of the alignment",
                part.name, part.size_mib
            ));
        }
    }
    for found in slots(&layout.partitions) {
        fault(found);
    }
    let total: u64 = layout.partitions.iter().map(|part| part.size_mib).sum();
    // The table itself at both ends of the card.
    if total + 2 > layout.disk.card_mib_min {
        fault(format!(
            "{total} MiB do not fit on a card of {} MiB",
            layout.disk.card_mib_min
        ));
    }
    faults
}

fn is_id(id: &str) -> bool {
    let dashes = [8, 13, 18, 23];
    id.len() == 36
        && id
            .bytes()
            .enumerate()
            .all(|(at, byte)| match dashes.contains(&at) {
                true => byte == b'-',
                false => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
            })
}

/// Two slots of the same, and one data partition that grows and therefore comes last.
fn slots(parts: &[Partition]) -> Vec<String> {
    let mut faults = Vec::new();
    for kind in [Kind::Boot, Kind::Root] {
        let sizes: Vec<_> = ["a", "b"]
            .iter()
            .map(|slot| {
                parts
                    .iter()
                    .find(|p| p.kind == kind && p.slot.as_deref() == Some(slot))
                    .map(|p| p.size_mib)
            })
            .collect();
        if sizes[0].is_none() || sizes[0] != sizes[1] {
            faults.push(format!("{kind:?} needs a slot a and a slot b of one size"));
        }
    }
    let growing: Vec<_> = parts.iter().filter(|part| part.grow).collect();
    let last = parts
        .last()
        .is_some_and(|part| part.grow && part.kind == Kind::Data);
    if growing.len() != 1 || !last {
        faults.push("exactly one partition grows: data, the last one".into());
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = include_str!("../layout/partitions.toml");

    #[test]
    fn the_layout_of_the_tree_keeps_its_rules() {
        assert_eq!(check(GOOD), Vec::<String>::new());
    }

    #[test]
    fn partitions_follow_each_other_without_a_gap() {
        let layout = Layout::parse(GOOD).expect("it is ours");
        let places: Vec<_> = layout.places().map(|(at, part)| (at, part.size_mib)).collect();
        assert_eq!(places[0].0, 1);
        assert!(places.windows(2).all(|pair| pair[0].0 + pair[0].1 == pair[1].0));
        assert_eq!(layout.number("root-b"), Some(5));
    }

    #[test]
    fn an_id_that_is_there_twice_is_found() {
        let bad = GOOD.replace("5a03", "5a02");
        assert!(check(&bad).iter().any(|fault| fault.contains("twice")));
    }

    #[test]
    fn slots_of_two_sizes_are_found() {
        let bad = GOOD.replacen("size_mib = 160", "size_mib = 150", 1);
        assert!(
            check(&bad)
                .iter()
                .any(|fault| fault.contains("Root needs a slot a and a slot b of one size"))
        );
    }

    #[test]
    fn a_layout_larger_than_the_smallest_card_is_found() {
        let bad = GOOD.replace("size_mib = 512", "size_mib = 4096");
        assert!(check(&bad).iter().any(|fault| fault.contains("do not fit")));
    }

    #[test]
    fn an_unknown_key_is_found() {
        let bad = GOOD.replace("align_mib = 1", "align_mib = 1\ncolour = 2");
        assert!(check(&bad)[0].contains("colour"));
    }
}
