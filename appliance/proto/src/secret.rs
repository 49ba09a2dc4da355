//! Secret keys of mutable items: seeds and the expanded form older programs store.

use ed25519_dalek::{
    Sha512, SigningKey, VerifyingKey,
    hazmat::{ExpandedSecretKey, raw_sign},
};
use zeroize::Zeroizing;

use crate::key::PublicKey;

/// Signs records. Leaves no copy in freed memory and prints nothing of itself.
pub struct SecretKey {
    expanded: ExpandedSecretKey,
    public: VerifyingKey,
    seed: Option<Zeroizing<[u8; 32]>>,
}

impl SecretKey {
    /// RFC 8032 §5.1.5: everything follows from 32 random bytes.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        let signing = SigningKey::from_bytes(&seed);
        Self {
            expanded: ExpandedSecretKey::from(&seed),
            public: signing.verifying_key(),
            seed: Some(Zeroizing::new(seed)),
        }
    }

    /// 32 bytes: a seed. 64 bytes: a seed and its public key when the second half is that, else the expanded form (clamped
    /// scalar, nonce prefix). `public`, when it is known, must come out.
    pub fn from_bytes(bytes: &[u8], public: Option<&PublicKey>) -> Option<Self> {
        let fits = |secret: &Self| public.is_none_or(|public| *public == secret.public());
        if let Ok(seed) = <[u8; 32]>::try_from(bytes) {
            return Some(Self::from_seed(seed)).filter(fits);
        }
        let both: &[u8; 64] = bytes.try_into().ok()?;
        let seed = Self::from_seed(*both.first_chunk()?);
        if seed.public.as_bytes()[..] == both[32..] {
            return Some(seed).filter(fits);
        }
        let expanded = ExpandedSecretKey::from_bytes(both);
        let public_key = VerifyingKey::from(&expanded);
        Some(Self {
            expanded,
            public: public_key,
            seed: None,
        })
        .filter(fits)
    }

    pub fn public(&self) -> PublicKey {
        PublicKey(self.public.to_bytes())
    }

    /// `None` for an imported expanded key: its seed cannot be computed back.
    pub fn seed(&self) -> Option<&[u8; 32]> {
        self.seed.as_deref()
    }

    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        raw_sign::<Sha512>(&self.expanded, message, &self.public).to_bytes()
    }
}
