//! Tests from outside: through sockets, with the real binary and real foreign clients. One module per promise.

mod browser;
mod dht;
mod harness_works;
mod hostile_input;
mod torrents_elsewhere;
