//! Passwords: which are accepted, and Argon2id (RFC 9106) at rest.

use std::{collections::HashSet, sync::LazyLock};

use argon2::{
    Argon2, Params,
    password_hash::{PasswordHasher, PasswordVerifier},
};
use icu_normalizer::ComposingNormalizerBorrowed;
use store::Error;
use tokio::sync::Semaphore;

use crate::db::Db;

/// More: a stolen store is searched slower, and a board of 1 GB has less for sites; two hashes run at once.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Hashes at once. Each holds [`MEMORY_KIB`] and a core.
const AT_ONCE: usize = 2;
/// Those that wait for their turn; more are told to come again.
const WAITING_MAX: usize = 16;
/// What is verified when nobody has the name, so that a name cannot be told by the time. Nothing hashes to this.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$Z3JhbmFyeW5vYm9keXg$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

const CHARS_MIN: usize = 8;
pub const BYTES_MAX: usize = 256;

/// Passwords that every guesser tries first, and what people in front of this box would think of.
static WORST: LazyLock<HashSet<&str>> = LazyLock::new(|| include_str!("worst.txt").lines().collect());

/// Why a password was not accepted. No rules of composition: they make passwords alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("The password has fewer than 8 characters. Take a longer one, for example four words.")]
    Short,
    #[error("The password is longer than 256 bytes. Take a shorter one.")]
    Long,
    #[error("This password is among the first that anybody would try. Take another, for example four words.")]
    Worst,
    #[error("The two passwords differ. Type the same one twice.")]
    Differ,
}

/// One spelling of the same characters, however the keyboard composed them.
fn composed(password: &str) -> String {
    ComposingNormalizerBorrowed::new_nfc()
        .normalize(password)
        .into_owned()
}

/// Accepts a new password, typed twice.
pub fn judge(password: &str, again: &str, name: &str) -> Result<(), Unfit> {
    let text = composed(password);
    let lower = text.to_lowercase();
    let few = lower.chars().collect::<HashSet<_>>().len() < 3;
    if password.len() > BYTES_MAX || text.len() > BYTES_MAX {
        Err(Unfit::Long)
    } else if text.chars().count() < CHARS_MIN {
        Err(Unfit::Short)
    } else if few
        || WORST.contains(lower.as_str())
        || !name.is_empty() && lower.trim_matches(|c: char| !c.is_alphabetic()) == name
    {
        Err(Unfit::Worst)
    } else if text != composed(again) {
        Err(Unfit::Differ)
    } else {
        Ok(())
    }
}

/// Too many passwords are being checked, or the store is gone.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error("too many passwords are being checked just now")]
    Busy,
    #[error(transparent)]
    Store(#[from] Error),
}

pub struct Hashing {
    db: Db,
    seats: Semaphore,
    queue: Semaphore,
}

impl Hashing {
    pub fn new(db: Db) -> Self {
        Self {
            db,
            seats: Semaphore::new(AT_ONCE),
            queue: Semaphore::new(AT_ONCE + WAITING_MAX),
        }
    }

    /// A PHC string.
    pub async fn hash(&self, password: &str) -> Result<String, Trouble> {
        let password = composed(password);
        self.turn(move || {
            let hashed = argon2().hash_password_with_salt(password.as_bytes(), &rand::random::<[u8; 16]>());
            hashed
                .map(|phc| phc.to_string())
                .map_err(|err| Error::Io(format!("hash a password: {err}")))
        })
        .await
    }

    /// Whether this is the password of `phc`. `None` (no such account) and passwords no account can have take as long.
    pub async fn verify(&self, password: &str, phc: Option<String>) -> Result<bool, Trouble> {
        let possible = phc.is_some() && password.len() <= BYTES_MAX;
        let text = if possible {
            composed(password)
        } else {
            String::new()
        };
        let phc = phc.filter(|_| possible).unwrap_or_else(|| NOBODY.into());
        self.turn(move || Ok(argon2().verify_password(text.as_bytes(), phc.as_str()).is_ok() && possible))
            .await
    }

    /// Where blocking work belongs, two at a time.
    async fn turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Trouble> {
        let _queued = self.queue.try_acquire().map_err(|_| Trouble::Busy)?;
        let _seat = self.seats.acquire().await.map_err(|_| Trouble::Busy)?;
        Ok(self.db.run(move |_| work()).await?)
    }
}

fn argon2() -> Argon2<'static> {
    Params::new(MEMORY_KIB, PASSES, LANES, None).map_or_else(|_| Argon2::default(), Argon2::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_counts_and_the_worst_are_refused() {
        let judge = |password: &str| judge(password, password, "anna maria");
        for good in [
            "vier Worte reichen",
            "ナ日本語の合言葉です",
            "aB3$xyz9",
            "    x yz 9  ",
        ] {
            assert_eq!(judge(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("", Unfit::Short),
            ("1234567", Unfit::Short),
            ("日本語の合言葉", Unfit::Short),
            ("12345678", Unfit::Worst),
            ("PassWord1", Unfit::Worst),
            ("aaaaaaaaaaaaaaa", Unfit::Worst),
            ("abababababab", Unfit::Worst),
            ("Anna Maria1", Unfit::Worst),
            (&"x1 ".repeat(86), Unfit::Long),
        ] {
            assert_eq!(judge(bad), Err(why), "{bad}");
        }
        assert_eq!(
            super::judge("vier Worte reichen", "vier worte reichen", ""),
            Err(Unfit::Differ)
        );
        assert_eq!(
            super::judge("Gru\u{308}ße aus Köln", "Grüße aus Köln", ""),
            Ok(())
        );
    }

    #[test]
    fn nobodys_hash_costs_what_everybodys_does() {
        let phc = argon2()
            .hash_password_with_salt(b"x", &[7; 16])
            .unwrap()
            .to_string();
        let shape = |phc: &str| phc.rsplitn(3, '$').nth(2).unwrap().to_owned();
        assert_eq!(shape(&phc), shape(NOBODY));
        assert!(argon2().verify_password(b"x", phc.as_str()).is_ok());
        assert!(argon2().verify_password(b"y", phc.as_str()).is_err());
        assert!(matches!(
            argon2().verify_password(b"", NOBODY),
            Err(argon2::password_hash::Error::PasswordInvalid)
        ));
        assert!(phc.len() <= 128);
    }
}
