//! Other implementations in one net with ours.
