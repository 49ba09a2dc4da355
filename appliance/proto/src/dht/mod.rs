//! The DHT (BEP 5, 32, 33, 42, 43, 51; 44) as pure decisions: bytes and times in, bytes and times out.
//!
//! Reading order: [`id`] (who is close to whom), [`krpc`] (what goes over the wire), [`routing`] (whom we know),
//! [`query`] (one iterative lookup), [`rtt`] and [`silence`] (how long to
//! wait for whom), [`external`] (our own address), [`token`], [`peers`], [`bloom`], [`items`], [`limits`] and [`server`] (what we answer, keep
//! and refuse), [`item`] and [`gather`] (what others say about an item we look for), [`node`] (all of it together). Times are durations since any fixed moment the caller chooses; randomness
//! comes from a seed. Must not know sockets, and keeps nothing per torrent of ours.

pub mod bloom;
pub mod external;
pub mod gather;
pub mod id;
pub mod item;
pub mod items;
pub mod krpc;
pub mod limits;
pub mod node;
pub mod peers;
pub mod query;
pub mod random;
pub mod routing;
pub mod rtt;
pub mod server;
pub mod silence;
pub mod token;

#[cfg(test)]
mod simulation;

/// Contacts per bucket and nodes per answer (BEP 5).
pub const K: usize = 8;

/// Largest datagram we send (BEP 32: replies with nodes and nodes6 must stay below this).
pub const DATAGRAM_MAX: usize = 1024;
