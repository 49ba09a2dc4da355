//! House services: how tasks live and die, what time it is, which sockets are open, what is wrong. Both processes of the house
//! (`lan` and `web`) stand on them.
//!
//! Must not know any service above them. Reading order: `tasks`, `clock`, `net`, `health`.

pub mod clock;
pub mod health;
pub mod net;
pub mod tasks;
