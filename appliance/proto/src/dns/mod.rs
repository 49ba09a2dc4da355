//! What a question of the LAN is answered with: everything of DNS that needs only its inputs.
//!
//! Names stand here as they do on the wire (length bytes, no compression, the root's zero at the end), in lower case unless
//! said otherwise: what a question carries is then compared and hashed without being copied into text.
//!
//! Reading order: `name`, `marker`, `blocklist`, `upstream` (asking other resolvers).

pub mod blocklist;
pub mod marker;
pub mod name;
pub mod upstream;
