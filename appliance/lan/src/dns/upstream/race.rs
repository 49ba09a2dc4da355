//! One question to several servers: the best one first, the next when it is slow, and the first good answer wins.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use house::tasks::Tasks;
use proto::dns::upstream::{
    answer::{NOERROR, NXDOMAIN},
    health::Plan,
    manners::Miss,
};
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    Error, Query,
    server::{Good, Server},
};

/// No question lasts longer.
pub(super) const DEADLINE: Duration = Duration::from_millis(4_500);
/// When everybody is down, an answer within it still counts; then the caller has something better to do.
const DESPERATE: Duration = Duration::from_secs(1);
/// Attempts of one question. More: more traffic while the line is bad.
const ATTEMPTS_MAX: usize = 8;

type Attempt<'a> = Pin<Box<dyn Future<Output = (usize, Result<Good, Miss>)> + Send + 'a>>;

/// An attempt that has no answer yet.
struct Flying {
    server: usize,
    since: Instant,
    /// Its time is over: it counts as silent, but a late answer is still welcome.
    over_at: Instant,
    over: bool,
}

struct Race<'a> {
    servers: &'a [Arc<Server>],
    query: &'a Query,
    plan: Plan,
    started: usize,
    attempts: FuturesUnordered<Attempt<'a>>,
    flying: Vec<Flying>,
    poor: Option<Good>,
}

pub(super) async fn ask(servers: &[Arc<Server>], query: &Query, tasks: &Tasks) -> Result<Good, Error> {
    let plan = Plan::new(servers.iter().map(|server| server.standing()), rand::random());
    let first = plan.order().next().ok_or(Error::Nobody)?;
    probe(servers, query, tasks);
    let start = Instant::now();
    let server = &servers[first];
    let mut attempt: Attempt<'_> = Box::pin(async move { (first, server.attempt(query).await) });
    // Nearly every question ends here.
    let early = if plan.desperate {
        None
    } else {
        match timeout(server.hedge(), &mut attempt).await {
            Ok((_, Ok(good))) if is_final(&good) => {
                server.answered(start.elapsed());
                return Ok(good);
            }
            Ok(ended) => Some(ended),
            Err(_) => None,
        }
    };
    let deadline = start + if plan.desperate { DESPERATE } else { DEADLINE };
    let mut race = Race {
        servers,
        query,
        plan,
        started: 1,
        attempts: FuturesUnordered::new(),
        flying: vec![Flying {
            server: first,
            since: start,
            over_at: start + server.patience(),
            over: false,
        }],
        poor: None,
    };
    match early {
        Some((at, outcome)) => {
            if let Some(good) = race.ended(at, outcome) {
                return Ok(good);
            }
        }
        None => race.attempts.push(attempt),
    }
    Box::pin(race.run(deadline)).await
}

impl<'a> Race<'a> {
    async fn run(mut self, deadline: Instant) -> Result<Good, Error> {
        while self.plan.desperate && self.started < self.plan.order().len() {
            self.start();
        }
        let mut next_at = Instant::now();
        loop {
            let now = Instant::now();
            if now >= deadline {
                break;
            }
            if now >= next_at || self.attempts.is_empty() {
                if self.may_start() {
                    next_at = now + self.start();
                } else if self.attempts.is_empty() {
                    break;
                } else {
                    next_at = deadline;
                }
            }
            self.give_up(now);
            let wake = self
                .flying
                .iter()
                .filter(|one| !one.over)
                .map(|one| one.over_at)
                .fold(next_at.min(deadline), Instant::min);
            if let Ok(Some((at, outcome))) = timeout_at(wake, self.attempts.next()).await {
                if let Some(good) = self.ended(at, outcome) {
                    return Ok(good);
                }
                // Whoever has nothing to say makes room for the next at once.
                if self.started < self.plan.order().len() {
                    next_at = Instant::now();
                }
            }
        }
        self.give_up(deadline);
        self.poor.ok_or(Error::Silent)
    }

    /// A server that gave a poor answer is not asked a second time.
    fn may_start(&self) -> bool {
        let fresh = self.started < self.plan.order().len();
        fresh || (self.poor.is_none() && !self.plan.desperate && self.started < ATTEMPTS_MAX)
    }

    /// Starts the next attempt and says when the one after it is due.
    fn start(&mut self) -> Duration {
        let (round, at) = (
            self.started / self.plan.order().len(),
            self.started % self.plan.order().len(),
        );
        self.started += 1;
        let Some(at) = self.plan.order().nth(at) else {
            return DEADLINE;
        };
        let (server, query) = (&self.servers[at], self.query);
        let now = Instant::now();
        self.flying.push(Flying {
            server: at,
            since: now,
            over_at: now + server.patience(),
            over: false,
        });
        self.attempts
            .push(Box::pin(async move { (at, server.attempt(query).await) }));
        server.hedge() * 2_u32.pow(round.min(3) as u32)
    }

    /// Books the end of an attempt; an answer that ends the race comes back.
    fn ended(&mut self, at: usize, outcome: Result<Good, Miss>) -> Option<Good> {
        let place = self.flying.iter().position(|one| one.server == at)?;
        let ended = self.flying.swap_remove(place);
        let server = &self.servers[at];
        match outcome {
            Ok(good) => {
                server.answered(ended.since.elapsed());
                if !is_final(&good) {
                    self.poor = Some(good);
                    return None;
                }
                for other in self
                    .flying
                    .iter()
                    .filter(|other| other.server != at && !other.over)
                {
                    let after = other.since.elapsed();
                    if after >= self.servers[other.server].hedge() {
                        self.servers[other.server].outrun(after);
                    }
                }
                Some(good)
            }
            Err(miss) => {
                if !ended.over {
                    server.failed(miss);
                }
                None
            }
        }
    }

    fn give_up(&mut self, now: Instant) {
        for one in &mut self.flying {
            if !one.over && now >= one.over_at {
                one.over = true;
                self.servers[one.server].failed(Miss::Silent);
            }
        }
    }
}

/// Other codes say that this server could not or would not; another may.
fn is_final(good: &Good) -> bool {
    matches!(good.rcode, NOERROR | NXDOMAIN)
}

/// Servers that are down get the question too, now and then, without anybody waiting for them.
fn probe(servers: &[Arc<Server>], query: &Query, tasks: &Tasks) {
    for server in servers {
        if server.take_probe() {
            let (server, query) = (server.clone(), query.clone());
            tasks.spawn("dns.probe", async move {
                let start = Instant::now();
                match timeout(server.patience(), server.attempt(&query)).await {
                    Ok(Ok(_)) => server.answered(start.elapsed()),
                    Ok(Err(miss)) => server.failed(miss),
                    Err(_) => server.failed(Miss::Silent),
                }
            });
        }
    }
}
