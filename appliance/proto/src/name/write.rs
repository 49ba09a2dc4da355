//! From an address to its host.

use data_encoding::HEXLOWER;

use super::{Address, HOST_MAX, LABEL_MAX, host::is_label};
use crate::key::{PublicKey, to_base36};

impl Address {
    /// The one host we use for this address under `domain`; `None` when none fits (a long linked domain, a salt of
    /// more than 64 bytes): then only the path gateway can name it.
    pub fn host(&self, domain: &str) -> Option<String> {
        let below = match self {
            Address::Torrent(hash) => format!("{hash}-ih"),
            Address::TorrentV2(hash) => v2_label(hash),
            Address::Key { key, salt } => key_labels(key, salt)?,
            Address::Item(target) => format!("{}-44", HEXLOWER.encode(target)),
            Address::Domain(name) => format!("{}-dl", name.replace('-', "--").replace('.', "-")),
            Address::Petname(name) => name.clone(),
        };
        let host = format!("{below}.{domain}");
        let fits = host.len() <= HOST_MAX && below.split('.').all(|label| label.len() <= LABEL_MAX);
        fits.then_some(host)
    }
}

/// Exactly 40 hexadecimal digits always mean v1. A v2 hash whose base36 has 40 digits and no letter above `f` (it would
/// have to begin with seven zero bytes) gets one more zero, which the reader ignores.
fn v2_label(hash: &[u8; 32]) -> String {
    let digits = to_base36(hash);
    if digits.len() == 40 && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        format!("0{digits}-ih")
    } else {
        format!("{digits}-ih")
    }
}

/// The salt stands in the key's own label when it fits, because certificates for sites cover one label; else in labels
/// to the left; in hex when it is not made of what labels may hold.
fn key_labels(key: &PublicKey, salt: &[u8]) -> Option<String> {
    let digits = key.to_base36();
    if salt.is_empty() {
        return Some(format!("{digits}-pk"));
    }
    if salt.len() > crate::key::SALT_MAX {
        return None;
    }
    plain(&digits, salt).or_else(|| Some(hex(&digits, salt)))
}

fn plain(digits: &str, salt: &[u8]) -> Option<String> {
    let salt = std::str::from_utf8(salt).ok()?;
    let (left, last) = salt.rsplit_once('.').unwrap_or(("", salt));
    if !left.is_empty() && !left.split('.').all(is_label) || left.is_empty() && salt.contains('.') {
        return None;
    }
    let dot = if left.is_empty() { "" } else { "." };
    let label = format!("{last}-{digits}-pk");
    if !last.is_empty() && is_label(&label) {
        return Some(format!("{left}{dot}{label}"));
    }
    is_label(last).then(|| format!("{left}{dot}{last}.{digits}-pk"))
}

fn hex(digits: &str, salt: &[u8]) -> String {
    let hex = HEXLOWER.encode(salt);
    let room = LABEL_MAX.saturating_sub(digits.len() + "--pkx".len());
    let (left, last) = hex.split_at(hex.len().saturating_sub(room));
    let mut labels: Vec<String> = left
        .as_bytes()
        .chunks(LABEL_MAX)
        .map(|c| String::from_utf8_lossy(c).into_owned())
        .collect();
    labels.push(if last.is_empty() {
        format!("{digits}-pkx")
    } else {
        format!("{last}-{digits}-pkx")
    });
    labels.join(".")
}
