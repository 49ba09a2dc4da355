//! Jobs about items (BEP 44): what is asked, what is taken in, what is put.

use std::time::Duration;

use super::{JobId, Node, lookups::Wish};
use crate::{
    dht::{
        K,
        gather::Gather,
        id::{Contact, Id},
        item::{Got, Item, Stored},
        krpc::{Put, Reply, Signed},
        query::Answered,
    },
    id::Target,
};

/// A lookup of an item.
pub(super) struct Getting {
    gather: Gather,
    /// Copies beyond the closest nodes count too.
    pub wide: bool,
}

/// A lookup and what follows it. `item` is checked.
pub(super) struct Putting {
    gather: Gather,
    item: Item,
    cas: Option<i64>,
    pub asked: usize,
    outcome: Stored,
}

impl Node {
    /// Looks for the item under `target` in every network we have; `salt` is not in the answers, but under the signature.
    /// `seq`: the number we know, so that nodes need not send what we have. Ends with [`super::Event::Got`].
    pub fn get_item(&mut self, target: Target, salt: &[u8], seq: Option<i64>, now: Duration) -> JobId {
        let gather = Gather::new(target, salt, seq);
        let wide = false;
        self.start_job(Id::from(target), Wish::Get(Getting { gather, wide }), now)
    }

    /// The same, asking every node for its value and twice as many nodes: how well an item is kept. Whoever asks only the
    /// eight closest never sees the "more than 8 copies" of BEP 44.
    pub fn survey_item(&mut self, target: Target, salt: &[u8], now: Duration) -> JobId {
        let gather = Gather::new(target, salt, None);
        let wide = true;
        self.start_job(Id::from(target), Wish::Get(Getting { gather, wide }), now)
    }

    /// Stores an item on the closest nodes. `cas`: only over that number, told to nodes that hold an item. An item that
    /// breaks a rule goes nowhere. Ends with [`super::Event::Stored`].
    pub fn put_item(&mut self, item: Item, cas: Option<i64>, now: Duration) -> JobId {
        let mut outcome = Stored::default();
        let checked = item.check();
        if let Err(err) = &checked {
            outcome.note(err.code() as i64, err.to_string().as_bytes());
        }
        let (target, seq) = (item.target(), item.seq());
        let salt = match &item {
            Item::Mutable(item) => &item.salt[..],
            Item::Immutable(_) => &[],
        };
        let putting = Putting {
            gather: Gather::new(target, salt, seq),
            item,
            cas,
            asked: 0,
            outcome,
        };
        let wish = Wish::Put(Box::new(putting));
        if checked.is_err() {
            return self.refuse_job(wish);
        }
        if let Wish::Put(putting) = &wish {
            self.server.items.renew(&putting.item, now);
        }
        self.start_job(Id::from(target), wish, now)
    }

    /// What a node says in a lookup for an item.
    pub(super) fn on_item(&mut self, id: JobId, from: &Contact, reply: &Reply<'_>) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let Some(gather) = job.wish.gather() else { return };
        gather.take(from.addr, reply);
        if job.wish.is_fulfilled() {
            self.end_job(id);
        }
    }

    /// A node has refused our put.
    pub(super) fn on_put_refused(&mut self, number: u64, code: i64, text: &[u8]) {
        let id = self.searches.get(&number).and_then(|search| search.job);
        if let Some(Wish::Put(putting)) = id.and_then(|id| self.jobs.get_mut(&id)).map(|job| &mut job.wish) {
            putting.outcome.note(code, text);
        }
    }
}

impl Wish {
    pub fn gather(&mut self) -> Option<&mut Gather> {
        match self {
            Wish::Get(getting) => Some(&mut getting.gather),
            Wish::Put(putting) => Some(&mut putting.gather),
            Wish::Peers | Wish::Announce(_) => None,
        }
    }

    /// Whether no further answer can add anything.
    pub fn is_fulfilled(&self) -> bool {
        matches!(self, Wish::Get(getting) if getting.gather.is_final())
    }

    /// What a `get` is sent with.
    pub fn seq(&self) -> Option<i64> {
        match self {
            Wish::Get(getting) => getting.gather.asked(),
            Wish::Put(putting) => putting.gather.asked(),
            Wish::Peers | Wish::Announce(_) => None,
        }
    }
}

impl Getting {
    pub fn ended(&mut self, closest: &[Answered]) {
        let deciding = closest.iter().take(K);
        self.gather.ended(deciding.map(|node| node.contact.addr));
    }

    pub fn finish(self, answered: usize) -> Got {
        self.gather.finish(answered)
    }
}

impl Putting {
    /// To be asked before any node is told to store: somebody may have shown a newer one meanwhile.
    pub fn overtaken(&mut self) -> bool {
        let overtaken = self.gather.newest() > self.item.seq();
        self.outcome.overtaken |= overtaken;
        overtaken
    }

    /// What `node` is told. `cas` makes no sense to a node that holds nothing (BEP 44).
    pub fn ask<'a>(&'a self, node: &'a Answered) -> Put<'a> {
        let signed = match &self.item {
            Item::Immutable(_) => None,
            Item::Mutable(item) => Some(Signed {
                key: &item.key.0,
                salt: &item.salt,
                seq: item.seq,
                sig: &item.sig,
            }),
        };
        Put {
            token: &node.token,
            v: self.item.value(),
            cas: self
                .cas
                .filter(|_| signed.is_some() && self.gather.holds(&node.contact.addr)),
            signed,
        }
    }

    pub fn finish(self, stored: usize) -> Stored {
        Stored {
            stored,
            asked: self.asked,
            ..self.outcome
        }
    }
}
