//! Making `image/system.lock` from `image/system.toml` and what the archive has now.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};

use crate::{
    apt::{Archive, Suite},
    lock::{Lock, Package, Place},
    system::System,
};

/// The name of the package that always depends on the newest kernel.
const KERNEL: &str = "linux-image-arm64";

pub fn write(tree: &Path, cache: &Path, mirror: Option<&str>) -> Result<()> {
    let text = fs::read_to_string(tree.join("image/system.toml")).context("read image/system.toml")?;
    let system = System::parse(&text)?;
    let suite = |backports| Suite {
        release: &system.archive.release,
        components: &system.archive.components,
        backports,
        mirror,
    };
    let archive = Archive::open(&cache.join("archive"), &suite(false))?;
    archive.refresh()?;
    let mut packages = root(&archive, &system)?;
    for tool in &system.packages.tools {
        packages.push(archive.facts(Place::Tool, tool, None)?);
    }
    packages.extend(kernel(&archive, Place::Kernel, KERNEL)?);
    let newer = Archive::open(&cache.join("archive-backports"), &suite(true))?;
    newer.refresh()?;
    let from = format!("{KERNEL}/{}-backports", system.archive.release);
    packages.extend(kernel(&newer, Place::KernelBackports, &from)?);
    let lock = Lock {
        epoch: archive.epoch()?.max(newer.epoch()?),
        packages,
    };
    let path = tree.join("image/system.lock");
    fs::write(&path, lock.to_text()).with_context(|| format!("write {}", path.display()))?;
    println!("{}: {} packages", path.display(), lock.packages.len());
    Ok(())
}

fn root(archive: &Archive, system: &System) -> Result<Vec<Package>> {
    let all = archive.closure(&system.packages.wanted)?;
    let without = &system.packages.without;
    let gone: Vec<_> = without
        .iter()
        .filter(|name| !all.iter().any(|(one, _)| one == *name))
        .map(String::as_str)
        .collect();
    if !gone.is_empty() {
        bail!(
            "image/system.toml leaves out {}, which nothing needs any more: remove the lines",
            gone.join(", ")
        );
    }
    all.iter()
        .filter(|(name, _)| !without.contains(name))
        .map(|(name, version)| archive.facts(Place::Root, name, Some(version)))
        .collect()
}

/// The packages with the kernel and its modules, without what would only install them.
fn kernel(archive: &Archive, place: Place, meta: &str) -> Result<Vec<Package>> {
    let mut found = Vec::new();
    for (name, version) in archive.closure(&[meta.into()])? {
        let of_kernel = ["linux-image-", "linux-binary-", "linux-modules-"];
        if name != KERNEL && of_kernel.iter().any(|start| name.starts_with(start)) {
            found.push(archive.facts(place, &name, Some(&version))?);
        }
    }
    if found.is_empty() {
        bail!("{meta} brings no kernel");
    }
    Ok(found)
}
