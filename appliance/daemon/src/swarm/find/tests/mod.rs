//! The room against scripted and foreign trackers, neighbours and routers, all on loopback.

mod foreign;
mod neighbours;
mod regular;
mod routers;
mod secure;
mod tracked;
mod world;
