//! Port 53 and its encrypted doors: what devices ask is answered from memory, or asked of the upstreams once for all who
//! wait.
//!
//! Must not know sites, the swarm, the other rooms of the LAN, or how a block list is stored.
//!
//! Reading order: `upstream` (the side that asks).

pub mod upstream;

/// Which names the household does not want to see.
pub trait Blocking: Send + Sync {
    /// `name`: wire form, lower case. What stands above the name counts too.
    fn is_blocked(&self, name: &[u8]) -> bool;

    /// A verdict that is kept counts as long as this number stays the same.
    fn generation(&self) -> u64 {
        0
    }

    /// Names in the list, for the status.
    fn names(&self) -> u64;
}
