//! The resolver from outside: a lan half with real sockets on loopback, an upstream that answers by script, clients of all
//! four doors.

mod doors;
mod upstreams;
mod world;
