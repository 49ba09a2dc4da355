//! The history of an address, and how much of each version is here.

use proto::id::InfoHash;
use store::UnixSecs;

use super::{Current, Error, Sites, unavailable};

/// How much of a torrent is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Held {
    /// Not even its list of files.
    #[default]
    Nothing,
    /// Its list of files, and so many percent of its pieces, 0 to 99.
    Part(u8),
    Whole,
}

/// One version of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Addresses without records have none.
    pub seq: Option<i64>,
    /// `None`: the record named no torrent.
    pub infohash: Option<InfoHash>,
    pub seen: Option<UnixSecs>,
    pub held: Held,
}

impl Sites {
    /// How much of a torrent is here; reads one row.
    pub fn held(&self, ih: &InfoHash) -> Held {
        self.db.store().site(ih).map_or(Held::Nothing, held)
    }

    /// What is known of the history of this address, newest first: at most 50.
    pub async fn versions(&self, current: &Current) -> Result<Vec<Version>, Error> {
        let mut versions: Vec<Version> = match &current.record {
            Some(row) => row
                .history
                .iter()
                .map(|old| Version {
                    seq: Some(old.seq),
                    infohash: old.infohash,
                    seen: Some(old.seen),
                    held: Held::Nothing,
                })
                .collect(),
            None => Vec::new(),
        };
        if !versions.iter().any(|one| one.infohash == Some(current.infohash)) {
            versions.push(Version {
                seq: None,
                infohash: Some(current.infohash),
                seen: None,
                held: Held::Nothing,
            });
        }
        let read = self.db.run(move |store| {
            for version in &mut versions {
                if let Some(ih) = version.infohash {
                    version.held = held(store.site(&ih)?);
                }
            }
            Ok(versions)
        });
        read.await.map_err(unavailable)
    }
}

fn held(row: Option<store::SiteRow>) -> Held {
    match row {
        None => Held::Nothing,
        Some(row) if row.complete() => Held::Whole,
        Some(row) => {
            let percent = u64::from(row.held) * 100 / u64::from(row.pieces.max(1));
            Held::Part(percent.min(99) as u8)
        }
    }
}
