//! Health: what does not work now, and what systemd is told.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use sd_notify::NotifyState;
use tracing::{debug, info, warn};

/// Cheap to clone.
#[derive(Clone, Default)]
pub struct Health {
    troubles: Arc<Mutex<BTreeMap<&'static str, String>>>,
}

impl Health {
    /// What does not work now, by room, in words for people.
    pub fn troubles(&self) -> Vec<(&'static str, String)> {
        let troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        troubles
            .iter()
            .map(|(room, text)| (*room, text.clone()))
            .collect()
    }

    /// Notes or clears a room's trouble; only changes are logged.
    pub fn set(&self, room: &'static str, trouble: Option<String>) {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        match trouble {
            Some(text) => {
                if troubles.get(room) != Some(&text) {
                    warn!(room, reason = text, "we go on with less");
                    troubles.insert(room, text);
                }
            }
            None => {
                if troubles.remove(room).is_some() {
                    info!(room, "works again");
                }
            }
        }
    }
}

/// Tells systemd that everything listens. Without systemd this does nothing.
pub fn say_ready() {
    if let Err(err) = sd_notify::notify(&[NotifyState::Ready]) {
        debug!(%err, "systemd was not told that we are ready");
    }
}

pub fn say_reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        let _ = sd_notify::notify(&[NotifyState::Reloading, now]);
    }
}

pub fn say_stopping() {
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_stays_until_it_is_cleared() {
        let health = Health::default();
        health.set("store", Some("the disk is full".into()));
        assert_eq!(health.troubles(), [("store", "the disk is full".to_string())]);
        health.set("store", None);
        assert!(health.troubles().is_empty());
    }
}
