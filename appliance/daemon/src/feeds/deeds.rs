//! What the owner does: follow, unfollow, pause, block, pin, approve.

use std::{sync::Arc, time::Duration};

use proto::{
    id::{InfoHash, Target},
    magnet::Pasted,
    name::is_petname,
};
use store::{Owner, Subscription, VersionState};
use tokio::time::Instant;

use super::{
    Change, Error, Parts,
    bring::{OF_VERSION, any, unavailable},
    subject::{self, Subject},
    versions,
};

/// Longest title, bytes.
const TITLE_MAX: usize = 256;
/// More old versions than a row remembers cannot be kept.
const KEEP_MAX: u32 = 49;
const PINNED_MAX: usize = 50;
/// How long a version that is to be pinned may take to be found.
const PIN: Duration = Duration::from_secs(20);

impl Parts {
    /// Names of the household are followed to what they name.
    pub async fn subject(&self, pasted: &Pasted) -> Result<Subject, Error> {
        let (address, _) = subject::address(pasted);
        let named = self.db.run(move |store| Ok(subject::named(store, address)));
        subject::subject(named.await??)
    }

    pub async fn follow(self: &Arc<Self>, pasted: &Pasted, change: Change) -> Result<Target, Error> {
        let subject = self.subject(pasted).await?;
        let (id, hints) = (subject.id(), subject::hints_to_row(&subject::address(pasted).1));
        let (house, now) = (self.house().await?, self.clock.now_secs());
        // The title of a magnet is a stranger's; it stands where the torrent's own name will.
        let name = match pasted {
            Pasted::Magnet(magnet) => magnet.name.clone().unwrap_or_default(),
            Pasted::Site { .. } => String::new(),
        };
        let row = Subscription {
            id,
            address: subject.text()?,
            title: String::new(),
            name: short(&name),
            added: now,
            paused: false,
            blocked: false,
            quota_bytes: 0,
            keep_versions: house.keep_versions,
            pinned: Vec::new(),
            // Only what the key has signed is a version of it: a torrent named beside the key in a link may be anybody's.
            versions: Vec::new(),
            whole: None,
            trackers: hints.clone(),
            last_checked: 0,
            last_heard: 0,
            last_changed: 0,
            interval_secs: 0,
            trouble: String::new(),
            failures: 0,
        };
        self.check(&row, &change).await?;
        let added = self.db.run(move |store| match store.subscription(&id)? {
            Some(_) => {
                store.change_subscription(&id, |row| {
                    let new = hints.iter().filter(|hint| !row.trackers.contains(hint));
                    let all: Vec<String> = row.trackers.iter().chain(new).cloned().collect();
                    row.trackers = all;
                })?;
                Ok(false)
            }
            None => store.put_subscription(&row).map(|()| true),
        });
        let added = added.await?;
        self.apply(id, change).await?;
        if added {
            self.turns.now(&self.db, id).await?;
        }
        Ok(id)
    }

    pub async fn unfollow(&self, id: Target, remove: bool) -> Result<(), Error> {
        let row = self.row(id).await?;
        let record = self.record_id(&row);
        // The row first: after a crash in between nothing is followed that the owner gave up.
        self.db.run(move |store| store.remove_subscription(&id)).await?;
        self.turns.never(&self.db, id).await?;
        self.remember_link(id, None).await;
        if let Some(target) = record {
            let lowered = self.db.run(move |store| {
                let followed = any(store, |row| row.id == target && !row.blocked)?;
                match store.record(&target)? {
                    Some(record) if record.owner == Owner::Followed && !followed => {
                        store.set_record_owner(&target, Owner::Visited)
                    }
                    _ => Ok(()),
                }
            });
            lowered.await?;
        }
        if remove {
            return self.give_up(id, versions::held(&row)).await;
        }
        self.release(&versions::fetching(&row)).await
    }

