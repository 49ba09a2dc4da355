//! The card as one file: table and partitions, written without mounting or loop devices. Holes stay holes.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, bail};

use crate::{
    layout::{Kind, Layout},
    run::{command, run},
};

const MIB: u64 = 1 << 20;
const BLOCK: usize = 64 * 1024;

/// `sfdisk`'s words for the table.
pub fn table(layout: &Layout) -> String {
    let mut text = format!(
        "label: gpt\nlabel-id: {}\nunit: sectors\nfirst-lba: 2048\n",
        layout.disk.id
    );
    for (start, part) in layout.places() {
        text += &format!(
            "start={}, size={}, type={}, uuid={}, name=\"{}\"\n",
            start * 2048,
            part.size_mib * 2048,
            kind(part.kind),
            part.id,
            part.name
        );
    }
    text
}

/// As the Discoverable Partitions Specification and UEFI name them. Boot partitions are plain data, so that firmware looks
/// for its files on the first partition alone.
fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Esp => "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
        Kind::Boot => "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7",
        Kind::Root => "B921B045-1DF0-41C3-AF44-4C6F280D3FAE",
        Kind::Data => "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
    }
}

/// Writes the card; `parts` are files by partition name.
pub fn write(card: &Path, layout: &Layout, parts: &BTreeMap<String, PathBuf>, hybrid: bool) -> Result<()> {
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(card)
        .with_context(|| format!("create {}", card.display()))?;
    file.set_len(layout.card_mib() * MIB)?;
    let mut sfdisk = command("sfdisk");
    sfdisk
        .args(["--quiet", "--no-reread", "--no-tell-kernel"])
        .arg(card);
    feed(&mut sfdisk, &table(layout))?;
    for (start, part) in layout.places() {
        let source = parts
            .get(&part.name)
            .with_context(|| format!("nothing was made for the partition {}", part.name))?;
        let size = std::fs::metadata(source)?.len();
        if size > part.size_mib * MIB {
            bail!(
                "{} MiB are too many for the partition {} of {}",
                size.div_ceil(MIB),
                part.name,
                part.size_mib
            );
        }
        place(&mut file, start * MIB, source)?;
    }
    if hybrid {
        file.seek(SeekFrom::Start(ENTRIES))?;
        file.write_all(&hybrid_entries(layout)?)?;
    }
    file.sync_all()?;
    Ok(())
}

/// Where the old table's entries lie in the first sector.
const ENTRIES: u64 = 446;

/// The first partition as FAT for a ROM that reads nothing else, behind the entry by which everybody else knows the GPT: it must
/// begin at sector 1, or Linux takes the table for an old one.
fn hybrid_entries(layout: &Layout) -> Result<[u8; 32]> {
    let (start_mib, first) = layout.places().next().context("the layout has no partition")?;
    let start = u32::try_from(start_mib * 2048)?;
    let length = u32::try_from(first.size_mib * 2048)?;
    let mut entries = [0; 32];
    for (entry, kind, start, length) in [(0, 0xee, 1, start - 1), (16, 0x0c, start, length)] {
        // Cylinders, heads and sectors: "see below", for disks of any size.
        entries[entry + 1..entry + 4].copy_from_slice(&[0xfe, 0xff, 0xff]);
        entries[entry + 4] = kind;
        entries[entry + 5..entry + 8].copy_from_slice(&[0xfe, 0xff, 0xff]);
        entries[entry + 8..entry + 12].copy_from_slice(&start.to_le_bytes());
        entries[entry + 12..entry + 16].copy_from_slice(&length.to_le_bytes());
    }
    Ok(entries)
}

/// Copies a file to its place; blocks of zeros are left out.
fn place(card: &mut File, at: u64, source: &Path) -> Result<()> {
    let mut from = File::open(source)?;
    let mut block = vec![0; BLOCK];
    let mut at = at;
    loop {
        let mut length = 0;
        while length < BLOCK {
            match from.read(&mut block[length..])? {
                0 => break,
                some => length += some,
            }
        }
        if length == 0 {
            return Ok(());
        }
        if block[..length].iter().any(|byte| *byte != 0) {
            card.seek(SeekFrom::Start(at))?;
            card.write_all(&block[..length])?;
        }
        at += u64::try_from(length)?;
    }
}

