//! Items as a lookup finds and stores them (BEP 44): what a caller gets to know.

use super::id::Id;
use crate::{
    id::Target,
    record::{self, Mutable},
};

/// What is stored under a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// Bencoded, at most 1000 bytes.
    Immutable(Vec<u8>),
    Mutable(Mutable),
}

impl Item {
    pub fn target(&self) -> Target {
        match self {
            Item::Immutable(value) => record::immutable_target(value),
            Item::Mutable(item) => item.target(),
        }
    }

    /// Bencoded.
    pub fn value(&self) -> &[u8] {
        match self {
            Item::Immutable(value) => value,
            Item::Mutable(item) => &item.value,
        }
    }

    /// `None` for an immutable one: it has no versions.
    pub fn seq(&self) -> Option<i64> {
        match self {
            Item::Immutable(_) => None,
            Item::Mutable(item) => Some(item.seq),
        }
    }

    /// Every rule of BEP 44, the signature of a mutable one included.
    pub fn check(&self) -> Result<(), record::Error> {
        match self {
            Item::Immutable(value) => record::check_value(value),
            Item::Mutable(item) => item.check(),
        }
    }
}

/// What a lookup of an item found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Got {
    /// The newest checked item; for equal numbers the value most nodes have. An immutable one ends the lookup at once,
    /// because nothing better can come; the counts below then only cover who was heard until then.
    pub item: Option<Item>,
    /// Another checked value under the same sequence number.
    pub other: Option<Mutable>,
    /// Nodes that answered at all.
    pub answered: usize,
    /// Nodes that hold the newest number, which is that of `item` or the one asked with, whichever is higher (a node that
    /// answers "nothing newer" than `seq` counts for the number it names). What others stored with us counts as one.
    pub copies: usize,
    /// The highest number any node named, checked or not worth a value (BEP 44 `seq` without `v`).
    pub seq_seen: Option<i64>,
    /// Every eligible one of the (up to 8) closest nodes holds it: BEP 44's second back-off condition.
    pub closest_have_it: bool,
    /// Some node holds an older number.
    pub older_seen: bool,
    /// Answers that broke a rule and were dropped.
    pub refused: usize,
}

/// What became of a put.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stored {
    /// Nodes that confirmed.
    pub stored: usize,
    /// Nodes that were asked to store it.
    pub asked: usize,
    /// A node answered 301 (its number is not `cas`) or 302 (it has a higher number), or showed a checked item with a
    /// higher number before it was asked to store ours; then it and those after it were not asked.
    pub overtaken: bool,
    /// Error codes and texts of those that refused, each once; at most [`Stored::REFUSED_MAX`].
    pub refused: Vec<(i64, String)>,
}

impl Stored {
    pub const REFUSED_MAX: usize = 8;
    /// Longest text kept of a refusal, bytes: strangers wrote it.
    const TEXT_MAX: usize = 200;

    pub(super) fn note(&mut self, code: i64, text: &[u8]) {
        self.overtaken |= code == 301 || code == 302;
        let text = &text[..text.len().min(Self::TEXT_MAX)];
        let entry = (code, String::from_utf8_lossy(text).into_owned());
        if self.refused.len() < Self::REFUSED_MAX && !self.refused.contains(&entry) {
            self.refused.push(entry);
        }
    }
}

impl From<Target> for Id {
    fn from(target: Target) -> Self {
        Id(target.0)
    }
}
