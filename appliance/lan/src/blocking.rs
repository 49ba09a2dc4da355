//! Which names the household does not want to see: its own words, and the compiled list that the web half makes.
//!
//! Must not know DNS messages, sockets, where lists come from, or other rooms. A list that is missing or damaged blocks
//! nothing and is told as a trouble: a home without advertisements is worth less than a home with names.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use mapped::Mapped;
use proto::dns::blocklist::{List, Own};
use tokio::{sync::mpsc, time::Instant};
use tracing::info;

use crate::{api::BlockFacts, frame::House, settings::Block};

/// The compiled list in the folder of the lan half. It is replaced by rename, never written to in place.
pub const FILE: &str = "blocklist";
/// Four million names. More: a list of everything is no list.
pub const FILE_BYTES_MAX: u64 = 32 << 20;
const PAUSE_MAX: Duration = Duration::from_secs(86_400);
/// Other commands wait behind one that opens a list.
const COMMANDS_MAX: usize = 16;

/// Cheap to clone.
#[derive(Clone)]
pub struct Blocking {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
}

struct Shared {
    /// Switched on and not paused: the one thing looked at when nothing is blocked.
    active: AtomicBool,
    /// Counts every change of verdicts.
    generation: AtomicU64,
    /// Replaced whole; the lock is never held across anything that waits.
    words: RwLock<Arc<Words>>,
    paused_until: Mutex<Option<Instant>>,
    file: PathBuf,
}

/// Everything that verdicts are made from.
struct Words {
    enabled: bool,
    own: Own,
    list: Option<Arc<List<Mapped>>>,
}

enum Command {
    Reload,
    /// The pause was set or ended.
    Pause,
}

impl Blocking {
    /// Verdicts follow the settings from here on. The list is opened behind: until then the household's own words count.
    pub fn start(house: &House) -> Self {
        let settings = house.settings();
        let shared = Arc::new(Shared {
            active: AtomicBool::new(settings.block.enabled),
            generation: AtomicU64::new(0),
            words: RwLock::new(Arc::new(Words {
                enabled: settings.block.enabled,
                own: own(&settings.block),
                list: None,
            })),
            paused_until: Mutex::new(None),
            file: house.config.state.join(FILE),
        });
        let (commands, received) = mpsc::channel(COMMANDS_MAX);
        let keeper = Keeper {
            house: house.clone(),
            shared: shared.clone(),
            block: None,
        };
        house.tasks.spawn("blocking.keep", keeper.run(received));
        Self { shared, commands }
    }

    /// `name`: wire form, lower case. What stands above the name counts too.
    pub fn is_blocked(&self, name: &[u8]) -> bool {
        if !self.shared.active.load(Ordering::Acquire) {
            return false;
        }
        let words = self.shared.words.read().unwrap_or_else(PoisonError::into_inner);
        words.own.is_blocked(words.list.as_deref(), name)
    }

    /// Another number than before: verdicts that were kept may be wrong.
    pub fn generation(&self) -> u64 {
        self.shared.generation.load(Ordering::Acquire)
    }

    /// Names in the list.
    pub fn names(&self) -> u64 {
        self.shared.words().list.as_ref().map_or(0, |list| list.blocked())
    }

    /// The compiled list is opened again; the old one counts until then, without a gap.
    pub fn reload(&self) {
        self.tell(Command::Reload);
    }

    /// Blocks nothing for so long; zero ends the pause.
    pub fn pause(&self, time: Duration) {
        let until = (!time.is_zero()).then(|| Instant::now() + time.min(PAUSE_MAX));
        *self.shared.paused_until() = until;
        self.shared.judge();
        self.tell(Command::Pause);
    }

    pub fn facts(&self) -> BlockFacts {
        let paused = *self.shared.paused_until();
        BlockFacts {
            enabled: self.shared.words().enabled,
            names: self.names(),
            paused_secs: paused
                .map(|until| until.saturating_duration_since(Instant::now()))
                .filter(|left| !left.is_zero())
                .map(|left| left.as_secs().max(1)),
            file: self.shared.file.display().to_string(),
        }
    }

