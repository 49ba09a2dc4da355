//! From what a person pasted to an infohash and hints.

use proto::{
    id::InfoHash,
    magnet::{Pasted, paste},
    name::{Address, Domains},
};

use crate::{fault::Fault, swarm::Hints};

pub fn read(text: &str) -> Result<(InfoHash, Hints), Fault> {
    let pasted = paste(text, &Domains::default())
        .map_err(|err| Fault::refused(format!("{err}. Nothing was done.")))?;
    match pasted {
        Pasted::Magnet(magnet) => {
            let ih = magnet.infohash.ok_or_else(later)?;
            let hints = Hints {
                peers: magnet.peers,
                trackers: magnet.trackers,
            };
            Ok((ih, hints))
        }
        Pasted::Site {
            address: Address::Torrent(ih),
            ..
        } => Ok((ih, Hints::default())),
        Pasted::Site { .. } => Err(later()),
    }
}

fn later() -> Fault {
    Fault::refused(
        "this release opens addresses that name a v1 infohash; keys, v2 hashes and names come with a later one. Nothing was done.",
    )
}
