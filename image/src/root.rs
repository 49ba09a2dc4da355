//! The root file system as a folder: packages unpacked, trimmed, the overlay over them, and what maintainer scripts would have
//! done. Needs no rights: who owns what is decided when the folder becomes a squashfs.

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::{
    run::{command, run},
    system::Trim,
};

/// Where things are mounted. /var stays empty, because a tmpfs covers it.
const MOUNT_POINTS: &[&str] = &["boot", "data", "dev", "proc", "run", "sys", "tmp", "var"];
const CERTIFICATES: &str = "usr/share/ca-certificates/mozilla";
const BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";

/// Unpacks in the order of the names, but the package with the links of the merged /usr first.
pub fn unpack(root: &Path, debs: &BTreeMap<String, PathBuf>) -> Result<()> {
    fs::create_dir_all(root)?;
    let first = debs.iter().filter(|(name, _)| *name == "base-files");
    let rest = debs.iter().filter(|(name, _)| *name != "base-files");
    for (name, deb) in first.chain(rest) {
        unpack_one(root, deb).with_context(|| format!("unpack {name}"))?;
    }
    Ok(())
}

pub fn unpack_one(root: &Path, deb: &Path) -> Result<()> {
    fs::create_dir_all(root)?;
    let script = "set -o pipefail; dpkg-deb --fsys-tarfile \"$1\" | \
        tar --extract --keep-directory-symlink --no-same-owner --directory \"$2\"";
    run(command("bash").args(["-c", script, "bash"]).args([deb, root]))?;
    Ok(())
}

/// Everything between the packages and the finished folder, but the modules and the units.
pub fn furnish(root: &Path, trim: &Trim, overlay: &Path, binary: &Path) -> Result<()> {
    bundle_certificates(root)?;
    remove_trimmed(root, root, trim)?;
    for name in MOUNT_POINTS {
        let path = root.join(name);
        if *name == "var" || *name == "run" {
            let _ = fs::remove_dir_all(&path);
        }
        fs::create_dir_all(&path)?;
    }
    copy_tree(overlay, root).context("copy overlay/")?;
    let granary = root.join("usr/bin/granary");
    fs::copy(binary, &granary).with_context(|| format!("copy {}", binary.display()))?;
    fs::set_permissions(&granary, Permissions::from_mode(0o755))?;
    for (path, target) in [
        ("usr/bin/sh", "dash"),
        ("etc/localtime", "/usr/share/zoneinfo/UTC"),
        ("etc/mtab", "../proc/self/mounts"),
    ] {
        let path = root.join(path);
        if fs::symlink_metadata(&path).is_err() {
            symlink(target, path)?;
        }
    }
    // Its date is the least that the clock ever shows.
    fs::write(root.join("usr/lib/clock-epoch"), "")?;
    plain_rights(root)
}

/// One file with every authority that Debian trusts, in the order of their names.
fn bundle_certificates(root: &Path) -> Result<()> {
    let mut paths: Vec<_> = fs::read_dir(root.join(CERTIFICATES))
        .with_context(|| format!("read {CERTIFICATES}"))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    paths.sort();
    let mut bundle = String::new();
    for path in paths {
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        bundle += text.trim();
        bundle.push('\n');
    }
    let target = root.join(BUNDLE);
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(target, bundle)?;
    Ok(())
}