    fn tell(&self, command: Command) {
        // A full queue holds a reload that has not begun: it will see the newest file and the newest pause.
        let _ = self.commands.try_send(command);
    }
}

impl Shared {
    fn words(&self) -> Arc<Words> {
        self.words.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace(&self, words: Words) {
        *self.words.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(words);
        self.judge();
    }

    fn paused_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.paused_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something changed: is anything blocked now?
    fn judge(&self) {
        let mut paused = self.paused_until();
        if paused.is_some_and(|until| until <= Instant::now()) {
            *paused = None;
        }
        let active = self.words().enabled && paused.is_none();
        drop(paused);
        self.active.store(active, Ordering::Release);
        self.generation.fetch_add(1, Ordering::AcqRel);
    }
}

/// The one task that changes what verdicts are made from.
struct Keeper {
    house: House,
    shared: Arc<Shared>,
    /// The settings that are in force; `None`: the first round.
    block: Option<Block>,
}

impl Keeper {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut settings = self.house.watch_settings();
        let mut again = false;
        loop {
            let block = settings.borrow_and_update().block.clone();
            self.follow(block, again).await;
            let pause = *self.shared.paused_until();
            let over = async {
                match pause {
                    Some(until) => tokio::time::sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            again = tokio::select! {
                changed = settings.changed() => match changed {
                    Ok(()) => false,
                    Err(_) => return,
                },
                command = commands.recv() => match command {
                    Some(command) => matches!(command, Command::Reload),
                    None => return,
                },
                () = over => {
                    self.shared.judge();
                    false
                }
            };
        }
    }

    /// Brings verdicts in line with the settings; opens the list when it has to be opened.
    async fn follow(&mut self, block: Block, again: bool) {
        let was_enabled = self.block.as_ref().is_some_and(|old| old.enabled);
        if !again && self.block.as_ref() == Some(&block) {
            return;
        }
        let old = self.shared.words().list.clone();
        let (list, trouble) = match (block.enabled, was_enabled && !again) {
            (false, _) => (None, None),
            (true, true) => (old, self.trouble()),
            (true, false) => match open(self.shared.file.clone()).await {
                Ok(list) => {
                    info!(count = list.blocked(), "block list opened");
                    (Some(Arc::new(list)), None)
                }
                Err(trouble) => (None, Some(trouble)),
            },
        };
        self.shared.replace(Words {
            enabled: block.enabled,
            own: own(&block),
            list,
        });
        self.house.health.set("blocking", trouble);
        self.block = Some(block);
    }

    /// What is told already and stays so.
    fn trouble(&self) -> Option<String> {
        let troubles = self.house.health.troubles();
        troubles
            .into_iter()
            .find_map(|(room, reason)| (room == "blocking").then_some(reason))
    }
}

fn own(block: &Block) -> Own {
    Own::new(rand::random(), &block.allow, &block.deny)
}

/// On a thread of its own: reading eight megabytes from a memory card would keep every question waiting.
async fn open(path: PathBuf) -> Result<List<Mapped>, String> {
    #[allow(clippy::disallowed_methods)]
    let opened = tokio::task::spawn_blocking(move || {
        let shown = path.display();
        match Mapped::open(&path, FILE_BYTES_MAX) {
            Ok(mapped) => List::open(mapped).map_err(|damage| {
                format!("the compiled block list {shown} cannot be used ({damage}): only names of the household's own are blocked. Fetch the lists again.")
            }),
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => {
                Err("no block list has been fetched yet: only names of the household's own are blocked".into())
            }
            Err(err) => Err(format!(
                "the compiled block list {shown} cannot be read ({err}): only names of the household's own are blocked"
            )),
        }
    });
    opened
        .await
        .unwrap_or_else(|err| Err(format!("opening the block list ended early: {err}")))
}

#[cfg(test)]
#[path = "blocking_tests.rs"]
mod tests;
