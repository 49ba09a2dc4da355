//! The peer wire protocol as our own listener, seeder and metadata fetcher speak it (BEP 3, 5, 6, 9, 10, 11, 21; MSE/PE).
//!
//! Reading order: `handshake`, `message`, `extension`, `pex`, `metadata`, then encryption: `modexp`, `rc4`, `mse`.
//! All of it works on buffers: the caller owns sockets, deadlines and how many bytes may wait.

pub mod extension;
pub mod handshake;
pub mod message;
pub mod metadata;
mod modexp;
pub mod mse;
pub mod pex;
pub mod rc4;

/// A 20-byte peer id (BEP 3); ours starts with `-GY` and the version (BEP 20).
pub type PeerId = [u8; 20];

/// The first eight bytes of every peer id of ours (BEP 20, Azureus style).
pub const PEER_ID_PREFIX: &[u8; 8] = b"-GY0100-";
