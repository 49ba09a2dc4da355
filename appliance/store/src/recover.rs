//! After a crash: pieces that reached their segment but not the state are taken over, or erased.

use redb::WriteTransaction;

use crate::{
    Error,
    commit::Arrival,
    core::{Core, Writer},
    disk::Place,
    locks::Lock,
    pending::Want,
    placement::set_mark,
    segment::{erase, intact, name_of, settle},
    sites::{find, hashes},
    tables::{CELLS, DEAD, FRESH, NAMES, NEXT, PIECES, Piece, Seat, TAILS},
};
use proto::id::InfoHash;

/// A row of `fresh-1` with its name.
struct Fresh {
    id: u32,
    hash: [u8; 20],
    len: u32,
    infohash: InfoHash,
    piece: u32,
}

/// Makes the tables of a segment, so that readers never meet a missing one.
pub(crate) fn make_segment(txn: &WriteTransaction) -> Result<(), Error> {
    txn.open_table(CELLS)?;
    txn.open_table(TAILS)?;
    txn.open_table(NAMES)?;
    txn.open_table(FRESH)?;
    txn.open_table(NEXT)?;
    Ok(())
}

impl Core {
    /// Looks at one segment per call that an earlier life left unsure.
    pub fn look_at_unsure(&self) -> Result<(), Error> {
        let mut writer = self.writer.held();
        match writer.unsure.first().copied() {
            Some(segment) => self.look_at(&mut writer, segment),
            None => Ok(()),
        }
    }

    pub fn look_at(&self, writer: &mut Writer, segment: u32) -> Result<(), Error> {
        let looked = self.look_inside(writer, segment);
        match self.judged(segment, looked) {
            Err(Error::Damaged(_)) => {
                self.condemn(writer, segment);
                Ok(())
            }
            other => other,
        }
    }

    fn look_inside(&self, writer: &mut Writer, segment: u32) -> Result<(), Error> {
        let db = self.segments.get(segment);
        self.disk.sync_folder(Place::Content)?;
        let there = self.disk.list(Place::Content)?.contains(&name_of(segment));
        let live = self
            .segment_rows()?
            .iter()
            .any(|row| row.0 == segment && row.2 > 0);
        if !live && (!there || self.unborn(&db)) {
            // The power went between the row and the file's first commit: it never held anything.
            return self.bear_again(writer, segment);
        }
        let fresh = db.read(|txn| {
            let names = txn.open_table(NAMES)?;
            let mut rows = Vec::new();
            for entry in txn.open_table(FRESH)?.range::<u32>(..)? {
                let (id, row) = entry?;
                let ((site, piece), id) = (row.value(), id.value());
                let (hash, len) = names.get(id)?.map_or(([0; 20], 0), |name| name.value());
                rows.push(Fresh {
                    id,
                    hash,
                    len,
                    infohash: InfoHash(site),
                    piece,
                });
            }
            Ok(rows)
        })?;
        let mine: Vec<Seat> = self
            .pending
            .held()
            .seats()
            .chain(writer.settled.iter().copied())
            .collect();
        let mut arrivals = Vec::new();
        let (mut known, mut useless) = (Vec::new(), Vec::new());
        for row in fresh {
            let seat = Seat { segment, id: row.id };
            if mine.contains(&seat) {
                continue;
            }
            match self.judge(&db, seat, &row)? {
                Verdict::Known => known.push(row.id),
                Verdict::Useless => useless.push(row.id),
                Verdict::Wanted(arrival) => arrivals.push(*arrival),
            }
        }
        if !arrivals.is_empty() {
            self.record(writer, &arrivals)?;
        }
        db.write(|txn| {
            settle(txn, &known)?;
            useless.iter().try_for_each(|id| erase(txn, *id))
        })?;
        writer.unsure.remove(&segment);
        writer.marked.insert(segment);
        tracing::debug!(
            segment,
            adopted = arrivals.len(),
            erased = useless.len(),
            "looked at a segment after a crash"
        );
        Ok(())
    }

    /// A file that redb never finished making.
    fn unborn(&self, db: &crate::file::Db) -> bool {
        let tables = db.read(|txn| Ok(txn.list_tables()?.count()));
        matches!(tables, Ok(0) | Err(Error::Damaged(_)))
    }

    fn bear_again(&self, writer: &mut Writer, segment: u32) -> Result<(), Error> {
        let db = self.segments.get(segment);
        db.shut();
        if self.disk.list(Place::Content)?.contains(&name_of(segment)) {
            self.disk.remove(Place::Content, &name_of(segment))?;
        }
        db.open_writing(true)?;
        db.write(make_segment)?;
        self.disk.sync_folder(Place::Content)?;
        self.state.write(|txn| set_mark(txn, segment, 1))?;
        writer.unsure.remove(&segment);
        writer.marked.insert(segment);
        Ok(())
    }

    fn judge(&self, db: &crate::file::Db, seat: Seat, row: &Fresh) -> Result<Verdict, Error> {
        let (there, dead, site) = self.state.read(|txn| {
            let there = txn
                .open_table(PIECES)?
                .get(row.hash)?
                .map(|raw| Piece::decode(raw.value()));
            let dead = txn.open_table(DEAD)?.get((seat.segment, seat.id))?.is_some();
            let Some(site) = find(txn, &row.infohash)? else {
                return Ok((there, dead, None));
            };
            let hashes = hashes(txn, &site)?;
            Ok((there, dead, Some((site, hashes))))
        })?;
        if there.is_some_and(|piece| piece.seat == seat) {
            return Ok(Verdict::Known);
        }
        // Dead cells are the sweep's: adopting one would let a later sweep take a live piece.
        let wanted = site.filter(|(_, hashes)| {
            let start = row.piece as usize * 20;
            there.is_none() && !dead && hashes.get(start..start + 20) == Some(&row.hash[..])
        });
        let Some((site, _)) = wanted else {
            return Ok(Verdict::Useless);
        };
        if row.len == 0 || !db.look(|snapshot| intact(snapshot, seat.id, row.hash, row.len))? {
            return Ok(Verdict::Useless);
        }
        let want = Want {
            site: site.no,
            infohash: row.infohash,
            piece: row.piece,
        };
        let (hash, len) = (row.hash, row.len);
        let wants = vec![want];
        Ok(Verdict::Wanted(Box::new(Arrival {
            hash,
            len,
            cells: Vec::new(),
            seat: Some(seat),
            written: true,
            wants,
        })))
    }
}

enum Verdict {
    Known,
    Useless,
    Wanted(Box<Arrival>),
}
