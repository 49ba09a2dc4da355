//! Kernel modules: those that are wanted with all that they need. A module that is neither there nor built in ends the build,
//! because a card without it would find no disk or no network.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::{Context, Result, bail};

use crate::run::{command, run};

/// What `depmod` found out about one kernel.
pub struct Index {
    /// Path below the kernel's folder → paths it needs, nearest first.
    needs: BTreeMap<String, Vec<String>>,
    /// Name → path.
    paths: BTreeMap<String, String>,
    built_in: BTreeSet<String>,
}

impl Index {
    /// `modules.dep` and `modules.builtin`.
    pub fn parse(dep: &str, builtin: &str) -> Self {
        let mut index = Self {
            needs: BTreeMap::new(),
            paths: BTreeMap::new(),
            built_in: builtin.lines().map(name_of).collect(),
        };
        for line in dep.lines() {
            if let Some((path, needs)) = line.split_once(':') {
                index.paths.insert(name_of(path), path.into());
                let needs = needs.split_whitespace().map(String::from).collect();
                index.needs.insert(path.into(), needs);
            }
        }
        index
    }

    /// Paths in an order in which each comes after what it needs. A name with `?` in front may be missing: what is a module
    /// in one kernel is a part of another.
    pub fn closure(&self, wanted: &[String]) -> Result<Vec<String>> {
        let mut order = Vec::new();
        let mut unknown = Vec::new();
        for name in wanted {
            let (name, may_miss) = match name.strip_prefix('?') {
                Some(name) => (name.replace('-', "_"), true),
                None => (name.replace('-', "_"), false),
            };
            match self.paths.get(&name) {
                // modules.dep names all that a module needs, what must be loaded first last.
                Some(path) => {
                    for one in self.needs[path].iter().rev().chain([path]) {
                        if !order.contains(one) {
                            order.push(one.clone());
                        }
                    }
                }
                None if may_miss || self.built_in.contains(&name) => {}
                None => unknown.push(name),
            }
        }
        if !unknown.is_empty() {
            bail!(
                "the kernel has no module {}: without it the card would not work. Was it renamed?",
                unknown.join(", ")
            );
        }
        Ok(order)
    }
}

/// `kernel/drivers/net/virtio_net.ko.xz` → `virtio_net`.
pub fn name_of(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split(".ko").next().unwrap_or(file).replace('-', "_")
}

/// Reads what `depmod` makes of an unpacked kernel. `base` is the folder above `lib/modules`.
pub fn index(base: &Path, kernel: &str) -> Result<Index> {
    run(command("depmod").arg("-b").arg(base).arg(kernel)).context("list the kernel's modules")?;
    let folder = base.join("lib/modules").join(kernel);
    let read = |name: &str| {
        let path = folder.join(name);
        fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
    };
    Ok(Index::parse(&read("modules.dep")?, &read("modules.builtin")?))
}

/// Copies modules, uncompressed: the file system they lie in compresses all of them together.
pub fn copy(from: &Path, paths: &[String], to: impl Fn(&str) -> std::path::PathBuf) -> Result<()> {
    for path in paths {
        let source = from.join(path);
        let bytes = if path.ends_with(".xz") {
            run(command("xz").arg("--decompress").arg("--stdout").arg(&source))?
        } else {
            fs::read(&source).with_context(|| format!("read {}", source.display()))?
        };
        let target = to(path.trim_end_matches(".xz"));
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&target, bytes).with_context(|| format!("write {}", target.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEP: &str = "kernel/net/core/failover.ko.xz:
kernel/drivers/net/net_failover.ko.xz: kernel/net/core/failover.ko.xz
kernel/drivers/net/virtio_net.ko.xz: kernel/drivers/net/net_failover.ko.xz kernel/net/core/failover.ko.xz
";
    const BUILT_IN: &str = "kernel/drivers/virtio/virtio-pci.ko\n";

    fn wanted(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_module_comes_after_everything_it_needs() {
        let order = Index::parse(DEP, BUILT_IN)
            .closure(&wanted(&["virtio_net", "failover"]))
            .expect("all are there");
        let names: Vec<_> = order.iter().map(|path| name_of(path)).collect();
        assert_eq!(names, ["failover", "net_failover", "virtio_net"]);
    }

    #[test]
    fn what_is_built_in_needs_no_file() {
        let order = Index::parse(DEP, BUILT_IN).closure(&wanted(&["virtio_pci"]));
        assert_eq!(order.expect("it is built in"), Vec::<String>::new());
    }

    #[test]
    fn what_only_some_kernels_have_may_be_missing() {
        let order = Index::parse(DEP, BUILT_IN).closure(&wanted(&["?crc32c_generic", "?failover"]));
        assert_eq!(order.expect("it may be missing").len(), 1);
    }

    #[test]
    fn a_missing_module_ends_the_build_and_is_named() {
        let err = Index::parse(DEP, BUILT_IN)
            .closure(&wanted(&["e1000"]))
            .expect_err("not there");
        assert!(err.to_string().contains("e1000"), "{err}");
    }
}
