//! The current version of an address: which torrent it means now.

use proto::{id::InfoHash, name::Address};
use store::RecordRow;
use tokio::time::Instant;

use super::{Error, Sites};
use crate::links::Link;

/// What an address means now.
#[derive(Debug, Clone)]
pub struct Current {
    pub infohash: InfoHash,
    /// The address after petnames and links: a torrent or a key.
    pub address: Address,
    /// For keys: the record as we hold it.
    pub record: Option<Box<RecordRow>>,
    /// For linked domains: how it was found.
    pub link: Option<Link>,
    /// The record is older than its freshness; a look at the network is under way behind.
    pub stale: bool,
    /// A newer version is known than the one shown, because that is not all here yet.
    pub newer: Option<InfoHash>,
}

impl Sites {
    /// Known and fresh: at once. Known and stale: at once, and looked up behind. Unknown: looked up until the deadline.
    /// Followed addresses give the newest version that is whole, while a newer one is fetched.
    pub async fn current(
        &self,
        address: &Address,
        local_only: bool,
        deadline: Instant,
    ) -> Result<Current, Error> {
        let _ = (address, local_only, deadline);
        todo!()
    }
}