    pub async fn apply(self: &Arc<Self>, id: Target, change: Change) -> Result<(), Error> {
        let row = self.row(id).await?;
        self.check(&row, &change).await?;
        if let Some(name) = &change.petname {
            self.name(&row.address, name).await?;
        }
        let words = change.clone();
        let gone = self.change(id, move |row| {
            if let Some(title) = &words.title {
                row.title = title.trim().to_owned();
            }
            row.quota_bytes = words.quota_bytes.unwrap_or(row.quota_bytes);
            row.keep_versions = words.keep_versions.unwrap_or(row.keep_versions).min(KEEP_MAX);
            row.paused = words.paused.unwrap_or(row.paused);
            row.blocked = words.blocked.unwrap_or(row.blocked);
            row.pinned.retain(|ih| Some(*ih) != words.unpin);
            let removed = words.remove.and_then(|ih| versions::remove(row, ih));
            let mut gone = match words.blocked {
                Some(true) => versions::block(row),
                _ => versions::prune(row),
            };
            gone.extend(removed);
            gone
        });
        let gone = gone.await?.ok_or(Error::Unknown(id))?;
        self.follow_up(id, &change).await?;
        self.give_up(id, gone).await?;
        if let Some(ih) = change.pin {
            self.pin(id, ih).await?;
        }
        if let Some((ih, yes)) = change.approve {
            self.approve(id, ih, yes).await?;
        }
        if change.settle_conflict
            && let Some(target) = self.record_id(&row)
        {
            self.db.run(move |store| store.settle_conflict(&target)).await?;
        }
        Ok(())
    }

    /// What a changed row means for the looks and the fetching.
    async fn follow_up(&self, id: Target, change: &Change) -> Result<(), Error> {
        let row = self.row(id).await?;
        if change.blocked == Some(true) {
            self.set_owner(&row, Owner::Visited).await?;
        }
        let stops = change.blocked == Some(true) || change.paused == Some(true);
        let goes_on = change.blocked.is_some() || change.paused.is_some() || change.quota_bytes.is_some();
        if stops {
            self.turns.never(&self.db, id).await?;
            self.release(&versions::fetching(&row)).await?;
        } else if goes_on && !row.paused && !row.blocked {
            self.turns.now(&self.db, id).await?;
        }
        Ok(())
    }

    /// Everything that can be refused is refused before anything is done.
    async fn check(&self, row: &Subscription, change: &Change) -> Result<(), Error> {
        let refused = |why: String| Err(Error::Refused(why));
        if let Some(title) = &change.title
            && (title.len() > TITLE_MAX || title.chars().any(char::is_control))
        {
            return refused(format!(
                "a title has at most {TITLE_MAX} bytes and no control characters"
            ));
        }
        if let Some(name) = change.petname.as_deref().filter(|name| !name.is_empty()) {
            check_petname(name)?;
            let asked = name.to_owned();
            let taken = self.db.run(move |store| store.petname(&asked)).await?;
            if taken.is_some_and(|address| address != row.address) {
                return refused(format!(
                    "the name \"{name}\" belongs to another address of this home; choose another one"
                ));
            }
        }
        if change.pin.is_some() && row.pinned.len() >= PINNED_MAX {
            return refused(format!(
                "at most {PINNED_MAX} versions can be pinned; unpin another one first"
            ));
        }
        if let Some((ih, _)) = change.approve
            && versions::state_of(row, &ih).is_none()
        {
            return refused(format!("{ih} is no version of this subscription"));
        }
        Ok(())
    }

    /// Gives an address a name; an empty one takes away what it has.
    async fn name(&self, address: &str, name: &str) -> Result<(), Error> {
        let (address, name) = (address.to_owned(), name.to_owned());
        let named = self.db.run(move |store| {
            for (old, to) in store.petnames()? {
                if to == address && old != name {
                    store.set_petname(&old, "")?;
                }
            }
            if name.is_empty() {
                return Ok(());
            }
            store.set_petname(&name, &address)
        });
        Ok(named.await?)
    }

