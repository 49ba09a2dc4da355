//! Values that only their holder knows: of cookies and tokens. We keep their SHA-256.

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::BASE64URL_NOPAD;
use subtle::ConstantTimeEq;

/// 256 random bits.
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl Secret {
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// 43 characters of base64url.
    pub fn text(&self) -> String {
        BASE64URL_NOPAD.encode(&self.0)
    }

    pub fn read(text: &str) -> Option<Self> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }

    /// Under which the store knows it. Whoever reads the store cannot sign in with what stands there.
    pub fn id(&self) -> [u8; 32] {
        sha256(&[b"granary id ", &self.0])
    }

    /// The hidden field of forms: bound to the cookie, and of no use without it.
    pub fn form_token(&self) -> String {
        BASE64URL_NOPAD.encode(&sha256(&[b"granary form ", &self.0]))
    }
}

/// The time tells nothing about where two texts differ.
pub fn same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let hash = digest(&SHA256, &parts.concat());
    let mut out = [0; 32];
    out.copy_from_slice(hash.as_ref());
    out
}
