//! The one task that fetches lists and has them compiled.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use proto::guard;
use tokio::{
    fs,
    io::{AsyncReadExt, BufWriter},
};
use tracing::{debug, info};

use super::{Room, TEXT_BYTES_MAX, book::List, compile::compile};
use crate::web::{self, Ask, Given};

/// For one list, redirects included: 64 MiB by a slow line.
const DEADLINE: Duration = Duration::from_secs(600);
/// All texts together; disk of the box.
const ALL_BYTES_MAX: u64 = 256 << 20;
/// How often is looked whether something is due. Longer: a list that became due is fetched later.
const LOOK_EVERY: Duration = Duration::from_secs(300);
/// How soon the lan half is told again when it did not answer.
const TELL_AGAIN: Duration = Duration::from_secs(20);

pub struct Keeper {
    room: Arc<Room>,
}

impl Keeper {
    pub fn new(room: Arc<Room>) -> Self {
        Self { room }
    }

    pub async fn run(self) {
        loop {
            let told = self.turn().await;
            let pause = match told {
                true => LOOK_EVERY,
                false => TELL_AGAIN,
            };
            tokio::select! {
                () = self.room.wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Fetches what is due, compiles what has changed. False: the lan half has not got it yet.
    async fn turn(&self) -> bool {
        if self.room.state().book.lists.is_empty() && self.room.state().book.compiled.is_none() {
            return true;
        }
        let blocking = match self.room.home.settings().await {
            Ok(settings) => settings.block.enabled,
            Err(_) => false,
        };
        self.room.state().working = true;
        let now = self.room.clock.now_secs();
        let due: Vec<List> = {
            let state = self.room.state();
            let due = state.book.lists.iter().filter(|list| list.is_due(now, blocking));
            due.cloned().collect()
        };
        let looked = !due.is_empty();
        for list in due {
            self.look(list).await;
        }
        let made = self.make().await;
        if looked || matches!(made, Ok(true)) {
            let written = self.room.write().await;
            if let Err(err) = written {
                debug!(%err, "what is known of block lists is looked up again after a restart");
            }
        }
        let told = made.is_ok();
        let mut state = self.room.state();
        state.trouble = made.err();
        state.working = false;
        self.room.health.set("blocklists", state.trouble.clone());
        told
    }

    /// One look at one list.
    async fn look(&self, list: List) {
        let now = self.room.clock.now_secs();
        let got = self.fetch(&list).await;
        let mut state = self.room.state();
        // It may have been removed meanwhile.
        let Some(list) = state.book.list(list.id) else {
            return;
        };
        match got {
            Ok(Some((bytes, etag))) => list.arrived(now, bytes, etag),
            Ok(None) => list.looked_at(now),
            Err(reason) => list.missed(now, reason),
        }
    }

    /// The new text is in its place, with its size and mark; `None`: the old one is as good.
    async fn fetch(&self, list: &List) -> Result<Option<(u64, Option<String>)>, String> {
        let room = &self.room;
        let url = list.url.as_deref().unwrap_or_default();
        let url = guard::allowed_url(url, &room.config.policy.for_web())
            .map_err(|reason| format!("refused: {reason}"))?;
        let path = room.text(list.id);
        // A mark for a text that is gone would leave us with neither.
        let here = fs::try_exists(&path).await.unwrap_or(false);
        let mark = list.etag.as_deref().filter(|_| here);
        let extra = mark.map(|mark| ("if-none-match", mark));
        let others: u64 = {
            let state = room.state();
            let others = state.book.lists.iter().filter(|other| other.id != list.id);
            others.map(|other| other.bytes).sum()
        };
        let ask = Ask {
            body: None,
            extra: extra.as_slice(),
            answer_bytes_max: (TEXT_BYTES_MAX as u64).min(ALL_BYTES_MAX.saturating_sub(others)) as usize,
            deadline: DEADLINE,
        };
        let kept = |err: std::io::Error| format!("keep the text: {err}");
        fs::create_dir_all(&room.config.folder).await.map_err(kept)?;
        let part = path.with_extension("part");
        let mut sink = BufWriter::new(fs::File::create(&part).await.map_err(kept)?);
        let given = web::download(url, &room.config.policy, &ask, &mut sink).await;
        let etag = match given {
            Ok(Given::Body { etag }) => etag,
            other => {
                let _ = fs::remove_file(&part).await;
                return other.map(|_| None).map_err(|err| err.to_string());
            }
        };
        if is_web_page(&part).await {
            let _ = fs::remove_file(&part).await;
            return Err("what came is a web page and no list".into());
        }
        let bytes = fs::metadata(&part).await.map_err(kept)?.len();
        fs::rename(&part, &path).await.map_err(kept)?;
        Ok(Some((bytes, etag)))
    }

    /// Brings the compiled file in line with the lists. `Ok(true)`: there is a new one.
    async fn make(&self) -> Result<bool, String> {
        let room = &self.room;
        self.miss_lost_texts().await;
        let (wanted, have) = {
            let state = room.state();
            (state.book.wanted(), state.book.compiled.clone())
        };
        if have.is_none() && wanted.is_empty() {
            return Ok(false);
        }
        let status = room.home.status().await.map_err(|err| err.to_string())?;
        if status.block.file.is_empty() {
            return Err(
                "the part of Granary that answers the home's network does not say where lists belong".into(),
            );
        }
        let out = PathBuf::from(status.block.file);
        let here = fs::try_exists(&out).await.unwrap_or(false);
        if here && have.as_ref() == Some(&wanted) {
            return Ok(false);
        }
        let texts: Vec<PathBuf> = wanted.iter().map(|(id, _)| room.text(*id)).collect();
        // Hashing and sorting would keep every page waiting.
        #[allow(clippy::disallowed_methods)]
        let compiled = tokio::task::spawn_blocking(move || compile(&texts, &out)).await;
        let outcome = compiled.map_err(|err| format!("compiling ended early: {err}"))??;
        room.home
            .reload_blocklist()
            .await
            .map_err(|err| err.to_string())?;
        info!(
            count = outcome.names,
            bytes = outcome.bytes,
            "block list compiled"
        );
        let counts: Vec<_> = wanted.iter().map(|(id, _)| *id).zip(outcome.counts).collect();
        room.state().book.compiled(wanted, outcome.names, &counts);
        Ok(true)
    }

    /// A text that somebody removed is fetched again; one that was uploaded has to be given again.
    async fn miss_lost_texts(&self) {
        let wanted = self.room.state().book.wanted();
        for (id, _) in wanted {
            if !fs::try_exists(self.room.text(id)).await.unwrap_or(true)
                && let Some(list) = self.room.state().book.list(id)
            {
                list.lost();
            }
        }
    }
}

/// A login page of a hotel or an error page must not take the place of a list that works.
async fn is_web_page(path: &Path) -> bool {
    let mut begin = [0; 64];
    let read = async { fs::File::open(path).await?.read(&mut begin).await };
    let len = read.await.unwrap_or(0);
    begin[..len].trim_ascii_start().starts_with(b"<")
}
