//! Counters for the status page and for tests.

/// Datagrams by what they ask.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kinds {
    pub ping: u64,
    pub find_node: u64,
    pub get_peers: u64,
    pub announce_peer: u64,
    pub sample_infohashes: u64,
    pub get: u64,
    pub put: u64,
    pub other: u64,
}

impl Kinds {
    pub fn total(&self) -> u64 {
        let Self {
            ping,
            find_node,
            get_peers,
            announce_peer,
            sample_infohashes,
            get,
            put,
            other,
        } = self;
        ping + find_node + get_peers + announce_peer + sample_infohashes + get + put + other
    }

    pub(super) fn count(&mut self, method: &[u8]) {
        let counter = match method {
            b"ping" => &mut self.ping,
            b"find_node" => &mut self.find_node,
            b"get_peers" => &mut self.get_peers,
            b"announce_peer" => &mut self.announce_peer,
            b"sample_infohashes" => &mut self.sample_infohashes,
            b"get" => &mut self.get,
            b"put" => &mut self.put,
            _ => &mut self.other,
        };
        *counter += 1;
    }
}

/// Since the start, except the first eight: those are now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    pub nodes_v4: usize,
    pub nodes_v6: usize,
    pub good_v4: usize,
    pub good_v6: usize,
    pub stored_peers: usize,
    pub stored_infohashes: usize,
    /// Others' items (BEP 44).
    pub stored_items: usize,
    pub stored_item_bytes: usize,
    pub queries_in: Kinds,
    pub queries_out: Kinds,
    pub replies_in: u64,
    pub replies_out: u64,
    pub reply_bytes_out: u64,
    /// Our queries that nobody answered.
    pub silent: u64,
    /// Queries left unanswered: too many from one source, too much towards unproven ones, too much in all.
    pub dropped_source: u64,
    pub dropped_unverified: u64,
    pub dropped_total: u64,
    /// Datagrams that were no message of ours to handle: garbage, forged replies, addresses out of bounds.
    pub ignored: u64,
}
