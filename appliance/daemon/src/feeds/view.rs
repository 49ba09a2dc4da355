//! From rows to what pages and programs show. Reads only the store and memory.

use std::collections::HashMap;

use proto::{
    feed::state::{Facts, State},
    id::{InfoHash, Target},
    record::Meaning,
    site::listing::percent,
};
use store::{RecordRow, SiteRow, Store, Subscription, TargetWork, VersionState};

use super::{Error, Parts, View, bring::ROWS_AT_ONCE, link_setting, subject::Subject, versions};

/// As many subscriptions as a house may have; the store refuses more.
const DUE_MAX: usize = 10_000;

/// What the store says about one row.
struct Shelf {
    record: Option<Box<RecordRow>>,
    /// The newest version, if its metadata is here, and the one readers get.
    newest: Option<SiteRow>,
    whole: Option<SiteRow>,
    next_look: u64,
    /// Where the domain leads, when that is known.
    link: Option<Target>,
}

impl Parts {
    pub async fn domains(&self) -> Result<Vec<String>, Error> {
        let rows = self.db.run(all_rows).await?;
        let domain = |row: &Subscription| match Subject::of(row) {
            Ok(Subject::Domain(domain)) if !row.blocked => Some(domain),
            _ => None,
        };
        Ok(rows.iter().filter_map(domain).collect())
    }

    pub async fn list(&self) -> Result<Vec<View>, Error> {
        let known = self.links_known().clone();
        let house = self.house().await?.quota_bytes;
        let read = self.db.run(move |store| {
            let rows = all_rows(store)?;
            let due: HashMap<Target, u64> = store
                .due_targets(TargetWork::Refresh, u64::MAX, DUE_MAX)?
                .into_iter()
                .collect();
            let mut shelves = Vec::with_capacity(rows.len());
            for row in rows {
                let next = due.get(&row.id).copied().unwrap_or(u64::MAX);
                let shelf = shelf(store, &row, next, known.get(&row.id).copied())?;
                shelves.push((row, shelf));
            }
            Ok((shelves, store.petnames()?))
        });
        let (shelves, names) = read.await?;
        let names: HashMap<String, String> = names.into_iter().map(|(name, to)| (to, name)).collect();
        let mut views: Vec<View> = shelves
            .into_iter()
            .map(|(row, shelf)| self.show(row, shelf, &names, house))
            .collect();
        views.sort_by_cached_key(|view| called(view).to_lowercase());
        Ok(views)
    }

    pub async fn view(&self, id: Target) -> Result<View, Error> {
        let row = self.row(id).await?;
        let known = self.links_known().get(&id).copied();
        let house = self.house().await?.quota_bytes;
        let read = self.db.run(move |store| {
            let due = store.due_targets(TargetWork::Refresh, u64::MAX, DUE_MAX)?;
            let next = due
                .into_iter()
                .find(|(of, _)| *of == id)
                .map_or(u64::MAX, |(_, at)| at);
            let shelf = shelf(store, &row, next, known)?;
            Ok((row, shelf, store.petnames()?))
        });
        let (row, shelf, names) = read.await?;
        let names = names.into_iter().map(|(name, to)| (to, name)).collect();
        Ok(self.show(row, shelf, &names, house))
    }

    /// `house`: the limit of those that have none of their own.
    fn show(&self, row: Subscription, shelf: Shelf, names: &HashMap<String, String>, house: u64) -> View {
        let limit = if row.quota_bytes == 0 {
            house
        } else {
            row.quota_bytes
        };
        if let Some(link) = shelf.link {
            self.links_known().insert(row.id, link);
        }
        let now = self.clock.now_secs();
        let facts = facts(&row, &shelf, limit, now);
        let state = State::of(&facts);
        let site = shelf.newest.as_ref().or(shelf.whole.as_ref());
        let fetched = versions::coming(&row).map(|(ih, _)| ih).or(row.whole);
        let progress = fetched.and_then(|ih: InfoHash| self.swarm.progress(ih));
        View {
            words: words(&state, shelf.record.as_deref()),
            petname: names.get(&row.address).cloned(),
            bytes: site.map(|site| site.total),
            held_bytes: site.map_or(0, held_bytes),
            peers: progress.map_or(0, |progress| progress.peers),
            next_look: shelf.next_look,
            looking: self.turns.busy(&row.id),
            record: shelf.record,
            state,
            row,
        }
    }
}

