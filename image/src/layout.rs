//! The partitions of the card and their rules.

use std::collections::BTreeSet;

use serde::Deserialize;

/// GPT limits names to 36 characters; ours also become `/dev/disk/by-partlabel/…`.
const NAME_MAX: usize = 36;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Layout {
    disk: Disk,
    partition: Vec<Partition>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Disk {
    table: String,
    align_mib: u64,
    card_mib_min: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Partition {
    name: String,
    kind: Kind,
    slot: Option<String>,
    fs: String,
    size_mib: u64,
    #[serde(default)]
    grow: bool,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Esp,
    Boot,
    Root,
    Data,
}

/// Every fault of the layout file.
pub fn check(text: &str) -> Vec<String> {
    let layout: Layout = match toml::from_str(text) {
        Ok(layout) => layout,
        Err(err) => return vec![format!("partitions.toml: {}", err.to_string().trim())],
    };
    let mut faults = Vec::new();
    let mut fault = |text: String| faults.push(format!("partitions.toml: {text}"));
    if layout.disk.table != "gpt" {
        fault(format!("table {:?} is not gpt", layout.disk.table));
    }
    let mut names = BTreeSet::new();
    for part in &layout.partition {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if part.name.is_empty() || part.name.len() > NAME_MAX || !part.name.chars().all(plain) {
            fault(format!(
                "{:?} is no name: a-z, 0-9 and -, at most {NAME_MAX}",
                part.name
            ));
        }
        if !names.insert(&part.name) {
            fault(format!("the name {} is there twice", part.name));
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
    for found in slots(&layout.partition) {
        fault(found);
    }
    let total: u64 = layout.partition.iter().map(|part| part.size_mib).sum();
    // The table itself at both ends of the card.
    if total + 2 > layout.disk.card_mib_min {
        fault(format!(
            "{total} MiB do not fit on a card of {} MiB",
            layout.disk.card_mib_min
        ));
    }
    faults
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
