//! Write tokens (BEP 5): whoever announces must have asked from the same address within the last minutes.

use std::{net::IpAddr, time::Duration};

use aws_lc_rs::digest::{SHA256, digest};

use super::random::Random;

/// A token is good for one to two of these.
const ROTATE: Duration = Duration::from_secs(300);

pub const TOKEN_LEN: usize = 8;

/// Makes and checks tokens without remembering any.
pub struct Tokens {
    secrets: [[u8; 16]; 2],
    rotated: Duration,
}

impl Tokens {
    pub fn new(now: Duration, random: &mut Random) -> Self {
        Self {
            secrets: [random.bytes(), random.bytes()],
            rotated: now,
        }
    }

    /// Call at least every few minutes; more often does no harm.
    pub fn rotate(&mut self, now: Duration, random: &mut Random) {
        if now.saturating_sub(self.rotated) >= ROTATE {
            self.secrets = [random.bytes(), self.secrets[0]];
            self.rotated = now;
        }
    }

    pub fn make(&self, ip: IpAddr) -> [u8; TOKEN_LEN] {
        token(&self.secrets[0], ip)
    }

    pub fn valid(&self, ip: IpAddr, given: &[u8]) -> bool {
        self.secrets.iter().any(|secret| token(secret, ip) == given)
    }
}

fn token(secret: &[u8; 16], ip: IpAddr) -> [u8; TOKEN_LEN] {
    let mut input = secret.to_vec();
    match ip {
        IpAddr::V4(ip) => input.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => input.extend_from_slice(&ip.octets()),
    }
    let hash = digest(&SHA256, &input);
    std::array::from_fn(|i| hash.as_ref()[i])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_holds_for_its_address_and_until_the_second_rotation() {
        let mut random = Random::new([3; 32]);
        let mut tokens = Tokens::new(Duration::ZERO, &mut random);
        let ip = IpAddr::from([192, 0, 2, 1]);
        let token = tokens.make(ip);
        assert!(tokens.valid(ip, &token));
        assert!(!tokens.valid(IpAddr::from([192, 0, 2, 2]), &token));
        assert!(!tokens.valid(ip, b"aoeusnth") && !tokens.valid(ip, b""));
        tokens.rotate(ROTATE - Duration::from_secs(1), &mut random);
        assert_eq!(tokens.make(ip), token, "not yet");
        tokens.rotate(ROTATE, &mut random);
        assert_ne!(tokens.make(ip), token);
        assert!(tokens.valid(ip, &token));
        tokens.rotate(ROTATE * 2, &mut random);
        assert!(!tokens.valid(ip, &token));
    }
}
