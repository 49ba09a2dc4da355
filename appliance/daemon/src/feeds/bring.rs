//! Bringing versions home: asking when they are large, fetching, noticing when they are whole, giving old ones up.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use proto::id::{InfoHash, Target};
use store::{Keep, Owner, Store, Subscription, VersionState};
use tokio::{sync::Notify, time::Instant};
use tracing::{info, warn};

use super::{Error, Parts, subject, versions};
use crate::swarm;

/// How soon a fetched version is noticed to be whole.
const GLANCE: Duration = Duration::from_secs(1);
/// Rows read in one go.
pub const ROWS_AT_ONCE: usize = 500;

/// Troubles of one version begin so.
pub const OF_VERSION: &str = "the newest version";
/// BEP 27: what is private is neither looked for in the DHT nor put there.
pub const PRIVATE: &str =
    "the newest version is a private torrent: it is not fetched, and its record is not kept alive";

/// Subscriptions with versions that are being fetched.
#[derive(Clone, Default)]
pub struct Arrivals {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    wake: Notify,
    rows: Mutex<BTreeSet<Target>>,
    /// Versions whose older ones are being read.
    begun: Mutex<BTreeSet<InfoHash>>,
}

/// Ends what [`Arrivals::begin`] began, however its task ends.
struct Begun(Arrivals, InfoHash);

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.begun().remove(&self.1);
    }
}

impl Arrivals {
    pub fn watch(&self, id: Target) {
        self.rows().insert(id);
        self.shared.wake.notify_one();
    }

    /// `false`: it is under way already.
    fn begin(&self, ih: InfoHash) -> bool {
        self.begun().insert(ih)
    }

