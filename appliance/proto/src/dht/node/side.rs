//! What a node has once per network.

use std::time::Duration;

use crate::dht::{
    external::External,
    id::{Contact, Id},
    routing::Table,
    rtt::Rtt,
};

pub struct Side {
    pub table: Table,
    pub rtt: Rtt,
    pub external: External,
    /// From before the restart: not known to be alive.
    pub remembered: Vec<Contact>,
    /// When to look for ourselves again while we know too few, and how long to wait after that.
    pub bootstrap_due: Duration,
    pub bootstrap_wait: Duration,
}

impl Side {
    pub fn new(id: Id, spread: bool) -> Self {
        Self {
            table: Table::new(id, spread),
            rtt: Rtt::default(),
            external: External::default(),
            remembered: Vec::new(),
            bootstrap_due: Duration::ZERO,
            bootstrap_wait: Duration::ZERO,
        }
    }
}
