//! What to fetch next, as pure decisions: who gets one of the few places in the engine, where readers stand, how long to
//! wait after trouble. No clock, no engine: instants come in, choices go out.

use std::time::Duration;

use proto::id::InfoHash;
use tokio::time::Instant;

/// A visited torrent that nobody has read for this long leaves the engine. Longer: strangers' torrents use the line while
/// nobody looks. Shorter: a paused video starts slowly.
pub const IDLE: Duration = Duration::from_secs(60);
/// How long a kept torrent holds its place while others wait. Longer: fewer reconnections. Shorter: fairer.
pub const TURN: Duration = Duration::from_secs(300);
/// A reader that has not asked for this long no longer pulls pieces towards it.
pub const READER_IDLE: Duration = Duration::from_secs(8);
/// Reader positions per torrent. More: readers slow each other down. Fewer: a third tab waits for the first.
pub const READERS_MAX: usize = 4;
/// How far ahead of a reader a new request still counts as the same reader, bytes: librqbit's look-ahead.
pub const LOOK_AHEAD: u64 = 32 << 20;

/// One torrent that has something missing.
#[derive(Debug, Clone)]
pub struct Candidate {
    pub ih: InfoHash,
    pub kept: bool,
    /// When a reader last asked for a missing piece or read near one.
    pub wanted: Option<Instant>,
    /// Since when it is in the engine.
    pub active: Option<Instant>,
    /// When it last was in the engine; the longest ago comes first.
    pub rested: Option<Instant>,
    /// Not before this, after trouble.
    pub not_before: Option<Instant>,
}

impl Candidate {
    fn has_reader(&self, now: Instant) -> bool {
        self.wanted.is_some_and(|at| now.duration_since(at) < IDLE)
    }
}

/// What has to change in the engine.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub start: Vec<InfoHash>,
    pub stop: Vec<InfoHash>,
    /// Visited, idle and not in the engine: need not be thought of any more.
    pub forget: Vec<InfoHash>,
}

/// Readers first, then kept ones in turn; at most `places` are in the engine.
pub fn plan(now: Instant, candidates: &[Candidate], places: usize) -> Plan {
    let mut plan = Plan::default();
    let mut ready: Vec<&Candidate> = Vec::new();
    for candidate in candidates {
        if !candidate.kept && !candidate.has_reader(now) {
            match candidate.active {
                Some(_) => plan.stop.push(candidate.ih),
                None => plan.forget.push(candidate.ih),
            }
        } else if candidate.active.is_some() || candidate.not_before.is_none_or(|at| at <= now) {
            ready.push(candidate);
        }
    }
    ready.sort_by_key(|c| rank(now, c));
    for (place, candidate) in ready.iter().enumerate() {
        match (place < places, candidate.active.is_some()) {
            (true, false) => plan.start.push(candidate.ih),
            (false, true) => plan.stop.push(candidate.ih),
            _ => {}
        }
    }
    plan
}

/// Smaller comes first: readers (latest first), then kept ones within their turn, then those that waited longest.
fn rank(now: Instant, c: &Candidate) -> (u8, Duration) {
    if c.has_reader(now) {
        let age = c.wanted.map_or(Duration::ZERO, |at| now.duration_since(at));
        return (0, age);
    }
    match c.active {
        Some(since) if now.duration_since(since) < TURN => (1, Duration::ZERO),
        // Its turn is over: it competes with those that wait, as the one that waited least.
        Some(_) => (2, Duration::MAX),
        None => {
            let waited = c.rested.map_or(Duration::MAX / 2, |at| now.duration_since(at));
            (2, Duration::MAX / 2 - waited.min(Duration::MAX / 2))
        }
    }
}

/// How long to wait before the `tries`-th attempt after trouble: 2 s, 4 s … 5 min.
pub fn back_off(tries: u32) -> Duration {
    Duration::from_secs(2u64 << tries.min(8)).min(Duration::from_secs(300))
}

/// Where someone reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    pub file: usize,
    pub piece: u32,
    pub seen: Instant,
}

