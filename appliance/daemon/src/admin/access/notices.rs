//! What a change came to, until the next page of the same browser tells it. In memory: nothing of it is worth keeping, and
//! a notice in an address could be put there by anybody.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

/// More: browsers that never come back cost more memory. Fewer: in a busy home a notice gets lost.
const NOTICES_MAX: usize = 64;

#[derive(Default)]
pub struct Notices(Mutex<VecDeque<([u8; 32], String)>>);

impl Notices {
    pub fn leave(&self, browser: [u8; 32], words: String) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(other, _)| *other != browser);
        if all.len() == NOTICES_MAX {
            all.pop_front();
        }
        all.push_back((browser, words));
    }

    pub fn take(&self, browser: &[u8; 32]) -> Option<String> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = all.iter().position(|(other, _)| other == browser)?;
        all.remove(at).map(|(_, words)| words)
    }
}
