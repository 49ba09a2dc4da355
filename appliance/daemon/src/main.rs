//! `granary`: flags, logging, signals, exit code.

mod clock;
mod db;
mod gateway;
mod sites;
mod swarm;
mod tasks;

fn main() {}
