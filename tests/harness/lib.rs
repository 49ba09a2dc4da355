//! The harness: starts the real `granary` binary and foreign BitTorrent clients on loopback, waits with deadlines, and
//! ends everything it started. Nothing here knows a private module of the product.
//!
//! Reading order: `wait`, `process`, `granary`, `http`, `sample`, `tracker`, `foreign`, `dht_nodes`, `browser`, `publisher`, `hostile`, `pasted`, `fuzz`;
//! for the LAN `netns`, `machine`, `router`, `dhcp`, `wire`, `upstream`, `internet`, `home`, `firefox`,
//! `load`, `unbreakable`; the image: `card`.

pub mod browser;
pub mod card;
pub mod dhcp;
pub mod dht_nodes;
pub mod firefox;
pub mod foreign;
pub mod fuzz;
pub mod granary;
pub mod home;
pub mod hostile;
pub mod http;
pub mod internet;
pub mod load;
pub mod machine;
pub mod netns;
pub mod pasted;
pub mod process;
pub mod publisher;
pub mod router;
pub mod sample;
pub mod tracker;
pub mod unbreakable;
pub mod upstream;
pub mod wait;
pub mod wire;

pub use granary::{Granary, Setup};
pub use wait::{soon, wait_for};
