//! Debian's signed archive, asked by the machine's own apt with lists and a cache of its own: nothing of the machine's packages
//! is read or changed, and no package is installed.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use anyhow::{Context, Result, bail};

use crate::{
    lock::{Package, Place},
    run::{command, run, text},
};

/// Where the archive is, unless apt of this machine knows a nearer mirror.
const DEBIAN: &str = "http://deb.debian.org/debian";
const SECURITY: &str = "http://deb.debian.org/debian-security";
/// Signs every list; `apt-get update` refuses what it does not know.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

pub struct Archive {
    config: PathBuf,
    lists: PathBuf,
    debs: PathBuf,
}

/// Which part of the archive.
pub struct Suite<'a> {
    pub release: &'a str,
    pub components: &'a [String],
    pub backports: bool,
    /// Instead of what apt is configured with.
    pub mirror: Option<&'a str>,
}

impl Archive {
    /// Makes the private apt in `folder`.
    pub fn open(folder: &Path, suite: &Suite) -> Result<Self> {
        let apt = folder.join("apt");
        let archive = Self {
            config: apt.join("apt.conf"),
            lists: apt.join("lists"),
            debs: folder.join("debs"),
        };
        for dir in [
            archive.lists.join("partial"),
            apt.join("archives/partial"),
            archive.debs.clone(),
        ] {
            fs::create_dir_all(&dir).with_context(|| format!("make {}", dir.display()))?;
        }
        fs::write(apt.join("status"), "")?;
        fs::write(apt.join("sources.list"), sources(suite)?)?;
        fs::write(&archive.config, config(&apt))?;
        Ok(archive)
    }

    /// Fetches the lists and checks their signatures.
    pub fn refresh(&self) -> Result<()> {
        if !Path::new(KEYRING).exists() {
            bail!(
                "{KEYRING} is missing, and without it nothing can be trusted: install debian-archive-keyring"
            );
        }
        run(self.apt("apt-get").args(["--error-on=any", "update"]))
            .context("fetch the lists of the archive")?;
        Ok(())
    }

    /// The archive's own word on how new it is, which the date of the newest list keeps.
    pub fn epoch(&self) -> Result<u64> {
        let mut newest = 0;
        for entry in fs::read_dir(&self.lists)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().ends_with("InRelease") {
                let changed = entry.metadata()?.modified()?;
                newest = newest.max(changed.duration_since(UNIX_EPOCH)?.as_secs());
            }
        }
        if newest == 0 {
            bail!("no signed list in {}", self.lists.display());
        }
        Ok(newest)
    }

    /// These packages and everything they need, on a machine that has nothing.
    pub fn closure(&self, wanted: &[String]) -> Result<Vec<(String, String)>> {
        let said = text(
            self.apt("apt-get")
                .args(["--simulate", "--no-install-recommends", "install"])
                .args(wanted),
        )?;
        Ok(said.lines().filter_map(planned).collect())
    }

    /// Size and checksum of packages, in the version given or the newest one.
    pub fn facts(&self, place: Place, wanted: &[(String, Option<String>)]) -> Result<Vec<Package>> {
        let word = |(name, version): &(String, Option<String>)| match version {
            Some(version) => format!("{name}={version}"),
            None => name.clone(),
        };
        let words: Vec<_> = wanted.iter().map(word).collect();
        let said = text(
            self.apt("apt-cache")
                .args(["--no-all-versions", "show"])
                .args(&words),
        )?;
        let known: Vec<_> = said.split("\n\n").filter_map(|one| stanza(place, one)).collect();
        let find = |(name, version): &(String, Option<String>)| {
            let fits =
                |one: &&Package| one.name == *name && version.as_ref().is_none_or(|v| *v == one.version);
            let found = known.iter().find(fits).cloned();
            found.with_context(|| format!("the archive says nothing of {name} {version:?}"))
        };
        wanted.iter().map(find).collect()
    }

    /// The files of these packages, each with the checksum of the lock.
    pub fn fetch<'a>(
        &self,
        packages: impl Iterator<Item = &'a Package>,
    ) -> Result<BTreeMap<String, PathBuf>> {
        let packages: Vec<_> = packages.collect();
        let missing = self.missing(&packages)?;
        if !missing.is_empty() {
            if fs::read_dir(&self.lists)?.count() < 3 {
                self.refresh()?;
            }
            let mut apt = self.apt("apt-get");
            apt.arg("download").args(&missing).current_dir(&self.debs);
            run(&mut apt).with_context(|| {
                "some package of image/system.lock is no longer in the archive, or the archive cannot be reached: nothing was \
                 built. `cargo image lock` takes the versions that are there now; --mirror names an archive of old ones"
            })?;
        }
        let mut found = BTreeMap::new();
        for package in &packages {
            found.insert(package.name.clone(), self.file(package)?);
        }
        check(&packages, &found)?;
        Ok(found)
    }

    fn missing(&self, packages: &[&Package]) -> Result<Vec<String>> {
        let mut missing = Vec::new();
        for package in packages {
            if self.file(package).is_err() {
                missing.push(format!("{}={}", package.name, package.version));
            }
        }
        Ok(missing)
    }

    fn file(&self, package: &Package) -> Result<PathBuf> {
        for entry in fs::read_dir(&self.debs)? {
            let entry = entry?;
            if package.file_is(&entry.file_name().to_string_lossy())
                && entry.metadata()?.len() == package.size
            {
                return Ok(entry.path());
            }
        }
        bail!("no file of {} {}", package.name, package.version)
    }

    fn apt(&self, program: &str) -> std::process::Command {
        let mut apt = command(program);
        apt.env("APT_CONFIG", &self.config);
        apt
    }
}

