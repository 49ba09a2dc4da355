//! Sharing: what the household gives to others: on or off, how fast, at which hours, how much in a month. Settings live in
//! the store, are changed on pages, and take effect at once.
//!
//! The configuration file counts until something is changed on a page; from then on all settings of the page count, until
//! they are forgotten again. Must not know: pages, peers. Reading order: this file, `settings` (what may be set), `account`
//! (what was given this month).

mod account;
mod settings;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use schemars::JsonSchema;
use serde::Serialize;
use tracing::{info, warn};

use crate::{
    clock::Clock,
    db::Db,
    health::Health,
    swarm::{Swarm, limits},
    tasks::Tasks,
};
use account::Account;
pub use settings::{Day, Hours, Settings};

/// Rows of the store.
const SETTINGS: &str = "sharing";
const GIVEN: &str = "sharing.given";
/// Between two looks at what was given: as long as nothing is; and the least while much is.
const LOOK_IDLE: Duration = Duration::from_millis(500);
const LOOK_BUSY: Duration = Duration::from_millis(20);
/// A little that was given is written down by then.
const WRITE_EVERY: Duration = Duration::from_secs(60);

/// What the configuration file says.
#[derive(Debug, Clone, Default)]
pub struct Config {
    pub settings: Settings,
    /// Connection counts: no page changes them.
    pub caps: limits::Caps,
    /// This run was started with upload off: no setting switches it on.
    pub never: bool,
}

/// What has been given.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct Given {
    pub month_bytes: u64,
    pub total_bytes: u64,
    /// Upload rests because the month's budget is used up.
    pub resting: bool,
    /// Whether others get anything now, and if not, why, in a sentence.
    pub words: String,
    /// The settings were changed on a page or by a program; else they are the configuration file's.
    pub set_here: bool,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Sharing {
    room: Arc<Room>,
}

struct Room {
    swarm: Swarm,
    db: Db,
    clock: Clock,
    health: Health,
    state: Mutex<State>,
}

struct State {
    file: Config,
    /// What was set on a page.
    chosen: Option<Settings>,
    account: Account,
    /// Whether upload rested when the swarm was last told.
    told_resting: bool,
}

impl State {
    /// What the store holds; what cannot be read counts as never set.
    fn read(file: Config, db: &Db) -> Self {
        let read = |key| db.store().setting(key).ok().flatten();
        let chosen = read(SETTINGS).and_then(|bytes| {
            serde_json::from_slice::<Option<Settings>>(&bytes)
                .inspect_err(
                    |err| warn!(%err, "the settings of sharing are damaged; the configuration file counts"),
                )
                .ok()
                .flatten()
        });
        Self {
            chosen,
            account: read(GIVEN).map(|bytes| Account::read(&bytes)).unwrap_or_default(),
            file,
            told_resting: false,
        }
    }

    fn settings(&self) -> &Settings {
        self.chosen.as_ref().unwrap_or(&self.file.settings)
    }

    fn resting(&self) -> bool {
        self.account.used_up(self.settings().monthly_bytes)
    }

    fn gives(&self) -> bool {
        self.settings().upload && !self.file.never && !self.resting()
    }

    fn limits(&self) -> limits::Settings {
        self.settings().limits(self.file.caps)
    }
}

/// With what the swarm has to start, so that nothing is given before the settings are known: limits, and whether others get
/// anything.
pub fn first(config: &Config, db: &Db, clock: &Clock) -> (limits::Settings, bool) {
    let mut state = State::read(config.clone(), db);
    state.account.turn(clock.month());
    (state.limits(), state.gives())
}

impl Sharing {
    pub fn start(config: Config, swarm: Swarm, db: Db, clock: Clock, health: Health, tasks: &Tasks) -> Self {
        let mut state = State::read(config, &db);
        state.account.turn(clock.month());
        let room = Arc::new(Room {
            swarm,
            db,
            clock,
            health,
            state: Mutex::new(state),
        });
        room.apply();
        let (counting, token) = (room.clone(), tasks.token());
        tasks.spawn_graceful("sharing.count", async move {
            tokio::select! {
                () = token.cancelled() => {}
                () = counting.count() => {}
            }
            counting.look();
            counting.write_down().await;
        });
        Self { room }
    }

