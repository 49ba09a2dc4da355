//! The archive that the kernel unpacks into its first root (cpio, "newc"). Owned by root, without dates, in the order given: the
//! same input gives the same bytes.

/// One archive in the making.
#[derive(Default)]
pub struct Cpio {
    bytes: Vec<u8>,
    inode: u32,
}

const FOLDER: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_000;

impl Cpio {
    pub fn folder(&mut self, path: &str) {
        self.entry(path, FOLDER | 0o755, 2, &[]);
    }

    pub fn file(&mut self, path: &str, mode: u32, bytes: &[u8]) {
        self.entry(path, FILE | mode, 1, bytes);
    }

    pub fn link(&mut self, path: &str, target: &str) {
        self.entry(path, LINK | 0o777, 1, target.as_bytes());
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.inode = 0;
        self.entry("TRAILER!!!", 0, 1, &[]);
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, links: u32, bytes: &[u8]) {
        self.inode += 1;
        let size = u32::try_from(bytes.len()).expect("a file of the initramfs is far below 4 GiB");
        let name = u32::try_from(path.len() + 1).expect("a path is short");
        // inode, mode, uid, gid, links, date, size, four device numbers, length of the name, checksum
        let fields = [self.inode, mode, 0, 0, links, 0, size, 0, 0, 0, 0, name, 0];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08X}").bytes());
        }
        self.bytes.extend(path.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(bytes);
        self.pad();
    }

    fn pad(&mut self) {
        while !self.bytes.len().is_multiple_of(4) {
            self.bytes.push(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        process::{Command, Stdio},
    };

    use super::*;

    #[test]
    fn a_foreign_cpio_lists_what_was_put_in() {
        let mut cpio = Cpio::default();
        cpio.folder("bin");
        cpio.file("bin/busybox", 0o755, b"odd");
        cpio.link("bin/sh", "busybox");
        let bytes = cpio.finish();
        let mut child = Command::new("busybox")
            .args(["cpio", "-tv"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("busybox is there (tests/setup.sh installs it)");
        let mut stdin = child.stdin.take().expect("piped");
        stdin.write_all(&bytes).expect("it reads");
        drop(stdin);
        let output = child.wait_with_output().expect("it ends");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            text.contains("bin/busybox") && text.contains("-rwxr-xr-x"),
            "{text}"
        );
        assert!(text.contains("bin/sh"), "{text}");
        assert_eq!(text.lines().count(), 3, "{text}");
    }
}
