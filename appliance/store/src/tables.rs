//! Every table of `state.redb` and of the segment files, and how their values are written. Names end in a version.

use proto::id::InfoHash;
use redb::{ReadTransaction, TableDefinition as Table, WriteTransaction};

use crate::{Error, Keep, SiteRow};

/// Newest layout of `state.redb` this program knows; stands in `meta` under `format`.
pub(crate) const FORMAT: u32 = 1;

// --- state.redb ---

/// Tables of other rooms' rows: keys and values are bytes, `rows` knows what they mean.
pub(crate) type Rows = Table<'static, &'static [u8], &'static [u8]>;

/// The one table of `leases.redb`: address → lease, see `leases`.
pub(crate) const LEASES: Table<u32, &[u8]> = Table::new("leases-1");

/// Names the tables of `state.redb`: the only list of them.
macro_rules! state_tables {
    ($($(#[$doc:meta])* $name:ident: $kind:ty = $text:literal;)*) => {
        $($(#[$doc])* pub(crate) const $name: $kind = Table::new($text);)*

        /// Makes every table, so that readers never meet a missing one.
        pub(crate) fn make_state(txn: &WriteTransaction) -> Result<(), Error> {
            $(txn.open_table($name)?;)*
            Ok(())
        }

        /// Whether every table is there, without writing.
        pub(crate) fn check_state(txn: &ReadTransaction) -> Result<(), Error> {
            $(txn.open_table($name)?;)*
            Ok(())
        }
    };
}

state_tables! {
    /// Infohash → site row, see [`Site`].
    SITES: Table<[u8; 20], &[u8]> = "sites-1";
    /// Site number → infohash. Numbers are never used twice.
    NUMBERS: Table<u32, [u8; 20]> = "numbers-1";
    /// Site number → raw info dictionary.
    INFOS: Table<u32, &[u8]> = "infos-1";
    /// Site number → piece hashes, only where the info dictionary does not hold them in one run.
    HASHES: Table<u32, &[u8]> = "hashes-1";
    /// Site number → bitfield of held pieces, only while incomplete.
    HAVE: Table<u32, &[u8]> = "have-1";
    /// Piece hash → [`Seat`] and counts.
    PIECES: Table<[u8; 20], [u8; 20]> = "pieces-1";
    /// Segment → live bytes, live pieces, 1 when its `fresh-1` may hold rows.
    SEGMENTS: Table<u32, (u64, u64, u8)> = "segments-1";
    /// (segment, id) → bytes: cells nobody refers to any more.
    DEAD: Table<(u32, u32), u32> = "dead-1";
    /// Site number of a removed site → its row and how far the removal came.
    JOBS: Table<u32, &[u8]> = "jobs-1";
    /// Segments without a live piece, whose file is being unlinked.
    UNLINKS: Table<u32, ()> = "unlinks-1";
    /// Small values other rooms keep.
    SETTINGS: Table<&str, &[u8]> = "settings-1";
    /// (kind, due time big-endian, infohash or target): walked in time order.
    DUE: Table<[u8; 29], ()> = "due-1";
    /// (kind, infohash or target) → due time, to find the row above.
    DUE_OF: Table<[u8; 21], u64> = "due-of-1";
    /// `format`, `next_site`, `next_segment`, `content_id`, `rows`.
    META: Table<&str, u64> = "meta";
    /// Where the scrub stands.
    SCRUB: Table<(), [u8; 20]> = "scrub-1";
    /// Target → record of the household or of somebody it follows.
    RECORDS: Rows = "records-1";
    /// Target → record somebody looked at once.
    VISITED_RECORDS: Rows = "visited-records-1";
    /// Id → subscription.
    SUBSCRIPTIONS: Rows = "subscriptions-1";
    /// Name → the address it stands for.
    PETNAMES: Rows = "petnames-1";
    /// Name → account.
    ACCOUNTS: Rows = "accounts-1";
    /// SHA-256 of a cookie → session.
    SESSIONS: Rows = "sessions-1";
    /// SHA-256 of a token → token.
    API_TOKENS: Rows = "api-tokens-1";
    /// Kind, key → times and counts that may be lost; they hide those in the row.
    LOOKS: Rows = "looks-1";
    /// Target → when it expires, and an item others stored with us.
    DHT_ITEMS: Rows = "dht-items-1";
}

/// Kept in the copy too, row by row: nothing else could bring them back.
pub(crate) const TWICE: [Rows; 5] = [RECORDS, SUBSCRIPTIONS, PETNAMES, ACCOUNTS, API_TOKENS];

// --- segment files ---

/// id << 32 | cell number → bytes.
pub(crate) const CELLS: Table<u64, &[u8]> = Table::new("cells-1");
/// id → the last bytes of a piece, too few for a page of their own.
pub(crate) const TAILS: Table<u32, &[u8]> = Table::new("tails-1");
/// id → piece hash and length: makes a segment readable without `state.redb`.
pub(crate) const NAMES: Table<u32, ([u8; 20], u32)> = Table::new("names-1");
/// id → (infohash, piece) of what `state.redb` may not know yet. The piece hash is in `names-1`.
pub(crate) const FRESH: Table<u32, ([u8; 20], u32)> = Table::new("fresh-1");

/// Key of one cell in [`CELLS`].
pub(crate) fn cell_key(id: u32, cell: u32) -> u64 {
    u64::from(id) << 32 | u64::from(cell)
}

/// Where a piece's bytes lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Seat {
    pub segment: u32,
    pub id: u32,
}

/// Value of [`PIECES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    pub seat: Seat,
    pub len: u32,
    /// How many set bits in all sites' bitfields mean this piece.
    pub refs: u32,
    /// One site that holds it, so that rot is seldom a search through all sites.
    pub site: u32,
}

impl Piece {
    pub fn encode(&self) -> [u8; 20] {
        let mut out = [0; 20];
        let words = [self.seat.segment, self.seat.id, self.len, self.refs, self.site];
        for (place, word) in out.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        out
    }

    pub fn decode(raw: [u8; 20]) -> Self {
        let word = |i: usize| u32::from_le_bytes([raw[i], raw[i + 1], raw[i + 2], raw[i + 3]]);
        Self {
            seat: Seat {
                segment: word(0),
                id: word(4),
            },
            len: word(8),
            refs: word(12),
            site: word(16),
        }
    }
}

/// Value of [`SITES`]: what others see, and what only the store needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Site {
    pub no: u32,
    /// Where the piece hashes start within the raw info dictionary; `u32::MAX`: they stand in [`HASHES`].
    pub hashes_at: u32,
    /// Bytes of the held pieces.
    pub held_bytes: u64,
    pub row: SiteRow,
}

impl Site {
    pub fn encode(&self) -> Vec<u8> {
        let row = &self.row;
        let mut out = Vec::with_capacity(96 + row.name.len());
        out.extend_from_slice(&self.no.to_le_bytes());
        out.extend_from_slice(&self.hashes_at.to_le_bytes());
        out.push(u8::from(row.keep == Keep::Kept) | u8::from(row.private) << 1);
        for word in [row.piece_length, row.pieces, row.held] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        for word in [
            self.held_bytes,
            row.total,
            row.added,
            row.used,
            row.uploaded,
            row.downloaded,
        ] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        put_text(&mut out, &row.name);
        out.extend_from_slice(&(row.trackers.len() as u32).to_le_bytes());
        for tracker in &row.trackers {
            put_text(&mut out, tracker);
        }
        out
    }

    /// Fields may be added at the end without a new table: what follows the known ones is left alone.
    pub fn decode(infohash: InfoHash, raw: &[u8]) -> Result<Self, Error> {
        read_site(infohash, &mut Reader(raw)).ok_or_else(|| Error::Damaged(format!("row of site {infohash}")))
    }
}

fn read_site(infohash: InfoHash, raw: &mut Reader) -> Option<Site> {
    let (no, hashes_at) = (raw.u32()?, raw.u32()?);
    let flags = raw.take(1)?[0];
    let (piece_length, pieces, held) = (raw.u32()?, raw.u32()?, raw.u32()?);
    let (held_bytes, total, added, used) = (raw.u64()?, raw.u64()?, raw.u64()?, raw.u64()?);
    let (uploaded, downloaded) = (raw.u64()?, raw.u64()?);
    let name = raw.text()?;
    let count = raw.u32()?;
    let trackers = (0..count).map(|_| raw.text()).collect::<Option<Vec<_>>>()?;
    let keep = if flags & 1 != 0 { Keep::Kept } else { Keep::Visited };
    let private = flags & 2 != 0;
    let row = SiteRow {
        infohash,
        name,
        keep,
        private,
        total,
        piece_length,
        pieces,
        held,
        added,
        used,
        uploaded,
        downloaded,
        trackers,
    };
    Some(Site {
        no,
        hashes_at,
        held_bytes,
        row,
    })
}

pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// What is left of a value that is read.
pub(crate) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }

    pub fn text(&mut self) -> Option<String> {
        let len = self.u32()? as usize;
        String::from_utf8(self.take(len)?.to_vec()).ok()
    }
}

/// Next id of a segment; ids are never used twice, or a late deletion would hit a new piece.
pub(crate) const NEXT: Table<(), u32> = Table::new("next-1");
