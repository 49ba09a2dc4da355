//! `granary` for the card's processor: static, so that the same file runs on Debian's and on Buildroot's C library. Debian's own
//! Rust and cross compiler do it without a container; with Docker or Podman `cross` does it too.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::run::watch;

const TARGET: &str = "aarch64-unknown-linux-gnu";
const GCC: &str = "aarch64-linux-gnu-gcc";

/// Who compiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Compiler {
    /// A cargo of this machine that has the target's standard library
    Cargo,
    /// `cross`, in a container
    Cross,
}

/// Builds the release; gives the path of the binary. `given`: instead of whatever this machine can do.
pub fn build(tree: &Path, target_dir: &Path, given: Option<Compiler>) -> Result<PathBuf> {
    let cargo = cargo_for_target();
    let compiler = match given {
        Some(compiler) => compiler,
        None if cargo.is_some() => Compiler::Cargo,
        None if has_container_engine() => Compiler::Cross,
        None => bail!(
            "nothing here compiles for {TARGET}: no cargo has its standard library, and neither Docker nor Podman runs for \
             `cross`. Nothing was built; `tests/setup.sh image` installs Debian's Rust and cross compiler"
        ),
    };
    let mut command = match compiler {
        Compiler::Cargo => {
            let cargo = cargo.with_context(|| {
                format!("no cargo of this machine has the standard library of {TARGET}: `tests/setup.sh image` installs one")
            })?;
            with_cargo(&cargo)
        }
        Compiler::Cross => with_cross(tree),
    };
    command
        .args([
            "build",
            "--release",
            "--locked",
            "--package",
            "granary",
            "--target",
            TARGET,
        ])
        .arg("--target-dir")
        .arg(target_dir)
        .current_dir(tree)
        .env("RUSTFLAGS", flags(tree));
    watch(&mut command)?;
    Ok(target_dir.join(TARGET).join("release/granary"))
}

/// Static, and without the paths of the machine that built it: two machines make the same bytes.
fn flags(tree: &Path) -> String {
    let mut flags = format!(
        "-C target-feature=+crt-static --remap-path-prefix={}=/granary",
        tree.display()
    );
    if let Some(home) = std::env::home_dir() {
        flags += &format!(" --remap-path-prefix={}=/cargo", home.join(".cargo").display());
    }
    flags
}

/// Debian's, which comes with the target as a package, before one that was installed by hand.
fn cargo_for_target() -> Option<PathBuf> {
    [("/usr/bin/cargo", "/usr/bin/rustc"), ("cargo", "rustc")]
        .into_iter()
        .find(|(_, rustc)| has_target(rustc))
        .map(|(cargo, _)| cargo.into())
}

fn has_target(rustc: &str) -> bool {
    let output = Command::new(rustc).args(["--print", "sysroot"]).output();
    let Ok(output) = output else { return false };
    let sysroot = String::from_utf8_lossy(&output.stdout).trim().to_string();
    output.status.success()
        && Path::new(&sysroot)
            .join("lib/rustlib")
            .join(TARGET)
            .join("lib")
            .is_dir()
}

fn has_container_engine() -> bool {
    let works = |program: &str, word: &str| {
        let status = Command::new(program)
            .arg(word)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    };
    works("cross", "--version") && (works("docker", "info") || works("podman", "info"))
}

fn with_cargo(cargo: &Path) -> Command {
    let mut command = Command::new(cargo);
    if let Some(folder) = cargo.parent().filter(|folder| folder.is_absolute()) {
        command.env("RUSTC", folder.join("rustc"));
    }
    command
        // What the cargo that started us says of itself.
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("CARGO")
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", GCC)
        .env("CC_aarch64_unknown_linux_gnu", GCC);
    command
}

fn with_cross(tree: &Path) -> Command {
    let mut command = Command::new("cross");
    command.env("CROSS_CONFIG", tree.join(".cross.toml"));
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cross_is_told_the_target_and_lets_the_flags_through() {
        let text = include_str!("../../.cross.toml");
        let table: toml::Table = text.parse().expect("it is TOML");
        let through = table["build"]["env"]["passthrough"].as_array().expect("a list");
        assert!(through.iter().any(|name| name.as_str() == Some("RUSTFLAGS")));
        assert!(table["target"].get(TARGET).is_some());
    }

    #[test]
    fn the_binary_does_not_know_where_it_was_built() {
        let flags = flags(Path::new("/a/b"));
        assert!(flags.contains("--remap-path-prefix=/a/b=/granary"), "{flags}");
        assert!(flags.contains("+crt-static"), "{flags}");
    }
}
