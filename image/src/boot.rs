//! What lies on the FAT partitions: the first one, which firmware looks at, and a slot's kernel.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::{
    board::{Board, Firmware},
    fat::Fat,
    grub,
    layout::{Kind, Layout, Partition},
    rpi,
};

/// Where the files come from.
pub struct Sources<'a> {
    pub board: &'a Board,
    pub layout: &'a Layout,
    /// The packages of the workshop, unpacked.
    pub tools: &'a Path,
    /// The kernel's package, unpacked.
    pub kernel: &'a Path,
    pub kernel_image: PathBuf,
    pub kernel_compressed: &'a Path,
    pub initrd: &'a Path,
}

/// "GR" and the number of the partition: what FAT calls a serial.
const SERIAL: u32 = 0x4752_0000;
const LOADER: &str = "usr/lib/grub/arm64-efi-signed/grubaa64.efi.signed";
const PI_FIRMWARE: &str = "usr/lib/raspi-firmware";

impl Sources<'_> {
    /// The FAT partition with this number; `None` when it is no FAT partition.
    pub fn fat(&self, number: u32, part: &Partition) -> Result<Option<Fat>> {
        let label = match part.kind {
            Kind::Esp => "GRANARY".into(),
            Kind::Boot => part.name.to_uppercase(),
            Kind::Root | Kind::Data => return Ok(None),
        };
        let mut fat = Fat::new(&label, SERIAL + number, part.size_mib);
        let slot = part.slot.as_deref().unwrap_or("a");
        match (self.board.firmware, part.kind) {
            (Firmware::Uefi, Kind::Esp) => self.grub(&mut fat)?,
            (Firmware::Uefi, _) => {
                fat.put("vmlinuz", read(self.kernel_compressed)?);
                fat.put("initrd", read(self.initrd)?);
            }
            (Firmware::RpiTryboot, Kind::Esp) => {
                self.firmware(&mut fat, &self.board.first_files)?;
                fat.put("autoboot.txt", rpi::autoboot(self.layout));
                // Without it some boards do not look at autoboot.txt.
                fat.put("config.txt", "");
            }
            (Firmware::RpiTryboot, _) => self.pi_slot(&mut fat, slot)?,
        }
        Ok(Some(fat))
    }

    fn grub(&self, fat: &mut Fat) -> Result<()> {
        fat.put("EFI/BOOT/BOOTAA64.EFI", read(&self.tools.join(LOADER))?);
        fat.put("EFI/debian/grub.cfg", grub::config(self.layout, self.board));
        fat.put("EFI/debian/grubenv", grub::environment());
        Ok(())
    }

    fn pi_slot(&self, fat: &mut Fat, slot: &str) -> Result<()> {
        self.firmware(fat, &self.board.boot_files)?;
        fat.put("config.txt", rpi::config(self.board));
        fat.put("cmdline.txt", rpi::command_line(self.board, slot));
        fat.put(rpi::KERNEL, read(&self.kernel_image)?);
        fat.put("initrd", read(self.initrd)?);
        fat.put(rpi::tree_file(self.board), read(&self.tree()?)?);
        Ok(())
    }

    fn firmware(&self, fat: &mut Fat, names: &[String]) -> Result<()> {
        for name in names {
            fat.put(name, read(&self.tools.join(PI_FIRMWARE).join(name))?);
        }
        Ok(())
    }

    /// `usr/lib/linux-image-VERSION/broadcom/….dtb`, since 7.0 `usr/lib/modules/VERSION/dtb/broadcom/….dtb`.
    fn tree(&self) -> Result<PathBuf> {
        for (below, inside) in [("usr/lib", ""), ("usr/lib/modules", "dtb")] {
            for entry in fs::read_dir(self.kernel.join(below))? {
                let path = entry?.path().join(inside).join(&self.board.device_tree);
                if path.exists() {
                    return Ok(path);
                }
            }
        }
        bail!("the kernel brings no {}", self.board.device_tree)
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("read {}", path.display()))
}
