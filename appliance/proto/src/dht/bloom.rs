//! The bloom filters of scrape answers (BEP 33): 2048 bits, two hashes from the SHA-1 of an address.

use std::net::IpAddr;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

const BITS: usize = 2048;

/// A set of addresses that can be counted but not listed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bloom(pub [u8; BITS / 8]);

impl Default for Bloom {
    fn default() -> Self {
        Bloom([0; BITS / 8])
    }
}

impl Bloom {
    pub fn insert(&mut self, ip: IpAddr) {
        let hash = match ip {
            IpAddr::V4(ip) => digest(&SHA1_FOR_LEGACY_USE_ONLY, &ip.octets()),
            IpAddr::V6(ip) => digest(&SHA1_FOR_LEGACY_USE_ONLY, &ip.octets()),
        };
        let hash = hash.as_ref();
        for at in [0, 2] {
            let bit = usize::from(u16::from_le_bytes([hash[at], hash[at + 1]])) % BITS;
            self.0[bit / 8] |= 1 << (bit % 8);
        }
    }

    /// About how many addresses are in it.
    pub fn estimate(&self) -> f64 {
        let bits = BITS as f64;
        let zeros: u32 = self.0.iter().map(|byte| byte.count_zeros()).sum();
        let zeros = f64::from(zeros).max(1.0);
        (zeros / bits).ln() / (2.0 * (1.0 - 1.0 / bits).ln())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_of_bep_33_has_its_bits_and_its_estimate() {
        let mut bloom = Bloom::default();
        for n in 0..=255u8 {
            bloom.insert(IpAddr::from([192, 0, 2, n]));
        }
        for n in 0..=0x3e7u16 {
            bloom.insert(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, n]));
        }
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../testdata/dht.json")).expect("json");
        let begins = vectors["bep33"]["filter_begins"].as_str().expect("hex");
        assert_eq!(data_encoding::HEXLOWER.encode(&bloom.0[..20]), begins);
        let estimate = vectors["bep33"]["estimate"].as_f64().expect("number");
        assert!(
            (bloom.estimate() - estimate).abs() < 0.001,
            "{}",
            bloom.estimate()
        );
    }
}
