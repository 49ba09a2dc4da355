//! Which units are on: what `systemctl preset-all` would do, as links, from the same files.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

const UNITS: &str = "usr/lib/systemd/system";
const PRESET: &str = "usr/lib/systemd/system-preset/10-granary.preset";

/// Makes the links in `root`, and removes every link that a package brought for a unit that is off.
pub fn enable(root: &Path) -> Result<()> {
    let preset = fs::read_to_string(root.join(PRESET)).with_context(|| format!("read {PRESET}"))?;
    for unit in enabled(&preset) {
        let path = root.join(UNITS).join(&unit);
        let Ok(text) = fs::read_to_string(&path) else {
            bail!("{PRESET} enables {unit}, which no package brings");
        };
        for folder in wanted_by(&text) {
            let folder = root.join("etc/systemd/system").join(folder);
            link(&folder, &unit)?;
        }
    }
    let target = root.join("etc/systemd/system/default.target");
    if fs::symlink_metadata(&target).is_err() {
        std::os::unix::fs::symlink(format!("/{UNITS}/multi-user.target"), target)?;
    }
    Ok(())
}

fn link(folder: &Path, unit: &str) -> Result<()> {
    fs::create_dir_all(folder)?;
    let at: PathBuf = folder.join(unit);
    if fs::symlink_metadata(&at).is_err() {
        std::os::unix::fs::symlink(format!("/{UNITS}/{unit}"), &at)
            .with_context(|| format!("link {}", at.display()))?;
    }
    Ok(())
}

fn enabled(preset: &str) -> BTreeSet<String> {
    let words = preset.lines().filter_map(|line| line.strip_prefix("enable "));
    words.map(|unit| unit.trim().to_string()).collect()
}

/// `sysinit.target.wants`, `multi-user.target.requires`, … of a unit's `[Install]`.
fn wanted_by(unit: &str) -> Vec<String> {
    let mut folders = Vec::new();
    for line in unit.lines() {
        for (key, ending) in [("WantedBy=", "wants"), ("RequiredBy=", "requires")] {
            if let Some(targets) = line.strip_prefix(key) {
                folders.extend(
                    targets
                        .split_whitespace()
                        .map(|target| format!("{target}.{ending}")),
                );
            }
        }
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_says_who_wants_it() {
        let unit = "[Install]\nWantedBy=multi-user.target a.target\nRequiredBy=b.target\n";
        assert_eq!(
            wanted_by(unit),
            ["multi-user.target.wants", "a.target.wants", "b.target.requires"]
        );
    }

    #[test]
    fn the_preset_of_the_tree_names_both_halves() {
        let on = enabled(include_str!(
            "../../overlay/usr/lib/systemd/system-preset/10-granary.preset"
        ));
        assert!(on.contains("granary-lan.service") && on.contains("granary-web.service"));
        assert!(
            !on.iter()
                .any(|unit| unit.contains("getty") || unit.contains("ssh"))
        );
    }
}
