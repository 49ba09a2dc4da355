//! Which versions of a subscription are fetched, kept and given up: decisions about one row, pure.
//!
//! A new version is `Asking` until its size is known and allowed; then `Fetching`, then `Here`.

use proto::id::InfoHash;
use store::{Subscription, VersionState};

/// Versions a row remembers.
const VERSIONS_MAX: usize = 50;

/// The record or link names this torrent now: it comes first. `true` when it was not the first before. One that was given
/// up, when the address was blocked, is asked for again.
pub fn offer(row: &mut Subscription, ih: InfoHash) -> bool {
    if let Some((first, state)) = row.versions.first_mut()
        && *first == ih
    {
        if *state == VersionState::Gone {
            *state = VersionState::Asking;
        }
        return false;
    }
    // A publisher may go back to an older version; what is here of it is found when it is opened.
    let known = row.versions.iter().position(|(known, _)| *known == ih);
    let state = match known.map(|at| row.versions.remove(at).1) {
        Some(state @ (VersionState::Here | VersionState::Declined)) => state,
        _ => VersionState::Asking,
    };
    row.versions.insert(0, (ih, state));
    trim(row);
    choose_whole(row);
    true
}

/// What is said of `ih`; it is added at the end when the row does not know it.
pub fn set(row: &mut Subscription, ih: InfoHash, state: VersionState) {
    match row.versions.iter_mut().find(|(known, _)| *known == ih) {
        Some((_, old)) => *old = state,
        None => row.versions.push((ih, state)),
    }
    trim(row);
    choose_whole(row);
}

pub fn state_of(row: &Subscription, ih: &InfoHash) -> Option<VersionState> {
    let found = row.versions.iter().find(|(known, _)| known == ih);
    found.map(|(_, state)| *state)
}

/// The versions being fetched.
pub fn fetching(row: &Subscription) -> Vec<InfoHash> {
    with(row, VersionState::Fetching).collect()
}

/// The version whose coming readers wait for: the newest, while it is not here and nobody said no.
pub fn coming(row: &Subscription) -> Option<(InfoHash, VersionState)> {
    let first = row.versions.first().copied()?;
    matches!(first.1, VersionState::Asking | VersionState::Fetching).then_some(first)
}

/// All of `ih` is here. Returns what gives way: versions overtaken while they were fetched, and old ones that are neither
/// pinned nor among those to keep. They are `Gone` in the row.
pub fn arrived(row: &mut Subscription, ih: InfoHash) -> Vec<InfoHash> {
    set(row, ih, VersionState::Here);
    let at = row.versions.iter().position(|(known, _)| *known == ih);
    let behind = at.map_or(row.versions.len(), |at| at + 1);
    let mut gone = Vec::new();
    let pinned = row.pinned.clone();
    for (old, state) in &mut row.versions[behind..] {
        if matches!(state, VersionState::Fetching | VersionState::Asking) && !pinned.contains(old) {
            *state = VersionState::Gone;
            gone.push(*old);
        }
    }
    gone.extend(prune(row));
    gone
}

/// Old versions that are here, not pinned, and more than the household keeps: `Gone` in the row from now on.
pub fn prune(row: &mut Subscription) -> Vec<InfoHash> {
    let spared: Vec<InfoHash> = row.pinned.iter().copied().chain(row.whole).collect();
    let mut kept = 0;
    let mut gone = Vec::new();
    for (ih, state) in &mut row.versions {
        if *state != VersionState::Here || spared.contains(ih) {
            continue;
        }
        kept += 1;
        if kept > row.keep_versions {
            *state = VersionState::Gone;
            gone.push(*ih);
        }
    }
    gone
}

/// The owner wants the bytes of an old version gone. `None`: it is not here, or it is the one readers get.
pub fn remove(row: &mut Subscription, ih: InfoHash) -> Option<InfoHash> {
    if row.whole == Some(ih) || state_of(row, &ih) != Some(VersionState::Here) {
        return None;
    }
    row.pinned.retain(|pinned| *pinned != ih);
    set(row, ih, VersionState::Gone);
    Some(ih)
}

/// The owner blocked the address: nothing of it stays. Returns what has to go.
pub fn block(row: &mut Subscription) -> Vec<InfoHash> {
    let gone = held(row);
    for (ih, state) in &mut row.versions {
        if gone.contains(ih) || *state == VersionState::Asking {
            *state = VersionState::Gone;
        }
    }
    row.pinned.clear();
    row.whole = None;
    gone
}

/// Every version of which there may be bytes.
pub fn held(row: &Subscription) -> Vec<InfoHash> {
    let mut all: Vec<InfoHash> = with(row, VersionState::Here).collect();
    all.extend(with(row, VersionState::Fetching));
    for ih in &row.pinned {
        // A pinned version that the row no longer lists is still the household's.
        if state_of(row, ih).is_none() {
            all.push(*ih);
        }
    }
    all
}

