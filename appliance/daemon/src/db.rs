//! The async way to the store. Short reads are called directly on [`Db::store`]; anything that may wait for a disk or a
//! commit goes through [`Db::run`].

use std::sync::Arc;

use store::{Error, Store};
use tokio::sync::Semaphore;

/// How many blocking store calls run at once. More: one slow disk occupies more threads. Fewer: writers queue sooner.
const BLOCKING_MAX: usize = 16;

/// Cheap to clone.
#[derive(Clone)]
pub struct Db {
    store: Store,
    permits: Arc<Semaphore>,
}

impl Db {
    pub fn new(store: Store) -> Self {
        Self {
            store,
            permits: Arc::new(Semaphore::new(BLOCKING_MAX)),
        }
    }

    /// The store itself, for calls that touch memory or a page that is almost always cached.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Runs `deed` on a blocking thread.
    pub async fn run<T: Send + 'static>(
        &self,
        deed: impl FnOnce(&Store) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let permit = self
            .permits
            .clone()
            .acquire_owned()
            .await
            .map_err(|_| Error::Gone("the store is closed".into()))?;
        let store = self.store.clone();
        // Blocking work of the store is the one thing that is not a task: it cannot be cancelled half-way.
        #[allow(clippy::disallowed_methods)]
        let joined = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            deed(&store)
        })
        .await;
        joined.unwrap_or_else(|err| Err(Error::Io(format!("a store call ended early: {err}"))))
    }
}
