//! FAT file systems, filled without mounting them. The same input gives the same bytes.

use std::{
    fs::{self, File},
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};

use crate::run::{command, run};

/// What lies on one FAT partition: path with `/` between names, and its bytes.
#[derive(Default)]
pub struct Fat {
    pub label: String,
    /// The number that FAT calls its serial.
    pub serial: u32,
    pub size_mib: u64,
    files: Vec<(String, Vec<u8>)>,
}

/// Of every partition so much stays free, for what the box itself writes there.
const FREE_MIB: u64 = 4;

impl Fat {
    pub fn new(label: &str, serial: u32, size_mib: u64) -> Self {
        Self {
            label: label.into(),
            serial,
            size_mib,
            files: Vec::new(),
        }
    }

    pub fn put(&mut self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.files.push((path.into(), bytes.into()));
    }

    /// Writes the file system to `image`; `scratch` is a folder of ours.
    pub fn write(&self, image: &Path, scratch: &Path, epoch: u64) -> Result<()> {
        let bytes: usize = self.files.iter().map(|(_, bytes)| bytes.len()).sum();
        let used = u64::try_from(bytes)?.div_ceil(1 << 20);
        if used + FREE_MIB > self.size_mib {
            bail!(
                "{used} MiB do not fit on the partition {} of {} MiB: {FREE_MIB} stay free",
                self.label,
                self.size_mib
            );
        }
        let file = File::create(image).with_context(|| format!("create {}", image.display()))?;
        file.set_len(self.size_mib << 20)?;
        // FAT32 needs 65,525 clusters, which a small partition only has when they are one sector.
        let format = if self.size_mib < 64 { "16" } else { "32" };
        run(command("mkfs.vfat")
            .args(["-F", format, "--invariant", "-n", &self.label, "-i"])
            .arg(format!("{:08x}", self.serial))
            .arg(image))?;
        let mut made = Vec::new();
        for (path, bytes) in &self.files {
            self.folders(image, path, &mut made, epoch)?;
            let local = scratch.join("fat-file");
            fs::write(&local, bytes)?;
            File::options()
                .write(true)
                .open(&local)?
                .set_modified(UNIX_EPOCH + Duration::from_secs(epoch))?;
            run(mtools("mcopy", image, epoch)
                .arg("-m")
                .arg(&local)
                .arg(format!("::/{path}")))
            .with_context(|| format!("put {path} on {}", self.label))?;
            fs::remove_file(&local)?;
        }
        Ok(())
    }

    fn folders(&self, image: &Path, path: &str, made: &mut Vec<String>, epoch: u64) -> Result<()> {
        for (at, _) in path.match_indices('/') {
            let folder = &path[..at];
            if !made.iter().any(|one| one == folder) {
                run(mtools("mmd", image, epoch).arg(format!("::/{folder}")))?;
                made.push(folder.into());
            }
        }
        Ok(())
    }
}

fn mtools(program: &str, image: &Path, epoch: u64) -> std::process::Command {
    let mut mtools = command(program);
    mtools
        .env("MTOOLSRC", "/dev/null")
        .env("SOURCE_DATE_EPOCH", epoch.to_string())
        .arg("-i")
        .arg(image);
    mtools
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(dir: &Path, name: &str) -> Vec<u8> {
        let mut fat = Fat::new("BOOT-A", 7, 33);
        fat.put("EFI/BOOT/BOOTAA64.EFI", *b"loader");
        fat.put("EFI/debian/grub.cfg", *b"text");
        let image = dir.join(name);
        fat.write(&image, dir, 1_790_000_000).expect("mtools is there");
        fs::read(image).expect("it was written")
    }

    #[test]
    fn the_same_files_are_the_same_bytes() {
        let dir = tempfile::tempdir().expect("a folder");
        let first = written(dir.path(), "one");
        // FAT counts in two seconds.
        std::thread::sleep(Duration::from_millis(2100));
        assert!(first == written(dir.path(), "two"), "the bytes differ");
    }

    #[test]
    fn what_does_not_fit_is_refused_with_its_size() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut fat = Fat::new("BOOT-A", 7, 33);
        fat.put("vmlinuz", vec![0; 30 << 20]);
        let err = fat
            .write(&dir.path().join("x"), dir.path(), 1)
            .expect_err("too much");
        assert!(err.to_string().contains("do not fit"), "{err}");
    }
}
