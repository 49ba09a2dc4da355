//! A peer connection whatever carries it: two halves, bytes that came with the handshake, and key streams if any.

use std::{io, time::Duration};

use proto::{
    id::InfoHash,
    peer::{
        PEER_ID_PREFIX, PeerId,
        handshake::{self, Handshake, Opening},
        mse,
    },
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

pub type ReadHalf = Box<dyn AsyncRead + Send + Unpin>;
pub type WriteHalf = Box<dyn AsyncWrite + Send + Unpin>;

/// How long a stranger may take to say which torrent it wants.
pub const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);

/// A connection past its handshake.
pub struct Wire {
    pub read: ReadHalf,
    pub write: WriteHalf,
    /// Decrypted bytes that were read together with the handshake.
    pub early: Vec<u8>,
    pub ciphers: Option<mse::Ciphers>,
}

impl Wire {
    pub fn new(read: ReadHalf, write: WriteHalf) -> Self {
        Self {
            read,
            write,
            early: Vec::new(),
            ciphers: None,
        }
    }

    pub fn tcp(stream: TcpStream) -> Self {
        let (read, write) = stream.into_split();
        Self::new(Box::new(read), Box::new(write))
    }

    /// Sends a few bytes that belong to a handshake.
    pub async fn send(&mut self, mut bytes: Vec<u8>) -> io::Result<()> {
        if let Some(ciphers) = &mut self.ciphers {
            ciphers.send.apply(&mut bytes);
        }
        self.write.write_all(&bytes).await
    }

    /// Appends at least one byte to `early`, at most up to `max` in all.
    pub async fn fill(&mut self, max: usize) -> io::Result<()> {
        let start = self.early.len();
        let room = max.saturating_sub(start);
        if room == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut chunk = [0u8; 1024];
        let n = self.read.read(&mut chunk[..room.min(1024)]).await?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.early.extend_from_slice(&chunk[..n]);
        if let Some(ciphers) = &mut self.ciphers {
            ciphers.receive.apply(&mut self.early[start..]);
        }
        Ok(())
    }

    /// The peer's plaintext handshake (inside the encryption, if any).
    pub async fn handshake(&mut self) -> io::Result<Handshake> {
        loop {
            if let Some(head) = self.early.first_chunk::<{ handshake::LEN }>() {
                let handshake = Handshake::decode(head).map_err(io::Error::other)?;
                self.early.drain(..handshake::LEN);
                return Ok(handshake);
            }
            if handshake::opening(&self.early) == Opening::Other {
                return Err(io::ErrorKind::InvalidData.into());
            }
            self.fill(handshake::LEN.max(self.early.len() + 1)).await?;
        }
    }

    /// After [`mse::Step::Done`]: what the peer sent with and behind its MSE handshake becomes the beginning of its stream.
    pub fn adopt(&mut self, done: mse::Done) {
        let mut ciphers = done.ciphers;
        if let Some(ciphers) = &mut ciphers {
            ciphers.receive.apply(&mut self.early);
        }
        self.early.splice(..0, done.initial);
        self.ciphers = ciphers;
    }
}

/// A new id: nothing about the household survives in it.
pub fn peer_id() -> PeerId {
    let mut id: PeerId = rand::random();
    id[..8].copy_from_slice(PEER_ID_PREFIX);
    for byte in &mut id[8..] {
        *byte = b'a' + *byte % 26;
    }
    id
}

/// A fresh private key and padding.
pub fn secrets() -> mse::Secrets {
    let pad = rand::random_range(0..mse::PAD_MAX);
    mse::Secrets {
        private: rand::random(),
        pad: (0..pad).map(|_| rand::random()).collect(),
    }
}

/// Looks up which torrent an encrypted connection means.
pub trait Keys {
    fn find(&self, hash: [u8; 20]) -> impl Future<Output = Option<InfoHash>> + Send;
}

/// Answers a connection up to and including the peer's handshake, plain or encrypted. The caller sets the deadline.
pub async fn answer(wire: &mut Wire, keys: &impl Keys) -> io::Result<Handshake> {
    while handshake::opening(&wire.early) == Opening::Undecided {
        wire.fill(handshake::PREFIX.len()).await?;
    }
    if handshake::opening(&wire.early) == Opening::Plain {
        return wire.handshake().await;
    }
    let mut responder = mse::Responder::new(secrets(), mse::Policy::PreferPlaintext);
    let mut output = Vec::new();
    let infohash = loop {
        let step = responder
            .step(&mut wire.early, &mut output)
            .map_err(io::Error::other)?;
        if !output.is_empty() {
            wire.write.write_all(&std::mem::take(&mut output)).await?;
        }
        match step {
            mse::Step::More => wire.fill(mse::INPUT_MAX).await?,
            mse::Step::Lookup(hash) => responder
                .torrent(keys.find(hash).await)
                .map_err(io::Error::other)?,
            mse::Step::Done(done) => {
                let infohash = done.infohash;
                wire.adopt(*done);
                break infohash;
            }
        }
    };
    let handshake = wire.handshake().await?;
    if handshake.infohash != infohash {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(handshake)
}

/// Opens MSE towards a peer and sends `hello` as its first payload.
pub async fn encrypt(wire: &mut Wire, infohash: InfoHash, hello: &[u8]) -> io::Result<()> {
    let mut output = Vec::new();
    let mut initiator = mse::Initiator::new(
        infohash,
        hello,
        secrets(),
        mse::Policy::PreferPlaintext,
        &mut output,
    )
    .map_err(io::Error::other)?;
    loop {
        if !output.is_empty() {
            wire.write.write_all(&std::mem::take(&mut output)).await?;
        }
        match initiator
            .step(&mut wire.early, &mut output)
            .map_err(io::Error::other)?
        {
            mse::Step::Done(done) => {
                wire.adopt(*done);
                return Ok(());
            }
            mse::Step::More | mse::Step::Lookup(_) => {
                if output.is_empty() {
                    wire.fill(mse::INPUT_MAX).await?;
                }
            }
        }
    }
}
