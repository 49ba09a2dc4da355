//! Following: when to look again, what a subscription's state is called, what changed between versions.

pub mod changes;
pub mod due;
pub mod state;
