//! What is remembered of the lists, between starts too.

use proto::dns::blocklist::Counts;
use serde::{Deserialize, Serialize};

use super::ListFacts;

/// A list is looked at once a day, at an hour of its own.
const EVERY_SECS: u64 = 24 * 3600;
const JITTER_SECS: u64 = 2 * 3600;
/// After a fetch that did not succeed.
const AGAIN_SECS: u64 = 3600;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Book {
    next_id: u32,
    pub lists: Vec<List>,
    /// What the compiled file was made from: ids and times of their texts.
    pub compiled: Option<Vec<(u32, u64)>>,
    names: u64,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct List {
    pub id: u32,
    name: String,
    pub url: Option<String>,
    pub enabled: bool,
    /// The server's mark of the text that is here.
    pub etag: Option<String>,
    pub fetched_secs: Option<u64>,
    pub bytes: u64,
    /// When it is looked at next; 0: now.
    due_secs: u64,
    names: Option<u64>,
    left_out: u64,
    trouble: Option<String>,
}

impl List {
    pub fn new(id: u32, name: String, url: Option<String>) -> Self {
        Self {
            id,
            name,
            url,
            enabled: true,
            ..Self::default()
        }
    }

    /// A new text is here.
    pub fn arrived(&mut self, now: u64, bytes: u64, etag: Option<String>) {
        // Two texts within one second are two texts.
        let after = self.fetched_secs.map_or(0, |before| before + 1);
        self.fetched_secs = Some(now.max(after));
        self.bytes = bytes;
        self.etag = etag;
        self.looked_at(now);
    }

    /// The server has what is here.
    pub fn looked_at(&mut self, now: u64) {
        self.trouble = None;
        self.due_secs = now + EVERY_SECS + rand::random_range(0..JITTER_SECS);
    }

    pub fn missed(&mut self, now: u64, trouble: String) {
        self.trouble = Some(trouble);
        self.due_secs = now + AGAIN_SECS + rand::random_range(0..AGAIN_SECS);
    }

    /// Its text is gone.
    pub fn lost(&mut self) {
        self.fetched_secs = None;
        self.etag = None;
        self.due_secs = 0;
        if self.url.is_none() {
            self.trouble = Some("its text is gone; give it again".into());
        }
    }

    /// `blocking`: names are blocked now; without it only lists that never came are fetched.
    pub fn is_due(&self, now: u64, blocking: bool) -> bool {
        let wanted = blocking || self.fetched_secs.is_none();
        self.enabled && self.url.is_some() && wanted && self.due_secs <= now
    }
}

impl Book {
    pub fn take_id(&mut self) -> u32 {
        self.next_id += 1;
        self.next_id
    }

    pub fn list(&mut self, id: u32) -> Option<&mut List> {
        self.lists.iter_mut().find(|list| list.id == id)
    }

    pub fn remove(&mut self, id: u32) -> bool {
        let before = self.lists.len();
        self.lists.retain(|list| list.id != id);
        self.lists.len() < before
    }

    pub fn all_due(&mut self) {
        for list in &mut self.lists {
            list.due_secs = 0;
        }
    }

    /// What a compiled file would be made from now.
    pub fn wanted(&self) -> Vec<(u32, u64)> {
        let enabled = self.lists.iter().filter(|list| list.enabled);
        enabled
            .filter_map(|list| Some((list.id, list.fetched_secs?)))
            .collect()
    }

    /// A file was made from `from`, with so many different names, and this is what was in the texts.
    pub fn compiled(&mut self, from: Vec<(u32, u64)>, names: u64, counts: &[(u32, Counts)]) {
        for (id, counts) in counts {
            if let Some(list) = self.list(*id) {
                list.names = Some(counts.blocked);
                list.left_out = counts.unsupported + counts.bad + counts.over;
            }
        }
        self.names = names;
        self.compiled = Some(from);
    }

    pub fn names(&self) -> u64 {
        self.names
    }

    pub fn facts(&self) -> Vec<ListFacts> {
        let facts = |list: &List| ListFacts {
            id: list.id,
            name: list.name.clone(),
            url: list.url.clone(),
            enabled: list.enabled,
            fetched_secs: list.fetched_secs,
            bytes: list.bytes,
            names: list.names,
            left_out: list.left_out,
            trouble: list.trouble.clone(),
        };
        self.lists.iter().map(facts).collect()
    }
}
