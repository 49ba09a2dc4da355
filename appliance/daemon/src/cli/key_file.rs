//! Files with secret keys. They are read and written here and nowhere else; the key never leaves the command.

use std::{
    fs::{self, OpenOptions},
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use data_encoding::HEXLOWER_PERMISSIVE;
use proto::{key::PublicKey, secret::SecretKey};

use crate::fault::{Exit, Fault};

/// Larger files hold no key: 128 hex digits and a line end are the longest.
const BYTES_MAX: u64 = 4 << 10;

/// A seed of 32 bytes, or 64 bytes (a seed and its public key, or the expanded form that BEP 44 prints), as they are or in
/// hex. Which of the two the 64 bytes are shows when the public key is computed again. `public`: must come out.
pub fn read(path: &Path, public: Option<&PublicKey>) -> Result<SecretKey, Fault> {
    let name = path.display();
    let mut raw = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(BYTES_MAX).read_to_end(&mut raw))
        .map_err(|err| Fault::refused(format!("read the key file {name}: {err}. Nothing was done.")))?;
    let text = raw.trim_ascii();
    let secret = match HEXLOWER_PERMISSIVE.decode(text) {
        Ok(bytes) if matches!(bytes.len(), 32 | 64) => SecretKey::from_bytes(&bytes, public),
        _ => SecretKey::from_bytes(&raw, public),
    };
    secret.ok_or_else(|| {
        let wanted = match public {
            Some(public) => format!("{name} is not the key of {public}"),
            None => format!("{name} holds no key: 32 or 64 bytes, or as many in hex"),
        };
        Fault::refused(format!("{wanted}. Nothing was done."))
    })
}

/// A new file that only its owner may read. An existing file is never written to.
pub fn write(path: &Path, seed: &[u8; 32]) -> Result<(), Fault> {
    let name = path.display();
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| {
            file.write_all(seed)?;
            file.sync_all()
        });
    written.map_err(|err| match err.kind() {
        std::io::ErrorKind::AlreadyExists => Fault::refused(format!(
            "{name} exists already, and a key is never written over. Nothing was done. Choose another file with --out FILE."
        )),
        _ => Fault::new(Exit::Denied, format!("write the key file {name}: {err}.")),
    })
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    /// BEP 44's own test vector: its private key is in the expanded form.
    const EXPANDED: &str = "e06d3183d14159228433ed599221b80bd0a5ce8352e4bdf0262f76786ef1c74d\
        b7e7a9fea2c0eb269d61e3b38e450a22e754941ac78479d6c54e1faf6037881d";
    const PUBLIC: &str = "77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548";

    fn seed() -> [u8; 32] {
        std::array::from_fn(|n| n as u8)
    }

    fn read_bytes(bytes: &[u8]) -> Result<String, Fault> {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("key");
        fs::write(&path, bytes).expect("writable");
        read(&path, None).map(|secret| secret.public().to_string())
    }

    #[test]
    fn every_form_of_a_key_gives_its_public_key() {
        let ours = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";
        let both = [&seed()[..], &HEXLOWER.decode(ours.as_bytes()).expect("hex")].concat();
        let expanded = HEXLOWER.decode(EXPANDED.as_bytes()).expect("hex");
        assert_eq!(read_bytes(&seed()).as_deref(), Ok(ours));
        assert_eq!(read_bytes(&both).as_deref(), Ok(ours));
        assert_eq!(read_bytes(&expanded).as_deref(), Ok(PUBLIC));
        let text = |bytes: &[u8]| format!("{}\n", HEXLOWER.encode(bytes).to_uppercase()).into_bytes();
        assert_eq!(read_bytes(&text(&seed())).as_deref(), Ok(ours));
        assert_eq!(read_bytes(&text(&both)).as_deref(), Ok(ours));
        assert_eq!(read_bytes(&text(&expanded)).as_deref(), Ok(PUBLIC));
    }

    #[test]
    fn what_is_no_key_or_another_key_is_refused() {
        for bytes in [&b""[..], b"hello", &[7; 31], &[7; 33], &[b'a'; 63], &[0; 5000]] {
            assert!(read_bytes(bytes).is_err());
        }
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("key");
        write(&path, &seed()).expect("written");
        let other = PublicKey::from_text(PUBLIC).expect("a key");
        assert!(read(&path, Some(&other)).is_err());
        assert!(read(&dir.path().join("none"), None).is_err());
    }

    #[test]
    fn a_key_file_is_its_owners_alone_and_never_written_over() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("key");
        write(&path, &seed()).expect("written");
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let refused = write(&path, &[1; 32]).expect_err("it exists");
        assert!(refused.text.contains("exists already"), "{refused}");
        assert_eq!(fs::read(&path).expect("there"), seed());
    }
}