    pub async fn set_petname(&self, name: &str, pasted: &Pasted) -> Result<String, Error> {
        check_petname(name)?;
        let (address, _) = subject::address(pasted);
        let unwritten = || Error::Refused("this address is too long to be given a name".into());
        let name = name.to_owned();
        let named = self.db.run(move |store| {
            let address = match subject::named(store, address) {
                Ok(address) => address,
                Err(err) => return Ok(Err(err)),
            };
            let Some(text) = subject::text_of(&address) else {
                return Ok(Err(unwritten()));
            };
            store.set_petname(&name, &text)?;
            Ok(Ok(text))
        });
        named.await?
    }

    pub async fn remove_petname(&self, name: &str) -> Result<(), Error> {
        let asked = name.to_owned();
        let removed = self.db.run(move |store| {
            let known = store.petname(&asked)?.is_some();
            if known {
                store.set_petname(&asked, "")?;
            }
            Ok(known)
        });
        match removed.await? {
            true => Ok(()),
            false => Err(Error::Unnamed(name.to_owned())),
        }
    }

    /// A version that was given up is fetched again; one that nobody has cannot be pinned.
    async fn pin(self: &Arc<Self>, id: Target, ih: InfoHash) -> Result<(), Error> {
        let row = self.row(id).await?;
        let here = self.db.run(move |store| store.site(&ih)).await?;
        let record = self.record_id(&row);
        let past = self.db.run(move |store| {
            let record = record.map(|target| store.record(&target)).transpose()?.flatten();
            Ok(record.is_some_and(|record| record.history.iter().any(|v| v.infohash == Some(ih))))
        });
        if versions::state_of(&row, &ih).is_none() && !past.await? {
            return Err(Error::Refused(format!("{ih} is no version of this subscription")));
        }
        if here.is_none() {
            let hints = subject::hints_of(&row);
            let opened = self.swarm.open(ih, &hints, Instant::now() + PIN).await;
            opened.map_err(|err| {
                Error::Unavailable(format!("this version is not here, and {err}. It was not pinned."))
            })?;
        }
        self.change(id, move |row| {
            if !row.pinned.contains(&ih) && row.pinned.len() < PINNED_MAX {
                row.pinned.push(ih);
            }
        })
        .await?;
        match versions::state_of(&row, &ih) {
            Some(VersionState::Here) => Ok(()),
            _ => self.fetch(&row, ih, false).await,
        }
    }

    async fn approve(self: &Arc<Self>, id: Target, ih: InfoHash, yes: bool) -> Result<(), Error> {
        let row = self.row(id).await?;
        if !yes {
            self.change(id, move |row| {
                versions::set(row, ih, VersionState::Declined);
                row.trouble =
                    format!("{OF_VERSION} is not fetched, as you decided. The version before it stays.");
            })
            .await?;
            return self.release(&[ih]).await;
        }
        if self.db.run(move |store| store.site(&ih)).await?.is_some() {
            return self.fetch(&row, ih, false).await;
        }
        self.change(id, move |row| versions::set(row, ih, VersionState::Fetching))
            .await?;
        Ok(self.turns.now(&self.db, id).await?)
    }

    async fn release(&self, versions: &[InfoHash]) -> Result<(), Error> {
        for ih in versions {
            self.swarm.release(*ih).await.map_err(unavailable)?;
        }
        Ok(())
    }
}

/// Whether a name may be given to a site; the sentence says what may.
pub fn check_petname(name: &str) -> Result<(), Error> {
    if is_petname(name) {
        return Ok(());
    }
    Err(Error::Refused(format!(
        "\"{name}\" cannot be a name here: use up to 32 small letters, digits and hyphens inside, and none of the words the \
         box itself uses"
    )))
}

fn short(name: &str) -> String {
    name.chars().take(80).collect()
}