/// A reader asks for `piece` of `file`: the reader that stands shortly before it moves there, else a new one begins, in
/// place of the one that was quiet longest when there are too many. Returns its index.
pub fn follow(readers: &mut Vec<Reader>, file: usize, piece: u32, ahead: u32, now: Instant) -> usize {
    let near = |r: &Reader| r.file == file && (r.piece..=r.piece.saturating_add(ahead)).contains(&piece);
    let found = readers.iter().position(near).unwrap_or_else(|| {
        let fresh = Reader {
            file,
            piece,
            seen: now,
        };
        if readers.len() < READERS_MAX {
            readers.push(fresh);
            return readers.len() - 1;
        }
        let oldest = (0..readers.len()).min_by_key(|i| readers[*i].seen).unwrap_or(0);
        readers[oldest] = fresh;
        oldest
    });
    readers[found].seen = now;
    found
}

/// What the peers' error counts say about who sends wrong data: peers whose connection ended while pieces were spoiled
/// collect strikes; three are enough.
pub const STRIKES_MAX: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn ih(n: u8) -> InfoHash {
        InfoHash([n; 20])
    }

    fn kept(n: u8) -> Candidate {
        Candidate {
            ih: ih(n),
            kept: true,
            wanted: None,
            active: None,
            rested: None,
            not_before: None,
        }
    }

    fn later(start: Instant, secs: u64) -> Instant {
        start + Duration::from_secs(secs)
    }

    #[test]
    fn a_reader_takes_the_place_of_a_kept_torrent() {
        let start = Instant::now();
        let now = later(start, 1000);
        let mut working = kept(1);
        working.active = Some(later(start, 990));
        let mut read = kept(2);
        read.kept = false;
        read.wanted = Some(now);
        let plan = plan(now, &[working, read], 1);
        assert_eq!(plan.start, [ih(2)]);
        assert_eq!(plan.stop, [ih(1)]);
    }

    #[test]
    fn visited_torrents_pause_when_nobody_reads_and_kept_ones_go_on() {
        let start = Instant::now();
        let now = later(start, 1000);
        let mut idle = kept(1);
        idle.kept = false;
        idle.wanted = Some(later(start, 900));
        idle.active = Some(start);
        let mut working = kept(2);
        working.active = Some(start);
        let decided = plan(now, &[idle.clone(), working], 8);
        assert_eq!(decided.stop, [ih(1)]);
        assert!(decided.start.is_empty());
        idle.active = None;
        assert_eq!(plan(now, &[idle], 8).forget, [ih(1)]);
    }

    #[test]
    fn kept_torrents_take_turns() {
        let start = Instant::now();
        let now = later(start, 1000);
        let mut first = kept(1);
        first.active = Some(later(start, 1000 - TURN.as_secs() - 1));
        let mut waited = kept(2);
        waited.rested = Some(later(start, 100));
        let mut waited_less = kept(3);
        waited_less.rested = Some(later(start, 500));
        let decided = plan(now, &[first.clone(), waited_less, waited], 1);
        assert_eq!((decided.start, decided.stop), (vec![ih(2)], vec![ih(1)]));
        assert_eq!(
            plan(now, &[first], 1),
            Plan::default(),
            "alone it keeps its place"
        );
    }

    #[test]
    fn trouble_waits_longer_each_time_and_is_not_started_before() {
        let now = Instant::now();
        let mut troubled = kept(1);
        troubled.not_before = Some(later(now, 1));
        assert_eq!(plan(now, &[troubled.clone()], 8), Plan::default());
        assert_eq!(plan(later(now, 1), &[troubled], 8).start, [ih(1)]);
        assert_eq!(back_off(0), Duration::from_secs(2));
        assert_eq!(back_off(40), Duration::from_secs(300));
    }

    #[test]
    fn a_sequential_reader_stays_one_reader_and_a_seek_makes_another() {
        let now = Instant::now();
        let mut readers = Vec::new();
        assert_eq!(follow(&mut readers, 0, 10, 5, now), 0);
        assert_eq!(follow(&mut readers, 0, 14, 5, now), 0);
        assert_eq!(follow(&mut readers, 0, 3, 5, now), 1, "backwards is a seek");
        assert_eq!(follow(&mut readers, 1, 14, 5, now), 2, "another file");
        assert_eq!(follow(&mut readers, 0, 100, 5, now), 3);
        assert_eq!(
            follow(&mut readers, 0, 200, 5, later(now, 1)),
            0,
            "the quietest gives way"
        );
        assert_eq!(readers.len(), READERS_MAX);
    }
}