/// Runs a program that reads `text`.
fn feed(command: &mut std::process::Command, text: &str) -> Result<()> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("start sfdisk (tests/setup.sh image installs it)")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(text.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!(
            "write the partition table: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

/// The data partition of a fresh card: empty, with the dates and numbers of every other fresh card.
pub fn data(image: &Path, layout: &Layout, epoch: u64) -> Result<()> {
    let part = layout.partitions.iter().find(|part| part.kind == Kind::Data);
    let part = part.context("the layout has no data partition")?;
    File::create(image)?.set_len(part.size_mib * MIB)?;
    run(command("mke2fs")
        .env("E2FSPROGS_FAKE_TIME", epoch.to_string())
        .env("SOURCE_DATE_EPOCH", epoch.to_string())
        .args(["-q", "-F", "-t", "ext4", "-L", "data", "-U", &part.id, "-E"])
        .arg(format!(
            "hash_seed={},root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0",
            part.id
        ))
        // What the program of this machine would turn on differs from release to release.
        .args(["-O", "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum"])
        .args(["-b", "4096", "-I", "256", "-m", "1"])
        .arg(image))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: &str = include_str!("../layout/partitions.toml");

    fn parts(dir: &Path, layout: &Layout) -> BTreeMap<String, PathBuf> {
        let part = |name: &str| {
            let path = dir.join(name);
            std::fs::write(&path, format!("this is {name}")).expect("written");
            (name.to_string(), path)
        };
        layout.partitions.iter().map(|one| part(&one.name)).collect()
    }

    #[test]
    fn a_foreign_program_reads_the_table_and_every_partition_is_in_its_place() {
        let dir = tempfile::tempdir().expect("a folder");
        let layout = Layout::parse(LAYOUT).expect("it is ours");
        let card = dir.path().join("card");
        write(&card, &layout, &parts(dir.path(), &layout), false).expect("written");
        let said = crate::run::text(command("sfdisk").arg("--verify").arg(&card)).expect("sfdisk is there");
        assert!(said.contains("No errors detected"), "{said}");
        let dump = crate::run::text(command("sfdisk").arg("--dump").arg(&card)).expect("sfdisk is there");
        for (start, part) in layout.places() {
            let line = dump
                .lines()
                .find(|line| line.contains(&format!("name=\"{}\"", part.name)));
            let line = line.unwrap_or_else(|| panic!("{} is not in {dump}", part.name));
            assert!(line.contains(&format!("start={:>12}", start * 2048)), "{line}");
            let mut file = File::open(&card).expect("there");
            file.seek(SeekFrom::Start(start * MIB)).expect("inside");
            let mut bytes = vec![0; 8 + part.name.len()];
            file.read_exact(&mut bytes).expect("inside");
            assert_eq!(String::from_utf8_lossy(&bytes), format!("this is {}", part.name));
        }
    }

    #[test]
    fn a_hybrid_card_shows_its_first_partition_to_both_kinds_of_readers() {
        let dir = tempfile::tempdir().expect("a folder");
        let layout = Layout::parse(LAYOUT).expect("it is ours");
        let card = dir.path().join("card");
        write(&card, &layout, &parts(dir.path(), &layout), true).expect("written");
        let dump = |table: &str| {
            let mut sfdisk = command("sfdisk");
            let text = crate::run::text(sfdisk.args(["--dump", "--label-nested", table]).arg(&card));
            text.expect("sfdisk is there")
        };
        let mbr = dump("dos");
        assert!(
            mbr.contains("start=           1") && mbr.contains("type=ee"),
            "{mbr}"
        );
        assert!(
            mbr.contains("start=        2048") && mbr.contains("type=c"),
            "{mbr}"
        );
        let gpt = crate::run::text(
            command("sfdisk")
                .arg("--dump")
                .arg("--label")
                .arg("gpt")
                .arg(&card),
        );
        if let Ok(gpt) = gpt {
            assert!(gpt.contains("root-a"), "{gpt}");
        }
    }

    #[test]
    fn two_data_partitions_are_the_same_bytes() {
        let dir = tempfile::tempdir().expect("a folder");
        let layout = Layout::parse(LAYOUT).expect("it is ours");
        let make = |name: &str| {
            let path = dir.path().join(name);
            data(&path, &layout, 1_790_000_000).expect("mke2fs is there");
            let said = crate::run::text(command("sha256sum").arg(path)).expect("coreutils");
            said.split(' ').next().unwrap_or_default().to_string()
        };
        assert_eq!(make("one"), make("two"));
    }
}
