//! Message stream encryption (MSE/PE): Diffie-Hellman over 768 bits, RC4 with 1024 bytes dropped, and a choice of
//! plaintext payload. It hides the protocol; it authenticates and protects nothing.
//!
//! ```text
//! 1 A→B  Ya, PadA (0..512)
//! 2 B→A  Yb, PadB
//! 3 A→B  HASH('req1', S), HASH('req2', SKEY) xor HASH('req3', S),
//!        ENCRYPT(VC, crypto_provide, len(PadC), PadC, len(IA)), ENCRYPT(IA)
//! 4 B→A  ENCRYPT(VC, crypto_select, len(PadD), PadD), payload
//! ```
//! Both roles are state machines over buffers: `input` is eaten, `output` is appended to. Reading order: [`Responder`] (a
//! peer came to us), then `initiator`.

mod initiator;

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use thiserror::Error;

use super::{modexp, rc4::Rc4};
use crate::id::InfoHash;

pub use initiator::Initiator;

/// Bytes of a public key.
pub const KEY_LEN: usize = 96;
/// Longest padding, bytes.
pub const PAD_MAX: usize = 512;
/// Longest initial payload accepted, bytes; it is a handshake and at most a few messages.
pub const INITIAL_MAX: usize = 1024;
/// Most input bytes a handshake may make the caller hold.
pub const INPUT_MAX: usize = KEY_LEN + PAD_MAX + 40 + 14 + PAD_MAX + 2 + INITIAL_MAX;

/// crypto_provide and crypto_select bits.
const PLAINTEXT: u32 = 1;
const RC4: u32 = 2;

/// The verification constant.
const VC: [u8; 8] = [0; 8];

/// Why a handshake ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Error {
    #[error("trivial public key")]
    Key,
    #[error("nothing recognisable in the first bytes")]
    Sync,
    #[error("no torrent with that key")]
    UnknownTorrent,
    #[error("no common way to send the payload")]
    Method,
    #[error("padding or payload too long")]
    Length,
    #[error("broken verification constant")]
    Verification,
}

/// Private key and padding of one handshake; random, made by the caller.
#[derive(Clone)]
pub struct Secrets {
    pub private: [u8; 20],
    /// At most [`PAD_MAX`] bytes are sent.
    pub pad: Vec<u8>,
}

/// What both sides may choose for the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Plaintext payload when the peer allows it (RC4 costs about 3.3 CPU-seconds per GiB on each side), else RC4.
    PreferPlaintext,
    /// RC4 only.
    OnlyRc4,
}

/// The two key streams of an encrypted payload.
#[derive(Debug, Clone)]
pub struct Ciphers {
    pub receive: Rc4,
    pub send: Rc4,
}

/// A finished handshake. Whatever is left in `input` follows as the peer sent it: still encrypted when `ciphers` is set.
#[derive(Debug)]
pub struct Done {
    pub infohash: InfoHash,
    /// Decrypted bytes that came with the handshake: the beginning of the peer's stream.
    pub initial: Vec<u8>,
    /// `None`: the payload is plain.
    pub ciphers: Option<Ciphers>,
}

/// What a step led to.
#[derive(Debug)]
pub enum Step {
    /// More input is needed.
    More,
    /// The peer names a torrent by this hash ([`key_hash`]): look it up, call [`Responder::torrent`], then step again.
    Lookup([u8; 20]),
    Done(Box<Done>),
}

/// HASH('req2', infohash): what a connecting peer names a torrent by. Keep a table of it for all served torrents.
pub fn key_hash(infohash: &InfoHash) -> [u8; 20] {
    sha1(&[b"req2", &infohash.0])
}

enum State {
    /// Waits for the peer's key.
    Key,
    /// Looks for HASH('req1', S) behind at most 512 bytes of padding.
    Sync {
        secret: [u8; KEY_LEN],
    },
    /// Waits for the caller's answer to `Lookup`.
    Torrent {
        secret: [u8; KEY_LEN],
    },
    /// Waits for VC, crypto_provide, len(PadC).
    Offer(Session),
    /// Waits for PadC and len(IA).
    Padding(Session, u32, usize),
    /// Waits for IA.
    Initial(Session, u32, usize),
    Over,
}

struct Session {
    infohash: InfoHash,
    ciphers: Ciphers,
}

/// The side that accepted the connection.
pub struct Responder {
    state: State,
    secrets: Secrets,
    policy: Policy,
}

impl Responder {
    pub fn new(secrets: Secrets, policy: Policy) -> Self {
        Self {
            state: State::Key,
            secrets,
            policy,
        }
    }

    /// Eats what it can of `input` and appends what has to be sent to `output`.
    pub fn step(&mut self, input: &mut Vec<u8>, output: &mut Vec<u8>) -> Result<Step, Error> {
        loop {
            match std::mem::replace(&mut self.state, State::Over) {
                State::Key => {
                    let Some(key) = take::<KEY_LEN>(input) else {
                        self.state = State::Key;
                        return Ok(Step::More);
                    };
                    let secret = modexp::power(&key, &self.secrets.private).ok_or(Error::Key)?;
                    output.extend_from_slice(&public_key(&self.secrets.private)?);
                    output.extend_from_slice(pad_of(&self.secrets));
                    self.state = State::Sync { secret };
                }
                State::Sync { secret } => {
                    if !sync(input, &sha1(&[b"req1", &secret]))? || input.len() < 20 {
                        self.state = State::Sync { secret };
                        return Ok(Step::More);
                    }
                    let mut named = [0; 20];
                    named.copy_from_slice(&input[..20]);
                    let mask = sha1(&[b"req3", &secret]);
                    named.iter_mut().zip(mask).for_each(|(n, m)| *n ^= m);
                    input.drain(..20);
                    self.state = State::Torrent { secret };
                    return Ok(Step::Lookup(named));
                }
                State::Torrent { .. } | State::Over => return Err(Error::UnknownTorrent),
                waiting => {
                    if let Some(step) = self.payload(waiting, input, output)? {
                        return Ok(step);
                    }
                }
            }
        }
    }

