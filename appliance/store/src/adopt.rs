//! Segments whose pieces the state does not know, because it had to be made anew: their names are looked through, and
//! what a site wants is hashed and taken over. What no site wants stays where it is, is never erased or unlinked, and is
//! looked through again when a site is added.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use proto::id::InfoHash;
use redb::ReadTransaction;

use crate::{
    Error,
    commit::Arrival,
    core::{Core, Writer},
    disk::Place,
    locks::Lock,
    pending::Want,
    placement::set_mark,
    rebuild::LOST,
    segment::{intact, name_of},
    sites::{find, hashes},
    state::{meta, set_meta},
    tables::{DEAD, NAMES, NUMBERS, PIECES, Piece, SEGMENTS, Seat, UNLINKS},
};

/// Mark of such a segment in `segments-1`.
pub(crate) const STRANGE: u8 = 2;
/// Bytes hashed per tick. More: found sooner. Less: writers wait less for one tick.
pub(crate) const TICK_BYTES: u64 = 64 << 20;
/// Bytes hashed while the store opens, so that a small household finds everything at once.
pub(crate) const OPEN_BYTES: u64 = 128 << 20;
/// Set in `meta` when the content folder was looked through for segments the state has no row of.
const TAKEN_IN: &str = "taken_in";

/// Where the search stands.
#[derive(Debug, Default)]
pub(crate) struct Adoption {
    /// All segments with the mark.
    pub strange: BTreeSet<u32>,
    todo: VecDeque<u32>,
    now: Option<(u32, Vec<Found>)>,
    /// Segments gone through → pieces no site wants.
    unwanted: BTreeMap<u32, u64>,
    lost: bool,
}

/// A piece some site wants.
#[derive(Debug)]
struct Found {
    id: u32,
    hash: [u8; 20],
    len: u32,
    wants: Vec<Want>,
}

impl Core {
    /// Gives every segment file without a row one. Done once in the life of a state, before it makes segments itself.
    pub fn take_in(&self) -> Result<(), Error> {
        if self.state.read(|txn| meta(txn, TAKEN_IN))?.is_some() {
            return Ok(());
        }
        let (known, next) = self.state.read(|txn| {
            let mut known = BTreeSet::new();
            for entry in txn.open_table(SEGMENTS)?.range::<u32>(..)? {
                known.insert(entry?.0.value());
            }
            for entry in txn.open_table(UNLINKS)?.range::<u32>(..)? {
                known.insert(entry?.0.value());
            }
            Ok((known, meta(txn, "next_segment")?.unwrap_or(1)))
        })?;
        let files = self.disk.list(Place::Content)?;
        let numbers: Vec<u32> = files.iter().filter_map(|name| number_of(name)).collect();
        let mut next = numbers
            .iter()
            .chain(&known)
            .max()
            .map_or(next, |no| next.max(u64::from(*no) + 1));
        let mut strange: Vec<u32> = numbers.into_iter().filter(|no| !known.contains(no)).collect();
        for stray in files.iter().filter(|name| name.ends_with(".redb.stray")) {
            self.disk.rename(Place::Content, stray, &name_of(next as u32))?;
            strange.push(next as u32);
            next += 1;
        }
        if !strange.is_empty() {
            self.disk.sync_folder(Place::Content)?;
            tracing::warn!(
                segments = strange.len(),
                "content the state does not know is looked through"
            );
        }
        self.state.write(|txn| {
            let mut table = txn.open_table(SEGMENTS)?;
            for no in &strange {
                table.insert(no, (0, 0, STRANGE))?;
            }
            drop(table);
            set_meta(txn, "next_segment", next)?;
            set_meta(txn, TAKEN_IN, 1)
        })?;
        self.find_strange()
    }

    /// Reads which segments have the mark, and puts all of them on the list.
    pub fn find_strange(&self) -> Result<(), Error> {
        let (strange, lost) = self.state.read(|txn| {
            let mut strange = BTreeSet::new();
            for entry in txn.open_table(SEGMENTS)?.range::<u32>(..)? {
                let (no, row) = entry?;
                if row.value().2 == STRANGE {
                    strange.insert(no.value());
                }
            }
            Ok((strange, meta(txn, LOST)?.is_some()))
        })?;
        *self.adoption.held() = Adoption {
            todo: strange.iter().copied().collect(),
            strange,
            lost,
            ..Adoption::default()
        };
        Ok(())
    }

