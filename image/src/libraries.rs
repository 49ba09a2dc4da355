//! Whether every program on the card finds its libraries: what `image/system.toml` leaves out must not be needed.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};

use crate::{root, run::command};

/// Ends the build when a program of the card needs a library that is not there.
pub fn check(root: &Path) -> Result<()> {
    let files = root::files(&root.join("usr"))?;
    let present: BTreeSet<_> = files.iter().filter_map(|path| name_of(path)).collect();
    let is_module = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "ko");
    let programs: Vec<_> = files.iter().filter(|path| !is_module(path)).collect();
    // readelf complains of files that are no programs, and reads the others.
    let output = command("readelf")
        .args(["--dynamic", "--wide", "--"])
        .args(&programs)
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let mut missing = Vec::new();
    for (program, needed) in needed(&said) {
        for library in needed.iter().filter(|library| !present.contains(*library)) {
            missing.push(format!("{program} needs {library}"));
        }
    }
    if !said.contains("(NEEDED)") {
        bail!(
            "readelf (package binutils) found no program in {}",
            root.display()
        );
    }
    if !missing.is_empty() {
        bail!(
            "image/system.toml leaves out what is needed: trim the program too, or keep the library:\n  {}",
            missing.join("\n  ")
        );
    }
    Ok(())
}

/// File → libraries, from what `readelf --dynamic` prints of several files.
fn needed(said: &str) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    let mut file = String::new();
    for line in said.lines() {
        if let Some(path) = line.strip_prefix("File: ") {
            file = path.into();
        } else if line.contains("(NEEDED)")
            && let Some((_, rest)) = line.split_once('[')
        {
            let library = rest.trim_end().trim_end_matches(']').to_string();
            found.entry(file.clone()).or_insert_with(Vec::new).push(library);
        }
    }
    found
}

fn name_of(path: &Path) -> Option<String> {
    Some(path.file_name()?.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_readelf_prints_is_read_file_by_file() {
        let said = "
File: usr/bin/sfdisk

Dynamic section at offset 0x1f8 contains 31 entries:
  Tag        Type                         Name/Value
 0x0000000000000001 (NEEDED)             Shared library: [libfdisk.so.1]
 0x0000000000000001 (NEEDED)             Shared library: [libc.so.6]

File: usr/bin/dash
 0x0000000000000001 (NEEDED)             Shared library: [libc.so.6]
";
        let found = needed(said);
        assert_eq!(found["usr/bin/sfdisk"], ["libfdisk.so.1", "libc.so.6"]);
        assert_eq!(found["usr/bin/dash"], ["libc.so.6"]);
    }
}