fn all_rows(store: &Store) -> Result<Vec<Subscription>, store::Error> {
    let mut rows: Vec<Subscription> = Vec::new();
    loop {
        let part = store.subscriptions(rows.last().map(|row| row.id), ROWS_AT_ONCE)?;
        let last = part.len() < ROWS_AT_ONCE;
        rows.extend(part);
        if last {
            return Ok(rows);
        }
    }
}

fn shelf(
    store: &Store,
    row: &Subscription,
    next_look: u64,
    known: Option<Target>,
) -> Result<Shelf, store::Error> {
    let (record, link) = match Subject::of(row) {
        Ok(Subject::Key { .. }) => (store.record(&row.id)?, None),
        Ok(Subject::Domain(_)) => {
            let link = match known {
                Some(known) => Some(known),
                None => noted_link(store, &row.id)?,
            };
            let record = link.map(|target| store.record(&target)).transpose()?;
            (record.flatten(), link)
        }
        Err(_) => (None, None),
    };
    let first = row.versions.first().map(|(ih, _)| *ih);
    let newest = first.map(|ih| store.site(&ih)).transpose()?.flatten();
    let whole = match row.whole {
        Some(whole) if Some(whole) != first => store.site(&whole)?,
        _ => None,
    };
    Ok(Shelf {
        record: record.map(Box::new),
        newest,
        whole,
        next_look,
        link,
    })
}

pub fn noted_link(store: &Store, id: &Target) -> Result<Option<Target>, store::Error> {
    let noted = store.setting(&link_setting(id))?;
    Ok(noted.and_then(|raw| raw.as_ref().try_into().ok().map(Target)))
}

fn facts(row: &Subscription, shelf: &Shelf, limit: u64, now: u64) -> Facts {
    let coming = versions::coming(row);
    let known = shelf.newest.as_ref();
    let asking = match (coming, known) {
        // A smaller one is about to be fetched without a question.
        (Some((_, VersionState::Asking)), Some(site)) if site.total > limit => Some(site.total),
        _ => None,
    };
    let meaning = shelf.record.as_ref().map(|record| record.item.meaning());
    // The record was seen before the first look of this subscription, by a preview or a visit.
    let begins = row.versions.is_empty() && matches!(meaning, Some(Meaning::Torrent(_)));
    // Whole, but not noticed yet, is no 100 %: readers still get the version before.
    let share = |site: &SiteRow| percent(site.held.into(), site.pieces.into()).min(99);
    Facts {
        blocked: row.blocked,
        paused: row.paused,
        seen: shelf.record.is_some() || !row.versions.is_empty(),
        asking,
        fetching: (coming.is_some() || begins).then(|| known.map_or(0, share)),
        last_heard: row.last_heard,
        last_checked: row.last_checked.min(now),
        failures: row.failures,
        not_a_site: meaning.is_some_and(|meaning| !matches!(meaning, Meaning::Torrent(_))),
    }
}

fn words(state: &State, record: Option<&RecordRow>) -> String {
    let words = state.words();
    match record.and_then(|record| record.conflict.as_ref()) {
        None => words,
        Some(conflict) => format!(
            "{words}. Warning: this publisher's key has signed two different things under the number {}. The first one we \
             saw is kept; ask the publisher which one is meant.",
            conflict.item.seq
        ),
    }
}

/// What pages call it.
fn called(view: &View) -> &str {
    let names = [&view.row.title, &view.row.name, &view.row.address];
    names
        .into_iter()
        .find(|name| !name.is_empty())
        .map_or("", String::as_str)
}

pub fn held_bytes(site: &SiteRow) -> u64 {
    if site.complete() {
        return site.total;
    }
    (u64::from(site.held) * u64::from(site.piece_length)).min(site.total)
}
