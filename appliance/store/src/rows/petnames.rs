//! Names the household gave addresses.

use super::{at_most, deed::each};
use crate::{Error, Store, tables::PETNAMES};

const PETNAMES_MAX: u64 = 10_000;
const NAME_BYTES_MAX: usize = 64;
const ADDRESS_BYTES_MAX: usize = 1024;

impl Store {
    /// A name the household gave an address (`proto::name::Address` as a host); empty address: removed.
    pub fn set_petname(&self, name: &str, address: &str) -> Result<(), Error> {
        at_most("bytes of a name", name.len(), NAME_BYTES_MAX)?;
        at_most("bytes of an address", address.len(), ADDRESS_BYTES_MAX)?;
        let key = name.as_bytes();
        if address.is_empty() {
            return self.core.free_rows(|deed| deed.remove(PETNAMES, key).map(drop));
        }
        self.core
            .change_rows(|deed| deed.put_within(PETNAMES, key, address.as_bytes(), PETNAMES_MAX, "names"))
    }

    pub fn petname(&self, name: &str) -> Result<Option<String>, Error> {
        let raw = self.core.row(PETNAMES, name.as_bytes())?;
        Ok(raw.and_then(|raw| String::from_utf8(raw).ok()))
    }

    /// All of them, name and address, in name order.
    pub fn petnames(&self) -> Result<Vec<(String, String)>, Error> {
        self.core.alive()?;
        let mut rows = Vec::new();
        self.core.state.read(|txn| {
            each(txn, PETNAMES, None, |name, address| {
                if let (Ok(name), Ok(address)) = (str::from_utf8(name), str::from_utf8(address)) {
                    rows.push((name.to_string(), address.to_string()));
                }
                Ok(true)
            })
        })?;
        Ok(rows)
    }
}