/// Removes what is trimmed; folders that are empty afterwards go too, unless they were empty before.
fn remove_trimmed(root: &Path, folder: &Path, trim: &Trim) -> Result<()> {
    for path in sorted(folder)? {
        let below = below(root, &path);
        let is_folder = fs::symlink_metadata(&path)?.is_dir();
        if is_folder {
            let had = sorted(&path)?.len();
            remove_trimmed(root, &path, trim)?;
            if (had > 0 || trim.takes(&below)) && sorted(&path)?.is_empty() {
                fs::remove_dir(&path)?;
            }
        } else if trim.takes(&below) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Copies files, folders and links, with their modes.
pub fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    for path in sorted(from)? {
        let target = to.join(path.file_name().context("an entry has a name")?);
        let facts = fs::symlink_metadata(&path)?;
        if facts.is_dir() {
            fs::create_dir_all(&target)?;
            copy_tree(&path, &target)?;
            continue;
        }
        if fs::symlink_metadata(&target).is_ok_and(|old| !old.is_dir()) {
            fs::remove_file(&target)?;
        }
        if facts.is_symlink() {
            symlink(fs::read_link(&path)?, &target)?;
        } else {
            fs::copy(&path, &target).with_context(|| format!("copy {}", path.display()))?;
            // Of a file's mode only "may be run" is the tree's; the rest depends on who checked it out.
            let mode = if facts.permissions().mode() & 0o100 != 0 {
                0o755
            } else {
                0o644
            };
            fs::set_permissions(&target, Permissions::from_mode(mode))?;
        }
    }
    Ok(())
}

/// Nothing may be more than its caller, and only root reads the empty password file.
fn plain_rights(root: &Path) -> Result<()> {
    for path in walk(root)? {
        let facts = fs::symlink_metadata(&path)?;
        if facts.is_symlink() {
            continue;
        }
        let mode = facts.permissions().mode() & 0o7777;
        let secret = matches!(&*below(root, &path), "etc/shadow" | "etc/gshadow");
        let plain = match () {
            () if secret => 0o600,
            () if facts.is_dir() => 0o755,
            () => mode & 0o755,
        };
        if plain != mode {
            fs::set_permissions(&path, Permissions::from_mode(plain))?;
        }
    }
    Ok(())
}

/// One line for everything that lies in the folder: kind, mode, path, and where a link points. Time zones as one line, because
/// they are many and of no interest.
pub fn contents(root: &Path) -> Result<String> {
    let mut lines = Vec::new();
    for path in walk(root)? {
        let below = below(root, &path);
        if below.starts_with("usr/share/zoneinfo/") {
            continue;
        }
        let facts = fs::symlink_metadata(&path)?;
        let mode = facts.permissions().mode() & 0o7777;
        lines.push(if facts.is_symlink() {
            format!("{below} -> {}", fs::read_link(&path)?.display())
        } else if facts.is_dir() {
            format!("{below}/ {mode:o}")
        } else {
            format!("{below} {mode:o}")
        });
    }
    lines.sort();
    Ok(lines.join("\n") + "\n")
}

/// Everything below that is no folder.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let all = walk(folder)?;
    Ok(all
        .into_iter()
        .filter(|path| path.is_symlink() || !path.is_dir())
        .collect())
}

/// Everything below, folders before what is in them.
fn walk(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in sorted(folder)? {
        let is_folder = fs::symlink_metadata(&path)?.is_dir();
        found.push(path.clone());
        if is_folder {
            found.extend(walk(&path)?);
        }
    }
    Ok(found)
}

fn sorted(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    let mut paths: Vec<_> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    paths.sort();
    Ok(paths)
}

fn below(root: &Path, path: &Path) -> String {
    let below = path.strip_prefix(root).unwrap_or(path);
    below.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::System;

    #[test]
    fn trimming_takes_files_and_the_folders_it_emptied_and_no_others() {
        let dir = tempfile::tempdir().expect("a folder");
        let root = dir.path();
        for folder in ["usr/share/man/man1", "usr/share/doc/dash", "usr/empty"] {
            fs::create_dir_all(root.join(folder)).expect("made");
        }
        for file in [
            "usr/share/man/man1/dash.1",
            "usr/share/doc/dash/copyright",
            "usr/share/doc/dash/README",
        ] {
            fs::write(root.join(file), "x").expect("written");
        }
        let system = System::parse(include_str!("../system.toml")).expect("it is ours");
        remove_trimmed(root, root, &system.trim).expect("removed");
        let list = contents(root).expect("listed");
        assert!(list.contains("usr/share/doc/dash/copyright"), "{list}");
        assert!(list.contains("usr/empty/"), "{list}");
        assert!(!list.contains("man") && !list.contains("README"), "{list}");
    }

    #[test]
    fn nothing_keeps_the_rights_of_its_owner() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("su");
        fs::write(&file, "x").expect("written");
        fs::set_permissions(&file, Permissions::from_mode(0o4755)).expect("set");
        plain_rights(dir.path()).expect("done");
        let mode = fs::metadata(&file).expect("there").permissions().mode();
        assert_eq!(mode & 0o7777, 0o755);
    }
}
