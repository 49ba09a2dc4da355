//! Use and traffic of sites: kept in memory and written seldom, because losing some in a crash harms nobody.

use std::collections::HashMap;

use proto::id::InfoHash;

use crate::{
    Error, SiteRow, UnixSecs,
    copy::Kept,
    core::Core,
    locks::Lock,
    rows::write_looks,
    sites::{find_in, store_row},
};

/// Changes that wait for the next write; more than this are written at once.
const SOFT_MAX: usize = 4096;

/// Use and traffic not yet written: losing them in a crash harms nobody.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Soft {
    used: UnixSecs,
    uploaded: u64,
    downloaded: u64,
}

impl Soft {
    fn apply(&self, row: &mut SiteRow) {
        row.used = row.used.max(self.used);
        row.uploaded = row.uploaded.saturating_add(self.uploaded);
        row.downloaded = row.downloaded.saturating_add(self.downloaded);
    }
}

impl Core {
    pub fn touch(&self, ih: &InfoHash, now: UnixSecs) -> Result<(), Error> {
        self.soften(*ih, |soft| soft.used = soft.used.max(now))
    }

    pub fn add_traffic(&self, rows: &[(InfoHash, u64, u64)]) -> Result<(), Error> {
        for (ih, up, down) in rows {
            self.soften(*ih, |soft| {
                soft.uploaded = soft.uploaded.saturating_add(*up);
                soft.downloaded = soft.downloaded.saturating_add(*down);
            })?;
        }
        Ok(())
    }

    fn soften(&self, ih: InfoHash, deed: impl FnOnce(&mut Soft)) -> Result<(), Error> {
        self.alive()?;
        let mut soft = self.soft.held();
        deed(soft.entry(ih).or_default());
        let full = soft.len() > SOFT_MAX;
        drop(soft);
        if full { self.write_soft() } else { Ok(()) }
    }

    /// Writes use, traffic and the looks of rows. On an error they are put back.
    pub fn write_soft(&self) -> Result<(), Error> {
        if self.soft.held().is_empty() && self.looks.held().is_empty() {
            return Ok(());
        }
        // Taken in turn: a row written as a whole must not get an older look afterwards.
        let turn = self.copy.turn.held();
        let soft: HashMap<InfoHash, Soft> = std::mem::take(&mut *self.soft.held());
        let looks = std::mem::take(&mut *self.looks.held());
        let written = self.state_write(|txn| {
            for (ih, soft) in &soft {
                if let Some(mut site) = find_in(txn, ih)? {
                    soft.apply(&mut site.row);
                    store_row(txn, &site)?;
                }
            }
            write_looks(txn, &looks)
        });
        if written.is_ok() && !soft.is_empty() {
            let sites: Vec<InfoHash> = soft.keys().copied().collect();
            self.copy_rows(Kept::Sites(&sites));
        }
        drop(turn);
        if written.is_err() {
            self.put_looks_back(looks);
            let mut now = self.soft.held();
            for (ih, old) in soft {
                let entry = now.entry(ih).or_default();
                entry.used = entry.used.max(old.used);
                entry.uploaded = entry.uploaded.saturating_add(old.uploaded);
                entry.downloaded = entry.downloaded.saturating_add(old.downloaded);
            }
        }
        written
    }

    pub fn fresh_row(&self, mut row: SiteRow) -> SiteRow {
        if let Some(soft) = self.soft.held().get(&row.infohash) {
            soft.apply(&mut row);
        }
        row
    }
}
