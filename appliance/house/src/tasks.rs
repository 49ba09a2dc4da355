//! How tasks live and die: every task has a name, an owner and an end.
//!
//! Field names in log lines, so that one search finds every line about one thing: `task`, `site`, `peer`, `piece`,
//! `addr`, `listen`, `path`, `bytes`, `count`, `secs`, `reason`, `err`.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::warn;

/// A live task, for the status page.
#[derive(Debug, Clone)]
pub struct TaskRow {
    pub name: &'static str,
    pub age: Duration,
}

#[derive(Default)]
struct Register {
    next: u64,
    live: BTreeMap<u64, (&'static str, Instant)>,
}

/// Spawns, names, cancels and counts tasks. Cheap to clone.
#[derive(Clone, Default)]
pub struct Tasks {
    token: CancellationToken,
    tracker: TaskTracker,
    register: Arc<Mutex<Register>>,
}

impl Tasks {
    pub fn new() -> Self {
        Self::default()
    }

    /// A group that can be stopped on its own and is stopped with its parent.
    pub fn child(&self) -> Self {
        Self {
            token: self.token.child_token(),
            tracker: self.tracker.clone(),
            register: self.register.clone(),
        }
    }

    /// Cancelled when this group has to stop. Every loop watches it.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Runs `work` until it ends or the group is cancelled, whichever comes first: `work` is dropped at its next await.
    /// A task that must finish a write before it ends watches [`Tasks::token`] itself and uses [`Tasks::spawn_graceful`].
    pub fn spawn(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let token = self.token.clone();
        self.spawn_graceful(name, async move {
            tokio::select! {
                () = token.cancelled() => {}
                () = work => {}
            }
        });
    }

    /// Like [`Tasks::spawn`], but never dropped half-way: `work` must watch the token itself.
    pub fn spawn_graceful(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let row = Row::enter(&self.register, name);
        // The one place that may call tokio's spawn: here the task gets its name and its end.
        #[allow(clippy::disallowed_methods)]
        self.tracker.spawn(async move {
            let _row = row;
            work.await;
        });
    }

    /// All live tasks, oldest first.
    pub fn list(&self) -> Vec<TaskRow> {
        let register = lock(&self.register);
        register
            .live
            .values()
            .map(|(name, born)| TaskRow {
                name,
                age: born.elapsed(),
            })
            .collect()
    }

    /// Asks every task of this group to stop.
    pub fn cancel(&self) {
        self.token.cancel();
    }

    /// Cancels and waits. Returns the names of the tasks that are still alive at the deadline: a defect when not empty.
    pub async fn stop(&self, deadline: Duration) -> Vec<&'static str> {
        self.token.cancel();
        self.tracker.close();
        if tokio::time::timeout(deadline, self.tracker.wait()).await.is_ok() {
            return Vec::new();
        }
        let left: Vec<_> = self.list().into_iter().map(|row| row.name).collect();
        warn!(count = left.len(), tasks = ?left, "tasks did not stop in time");
        left
    }
}

struct Row {
    register: Arc<Mutex<Register>>,
    id: u64,
}

impl Row {
    fn enter(register: &Arc<Mutex<Register>>, name: &'static str) -> Self {
        let mut inner = lock(register);
        let id = inner.next;
        inner.next += 1;
        inner.live.insert(id, (name, Instant::now()));
        Self {
            register: register.clone(),
            id,
        }
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        lock(&self.register).live.remove(&self.id);
    }
}

/// A panic in one task must not poison the list of all others.
fn lock(register: &Mutex<Register>) -> MutexGuard<'_, Register> {
    register.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn stop_ends_every_task_and_names_those_that_hang() {
        let tasks = Tasks::new();
        tasks.spawn("waits for ever", std::future::pending());
        assert_eq!(tasks.list().len(), 1);
        assert!(tasks.stop(Duration::from_secs(1)).await.is_empty());
        assert!(tasks.list().is_empty());

        let tasks = Tasks::new();
        tasks.spawn_graceful("ignores its token", std::future::pending());
        assert_eq!(tasks.stop(Duration::from_secs(1)).await, ["ignores its token"]);
    }
}
