//! The lan half beside the web half: `granary run` starts it in the same process; wherever it runs, it is told which linked
//! domains the household follows, and what it is set to becomes the gateway's rules. A lan half that does not start or
//! answer is a trouble that pages show; the web half goes on without it.

use std::{
    collections::HashSet,
    future::Future,
    net::IpAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use house::net::Inherited;
use proto::pac::Linked;
use tokio::{sync::watch, time::Instant};
use tracing::{info, warn};

use crate::{
    clock::Clock,
    feeds::Feeds,
    gateway::{Resolver, Rules},
    health::Health,
    home::{self, Home},
    tasks::Tasks,
};

/// Goodbyes on the LAN are said within it.
const GOODBYE: Duration = Duration::from_secs(2);
/// How often the halves compare what they know. Longer: a followed domain opens by itself later.
const COMPARED_EVERY: Duration = Duration::from_secs(5);
/// Rounds without an answer before it is a trouble: a restart takes one.
const SILENT_MAX: u32 = 2;
/// A device that asked our resolver within this time still has it.
const ASKED_WITHIN_SECS: u64 = 3600;
/// For so long an answer about all devices counts: a flood of questions costs four answers per second.
const DEVICES_FRESH: Duration = Duration::from_millis(250);
/// A browser waits for its script no longer than this on our account.
const DEVICES_DEADLINE: Duration = Duration::from_millis(500);

/// The lan half in this process.
pub struct Beside {
    lan: lan::Lan,
    tasks: Tasks,
}

impl Beside {
    /// Starts it; `None` when it cannot be, and then the trouble is noted.
    pub async fn start(
        config: lan::Config,
        inherited: Vec<(String, Inherited)>,
        clock: &Clock,
        health: &Health,
        tasks: &Tasks,
    ) -> Option<Self> {
        let tasks = tasks.child();
        // It tells its troubles over its control socket, wherever it runs.
        let own = Health::default();
        match lan::Lan::start(config, inherited, clock.clone(), own, &tasks).await {
            Ok(lan) => {
                info!(listen = ?lan.status().listen, "the home's network is answered");
                Some(Self { lan, tasks })
            }
            Err(err) => {
                tasks.cancel();
                let reason = err.to_string().replace("Nothing was started. ", "");
                health.set(
                    "lan",
                    Some(format!("the home's network is not answered: {reason}")),
                );
                None
            }
        }
    }

    pub fn listening(&self) -> lan::api::Listening {
        self.lan.status().listen
    }

    /// Its settings file is read again.
    pub fn reload(&self) {
        self.lan.reload();
    }

    /// Says goodbye on the LAN, then ends its tasks.
    pub async fn stop(self) {
        if tokio::time::timeout(GOODBYE * 2, self.lan.stop(GOODBYE))
            .await
            .is_err()
        {
            warn!("the home's network was left without a goodbye");
        }
        self.tasks.cancel();
    }
}

/// Keeps both halves of one mind. `speaks`: a lan half that does not answer is a trouble (it is expected to run).
pub fn keep(
    home: &Home,
    feeds: &Feeds,
    rules: watch::Sender<Arc<Rules>>,
    health: Option<&Health>,
    tasks: &Tasks,
) {
    let (home, feeds, health) = (home.clone(), feeds.clone(), health.cloned());
    tasks.spawn("home.compare", async move {
        let mut silent = 0;
        loop {
            let trouble = compare(&home, &feeds, &rules).await.err();
            silent = if trouble.is_some() { silent + 1 } else { 0 };
            if let Some(health) = &health
                && (silent == 0 || silent >= SILENT_MAX)
            {
                health.set("lan", trouble.map(|err| err.to_string()));
            }
            tokio::time::sleep(COMPARED_EVERY).await;
        }
    });
}

/// Without an answer, what was set last goes on to count.
async fn compare(home: &Home, feeds: &Feeds, rules: &watch::Sender<Arc<Rules>>) -> Result<(), home::Error> {
    let change = |deed: &dyn Fn(&mut Rules)| {
        rules.send_if_modified(|now| {
            let mut new = now.as_ref().clone();
            deed(&mut new);
            let changed = new != **now;
            if changed {
                *now = Arc::new(new);
            }
            changed
        });
    };
    let domains = match feeds.domains().await {
        Ok(domains) => Some(domains),
        Err(err) => {
            warn!(%err, "which domains are followed is not known now");
            None
        }
    };
    if let Some(domains) = &domains {
        change(&|rules| rules.linked = Linked::new(domains));
    }
    let settings = home.settings().await?;
    change(&|rules| {
        rules.enabled = settings.wpad.enabled;
        rules.markers = settings.dns.markers;
    });
    match domains {
        Some(domains) => home.set_linked(domains).await,
        None => Ok(()),
    }
}

/// Whose resolver we are, as the lan half tells it.
pub struct Askers {
    home: Home,
    known: Mutex<Option<(Instant, Arc<HashSet<IpAddr>>)>>,
}

impl Askers {
    pub fn new(home: &Home) -> Self {
        Self {
            home: home.clone(),
            known: Mutex::default(),
        }
    }

    async fn devices(&self) -> Arc<HashSet<IpAddr>> {
        if let Some((when, devices)) = &*self.known()
            && when.elapsed() < DEVICES_FRESH
        {
            return devices.clone();
        }
        let answer = tokio::time::timeout(DEVICES_DEADLINE, self.home.devices()).await;
        let devices = match answer {
            Ok(Ok(told)) => told.devices,
            // Nobody's resolver, as far as we know: the script without markers is right for everybody.
            _ => Vec::new(),
        };
        let asked = |secs: Option<u64>| secs.is_some_and(|secs| secs <= ASKED_WITHIN_SECS);
        let devices: HashSet<IpAddr> = devices
            .iter()
            .filter(|device| asked(device.dns_secs_ago))
            .flat_map(|device| device.addrs.iter().map(IpAddr::to_canonical))
            .collect();
        let devices = Arc::new(devices);
        *self.known() = Some((Instant::now(), devices.clone()));
        devices
    }

    fn known(&self) -> MutexGuard<'_, Option<(Instant, Arc<HashSet<IpAddr>>)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resolver for Askers {
    fn asked_by(&self, device: IpAddr) -> Pin<Box<dyn Future<Output = bool> + Send + '_>> {
        Box::pin(async move { self.devices().await.contains(&device.to_canonical()) })
    }
}
