//! The first root, from which the real one is found: busybox, one script, and the modules for card and file systems.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use crate::{
    cpio::Cpio,
    modules::{self, Index},
    run::{command, run},
};

const FOLDERS: &[&str] = &["bin", "dev", "modules", "new", "proc", "sys"];

/// Writes it to `to`, compressed. `kernel` is the folder with the kernel's modules, `names` what is to be loaded.
pub fn write(
    to: &Path,
    init: &Path,
    busybox: &Path,
    kernel: &Path,
    index: &Index,
    names: &[String],
) -> Result<()> {
    let paths = index.closure(names)?;
    let scratch = to.with_extension("modules");
    modules::copy(kernel, &paths, |path| scratch.join(file_of(path)))?;
    let mut cpio = Cpio::default();
    for folder in FOLDERS {
        cpio.folder(folder);
    }
    let read = |path: &Path| fs::read(path).with_context(|| format!("read {}", path.display()));
    cpio.file("bin/busybox", 0o755, &read(busybox)?);
    cpio.link("bin/sh", "busybox");
    cpio.file("init", 0o755, &read(init)?);
    let mut order = String::new();
    for path in &paths {
        let file = file_of(path.trim_end_matches(".xz"));
        cpio.file(&format!("modules/{file}"), 0o644, &read(&scratch.join(file))?);
        order += file;
        order.push('\n');
    }
    cpio.file("modules/order", 0o644, order.as_bytes());
    if scratch.exists() {
        fs::remove_dir_all(&scratch)?;
    }
    let plain = to.with_extension("cpio");
    fs::write(&plain, cpio.finish())?;
    // One thread: with several the bytes depend on their number.
    run(command("zstd")
        .args(["-q", "-f", "-19", "-T1", "--rm", "-o"])
        .args([to, &plain]))?;
    Ok(())
}

fn file_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