fn with(row: &Subscription, wanted: VersionState) -> impl Iterator<Item = InfoHash> {
    let chosen = row.versions.iter().filter(move |(_, state)| *state == wanted);
    chosen.map(|(ih, _)| *ih)
}

fn choose_whole(row: &mut Subscription) {
    let newest = with(row, VersionState::Here).next();
    row.whole = newest;
}

/// The oldest of which nothing is here goes first.
fn trim(row: &mut Subscription) {
    while row.versions.len() > VERSIONS_MAX {
        let nothing = |(_, state): &(InfoHash, VersionState)| {
            matches!(state, VersionState::Gone | VersionState::Declined)
        };
        let at = row
            .versions
            .iter()
            .rposition(nothing)
            .unwrap_or(row.versions.len() - 1);
        row.versions.remove(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feeds::fixture::row;

    fn ih(byte: u8) -> InfoHash {
        InfoHash([byte; 20])
    }

    #[test]
    fn a_new_version_asks_first_and_readers_keep_the_old_one_until_it_is_whole() {
        let mut sub = row(1);
        assert!(offer(&mut sub, ih(1)));
        assert!(!offer(&mut sub, ih(1)));
        assert_eq!(coming(&sub), Some((ih(1), VersionState::Asking)));
        assert!(arrived(&mut sub, ih(1)).is_empty());
        assert_eq!((sub.whole, coming(&sub)), (Some(ih(1)), None));
        offer(&mut sub, ih(2));
        set(&mut sub, ih(2), VersionState::Fetching);
        assert_eq!((sub.whole, fetching(&sub)), (Some(ih(1)), vec![ih(2)]));
        arrived(&mut sub, ih(2));
        assert_eq!(sub.whole, Some(ih(2)));
        assert_eq!(state_of(&sub, &ih(1)), Some(VersionState::Here));
    }

    #[test]
    fn old_versions_give_way_except_those_kept_and_pinned() {
        let mut sub = row(1);
        sub.keep_versions = 1;
        sub.pinned = vec![ih(1)];
        let mut gone = Vec::new();
        for version in 1..=4 {
            offer(&mut sub, ih(version));
            gone.extend(arrived(&mut sub, ih(version)));
        }
        assert_eq!(gone, [ih(2)]);
        assert_eq!(held(&sub), [ih(4), ih(3), ih(1)]);
        sub.keep_versions = 0;
        sub.pinned.clear();
        assert_eq!(prune(&mut sub), [ih(3), ih(1)]);
        assert_eq!(sub.whole, Some(ih(4)), "the present one is never given up");
    }

    #[test]
    fn a_version_overtaken_while_it_was_fetched_gives_way() {
        let mut sub = row(1);
        offer(&mut sub, ih(1));
        set(&mut sub, ih(1), VersionState::Fetching);
        offer(&mut sub, ih(2));
        set(&mut sub, ih(2), VersionState::Fetching);
        assert_eq!(arrived(&mut sub, ih(2)), [ih(1)]);
    }

    #[test]
    fn a_publisher_may_go_back() {
        let mut sub = row(1);
        for version in [1, 2] {
            offer(&mut sub, ih(version));
            arrived(&mut sub, ih(version));
        }
        assert!(offer(&mut sub, ih(1)));
        assert_eq!((sub.whole, coming(&sub)), (Some(ih(1)), None));
        set(&mut sub, ih(1), VersionState::Declined);
        offer(&mut sub, ih(2));
        offer(&mut sub, ih(1));
        assert_eq!(coming(&sub), None, "the owner said no");
    }

    #[test]
    fn what_is_blocked_goes_and_is_asked_for_again_when_it_is_unblocked() {
        let mut sub = row(1);
        sub.pinned = vec![ih(1)];
        for version in [1, 2] {
            offer(&mut sub, ih(version));
            arrived(&mut sub, ih(version));
        }
        assert_eq!(block(&mut sub), [ih(2), ih(1)]);
        assert_eq!((sub.whole, held(&sub).len(), coming(&sub)), (None, 0, None));
        assert!(!offer(&mut sub, ih(2)));
        assert_eq!(coming(&sub), Some((ih(2), VersionState::Asking)));
    }

    #[test]
    fn a_long_history_forgets_what_is_gone_first() {
        let mut sub = row(1);
        sub.keep_versions = 3;
        for version in 0..120 {
            offer(&mut sub, ih(version));
            arrived(&mut sub, ih(version));
            assert!(sub.versions.len() <= VERSIONS_MAX);
        }
        assert_eq!(held(&sub), [ih(119), ih(118), ih(117), ih(116)]);
    }
}
