//! The harness: starts the real `granary` binary and foreign BitTorrent clients on loopback, waits with deadlines, and
//! ends everything it started. Nothing here knows a private module of the product.
//!
//! Reading order: `wait`, `process`, `granary`, `http`, `sample`, `tracker`, `foreign`, `dht_nodes`, `browser`, `publisher`, `hostile`, `pasted`, `fuzz`.

pub mod browser;
pub mod dht_nodes;
pub mod foreign;
pub mod fuzz;
pub mod granary;
pub mod hostile;
pub mod http;
pub mod pasted;
pub mod process;
pub mod publisher;
pub mod sample;
pub mod tracker;
pub mod wait;

pub use granary::{Granary, Setup};
pub use wait::{soon, wait_for};
