//! Formats and decisions. Pure: no I/O, no clock, no threads, no async.
//!
//! Reading order: `id`, `key`, `bencode`, `metainfo`, `create`, `magnet`, `name`, `secret` and `record` (what a key signs), `record_keeping` (when it is put again), then the wire protocols (`dht`, `peer`, `tracker`,
//! `lsd`, `dns`), then what a site's files mean over HTTP (`site`, `pac`).

pub mod advice;
pub mod bencode;
pub mod create;
pub mod dedupe;
pub mod dhcp;
pub mod dhcp6;
pub mod dht;
pub mod dns;
pub mod encoding;
pub mod feed;
pub mod guard;
pub mod id;
pub mod key;
pub mod link;
pub mod lsd;
pub mod magnet;
pub mod mdns;
pub mod metainfo;
pub mod name;
pub mod pac;
pub mod peer;
pub mod ra;
pub mod record;
pub mod record_keeping;
pub mod secret;
pub mod site;
pub mod tracker;
