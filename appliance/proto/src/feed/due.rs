//! When to look again: 15 minutes for what just changed, up to 6 hours for what is quiet, never two at one time.