    fn rows(&self) -> MutexGuard<'_, BTreeSet<Target>> {
        self.shared.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begun(&self) -> MutexGuard<'_, BTreeSet<InfoHash>> {
        self.shared.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Parts {
    /// Notices which versions became whole. Never ends.
    pub async fn watch_arrivals(&self) {
        self.find_fetching().await;
        loop {
            let ids: Vec<Target> = self.arrivals.rows().iter().copied().collect();
            if ids.is_empty() {
                self.arrivals.shared.wake.notified().await;
                continue;
            }
            match self.db.run(move |store| whole_now(store, &ids)).await {
                Ok((arrived, idle)) => {
                    for id in idle {
                        self.arrivals.rows().remove(&id);
                    }
                    for (id, ih) in arrived {
                        if let Err(err) = self.arrived(id, ih).await {
                            warn!(site = %ih.short(), %err, "a version that is whole is not noted yet");
                        }
                    }
                }
                Err(err) => warn!(%err, "versions being fetched are not looked at for now"),
            }
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// Those that a restart interrupted: they go on at once, whenever their next look was to be.
    async fn find_fetching(&self) {
        let mut after = None;
        loop {
            let read = self.db.run(move |store| store.subscriptions(after, ROWS_AT_ONCE));
            let rows = match read.await {
                Ok(rows) => rows,
                Err(err) => return warn!(%err, "which versions are being fetched is not known"),
            };
            for row in rows.iter().filter(|row| !versions::fetching(row).is_empty()) {
                self.arrivals.rows().insert(row.id);
                if !row.paused
                    && !row.blocked
                    && let Err(err) = self.turns.now(&self.db, row.id).await
                {
                    warn!(%err, "a version that was being fetched waits for the next look");
                }
            }
            match rows.last() {
                Some(last) if rows.len() == ROWS_AT_ONCE => after = Some(last.id),
                _ => return,
            }
        }
    }

    /// Goes on with the newest version. Returns why its list of files is not known yet, when it is not.
    pub async fn bring(
        self: &Arc<Self>,
        row: &Subscription,
        deadline: Instant,
    ) -> Result<Option<String>, Error> {
        let Some((ih, state)) = versions::coming(row) else {
            return self.mend(row).await;
        };
        let opened = self.swarm.open(ih, &subject::hints_of(row), deadline).await;
        let torrent = match opened {
            Ok(torrent) => torrent,
            Err(swarm::Error::Refused { reason, .. }) => {
                let why = format!("the newest version is refused: {reason}. The version before it stays.");
                self.decline(row.id, ih, why).await?;
                return Ok(None);
            }
            Err(swarm::Error::Store(err)) => return Err(err.into()),
            Err(swarm::Error::NoPeers(_) | swarm::Error::MissingPieces(_)) => {
                return Ok(Some(
                    "the newest version is announced, but nobody who has it answered yet".into(),
                ));
            }
            Err(err) => return Ok(Some(err.to_string())),
        };
        if torrent.info.private {
            self.refuse_private(row, ih).await?;
            return Ok(None);
        }
        let name = torrent.info.name.clone();
        self.change(row.id, move |row| row.name.clone_from(&name)).await?;
        let site = self.db.run(move |store| store.site(&ih)).await?;
        let here = site.as_ref().is_some_and(store::SiteRow::complete);
        let limit = match row.quota_bytes {
            0 => self.house().await?.quota_bytes,
            own => own,
        };
        if state == VersionState::Asking && torrent.info.total > limit && !here {
            return Ok(None);
        }
        let kept_before = state == VersionState::Asking && site.is_some_and(|site| site.keep == Keep::Kept);
        self.fetch(row, ih, kept_before).await?;
        Ok(None)
    }

    /// Fetches and keeps a version that may be fetched. `kept_before`: the household kept it already; then it is pinned, so
    /// that following never takes away what somebody wanted to keep.
    pub async fn fetch(
        self: &Arc<Self>,
        row: &Subscription,
        ih: InfoHash,
        kept_before: bool,
    ) -> Result<(), Error> {
        let id = row.id;
        let pin = kept_before && !self.used_by_others(id, ih).await?;
        let wanted = self.change(id, move |row| {
            // The owner may have decided otherwise while peers were asked.
            if row.paused || row.blocked {
                return false;
            }
            versions::set(row, ih, VersionState::Fetching);
            if pin && !row.pinned.contains(&ih) {
                row.pinned.push(ih);
            }
            true
        });
        if wanted.await? != Some(true) {
            return Ok(());
        }
        self.arrivals.watch(id);
        if !self.arrivals.begin(ih) {
            return Ok(());
        }
        let older: Vec<InfoHash> = versions::held(row).into_iter().filter(|old| *old != ih).collect();
        let (parts, hints) = (self.clone(), subject::hints_of(row));
        // Reading older versions may take long: it holds up neither the next look nor whoever pressed a button.
        self.tasks.spawn("feeds.fetch", async move {
            let _begun = Begun(parts.arrivals.clone(), ih);
            if let Err(err) = parts.fetch_with(id, ih, &older, &hints.peers).await {
                warn!(site = %ih.short(), %err, "a version is not fetched for now");
            }
        });
        Ok(())
    }

    /// What the older versions have of the new one need not be downloaded.
    async fn fetch_with(
        &self,
        id: Target,
        ih: InfoHash,
        older: &[InfoHash],
        peers: &[SocketAddr],
    ) -> Result<(), Error> {
        if let Err(err) = self.swarm.reuse(ih, older).await {
            // Then it is downloaded.
            warn!(site = %ih.short(), %err, "bytes of older versions are not used");
        }
        // The owner may have decided otherwise meanwhile.
        let row = self.active(id).await?;
        if row.and_then(|row| versions::state_of(&row, &ih)) != Some(VersionState::Fetching) {
            return Ok(());
        }
        self.swarm.keep(ih).await.map_err(unavailable)?;
        if !peers.is_empty() {
            self.swarm.add_peers(ih, peers);
        }
        Ok(())
    }

    /// The present version is here; if bytes of it were lost meanwhile, they are fetched again.
    async fn mend(&self, row: &Subscription) -> Result<Option<String>, Error> {
        let Some((ih, VersionState::Here)) = row.versions.first().copied() else {
            return Ok(None);
        };
        let site = self.db.run(move |store| store.site(&ih)).await?;
        if site.is_some_and(|site| site.complete()) {
            return Ok(None);
        }
        let missing = self.change(row.id, move |row| versions::set(row, ih, VersionState::Asking));
        missing.await?;
        Ok(Some(
            "the newest version is no longer whole here and is fetched again".into(),
        ))
    }

    /// All of a version is here.
    async fn arrived(&self, id: Target, ih: InfoHash) -> Result<(), Error> {
        let gone = self.change(id, move |row| versions::arrived(row, ih)).await?;
        info!(site = %ih.short(), "a version of a followed site is whole");
        self.give_up(id, gone.unwrap_or_default()).await
    }

    /// Removes versions that no other subscription uses; bytes shared with other sites stay.
    pub async fn give_up(&self, id: Target, gone: Vec<InfoHash>) -> Result<(), Error> {
        for ih in gone {
            if !self.used_by_others(id, ih).await? {
                match self.sites.evict(ih).await {
                    Ok(()) => {}
                    // Nothing of it was here.
                    Err(_) if self.db.store().site(&ih)?.is_none() => {}
                    Err(err) => return Err(Error::Unavailable(err.to_string())),
                }
            }
        }
        Ok(())
    }

    async fn used_by_others(&self, id: Target, ih: InfoHash) -> Result<bool, Error> {
        let used = self.db.run(move |store| {
            any(store, |row| {
                row.id != id && !row.blocked && versions::held(row).contains(&ih)
            })
        });
        Ok(used.await?)
    }

    async fn decline(&self, id: Target, ih: InfoHash, why: String) -> Result<(), Error> {
        self.change(id, move |row| {
            versions::set(row, ih, VersionState::Declined);
            row.trouble.clone_from(&why);
        })
        .await?;
        Ok(())
    }

    async fn refuse_private(&self, row: &Subscription, ih: InfoHash) -> Result<(), Error> {
        self.decline(row.id, ih, PRIVATE.into()).await?;
        self.set_owner(row, Owner::Visited).await?;
        self.give_up(row.id, vec![ih]).await
    }
}

/// Walks all subscriptions until one fits.
pub fn any(store: &Store, fits: impl Fn(&Subscription) -> bool) -> Result<bool, store::Error> {
    let mut after = None;
    loop {
        let rows = store.subscriptions(after, ROWS_AT_ONCE)?;
        if rows.iter().any(&fits) {
            return Ok(true);
        }
        match rows.last() {
            Some(last) if rows.len() == ROWS_AT_ONCE => after = Some(last.id),
            _ => return Ok(false),
        }
    }
}

type Glance = (Vec<(Target, InfoHash)>, Vec<Target>);

/// Versions that are whole, and subscriptions that fetch nothing any more.
fn whole_now(store: &Store, ids: &[Target]) -> Result<Glance, store::Error> {
    let (mut arrived, mut idle) = (Vec::new(), Vec::new());
    for id in ids {
        let fetching = store.subscription(id)?.map(|row| versions::fetching(&row));
        let fetching = fetching.unwrap_or_default();
        if fetching.is_empty() {
            idle.push(*id);
        }
        for ih in fetching {
            if store.site(&ih)?.is_some_and(|site| site.complete()) {
                arrived.push((*id, ih));
            }
        }
    }
    Ok((arrived, idle))
}

pub fn unavailable(err: swarm::Error) -> Error {
    match err {
        swarm::Error::Store(err) => Error::Store(err),
        err => Error::Unavailable(err.to_string()),
    }
}
