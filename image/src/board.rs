//! What differs from board to board: data only.

use serde::Deserialize;

use crate::lock::Place;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Board {
    pub name: String,
    arch: String,
    pub firmware: Firmware,
    /// Debian package, `/backports` behind it when the stable one lacks drivers.
    kernel: String,
    /// Below the kernel's own folder; empty when the firmware brings one.
    pub device_tree: String,
    memory_mib_min: u64,
    pub console: String,
    /// An old partition table beside the GPT, for a ROM that knows no other.
    #[serde(default)]
    pub hybrid_mbr: bool,
    /// Raspberry Pi firmware on the first partition.
    #[serde(default)]
    pub first_files: Vec<String>,
    /// Raspberry Pi firmware of each slot.
    #[serde(default)]
    pub boot_files: Vec<String>,
    /// Lines of `config.txt`.
    #[serde(default)]
    pub config: Vec<String>,
    /// Needed to find the card, besides those of `image/system.toml`.
    #[serde(default)]
    pub initrd_modules: Vec<String>,
    /// Needed by the running system, likewise.
    #[serde(default)]
    pub modules: Vec<String>,
}

#[derive(Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Firmware {
    Uefi,
    RpiTryboot,
}

impl Board {
    pub fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|err| err.to_string().trim().into())
    }

    /// Which packages of the lock are its kernel.
    pub fn kernel_place(&self) -> Place {
        match self.kernel.ends_with("/backports") {
            true => Place::KernelBackports,
            false => Place::Kernel,
        }
    }
}

/// Every fault of one board file.
pub fn check(text: &str) -> Vec<String> {
    let board = match Board::parse(text) {
        Ok(board) => board,
        Err(err) => return vec![err],
    };
    let mut faults = Vec::new();
    if board.name.is_empty() || board.console.is_empty() {
        faults.push("name and console must say something".into());
    }
    if board.arch != "aarch64" {
        faults.push(format!("{} is no architecture we build for", board.arch));
    }
    if !board.kernel.starts_with("linux-image-") {
        faults.push(format!("{} is no kernel package", board.kernel));
    }
    if board.firmware == Firmware::RpiTryboot && !board.device_tree.ends_with(".dtb") {
        faults.push("a Raspberry Pi needs its device tree named".into());
    }
    let pi_only = !board.boot_files.is_empty() || !board.first_files.is_empty() || !board.config.is_empty();
    if board.firmware == Firmware::Uefi && pi_only {
        faults.push("files of the Raspberry Pi are of no use to UEFI".into());
    }
    if board.initrd_modules.is_empty() || board.modules.is_empty() {
        faults.push("no board finds its card and its network without modules".into());
    }
    // The idle system takes about 60 MiB, Granary up to 128; below this there is no room for a page cache.
    if board.memory_mib_min < 512 {
        faults.push(format!(
            "{} MiB of memory are too few: 512 at least",
            board.memory_mib_min
        ));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_board_without_its_device_tree_is_found() {
        let good = include_str!("../../hw/rpi4/board.toml");
        assert_eq!(check(good), Vec::<String>::new());
        let bad = good.replace("broadcom/bcm2711-rpi-4-b.dtb", "");
        assert_eq!(check(&bad).len(), 1);
    }
}
