//! Arrangement: how the home finds the box: what the household chose last and what was before (so that one click undoes
//! it), what a look at the LAN showed, and what its small trials said.
//!
//! Must not know: pages, how the lan half does its work. Looks and trials run behind, one at a time, each with a deadline;
//! whoever shows them asks again. Reading order: this file, `trials`.

mod trials;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use lan::{
    api::{Saved, Survey},
    settings::Settings,
};
use serde::{Deserialize, Serialize};
use store::UnixSecs;
use tracing::warn;

use crate::{
    clock::Clock,
    db::Db,
    home::{self, Home},
    tasks::Tasks,
};
pub use trials::{Answer, Trial, Verdict, ask_name, load_pac, reachable};

/// Row of the store.
const BEFORE: &str = "lan.before";

/// Cheap to clone.
#[derive(Clone)]
pub struct Arrangement {
    room: Arc<Room>,
}

struct Room {
    home: Home,
    db: Db,
    clock: Clock,
    tasks: Tasks,
    /// Reading the settings, changing them and writing them back is one deed.
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Not known before the store was asked.
    before: Option<Option<Before>>,
    looking: bool,
    seen: Seen,
    trying: bool,
    tried: Option<(UnixSecs, Vec<Trial>)>,
}

/// What one click brings back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Before {
    /// When it was changed.
    pub at: UnixSecs,
    /// What was changed, as people say it.
    pub words: String,
    pub settings: Settings,
}

/// The last look at the LAN.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// One is under way.
    pub looking: bool,
    pub survey: Option<(UnixSecs, Survey)>,
    /// Why the last one showed nothing.
    pub trouble: Option<String>,
}

/// The last trials.
#[derive(Debug, Clone, Default)]
pub struct Tried {
    pub trying: bool,
    pub trials: Option<(UnixSecs, Vec<Trial>)>,
}

/// What keeps a change from being made.
#[derive(Debug)]
pub enum Refused<E> {
    /// What was asked for is wrong.
    Wrong(E),
    /// The lan half refuses it or is not there.
    Home(home::Error),
}

impl Arrangement {
    pub fn new(home: Home, db: Db, clock: Clock, tasks: Tasks) -> Self {
        Self {
            room: Arc::new(Room {
                home,
                db,
                clock,
                tasks,
                turn: tokio::sync::Mutex::default(),
                state: Mutex::default(),
            }),
        }
    }

    /// Changes the settings of the lan half and keeps what was before. `words`: what is changed. Nothing different: nothing
    /// is done and nothing forgotten.
    pub async fn change<E>(
        &self,
        words: &str,
        edit: impl FnOnce(&Settings) -> Result<Settings, E>,
    ) -> Result<Saved, Refused<E>> {
        let _turn = self.room.turn.lock().await;
        let before = self.room.home.settings().await.map_err(Refused::Home)?;
        let after = edit(&before).map_err(Refused::Wrong)?;
        if after == before {
            return Ok(Saved::default());
        }
        let saved = self.room.home.set_settings(&after).await.map_err(Refused::Home)?;
        self.remember(words, before).await;
        Ok(saved)
    }

    /// Brings back what was before the last change; a second time brings the change back. `None`: nothing was changed yet.
    pub async fn undo(&self) -> Result<Option<Saved>, home::Error> {
        let _turn = self.room.turn.lock().await;
        let Some(before) = self.before().await else {
            return Ok(None);
        };
        let now = self.room.home.settings().await?;
        let saved = self.room.home.set_settings(&before.settings).await?;
        self.remember(&before.words, now).await;
        Ok(Some(saved))
    }

    /// What [`Arrangement::undo`] would bring back.
    pub async fn before(&self) -> Option<Before> {
        let known = self.state().before.clone();
        if let Some(before) = known {
            return before;
        }
        let row = self.room.db.run(|store| store.setting(BEFORE)).await;
        let row = match row {
            Ok(row) => row,
            Err(err) => {
                warn!(%err, "what was before the last change of the network cannot be read");
                return None;
            }
        };
        let before = row.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        self.state().before.get_or_insert(before).clone()
    }

    /// A disk that cannot be written keeps nobody from undoing until the next start.
    async fn remember(&self, words: &str, settings: Settings) {
        let before = Before {
            at: self.room.clock.now_secs(),
            words: words.into(),
            settings,
        };
        let row = serde_json::to_vec(&before).unwrap_or_default();
        self.state().before = Some(Some(before));
        if let Err(err) = self
            .room
            .db
            .run(move |store| store.set_setting(BEFORE, &row))
            .await
        {
            warn!(%err, "what was before this change of the network is not on disk");
        }
    }

    /// Begins a look at the LAN, unless one is under way.
    pub fn look(&self) {
        if std::mem::replace(&mut self.state().looking, true) {
            return;
        }
        let me = self.clone();
        self.room.tasks.spawn("arrangement.look", async move {
            let outcome = me.room.home.survey().await;
            let now = me.room.clock.now_secs();
            let mut state = me.state();
            state.looking = false;
            match outcome {
                Ok(survey) => {
                    state.seen = Seen {
                        survey: Some((now, survey)),
                        ..Seen::default()
                    }
                }
                Err(err) => state.seen.trouble = Some(err.to_string()),
            }
        });
    }

    /// A look that somebody waits for; the next [`Arrangement::seen`] shows it too.
    pub async fn survey(&self) -> Result<Survey, home::Error> {
        let survey = self.room.home.survey().await?;
        let now = self.room.clock.now_secs();
        self.state().seen = Seen {
            survey: Some((now, survey.clone())),
            ..Seen::default()
        };
        Ok(survey)
    }

    pub fn seen(&self) -> Seen {
        let state = self.state();
        Seen {
            looking: state.looking,
            ..state.seen.clone()
        }
    }

    /// Begins the trials, unless they are under way. `pages`: where this box serves the PAC.
    pub fn try_all(&self, pages: SocketAddr) {
        if std::mem::replace(&mut self.state().trying, true) {
            return;
        }
        let me = self.clone();
        self.room.tasks.spawn("arrangement.trials", async move {
            let router = me
                .state()
                .seen
                .survey
                .as_ref()
                .and_then(|(_, survey)| survey.gateway);
            let trials = trials::all(&me.room.home, router, pages).await;
            let now = me.room.clock.now_secs();
            let mut state = me.state();
            state.trying = false;
            state.tried = Some((now, trials));
        });
    }

    pub fn tried(&self) -> Tried {
        let state = self.state();
        Tried {
            trying: state.trying,
            trials: state.tried.clone(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.room.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