    /// A new site may want what lies about.
    pub fn search_again(&self) {
        let mut adoption = self.adoption.held();
        adoption.now = None;
        adoption.todo = adoption.strange.iter().copied().collect();
    }

    /// Whether nothing may be written to, moved out of or unlinked from this segment.
    pub fn is_strange(&self, segment: u32) -> bool {
        self.adoption.held().strange.contains(&segment)
    }

    /// Takes over pieces of about `budget` bytes.
    pub fn adopt(&self, budget: u64) -> Result<(), Error> {
        let mut left = budget;
        while left > 0 && self.adopt_some(&mut left)? {}
        Ok(())
    }

    /// Goes on with one segment. False: no segment is left.
    fn adopt_some(&self, left: &mut u64) -> Result<bool, Error> {
        let mut writer = self.writer.held();
        let Some((segment, found)) = self.adoption.held().next() else {
            return Ok(false);
        };
        let done = found
            .map_or_else(|| self.wanted_in(segment), Ok)
            .and_then(|found| self.verify(&mut writer, segment, found, left))
            .and_then(|found| {
                if found.is_empty() {
                    self.gone_through(&mut writer, segment)
                } else {
                    self.adoption.held().now = Some((segment, found));
                    Ok(())
                }
            });
        match self.judged(segment, done) {
            // Kept as it is; looked at again at the next start.
            Err(Error::Damaged(_)) => {
                self.condemn(&mut writer, segment);
                self.adoption.held().todo.retain(|no| *no != segment);
                Ok(true)
            }
            other => other.map(|()| true),
        }
    }

    /// Hashes some pieces and takes over the good ones. Returns those not looked at yet.
    fn verify(
        &self,
        writer: &mut Writer,
        segment: u32,
        mut found: Vec<Found>,
        left: &mut u64,
    ) -> Result<Vec<Found>, Error> {
        // Going through a segment costs something even if nothing of it is wanted.
        *left = left.saturating_sub(4096);
        let db = self.segments.get(segment);
        let (mut arrivals, mut bad) = (Vec::new(), Vec::new());
        while *left > 0
            && let Some(next) = found.pop()
        {
            *left = left.saturating_sub(u64::from(next.len));
            match db.look(|snapshot| intact(snapshot, next.id, next.hash, next.len)) {
                Ok(true) => arrivals.push(next.arrival(segment)),
                Ok(false) => bad.push(next.id),
                // Cells that cannot be read are left to whoever repairs the file.
                Err(Error::Damaged(_)) => {}
                Err(err) => return Err(err),
            }
        }
        if !arrivals.is_empty() {
            self.record(writer, &arrivals)?;
        }
        for id in bad {
            self.bury(Seat { segment, id })?;
        }
        Ok(found)
    }

    /// A segment all of whose pieces are known is one like any other.
    fn gone_through(&self, writer: &mut Writer, segment: u32) -> Result<(), Error> {
        let unwanted = self.unknown_in(segment)?.len() as u64;
        if unwanted == 0 {
            self.state.write(|txn| set_mark(txn, segment, 1))?;
            writer.unsure.insert(segment);
        }
        let mut adoption = self.adoption.held();
        adoption.todo.retain(|no| *no != segment);
        if unwanted == 0 {
            adoption.strange.remove(&segment);
            adoption.unwanted.remove(&segment);
        } else {
            adoption.unwanted.insert(segment, unwanted);
        }
        Ok(())
    }

