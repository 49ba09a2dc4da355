//! What `sites` could not do: each kind of silence has its own text.

use proto::{id::InfoHash, site::date};
use store::RecordRow;

use super::{AGAIN, START, Trouble, start_page};
use crate::{sites::Error, swarm::Progress};

/// What is known besides the error; tells the kinds of silence apart.
#[derive(Default, Clone, Copy)]
pub struct Known<'a> {
    /// The list of files is here.
    pub metadata: bool,
    pub progress: Option<&'a Progress>,
    /// The record that led to this version.
    pub record: Option<&'a RecordRow>,
}

pub fn of_site(err: &Error, known: Known<'_>) -> Trouble {
    let peers = known.progress.map_or(0, |progress| progress.peers);
    match err {
        Error::Silent(_) | Error::Incomplete(_) if peers > 0 => missing_pieces(peers),
        Error::Silent(_) | Error::Incomplete(_) if known.record.is_some() && !known.metadata => {
            holders_of_version(known.record)
        }
        Error::Silent(ih) if !known.metadata => silent(ih),
        Error::Silent(_) | Error::Incomplete(_) => no_holder(),
        Error::NoRecord(_) | Error::Looking(_) => publisher_silent(),
        Error::NotASite(why) => Trouble::new(
            502,
            "This address holds something else",
            format!("What was found is not a site: {why}."),
            "It was not shown.",
            "Tell whoever gave you the address.",
        ),
        Error::Unknown(why) => Trouble::new(
            404,
            "Nobody has this name",
            format!("No site is known under this address: {why}."),
            "Nothing was shown.",
            "Check the spelling, or paste the site's magnet link on the box's start page.",
        )
        .link(start_page(), START),
        Error::Unresolved(why) => Trouble::new(
            504,
            "The name servers did not answer",
            format!("Where this domain lives in BitTorrent could not be looked up: {why}."),
            "The box's resolver was asked.",
            "Check that the box has Internet, and try again later.",
        )
        .link("", AGAIN)
        .retry(30),
        Error::Blocked => Trouble::new(
            410,
            "This address is blocked here",
            "The owner of this box has blocked this address.",
            "Nothing was looked up and nothing was shown.",
            "Ask the owner of the box; it can be unblocked on the page of its subscription.",
        ),
        Error::Unavailable(why) => Trouble::new(
            503,
            "The box cannot read now",
            format!("The store or the engine is not ready: {why}."),
            "Nothing was lost; the box tries again by itself.",
            "Try again in a few seconds; if it lasts, look at the box's start page.",
        )
        .retry(5),
    }
}

/// Nobody answered for an infohash.
fn silent(ih: &InfoHash) -> Trouble {
    Trouble::new(
        504,
        "Nobody answered",
        format!("Nobody in the BitTorrent network answered for {}...", ih.short()),
        "The BitTorrent network and the local network were searched.",
        "Check that the box has Internet, and try again later.",
    )
    .link("", AGAIN)
    .retry(30)
}

/// Nobody answered for a key.
fn publisher_silent() -> Trouble {
    Trouble::new(
        504,
        "This publisher was not found",
        "Nobody in the BitTorrent network has a record of this publisher's newest version, or nobody answered.",
        "The network was asked, and the box has no record from before.",
        "Check the address and that the box has Internet, and try again later. A publisher who was away for days may \
         have to put the record again.",
    )
    .link("", AGAIN)
    .retry(30)
}

/// The record is here, its torrent is not.
fn holders_of_version(record: Option<&RecordRow>) -> Trouble {
    let which = record.map_or_else(String::new, |row| {
        format!(" (number {}, of {})", row.item.seq, date::day(row.last_changed))
    });
    Trouble::new(
        504,
        "Nobody who has this version is online",
        format!("The publisher's newest record was found{which}, but nobody answered for the version it names."),
        "The BitTorrent network and the local network were searched for holders.",
        "Try again later. If it never opens, this key may publish a list of posts (decentweb) instead of a site, which \
         this release does not show.",
    )
    .link("", AGAIN)
    .retry(30)
}

/// The list of files is here, and nobody who has the bytes.
fn no_holder() -> Trouble {
    Trouble::new(
        504,
        "Nobody who has this site is online",
        "The site is known, but none of its holders could be reached.",
        "The BitTorrent network and the local network were searched.",
        "Try again later: it opens as soon as one holder is online.",
    )
    .link("", AGAIN)
    .retry(30)
}

fn missing_pieces(peers: u32) -> Trouble {
    Trouble::new(
        504,
        "A part of this site is missing",
        match peers {
            1 => "One holder is connected, but the piece asked for did not come in time.".into(),
            _ => format!("{peers} holders are connected, but the piece asked for did not come in time."),
        },
        "It stays first in line while you are here.",
        "Try again in a moment.",
    )
    .link("", AGAIN)
    .retry(5)
}
