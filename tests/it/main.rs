//! Tests from outside: through sockets, with the real binary and real foreign clients. One module per promise.
mod browser;
mod commands;
mod dht;
mod ends;
mod foreign;
mod harness_works;
mod hostile_input;
mod house;
mod killed;
mod torrents_elsewhere;
