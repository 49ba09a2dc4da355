//! The order and number of looks, with a paused clock and a real store.

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use proto::{
    feed::due::{self, Past},
    id::Target,
};
use store::{Store, TargetWork};
use tempfile::TempDir;
use tokio::time::Instant;

use super::turns::{Turns, Work};
use crate::{clock::Clock, db::Db};

const NOW: u64 = 1_777_788_000;
const AT_ONCE: usize = 8;

/// A look takes two seconds, and the feed is a quiet one.
#[derive(Default)]
struct Looks {
    clock: Clock,
    under_way: AtomicUsize,
    most: AtomicUsize,
    done: Mutex<HashMap<Target, Vec<u64>>>,
    removed: Option<Target>,
}

impl Looks {
    fn count(&self) -> usize {
        self.done.lock().expect("no panic").values().map(Vec::len).sum()
    }

    fn of(&self, id: Target) -> Vec<u64> {
        self.done
            .lock()
            .expect("no panic")
            .get(&id)
            .cloned()
            .unwrap_or_default()
    }
}

/// Counts a look that was cut off, too.
struct UnderWay<'a>(&'a AtomicUsize);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Work for Looks {
    async fn look(&self, id: Target) -> Option<u64> {
        let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        let _under_way = UnderWay(&self.under_way);
        self.most.fetch_max(now, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(2)).await;
        let at = self.clock.now_secs();
        self.done
            .lock()
            .expect("no panic")
            .entry(id)
            .or_default()
            .push(at);
        let past = Past {
            seen: &[NOW - 90 * 86_400],
            ..Past::default()
        };
        (self.removed != Some(id)).then(|| due::next(&past, at, rand::random()))
    }
}

struct House {
    db: Db,
    turns: Turns,
    looks: Looks,
    _dir: TempDir,
}

fn target(number: u16) -> Target {
    let mut id = [0; 20];
    id[..2].copy_from_slice(&number.to_be_bytes());
    Target(id)
}

impl House {
    fn open(rows: u16) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let content = dir.path().join("content");
        std::fs::create_dir_all(&content).expect("writable");
        let config = store::Config {
            state_dir: dir.path().into(),
            content_dir: content,
            segment_bytes_max: 1 << 30,
            pending_bytes_max: 1 << 20,
            visited_bytes_max: 1 << 30,
            free_floor_bytes: 0,
        };
        let store = Store::open(config, NOW).expect("a new store");
        let due: Vec<(Target, u64)> = (0..rows).map(|n| (target(n), NOW)).collect();
        store.set_due_targets(TargetWork::Refresh, &due).expect("written");
        Self {
            db: Db::new(store),
            turns: Turns::default(),
            looks: Looks {
                clock: Clock::simulated(NOW),
                ..Looks::default()
            },
            _dir: dir,
        }
    }

    async fn serve(&self, time: Duration) {
        let serve = self
            .turns
            .serve(&self.looks, &self.db, &self.looks.clock, AT_ONCE);
        let _ = tokio::time::timeout(time, serve).await;
    }

    fn due(&self) -> HashMap<Target, u64> {
        let rows = self.db.store().due_targets(TargetWork::Refresh, u64::MAX, 1000);
        rows.expect("readable").into_iter().collect()
    }
}

#[tokio::test(start_paused = true)]
async fn five_hundred_due_rows_are_served_a_few_at_a_time_and_then_spread() {
    let house = House::open(500);
    let begun = Instant::now();
    house.serve(Duration::from_secs(600)).await;
    assert_eq!(house.looks.count(), 500, "each once");
    assert_eq!(house.looks.most.load(Ordering::SeqCst), AT_ONCE);
    let mut done: Vec<u64> = (0..500).flat_map(|n| house.looks.of(target(n))).collect();
    done.sort_unstable();
    let took = done[499] - NOW;
    assert!(
        (120..200).contains(&took),
        "2 s each, 8 at once: {took} s, {:?}",
        begun.elapsed()
    );
    let mut due: Vec<u64> = house.due().into_values().collect();
    due.sort_unstable();
    assert_eq!(due.len(), 500);
    let crowd = (0..due.len()).map(|i| due[i..].iter().take_while(|at| **at < due[i] + 60).count());
    assert!(
        crowd.max().is_some_and(|most| most < 25),
        "they would come together"
    );
}

#[tokio::test(start_paused = true)]
async fn a_day_of_looks_is_as_many_as_the_intervals_say() {
    let house = House::open(40);
    house.serve(Duration::from_secs(86_400)).await;
    let each: Vec<usize> = (0..40).map(|n| house.looks.of(target(n)).len()).collect();
    // Every six hours, 20 % more or less, the first at once.
    assert!(each.iter().all(|looks| (4..=6).contains(looks)), "{each:?}");
}

#[tokio::test(start_paused = true)]
async fn a_restart_repeats_the_looks_under_way_and_no_other() {
    let house = House::open(100);
    house.serve(Duration::from_secs(11)).await;
    let before = house.looks.count();
    assert!((30..=48).contains(&before), "{before} looks in 11 s");
    house.looks.most.store(0, Ordering::SeqCst);
    let again = House {
        turns: Turns::default(),
        ..house
    };
    again.serve(Duration::from_secs(300)).await;
    let looks = again.looks.count();
    assert!(
        (0..100).all(|n| !again.looks.of(target(n)).is_empty()),
        "none is lost"
    );
    assert!(looks <= 100 + AT_ONCE, "{looks} looks for 100 rows");
    assert!(again.looks.most.load(Ordering::SeqCst) <= AT_ONCE);
}

#[tokio::test(start_paused = true)]
async fn what_a_person_asks_for_comes_before_what_is_due() {
    let house = House::open(300);
    let last = target(999);
    house
        .db
        .store()
        .set_due_targets(TargetWork::Refresh, &[(last, NOW + 9_999)])
        .expect("written");
    let asked = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        house.turns.now(&house.db, last).await.expect("noted");
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = house.serve(Duration::from_secs(12)) => {}
        () = asked => {}
    }
    let at = house.looks.of(last);
    assert!(at.first().is_some_and(|at| *at <= NOW + 10), "{at:?}");
    assert!(house.looks.count() < 100, "the others still wait");
}

#[tokio::test(start_paused = true)]
async fn who_asks_during_a_look_gets_another_one() {
    let house = House::open(1);
    let asked = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(house.turns.busy(&target(0)));
        house.turns.now(&house.db, target(0)).await.expect("noted");
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = house.serve(Duration::from_secs(60)) => {}
        () = asked => {}
    }
    assert_eq!(house.looks.of(target(0)).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_removed_while_it_is_looked_at_has_no_turn_any_more() {
    let mut house = House::open(2);
    house.looks.removed = Some(target(0));
    house.serve(Duration::from_secs(86_400)).await;
    assert_eq!(house.looks.of(target(0)).len(), 1);
    assert!(house.looks.of(target(1)).len() > 1);
    assert!(!house.due().contains_key(&target(0)));
}
