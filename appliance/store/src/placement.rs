//! Which segment new pieces go to, and the live bytes of each.

use redb::{ReadableTable, WriteTransaction};

use crate::{
    Error,
    commit::Arrival,
    core::{Core, Writer},
    disk::Place,
    segment::name_of,
    state::next_number,
    tables::SEGMENTS,
};

impl Core {
    /// The segment for the next pieces, and how many of them it takes.
    pub fn choose(&self, writer: &mut Writer, arrivals: &[Arrival]) -> Result<(u32, usize), Error> {
        let rows = self.segment_rows()?;
        let max = self.config.segment_bytes_max;
        let live = |no: u32| rows.iter().find(|row| row.0 == no).map_or(0, |row| row.1);
        let first = arrivals.first().map_or(0, |arrival| u64::from(arrival.len));
        let fits = |no: u32| live(no) == 0 || live(no) + first <= max;
        let usable =
            |no: u32| writer.emptying != Some(no) && !writer.condemned.contains(&no) && !self.is_strange(no);
        let target = writer
            .target
            .filter(|no| rows.iter().any(|row| row.0 == *no) && usable(*no) && fits(*no));
        let roomy = || {
            let candidates = rows
                .iter()
                .filter(|row| usable(row.0) && row.1 + first.max(max / 8) <= max);
            candidates.min_by_key(|row| row.1).map(|row| row.0)
        };
        let segment = match target.or_else(roomy) {
            Some(no) => no,
            None => self.new_segment(writer)?,
        };
        writer.target = Some(segment);
        if writer.unsure.contains(&segment) {
            self.look_at(writer, segment)?;
            if writer.condemned.contains(&segment) {
                return self.choose(writer, arrivals);
            }
        }
        self.mark(writer, segment)?;
        let mut room = max.saturating_sub(live(segment));
        let mut count = 1;
        room = room.saturating_sub(first);
        for arrival in arrivals.iter().skip(1) {
            if arrival.seat.is_some() || u64::from(arrival.len) > room {
                break;
            }
            room -= u64::from(arrival.len);
            count += 1;
        }
        Ok((segment, count))
    }

    /// (number, live bytes, live pieces) of each segment.
    pub fn segment_rows(&self) -> Result<Vec<(u32, u64, u64)>, Error> {
        self.state.read(|txn| {
            let table = txn.open_table(SEGMENTS)?;
            let rows = table.range::<u32>(..)?.map(|entry| {
                let (no, row) = entry?;
                let (live, pieces, _) = row.value();
                Ok((no.value(), live, pieces))
            });
            rows.collect()
        })
    }

    /// The row is durable before the file exists, so that no file is ever unknown.
    fn new_segment(&self, writer: &mut Writer) -> Result<u32, Error> {
        let no = self.state.write(|txn| {
            let no = next_number(txn, "next_segment")?;
            txn.open_table(SEGMENTS)?.insert(no, (0, 0, 1))?;
            Ok(no)
        })?;
        writer.marked.insert(no);
        // Until the folder is synced too, a cut may take the file away: then it is looked at before it is used.
        writer.unsure.insert(no);
        let db = self.segments.get(no);
        // A file of that name can only be the rest of a lost state: it is kept, out of the way.
        if self
            .disk
            .list(Place::Content)?
            .iter()
            .any(|name| *name == db.name)
        {
            self.disk
                .rename(Place::Content, &db.name, &format!("{}.stray", name_of(no)))?;
        }
        db.open_writing(true)?;
        db.write(crate::recover::make_segment)?;
        self.disk.sync_folder(Place::Content)?;
        writer.unsure.remove(&no);
        Ok(no)
    }

    /// Notes in the state that the segment may hold what the state does not know. Durable before the first such cell.
    fn mark(&self, writer: &mut Writer, segment: u32) -> Result<(), Error> {
        if writer.marked.contains(&segment) {
            return Ok(());
        }
        self.state.write(|txn| set_mark(txn, segment, 1))?;
        writer.marked.insert(segment);
        Ok(())
    }
}

pub(crate) fn set_mark(txn: &WriteTransaction, segment: u32, mark: u8) -> Result<(), Error> {
    let mut table = txn.open_table(SEGMENTS)?;
    let row = table.get(segment)?.map(|row| row.value());
    if let Some((live, pieces, _)) = row {
        table.insert(segment, (live, pieces, mark))?;
    }
    Ok(())
}

/// Adds to (or with negative numbers takes from) the live bytes of a segment.
pub(crate) fn weigh(txn: &WriteTransaction, segment: u32, bytes: i64, pieces: i64) -> Result<(), Error> {
    let mut table = txn.open_table(SEGMENTS)?;
    let (live, count, mark) = table.get(segment)?.map_or((0, 0, 1), |row| row.value());
    let live = live.saturating_add_signed(bytes);
    table.insert(segment, (live, count.saturating_add_signed(pieces), mark))?;
    Ok(())
}
