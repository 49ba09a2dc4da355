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
    let tools: Vec<_> = system
        .packages
        .tools
        .iter()
        .map(|name| (name.clone(), None))
        .collect();
    packages.extend(archive.facts(Place::Tool, &tools)?);
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
    let kept: Vec<_> = all
        .into_iter()
        .filter(|(name, _)| !without.contains(name))
        .map(|(name, version)| (name, Some(version)))
        .collect();
    archive.facts(Place::Root, &kept)
}

/// `linux-image-6.12…`, since 7.0 in several packages; without a version they are names that only depend on the newest.
fn is_kernel(name: &str) -> bool {
    ["linux-image-", "linux-binary-", "linux-modules-", "linux-base-"]
        .iter()
        .filter_map(|start| name.strip_prefix(start))
        .any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// The packages with the kernel and its modules, without what would only install them.
fn kernel(archive: &Archive, place: Place, meta: &str) -> Result<Vec<Package>> {
    let all = archive.closure(&[meta.into()])?.into_iter();
    let found: Vec<_> = all
        .filter(|(name, _)| is_kernel(name))
        .map(|(name, version)| (name, Some(version)))
        .collect();
    if found.is_empty() {
        bail!("{meta} brings no kernel");
    }
    archive.facts(place, &found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_a_version_are_kernels_and_names_that_only_depend_are_not() {
        assert!(is_kernel("linux-image-6.12.118+deb13-arm64"));
        assert!(is_kernel("linux-base-7.3.4+deb13-arm64"));
        for name in [
            "linux-image-arm64",
            "linux-modules-arm64",
            "linux-base",
            "linux-libc-dev",
        ] {
            assert!(!is_kernel(name), "{name}");
        }
    }
}
