//! Tests from outside: through sockets, with the real binary and real foreign clients. One module per promise.
mod browser;
mod commands;
mod dedupe;
mod dht;
mod ends;
mod foreign;
mod harness_works;
mod headers;
mod hostile_input;
mod house;
mod http2;
mod killed;
mod mutable;
mod pages;
mod pasted;
mod proxy;
mod torrents_elsewhere;