    /// (id, hash, length) of what lies in a segment and is neither live nor dead.
    fn unknown_in(&self, segment: u32) -> Result<Vec<(u32, [u8; 20], u32)>, Error> {
        let names = self.segments.get(segment).read(|txn| {
            let table = txn.open_table(NAMES)?;
            let rows = table.range::<u32>(..)?.map(|entry| {
                let (id, name) = entry?;
                let (hash, len) = name.value();
                Ok((id.value(), hash, len))
            });
            rows.collect::<Result<Vec<_>, Error>>()
        })?;
        self.state.read(|txn| {
            let (pieces, dead) = (txn.open_table(PIECES)?, txn.open_table(DEAD)?);
            let mut unknown = Vec::new();
            for (id, hash, len) in names {
                let row = pieces.get(hash)?.map(|raw| Piece::decode(raw.value()));
                let live = row.is_some_and(|piece| piece.seat == Seat { segment, id });
                if !live && dead.get((segment, id))?.is_none() {
                    unknown.push((id, hash, len));
                }
            }
            Ok(unknown)
        })
    }

    /// What of the unknown pieces some site wants; first ids last.
    fn wanted_in(&self, segment: u32) -> Result<Vec<Found>, Error> {
        let unknown = self.unknown_in(segment)?;
        let mut wants: HashMap<[u8; 20], Vec<(u32, Want)>> =
            unknown.iter().map(|(_, hash, _)| (*hash, Vec::new())).collect();
        if !wants.is_empty() {
            self.state.read(|txn| collect_wants(txn, &mut wants))?;
        }
        let found = unknown.into_iter().rev().filter_map(|(id, hash, len)| {
            let wants: Vec<Want> = wants
                .get(&hash)?
                .iter()
                .filter(|(wanted, _)| *wanted == len)
                .map(|(_, want)| *want)
                .collect();
            (!wants.is_empty()).then_some(Found { id, hash, len, wants })
        });
        Ok(found.collect())
    }

    /// What the owner should know about content the state has no rows for.
    pub fn adoption_text(&self) -> Option<String> {
        let adoption = self.adoption.held();
        let unwanted: u64 = adoption.unwanted.values().sum();
        if !adoption.todo.is_empty() {
            Some(format!(
                "the store's records were damaged or missing and are made anew: {} content files are still to be looked \
                 through. Nothing needs to be done.",
                adoption.todo.len()
            ))
        } else if adoption.lost && unwanted > 0 {
            Some(format!(
                "the store's records and their copy were damaged. {unwanted} stored pieces belong to no known site; they \
                 are kept. Open or add their sites again and they are found without a download."
            ))
        } else {
            None
        }
    }
}

impl Adoption {
    /// The segment to go on with, and what is left to look at in it if it was begun.
    fn next(&mut self) -> Option<(u32, Option<Vec<Found>>)> {
        match self.now.take() {
            Some((segment, found)) => Some((segment, Some(found))),
            None => Some((*self.todo.front()?, None)),
        }
    }
}

impl Found {
    fn arrival(self, segment: u32) -> Arrival {
        Arrival {
            hash: self.hash,
            len: self.len,
            cells: Vec::new(),
            seat: Some(Seat { segment, id: self.id }),
            written: true,
            wants: self.wants,
        }
    }
}

/// Which site's which piece each hash is, with that piece's length.
fn collect_wants(
    txn: &ReadTransaction,
    wants: &mut HashMap<[u8; 20], Vec<(u32, Want)>>,
) -> Result<(), Error> {
    for entry in txn.open_table(NUMBERS)?.range::<u32>(..)? {
        let (_, ih) = entry?;
        let infohash = InfoHash(ih.value());
        let Some(site) = find(txn, &infohash)? else {
            continue;
        };
        let list = hashes(txn, &site)?;
        for (piece, hash) in (0..).zip(list.chunks_exact(20)) {
            if let Some(found) = wants.get_mut(hash) {
                let start = u64::from(piece) * u64::from(site.row.piece_length);
                let len = site.row.total.saturating_sub(start);
                let len = len.min(u64::from(site.row.piece_length)) as u32;
                let want = Want {
                    site: site.no,
                    infohash,
                    piece,
                };
                found.push((len, want));
            }
        }
    }
    Ok(())
}

/// The number of a segment file.
fn number_of(name: &str) -> Option<u32> {
    name.strip_prefix("seg-")?.strip_suffix(".redb")?.parse().ok()
}
