//! Addresses whose version changes: keys, linked domains, names of this home; and torrents by their longer infohash. Each
//! request is answered from the version the address means now, or from an earlier one that it names.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hyper::StatusCode;
use proto::{
    id::{InfoHash, Target},
    name::{Address, TLD},
};
use tokio::time::Instant;

use super::{
    SiteSource,
    answer::{Shared, special_path},
    error_page, item_page, progress_page,
    reply::{self, Ask, Reply, Wall},
    shown::{Shown, allow_same_key},
    site::Visit,
    version_pages,
};
use crate::sites::{Current, Error};

/// Pasted links remembered. More: more memory. Fewer: an old link opens by its key alone.
const FALLBACKS_MAX: usize = 256;
/// How long the network is asked for a record before the infohash of the pasted link is shown.
const FALLBACK_AFTER: Duration = Duration::from_millis(1500);
/// How long a person who pressed "reload" waits for the network before what is known is shown.
const RELOAD: Duration = Duration::from_millis(1500);
/// How long after silence the next request asks again.
const SILENCE: Duration = Duration::from_secs(30);

/// What links with a key and an infohash said: the infohash is opened while the network is silent about the key.
#[derive(Default)]
pub struct Fallbacks(Mutex<HashMap<Target, Fallback>>);

#[derive(Clone, Copy)]
struct Fallback {
    infohash: InfoHash,
    silent_since: Option<Instant>,
}

impl Fallbacks {
    pub fn remember(&self, target: Target, infohash: InfoHash) {
        self.change(|all| {
            if all.len() >= FALLBACKS_MAX {
                all.clear();
            }
            all.entry(target).or_insert(Fallback {
                infohash,
                silent_since: None,
            });
        });
    }

    fn get(&self, address: &Address) -> Option<(Target, Fallback)> {
        let Address::Key { key, salt } = address else {
            return None;
        };
        let target = Target(key.target(salt));
        self.change(|all| all.get(&target).map(|one| (target, *one)))
    }

    fn silent(&self, target: Target) {
        self.change(|all| {
            if let Some(one) = all.get_mut(&target) {
                one.silent_since = Some(Instant::now());
            }
        });
    }

    fn change<T>(&self, deed: impl FnOnce(&mut HashMap<Target, Fallback>) -> T) -> T {
        deed(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Answers for `raw`, the path below the address.
pub async fn serve<S: SiteSource>(
    shared: &Arc<Shared<S>>,
    ask: &Ask<'_>,
    address: Address,
    wall: Wall,
    base: String,
    raw: &str,
) -> Reply {
    let address = match address {
        Address::Item(target) => return item_page::serve(shared, ask, Target(target), &base, raw).await,
        address => address,
    };
    let mut visit = Visit::new(shared, ask, InfoHash([0; 20]), wall, base);
    let mut shown = match resolve(shared, ask, &address, visit.until, (wall, raw)).await {
        Ok(shown) => shown,
        Err(reply) => return *reply,
    };
    if let Some(wanted) = ask.query_value("btlink-version") {
        match find(&shown.current, &wanted) {
            Some(ih) if ih == shown.current.infohash => {}
            Some(ih) => shown.old = Some(ih),
            None => {
                return version_pages::unknown(shared, ask, &shown.current, &visit.base).await;
            }
        }
    }
    visit.ih = shown.infohash();
    visit.shown = Some(&shown);
    let mut reply = match special_path(raw) {
        Some("record") => version_pages::record(&visit, &shown),
        Some("versions") => version_pages::versions(&visit, &shown).await,
        _ => visit.serve_any(raw).await,
    };
    shown.dress(&mut reply, ask, &shared.names.domains, &visit.base);
    reply
}

/// The answer to a CORS preflight.
pub fn options<S: SiteSource>(shared: &Arc<Shared<S>>, ask: &Ask<'_>, address: &Address) -> Reply {
    let mut reply = reply::options();
    if let Address::Key { key, .. } = address {
        allow_same_key(&mut reply, ask, key, &shared.names.domains);
    }
    reply
}

/// What the address means now, or the reply that stands for it.
async fn resolve<S: SiteSource>(
    shared: &Arc<Shared<S>>,
    ask: &Ask<'_>,
    address: &Address,
    until: Instant,
    place: (Wall, &str),
) -> Result<Shown, Box<Reply>> {
    let fallback = shared.fallbacks.get(address);
    let was_silent = |one: &Fallback| one.silent_since.is_some_and(|since| since.elapsed() < SILENCE);
    let stop = ask.query_value("btlink-stop").is_some();
    let silent_now = fallback.is_some_and(|(_, one)| was_silent(&one));
    let local = ask.only_if_cached() || stop || silent_now;
    let until = match fallback {
        Some(_) => until.min(Instant::now() + FALLBACK_AFTER),
        None => until,
    };
    if ask.reload() && !local {
        // The rest of the patience is the site's own.
        let until = until.min(Instant::now() + RELOAD);
        shared.shelf.source().look_again(address, until).await;
    }
    let err = match shared.shelf.source().current(address, local, until).await {
        Ok(current) => {
            return Ok(Shown { current, old: None });
        }
        Err(err) => err,
    };
    let no_record = matches!(err, Error::NoRecord(_) | Error::Looking(_));
    if let (Some((target, one)), true) = (fallback, no_record) {
        if !silent_now {
            shared.fallbacks.silent(target);
        }
        return Err(Box::new(to_infohash(one.infohash, ask, place)));
    }
    Err(Box::new(match err {
        Error::NoRecord(_) if stop => error_page::stopped(ask.path()).reply(ask),
        Error::NoRecord(_) if local => error_page::not_stored().reply(ask),
        Error::Looking(_) if ask.top => progress_page::asking(ask),
        err => error_page::of_site(&err, error_page::Known::default()).reply(ask),
    }))
}

/// To the infohash's own place, never shown under the key's: anybody can make a link that names a key and a torrent of
/// somebody else's, whose scripts would run in the key's origin.
fn to_infohash(ih: InfoHash, ask: &Ask<'_>, (wall, raw): (Wall, &str)) -> Reply {
    let query = ask.parts.uri.query().map(|query| format!("?{query}"));
    let below = format!("{raw}{}", query.unwrap_or_default());
    let own = Address::Torrent(ih).host(TLD).filter(|_| wall == Wall::Host);
    let to = match own {
        Some(host) => format!("http://{host}{below}"),
        None => format!("/btih/{ih}{below}"),
    };
    reply::redirect(StatusCode::FOUND, &to)
}

/// The version that `?btlink-version=` names, by infohash or number: one of the address's own only, so that no link can show
/// a stranger's torrent under this host.
fn find(current: &Current, wanted: &str) -> Option<InfoHash> {
    if let Some(ih) = InfoHash::from_hex(wanted) {
        let row = current.record.as_ref();
        let known = row.is_some_and(|row| row.history.iter().any(|one| one.infohash == Some(ih)));
        return (known || ih == current.infohash || current.newer == Some(ih)).then_some(ih);
    }
    let seq: i64 = wanted.parse().ok()?;
    let history = &current.record.as_ref()?.history;
    history.iter().find(|one| one.seq == seq)?.infohash
}