/// One package as `apt-cache show` tells of it.
fn stanza(place: Place, text: &str) -> Option<Package> {
    let field = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| *key == name).map(|(_, value)| value.trim())
    };
    Some(Package {
        place,
        name: field("Package")?.into(),
        version: field("Version")?.into(),
        size: field("Size")?.parse().ok()?,
        sha256: field("SHA256")?.into(),
    })
}

/// `Inst name (version source [arch])` or, when something is replaced, `Inst name [old] (version …`.
fn planned(line: &str) -> Option<(String, String)> {
    let rest = line.strip_prefix("Inst ")?;
    let name = rest.split(' ').next()?.split(':').next()?;
    let version = rest.split('(').nth(1)?.split(' ').next()?;
    Some((name.into(), version.into()))
}

/// Every file has the sha256 of the lock.
fn check(packages: &[&Package], files: &BTreeMap<String, PathBuf>) -> Result<()> {
    let said = text(command("sha256sum").arg("--").args(files.values()))?;
    for package in packages {
        let path = &files[&package.name];
        let line = said.lines().find(|line| line.ends_with(&*path.to_string_lossy()));
        if line.and_then(|line| line.split(' ').next()) != Some(&package.sha256) {
            fs::remove_file(path)?;
            bail!(
                "{} is not what image/system.lock says: its checksum differs. It was thrown away; try again",
                path.display()
            );
        }
    }
    Ok(())
}

/// Lines for apt. Updates and security come along, so that a new lock has the fixes of the day.
fn sources(suite: &Suite) -> Result<String> {
    let (debian, security) = match suite.mirror {
        Some(mirror) => (mirror.into(), None),
        None => configured()?,
    };
    let Suite { release, .. } = suite;
    let components = suite.components.join(" ");
    let mut lines = vec![format!("{debian} {release} {components}")];
    lines.push(format!("{debian} {release}-updates {components}"));
    if let Some(security) = security {
        lines.push(format!("{security} {release}-security {components}"));
    }
    if suite.backports {
        lines.push(format!("{debian} {release}-backports {components}"));
    }
    let line = |rest: &String| format!("deb [arch=arm64 signed-by={KEYRING}] {rest}\n");
    Ok(lines.iter().map(line).collect())
}

/// The mirrors that apt of this machine uses for Debian and for Debian's security updates.
fn configured() -> Result<(String, Option<String>)> {
    let said = text(command("apt-get").args([
        "indextargets",
        "--format",
        "$(LABEL) $(REPO_URI)",
        "Created-By: Packages",
    ]))?;
    let of = |label: &str| {
        let mut lines = said.lines().filter_map(|line| line.split_once(' '));
        let found = lines.find(|(one, _)| *one == label);
        found.map(|(_, mirror)| mirror.trim().trim_end_matches('/').to_string())
    };
    let security = of("Debian-Security").unwrap_or(SECURITY.into());
    Ok((of("Debian").unwrap_or(DEBIAN.into()), Some(security)))
}

fn config(apt: &Path) -> String {
    let at = apt.display();
    format!(
        "Dir::State::Lists \"{at}/lists\";
Dir::State::status \"{at}/status\";
Dir::Cache \"{at}\";
Dir::Cache::archives \"{at}/archives\";
Dir::Etc::sourcelist \"{at}/sources.list\";
Dir::Etc::sourceparts \"-\";
Dir::Etc::preferencesparts \"{at}/archives/partial\";
APT::Architecture \"arm64\";
APT::Architectures {{ \"arm64\"; }};
APT::Install-Recommends \"false\";
APT::Sandbox::User \"\";
Acquire::Languages \"none\";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";
Debug::NoLocking \"true\";
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_apt_would_install_is_read() {
        let line = "Inst libcap2 (1:2.75-10+deb13u1 Debian:13.7/stable [arm64]) []";
        assert_eq!(
            planned(line),
            Some(("libcap2".into(), "1:2.75-10+deb13u1".into()))
        );
        let line = "Inst dash:arm64 [0.5] (0.6-1 Debian:13.7/stable [arm64])";
        assert_eq!(planned(line), Some(("dash".into(), "0.6-1".into())));
        assert_eq!(planned("Conf libcap2 (1:2.75-10 Debian [arm64])"), None);
    }

    #[test]
    fn what_the_archive_tells_of_a_package_is_read() {
        let text = "Package: dash\nVersion: 0.5.12-12\nDepends: libc6 (>= 2.38)\nSize: 95648\nSHA256: 00ff\n";
        let one = stanza(Place::Root, text).expect("it has all fields");
        assert_eq!(
            (one.name.as_str(), one.size, one.sha256.as_str()),
            ("dash", 95648, "00ff")
        );
        assert_eq!(stanza(Place::Root, "Package: dash\nVersion: 1\n"), None);
    }

    #[test]
    fn a_mirror_that_was_named_is_the_only_one() {
        let components = ["main".to_string()];
        let suite = Suite {
            release: "trixie",
            components: &components,
            backports: false,
            mirror: Some("http://deb.debian.org/debian"),
        };
        let text = sources(&suite).expect("it asks nobody");
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.lines().all(|line| line.contains(KEYRING)));
    }
}
