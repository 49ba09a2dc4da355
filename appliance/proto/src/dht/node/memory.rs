//! What outlives a restart: our ids, the nodes we knew, and the items others stored with us.

use std::time::Duration;

use super::Node;
use crate::{
    bencode::{self, Node as Value, Value as Out},
    dht::{
        id::{Contact, Family, Id, read_compact},
        items::{EXPIRY, Row},
        krpc::compact_nodes,
    },
};

/// Nodes remembered per network; more make the row longer, fewer may all be gone after a long night.
const NODES_MAX: usize = 128;

impl Node {
    /// A bencoded dictionary per network with `id` and `nodes` in compact form; at most about 8 KiB.
    pub fn snapshot(&self) -> Vec<u8> {
        let network = |family: Family| {
            let side = self.side(family)?;
            let mut nodes = side.table.remembered(NODES_MAX);
            let known: Vec<_> = nodes.iter().map(|contact| contact.addr).collect();
            // Nodes of the last run that were not reached yet are still better than none.
            let old = side
                .remembered
                .iter()
                .filter(|contact| !known.contains(&contact.addr));
            nodes.extend(old.take(NODES_MAX - known.len()).copied());
            let id = Out::bytes(side.table.own().0);
            let entry = Out::dict([("id", id), ("nodes", Out::bytes(compact_nodes(&nodes)))]);
            Some((key(family), entry))
        };
        Out::dict(Family::BOTH.into_iter().filter_map(network)).encode()
    }

    /// Takes up a snapshot: the ids, and nodes to try first. Anything odd in it is skipped.
    pub fn restore(&mut self, snapshot: &[u8], now: Duration) {
        let Ok(root) = bencode::parse(snapshot) else {
            return;
        };
        for family in Family::BOTH {
            let Some(entry) = root.get(key(family)) else {
                continue;
            };
            let id = entry.get(b"id").and_then(Value::bytes).and_then(Id::from_slice);
            let nodes = entry.get(b"nodes").and_then(Value::bytes).unwrap_or_default();
            let nodes = nodes.chunks_exact(20 + family.compact_len()).filter_map(contact);
            let nodes: Vec<_> = nodes.filter(|c| self.allowed(&c.addr)).take(NODES_MAX).collect();
            if let Some(side) = self.side_mut(family) {
                side.table.rekey(id.unwrap_or(side.table.own()), now);
                side.remembered = nodes;
            }
        }
        self.upkeep_due = now;
    }

    /// Items of others that have changed since the last call, at most `max`: call until there are none.
    pub fn changed_items(&mut self, max: usize) -> Vec<Row> {
        self.server.items.take_changed(max)
    }

    /// Takes up what [`Node::changed_items`] gave before a restart. Nothing lives longer than it would have anew, whatever
    /// the clock did meanwhile.
    pub fn restore_items(&mut self, rows: impl IntoIterator<Item = Row>, now: Duration) {
        let latest = now + EXPIRY;
        self.server.items.restore(rows.into_iter().map(|row| Row {
            expires: row.expires.min(latest),
            ..row
        }));
    }
}

fn key(family: Family) -> &'static [u8] {
    match family {
        Family::V4 => b"v4",
        Family::V6 => b"v6",
    }
}

fn contact(entry: &[u8]) -> Option<Contact> {
    let (id, addr) = entry.split_at_checked(20)?;
    Some(Contact {
        id: Id::from_slice(id)?,
        addr: read_compact(addr)?,
    })
}
