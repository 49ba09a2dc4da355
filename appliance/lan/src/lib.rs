//! The lan half of the house: DNS, DHCP, router advertisements, mDNS. Small, touches no attached disk, and keeps answering
//! when everything else is gone.
//!
//! Must not know sites, the swarm, pages, or the store of the web half: a `.btlink` answer never waits for anything.
//!
//! Reading order: `lan` (who exists, start and stop order), `settings` (the one file), `api` (what is told and asked over the
//! control socket), `control`, `frame` (what every room is given), `interfaces` (what the kernel says of the network), then one room each: `dns`, `blocking`, `dhcp`, `ra`,
//! `mdns`; `devices` puts together what they saw, `neighbours` is the kernel's part of it; `survey` looks at the LAN and says what to do next; `watchdog` asks our own resolver before it feeds systemd's.

pub mod api;
mod blocking;
mod control;
mod devices;
pub mod dhcp;
pub mod dns;
mod frame;
mod interfaces;
mod lan;
mod mdns;
mod neighbours;
mod ra;
pub mod settings;
mod survey;
mod watchdog;

pub use blocking::{FILE as BLOCKLIST_FILE, FILE_BYTES_MAX as BLOCKLIST_BYTES_MAX};
pub use frame::{Config, House};
pub use interfaces::{Interface, Interfaces};
pub use lan::{Error, Lan};
pub use survey::recommend;