    /// The answer to [`Step::Lookup`].
    pub fn torrent(&mut self, infohash: Option<InfoHash>) -> Result<(), Error> {
        let State::Torrent { secret } = std::mem::replace(&mut self.state, State::Over) else {
            return Err(Error::UnknownTorrent);
        };
        let infohash = infohash.ok_or(Error::UnknownTorrent)?;
        self.state = State::Offer(Session {
            infohash,
            ciphers: Ciphers {
                receive: stream(b"keyA", &secret, &infohash),
                send: stream(b"keyB", &secret, &infohash),
            },
        });
        Ok(())
    }

    /// The encrypted part, from the peer's offer on. `None`: a state further, step again.
    fn payload(
        &mut self,
        state: State,
        input: &mut Vec<u8>,
        output: &mut Vec<u8>,
    ) -> Result<Option<Step>, Error> {
        match state {
            State::Offer(mut session) => {
                let Some(mut head) = take::<14>(input) else {
                    self.state = State::Offer(session);
                    return Ok(Some(Step::More));
                };
                session.ciphers.receive.apply(&mut head);
                if head[..8] != VC {
                    return Err(Error::Verification);
                }
                let provide = u32::from_be_bytes([head[8], head[9], head[10], head[11]]);
                let method = choose(provide, self.policy)?;
                let pad = usize::from(u16::from_be_bytes([head[12], head[13]]));
                if pad > PAD_MAX {
                    return Err(Error::Length);
                }
                self.state = State::Padding(session, method, pad);
            }
            State::Padding(mut session, method, pad) => {
                if input.len() < pad + 2 {
                    self.state = State::Padding(session, method, pad);
                    return Ok(Some(Step::More));
                }
                let mut padding: Vec<u8> = input.drain(..pad + 2).collect();
                session.ciphers.receive.apply(&mut padding);
                let length = usize::from(u16::from_be_bytes([padding[pad], padding[pad + 1]]));
                if length > INITIAL_MAX {
                    return Err(Error::Length);
                }
                self.state = State::Initial(session, method, length);
            }
            State::Initial(mut session, method, length) => {
                if input.len() < length {
                    self.state = State::Initial(session, method, length);
                    return Ok(Some(Step::More));
                }
                let mut initial: Vec<u8> = input.drain(..length).collect();
                session.ciphers.receive.apply(&mut initial);
                let mut reply = [&VC[..], &method.to_be_bytes(), &[0, 0]].concat();
                session.ciphers.send.apply(&mut reply);
                output.extend_from_slice(&reply);
                return Ok(Some(Step::Done(Box::new(Done {
                    infohash: session.infohash,
                    initial,
                    ciphers: (method == RC4).then_some(session.ciphers),
                }))));
            }
            other => self.state = other,
        }
        Ok(None)
    }
}

fn choose(provide: u32, policy: Policy) -> Result<u32, Error> {
    match policy {
        Policy::PreferPlaintext if provide & PLAINTEXT != 0 => Ok(PLAINTEXT),
        _ if provide & RC4 != 0 => Ok(RC4),
        _ => Err(Error::Method),
    }
}

/// Drops padding and `mark` from `input` once `mark` is there; false while it may still come.
fn sync(input: &mut Vec<u8>, mark: &[u8]) -> Result<bool, Error> {
    let window = &input[..input.len().min(PAD_MAX + mark.len())];
    // The 20 bytes after the mark must be here as well, or the padding would be dropped too early to try again.
    match window.windows(mark.len()).position(|w| w == mark) {
        Some(at) if input.len() >= at + mark.len() + 20 => {
            input.drain(..at + mark.len());
            Ok(true)
        }
        Some(_) => Ok(false),
        None if window.len() == PAD_MAX + mark.len() => Err(Error::Sync),
        None => Ok(false),
    }
}

fn take<const N: usize>(input: &mut Vec<u8>) -> Option<[u8; N]> {
    let head = *input.first_chunk::<N>()?;
    input.drain(..N);
    Some(head)
}

fn public_key(private: &[u8; 20]) -> Result<[u8; KEY_LEN], Error> {
    modexp::power(&modexp::generator(), private).ok_or(Error::Key)
}

fn pad_of(secrets: &Secrets) -> &[u8] {
    &secrets.pad[..secrets.pad.len().min(PAD_MAX)]
}

fn stream(name: &[u8], secret: &[u8], infohash: &InfoHash) -> Rc4 {
    Rc4::new(&sha1(&[name, secret, &infohash.0])).discard(1024)
}

fn sha1(parts: &[&[u8]]) -> [u8; 20] {
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    parts.iter().for_each(|part| context.update(part));
    let mut out = [0; 20];
    out.copy_from_slice(context.finish().as_ref());
    out
}

#[cfg(test)]
mod tests;
