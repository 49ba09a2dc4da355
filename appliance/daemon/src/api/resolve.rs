//! What an address means now.

use proto::{
    magnet::{Pasted, paste},
    name::{Address, Domains, TLD},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    operation::{Call, Nothing, until},
    record::{Record, magnet},
    refusal::Refusal,
};
use crate::links::Link;

/// What to resolve.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResolveQuery {
    /// Anything a person pastes: a magnet, a key, a host, a domain, a name.
    address: String,
    /// Seconds to look for it; 30 when left out, 600 at most.
    deadline: Option<u64>,
}

/// What an address means now.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Resolved {
    /// After names and links: the host, or a magnet where no host fits.
    pub address: String,
    pub infohash: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<Record>,
    /// The link record of a domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkReply>,
    /// The network was asked longer ago than the record is fresh; it is being asked again.
    pub stale: bool,
    /// A newer version that is not all here yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newer: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct LinkReply {
    /// The name that was asked for TXT records.
    pub name: String,
    /// The answer was signed and the signature is good (DNSSEC).
    pub signed: bool,
    /// The domains on the way, the asked one first.
    pub via: Vec<String>,
    pub ttl_secs: u32,
}

pub async fn resolve(call: Call, query: ResolveQuery, _: Nothing) -> Result<Resolved, Refusal> {
    let pasted =
        paste(&query.address, &Domains::default()).map_err(|err| Refusal::unacceptable(err.to_string()))?;
    let address = address(pasted)?;
    let sites = &call.handles.sites;
    let current = sites.current(&address, false, until(query.deadline)).await?;
    Ok(Resolved {
        address: written(&current.address),
        infohash: current.infohash.to_string(),
        record: current.record.as_deref().map(Record::from),
        link: current.link.as_ref().map(LinkReply::from),
        stale: current.stale,
        newer: current.newer.map(|ih| ih.to_string()),
    })
}

impl From<&Link> for LinkReply {
    fn from(link: &Link) -> Self {
        let last = link.via.last().map_or("", String::as_str);
        Self {
            name: link.kind.name(last),
            signed: link.signed,
            via: link.via.clone(),
            ttl_secs: link.ttl_secs,
        }
    }
}

/// The address of what was pasted: a key before an infohash, since it stands for what is newest.
fn address(pasted: Pasted) -> Result<Address, Refusal> {
    match pasted {
        Pasted::Site { address, .. } => Ok(address),
        Pasted::Magnet(magnet) => {
            let key = magnet.key.map(|key| Address::Key {
                key,
                salt: magnet.salt.clone(),
            });
            let hash = magnet.infohash.map(Address::Torrent);
            let v2 = magnet.infohash_v2.map(Address::TorrentV2);
            key.or(hash)
                .or(v2)
                .ok_or_else(|| Refusal::unacceptable("the magnet link names no torrent and no key"))
        }
    }
}

fn written(address: &Address) -> String {
    match (address.host(TLD), address) {
        (Some(host), _) => host,
        (None, Address::Key { key, salt }) => magnet(key, salt),
        (None, _) => String::new(),
    }
}
