//! Server cookies (RFC 7873, made as RFC 9018 §4 says): a client that has one showed that it gets what we send to its
//! address.

use std::net::IpAddr;

use super::edns::Cookie;

/// Older cookies are not believed, and those from more than five minutes ahead neither (RFC 9018 §4.3).
const AGE_SECS_MAX: i32 = 3600;
const AHEAD_SECS_MAX: i32 = 300;

/// The secret cookies are made with; random, new at each start.
#[derive(Clone)]
pub struct Secret(pub [u8; 16]);

impl Secret {
    /// The option's bytes for an answer at `now_secs` (since the epoch, wrapping).
    pub fn answer(&self, cookie: &Cookie, client: IpAddr, now_secs: u32) -> [u8; 24] {
        let mut whole = [0; 24];
        whole[..8].copy_from_slice(&cookie.client);
        // Version 1, three reserved bytes.
        whole[8] = 1;
        whole[12..16].copy_from_slice(&now_secs.to_be_bytes());
        let hash = self.hash(whole.first_chunk().unwrap_or(&[0; 16]), client);
        whole[16..].copy_from_slice(&hash);
        whole
    }

    /// Did we give this cookie to this client lately?
    pub fn is_ours(&self, cookie: &Cookie, client: IpAddr, now_secs: u32) -> bool {
        let Some(server) = cookie.server else { return false };
        let mut head = [0; 16];
        head[..8].copy_from_slice(&cookie.client);
        head[8..].copy_from_slice(&server[..8]);
        let made = u32::from_be_bytes([server[4], server[5], server[6], server[7]]);
        let age = now_secs.wrapping_sub(made) as i32;
        server[0] == 1
            && (-AHEAD_SECS_MAX..=AGE_SECS_MAX).contains(&age)
            && self.hash(&head, client) == server[8..]
    }

    fn hash(&self, head: &[u8; 16], client: IpAddr) -> [u8; 8] {
        let mut text = [0; 32];
        text[..16].copy_from_slice(head);
        let len = match client.to_canonical() {
            IpAddr::V4(addr) => {
                text[16..20].copy_from_slice(&addr.octets());
                20
            }
            IpAddr::V6(addr) => {
                text[16..].copy_from_slice(&addr.octets());
                32
            }
        };
        siphash24(&self.0, &text[..len]).to_le_bytes()
    }
}

/// SipHash-2-4 (Aumasson and Bernstein, 2012), which RFC 9018 prescribes.
fn siphash24(key: &[u8; 16], text: &[u8]) -> u64 {
    let word = |bytes: &[u8]| {
        let mut whole = [0; 8];
        whole[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(whole)
    };
    let (k0, k1) = (word(&key[..8]), word(&key[8..]));
    let mut v = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    let mut take = |m: u64, rounds: usize| {
        v[3] ^= m;
        for _ in 0..rounds {
            round(&mut v);
        }
        v[0] ^= m;
    };
    let (words, tail) = text.as_chunks::<8>();
    for bytes in words {
        take(u64::from_le_bytes(*bytes), 2);
    }
    take(word(tail) | (text.len() as u64) << 56, 2);
    v[2] ^= 0xff;
    for _ in 0..4 {
        round(&mut v);
    }
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

fn round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[2] = v[2].rotate_left(32);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex<const N: usize>(text: &str) -> [u8; N] {
        let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).expect("hex");
        bytes.try_into().expect("as long as it should be")
    }

    #[test]
    fn siphash_is_that_of_its_paper() {
        let key = std::array::from_fn(|i| i as u8);
        let text: Vec<u8> = (0..15).collect();
        assert_eq!(siphash24(&key, &text), 0xa129_ca61_49be_45e5);
    }

    /// RFC 9018 appendix A.1 and A.2.
    #[test]
    fn cookies_are_those_of_the_rfcs_examples() {
        let secret = Secret(hex("e5e973e5a6b2a43f48e7dc849e37bfcf"));
        let client: IpAddr = "198.51.100.100".parse().expect("an address");
        let mut cookie = Cookie {
            client: hex("2464c4abcf10c957"),
            server: None,
        };
        let made: [u8; 24] = secret.answer(&cookie, client, 1_559_731_985);
        assert_eq!(made, hex("2464c4abcf10c957010000005cf79f111f8130c3eee29480"));

        cookie.server = Some(hex("010000005cf79f111f8130c3eee29480"));
        assert!(secret.is_ours(&cookie, client, 1_559_734_385));
        assert!(!secret.is_ours(&cookie, client, 1_559_731_985 + 3_601));
        assert!(!secret.is_ours(&cookie, client, 1_559_731_985 - 301));
        assert!(!secret.is_ours(
            &cookie,
            "198.51.100.101".parse().expect("an address"),
            1_559_734_385
        ));
    }
}