    pub fn settings(&self) -> Settings {
        self.room.lock().settings().clone()
    }

    /// Takes effect at once, and counts over the configuration file. The error is a sentence about the field.
    pub async fn set(&self, settings: Settings) -> Result<(), String> {
        settings.check()?;
        let bytes = serde_json::to_vec(&settings).map_err(|err| err.to_string())?;
        let written = self.room.db.run(move |store| store.set_setting(SETTINGS, &bytes));
        written
            .await
            .map_err(|err| format!("the settings cannot be stored: {err}"))?;
        self.room.lock().chosen = Some(settings);
        self.room.apply();
        info!("what others get from us was set");
        Ok(())
    }

    /// The configuration file counts again.
    pub async fn forget(&self) -> Result<(), store::Error> {
        self.room
            .db
            .run(|store| store.set_setting(SETTINGS, b"null"))
            .await?;
        self.room.lock().chosen = None;
        self.room.apply();
        info!("what others get from us stands in the configuration file again");
        Ok(())
    }

    /// The configuration file was read again. False: it changes nothing, because settings of a page count.
    pub fn reload(&self, config: Config) -> bool {
        let counts = {
            let mut state = self.room.lock();
            state.file = config;
            state.chosen.is_none()
        };
        self.room.apply();
        counts
    }

    pub fn given(&self) -> Given {
        self.room.look();
        let state = self.room.lock();
        Given {
            month_bytes: state.account.month_bytes,
            total_bytes: state.account.total_bytes,
            resting: state.resting(),
            words: words(&state),
            set_here: state.chosen.is_some(),
        }
    }
}

impl Room {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the swarm and the health page what counts now.
    fn apply(&self) {
        let (limits, gives, resting, words) = {
            let mut state = self.lock();
            state.told_resting = state.resting();
            (state.limits(), state.gives(), state.told_resting, words(&state))
        };
        self.swarm.limits().set(limits);
        self.swarm.set_upload(gives);
        self.health.set("sharing", resting.then_some(words));
    }

    /// Counts what was given since the last look. True: upload has to rest, or to begin again, and nobody was told yet.
    fn look(&self) -> bool {
        let (uploaded, month) = (self.swarm.uploaded(), self.clock.month());
        let mut state = self.lock();
        state.account.turn(month);
        state.account.count(uploaded, tokio::time::Instant::now());
        state.resting() != state.told_resting
    }

    async fn count(&self) {
        let mut written = tokio::time::Instant::now();
        loop {
            let (pause, due) = {
                let state = self.lock();
                let step = account::step(state.settings().monthly_bytes);
                (state.account.pause(step), state.account.unwritten() >= step)
            };
            if due || written.elapsed() >= WRITE_EVERY {
                self.write_down().await;
                written = tokio::time::Instant::now();
            }
            tokio::time::sleep(pause.clamp(LOOK_BUSY, LOOK_IDLE)).await;
            if self.look() {
                self.apply();
            }
        }
    }

    async fn write_down(&self) {
        let bytes = {
            let mut state = self.lock();
            if state.account.unwritten() == 0 {
                return;
            }
            state.account.write()
        };
        let written = self.db.run(move |store| store.set_setting(GIVEN, &bytes));
        if let Err(err) = written.await {
            warn!(%err, "what was given this month is not written down");
        }
    }
}

fn words(state: &State) -> String {
    let settings = state.settings();
    if state.file.never {
        return "Others get nothing: this run was started with upload off.".into();
    }
    if !settings.upload {
        return "Others get nothing: upload is switched off.".into();
    }
    if state.resting() {
        return format!(
            "Upload rests until the first of {}: the {} for this month are used up. A larger budget lets it go on.",
            state.account.next_month(),
            size(settings.monthly_bytes)
        );
    }
    "Others get what is here.".into()
}

/// As budgets are set: powers of ten.
fn size(bytes: u64) -> String {
    match bytes {
        1_000_000_000.. => format!("{} GB", tenths(bytes, 1_000_000_000)),
        _ => format!("{} MB", tenths(bytes, 1_000_000)),
    }
}

fn tenths(bytes: u64, unit: u64) -> String {
    match (bytes / unit, bytes % unit * 10 / unit) {
        (whole, 0) => whole.to_string(),
        (whole, tenth) => format!("{whole}.{tenth}"),
    }
}
