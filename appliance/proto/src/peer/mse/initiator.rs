//! The side that connects. It sends the handshake as initial payload, so MSE costs one round trip more than plaintext.

use super::{
    Ciphers, Done, Error, KEY_LEN, PAD_MAX, PLAINTEXT, Policy, RC4, Secrets, Step, VC, modexp, pad_of,
    public_key, sha1, stream, take,
};
use crate::id::InfoHash;

enum State {
    Key,
    /// Looks for the encrypted VC behind at most 512 bytes of padding.
    Sync,
    /// Waits for crypto_select and len(PadD).
    Select,
    Padding(u32, usize),
    Over,
}

/// The connecting side.
pub struct Initiator {
    state: State,
    secrets: Secrets,
    policy: Policy,
    infohash: InfoHash,
    initial: Vec<u8>,
    ciphers: Option<Ciphers>,
}

impl Initiator {
    /// Starts by appending the public key to `output`. `initial`: the beginning of our stream (a handshake), at most
    /// 65,535 bytes.
    pub fn new(
        infohash: InfoHash,
        initial: &[u8],
        secrets: Secrets,
        policy: Policy,
        output: &mut Vec<u8>,
    ) -> Result<Self, Error> {
        if initial.len() > usize::from(u16::MAX) {
            return Err(Error::Length);
        }
        output.extend_from_slice(&public_key(&secrets.private)?);
        output.extend_from_slice(pad_of(&secrets));
        Ok(Self {
            state: State::Key,
            secrets,
            policy,
            infohash,
            initial: initial.to_vec(),
            ciphers: None,
        })
    }

    /// Eats what it can of `input` and appends what has to be sent to `output`; never asks for a lookup.
    pub fn step(&mut self, input: &mut Vec<u8>, output: &mut Vec<u8>) -> Result<Step, Error> {
        loop {
            match std::mem::replace(&mut self.state, State::Over) {
                State::Key => {
                    let Some(key) = take::<KEY_LEN>(input) else {
                        self.state = State::Key;
                        return Ok(Step::More);
                    };
                    let secret = modexp::power(&key, &self.secrets.private).ok_or(Error::Key)?;
                    self.name_torrent(&secret, output);
                    self.state = State::Sync;
                }
                State::Sync => match self.sync(input)? {
                    true => self.state = State::Select,
                    false => {
                        self.state = State::Sync;
                        return Ok(Step::More);
                    }
                },
                State::Select => {
                    let Some(mut head) = take::<6>(input) else {
                        self.state = State::Select;
                        return Ok(Step::More);
                    };
                    self.decrypt(&mut head)?;
                    let method = self.selected(u32::from_be_bytes([head[0], head[1], head[2], head[3]]))?;
                    let pad = usize::from(u16::from_be_bytes([head[4], head[5]]));
                    if pad > PAD_MAX {
                        return Err(Error::Length);
                    }
                    self.state = State::Padding(method, pad);
                }
                State::Padding(method, pad) => {
                    if input.len() < pad {
                        self.state = State::Padding(method, pad);
                        return Ok(Step::More);
                    }
                    let mut padding: Vec<u8> = input.drain(..pad).collect();
                    self.decrypt(&mut padding)?;
                    return Ok(Step::Done(Box::new(Done {
                        infohash: self.infohash,
                        initial: Vec::new(),
                        ciphers: self.ciphers.take().filter(|_| method == RC4),
                    })));
                }
                State::Over => return Err(Error::Verification),
            }
        }
    }

    fn name_torrent(&mut self, secret: &[u8; KEY_LEN], output: &mut Vec<u8>) {
        let mut ciphers = Ciphers {
            receive: stream(b"keyB", secret, &self.infohash),
            send: stream(b"keyA", secret, &self.infohash),
        };
        output.extend_from_slice(&sha1(&[b"req1", secret]));
        let mut name = super::key_hash(&self.infohash);
        let mask = sha1(&[b"req3", secret]);
        name.iter_mut().zip(mask).for_each(|(n, m)| *n ^= m);
        output.extend_from_slice(&name);
        let provide = match self.policy {
            Policy::PreferPlaintext => PLAINTEXT | RC4,
            Policy::OnlyRc4 => RC4,
        };
        let mut sealed = [&VC[..], &provide.to_be_bytes(), &[0, 0]].concat();
        sealed.extend_from_slice(&(self.initial.len() as u16).to_be_bytes());
        sealed.append(&mut self.initial);
        ciphers.send.apply(&mut sealed);
        output.extend_from_slice(&sealed);
        self.ciphers = Some(ciphers);
    }

    fn sync(&mut self, input: &mut Vec<u8>) -> Result<bool, Error> {
        let mut mark = VC;
        let mut ahead = self.ciphers.clone().ok_or(Error::Verification)?;
        ahead.receive.apply(&mut mark);
        let window = &input[..input.len().min(PAD_MAX + mark.len())];
        match window.windows(mark.len()).position(|w| w == mark) {
            Some(at) => {
                input.drain(..at + mark.len());
                self.ciphers = Some(ahead);
                Ok(true)
            }
            None if window.len() == PAD_MAX + mark.len() => Err(Error::Sync),
            None => Ok(false),
        }
    }

    fn decrypt(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        let ciphers = self.ciphers.as_mut().ok_or(Error::Verification)?;
        ciphers.receive.apply(bytes);
        Ok(())
    }

    fn selected(&self, select: u32) -> Result<u32, Error> {
        match (select, self.policy) {
            (RC4, _) => Ok(RC4),
            (PLAINTEXT, Policy::PreferPlaintext) => Ok(PLAINTEXT),
            _ => Err(Error::Method),
        }
    }
}
