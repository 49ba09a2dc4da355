//! `leases.redb`: who has which address of the LAN. A small file of its own in the folder of the lan half, so that addresses
//! are given out whatever happens to the sites.

use std::{net::Ipv4Addr, path::Path, sync::Arc};

use redb::ReadableTable;

use crate::{
    Error, UnixSecs,
    disk::{Disk, Folders, Place},
    file::Db,
    state::set_aside,
    tables::LEASES,
};

const FILE: &str = "leases.redb";

/// Every lease of a home fits into a few pages.
const CACHE_BYTES: usize = 256 << 10;

/// A lease as it lies on disk. It stays after its end, so that the device gets the same address again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRow {
    pub addr: Ipv4Addr,
    /// The client's identifier as the caller writes it; at most 256 bytes.
    pub client: Vec<u8>,
    pub mac: [u8; 6],
    pub since: UnixSecs,
    pub ends: UnixSecs,
    pub name: Option<String>,
}

/// The open file. One process has it at a time, which the caller sees to.
#[derive(Debug)]
pub struct Leases {
    db: Db,
}

impl Leases {
    /// Opens or makes the file and looks at all of it. A damaged one is kept aside and a new one begun: the text says so.
    pub fn open(folder: &Path) -> Result<(Self, Option<String>), Error> {
        Self::open_on(Arc::new(Folders::new(folder, folder)))
    }

    /// The same on any [`Disk`]: how the fault injector gets in.
    #[doc(hidden)]
    pub fn open_on(disk: Arc<dyn Disk>) -> Result<(Self, Option<String>), Error> {
        let is_new = !disk.list(Place::State)?.iter().any(|name| name == FILE);
        let this = Self {
            db: Db::new(disk.clone(), Place::State, FILE.into(), CACHE_BYTES),
        };
        match this.prepare(disk.as_ref(), is_new) {
            Ok(()) => Ok((this, None)),
            Err(Error::Damaged(text)) if !is_new => {
                this.db.shut();
                let aside = set_aside(disk.as_ref(), FILE)?;
                this.prepare(disk.as_ref(), true)?;
                Ok((this, Some(format!("{text}; the old file is kept as {aside}"))))
            }
            Err(err) => Err(err),
        }
    }

    fn prepare(&self, disk: &dyn Disk, is_new: bool) -> Result<(), Error> {
        self.db.open_writing(is_new)?;
        if !is_new {
            self.db.check()?;
        }
        self.db.write_lean(|txn| {
            txn.open_table(LEASES)?;
            Ok(())
        })?;
        if is_new {
            disk.sync_folder(Place::State)?;
        }
        Ok(())
    }

    /// Every row by address. One that cannot be read is left out: its address is probed before it is given anew.
    pub fn all(&self) -> Result<Vec<LeaseRow>, Error> {
        self.db.read(|txn| {
            let table = txn.open_table(LEASES)?;
            let mut rows = Vec::new();
            for row in table.iter()? {
                let (addr, value) = row?;
                rows.extend(read(addr.value(), value.value()));
            }
            Ok(rows)
        })
    }

    /// Writes rows over those of the same addresses, all or none, on disk when this returns.
    pub fn commit(&self, rows: &[LeaseRow]) -> Result<(), Error> {
        self.db.write_lean(|txn| {
            let mut table = txn.open_table(LEASES)?;
            let mut value = Vec::with_capacity(64);
            for row in rows {
                write(row, &mut value);
                table.insert(row.addr.to_bits(), value.as_slice())?;
            }
            Ok(())
        })
    }

    /// Forgets rows that ended before `before`.
    pub fn forget(&self, before: UnixSecs) -> Result<(), Error> {
        if self.all()?.iter().all(|row| row.ends >= before) {
            return Ok(());
        }
        self.db.write_lean(|txn| {
            let mut table = txn.open_table(LEASES)?;
            table.retain(|addr, value| read(addr, value).is_some_and(|row| row.ends >= before))?;
            Ok(())
        })
    }
}

/// mac (6), since (8), ends (8), length of the client's identifier (2), identifier, name.
fn write(row: &LeaseRow, out: &mut Vec<u8>) {
    let client = &row.client[..row.client.len().min(256)];
    out.clear();
    out.extend(row.mac);
    out.extend(row.since.to_be_bytes());
    out.extend(row.ends.to_be_bytes());
    out.extend((client.len() as u16).to_be_bytes());
    out.extend(client);
    out.extend(row.name.as_deref().unwrap_or_default().as_bytes());
}

fn read(addr: u32, value: &[u8]) -> Option<LeaseRow> {
    let (mac, rest) = value.split_first_chunk()?;
    let (since, rest) = rest.split_first_chunk()?;
    let (ends, rest) = rest.split_first_chunk()?;
    let (len, rest) = rest.split_first_chunk()?;
    let (client, name) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
    Some(LeaseRow {
        addr: Ipv4Addr::from_bits(addr),
        client: client.to_vec(),
        mac: *mac,
        since: u64::from_be_bytes(*since),
        ends: u64::from_be_bytes(*ends),
        name: std::str::from_utf8(name)
            .ok()
            .filter(|name| !name.is_empty())
            .map(str::to_owned),
    })
}
