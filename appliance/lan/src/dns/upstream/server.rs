//! One upstream: how it is reached, what is known of it, and one question to it.

use std::{
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use proto::dns::upstream::{
    address::{Address, Transport},
    answer::{self, Facts},
    health::Health,
    manners::{Manners, Miss, Next},
    question::{Question, Sent},
};
use tokio::time::Instant;

use super::{Query, scrub, secure, tcp, udp};
use crate::api;

/// Exchanges for one attempt: without EDNS, by TCP, in other letters. More are a server's game.
const EXCHANGES_MAX: usize = 4;

/// A whole answer, cleaned.
pub(super) struct Good {
    pub message: Vec<u8>,
    pub rcode: u16,
}

struct State {
    health: Health,
    manners: Manners,
}

pub(super) struct Server {
    pub address: Address,
    pub learned: bool,
    /// A plain mutex, never held across an await: what is known changes with every answer.
    state: Mutex<State>,
    udp: udp::Door,
    tcp: tcp::Door,
    secure: secure::Door,
}

impl Server {
    pub fn new(address: Address, learned: bool, ca: Option<PathBuf>) -> Self {
        Self {
            learned,
            state: Mutex::new(State {
                health: Health::default(),
                manners: Manners::new(rand::random()),
            }),
            udp: udp::Door::new(address.addr),
            tcp: tcp::Door::new(address.addr),
            secure: secure::Door::new(address.clone(), ca),
            address,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Is it up, and how long does it take?
    pub fn standing(&self) -> (bool, Option<Duration>) {
        let state = self.state();
        (state.health.is_up(), state.health.mean())
    }

    pub fn hedge(&self) -> Duration {
        let extra = match self.address.transport {
            // Handshakes come before a first answer.
            Transport::Plain => Duration::ZERO,
            _ if self.standing().1.is_none() => Duration::from_millis(500),
            _ => Duration::ZERO,
        };
        self.state().health.hedge() + extra
    }

    pub fn patience(&self) -> Duration {
        self.state().health.patience()
    }

    pub fn answered(&self, took: Duration) {
        self.state().health.answered(took);
    }

    pub fn outrun(&self, after: Duration) {
        self.state().health.outrun(after, Instant::now().into_std());
    }

    pub fn failed(&self, miss: Miss) {
        let now = Instant::now().into_std();
        let mut state = self.state();
        state.health.failed(miss == Miss::Unreachable, now);
        if miss == Miss::Silent {
            state.manners.silent(now);
        }
    }

    pub fn take_probe(&self) -> bool {
        self.state().health.take_probe(Instant::now().into_std())
    }

    /// Our own address is another one now.
    pub async fn moved(&self) {
        self.state().manners.moved(rand::random());
        self.udp.close();
        self.tcp.close();
        self.secure.close().await;
    }

    pub fn tidy(&self) {
        self.tcp.tidy(Instant::now());
    }

    pub fn ignored(&self) -> u64 {
        self.udp.ignored()
    }

    pub fn facts(&self) -> api::Upstream {
        let state = self.state();
        api::Upstream {
            address: self.address.to_string(),
            learned: self.learned,
            healthy: state.health.is_up(),
            millis: state.health.mean().map(|mean| mean.as_secs_f64() * 1000.0),
            queries: state.health.queries,
            failures: state.health.failures,
        }
    }

    /// Asks, in as many exchanges as it takes. Waits without end where the server is silent: the caller has the deadline.
    pub async fn attempt(&self, query: &Query) -> Result<Good, Miss> {
        let question = Question {
            name: &query.name,
            qtype: query.qtype,
            qclass: query.qclass,
            dnssec_ok: query.dnssec_ok,
            checking_disabled: query.checking_disabled,
        };
        let transport = self.address.transport;
        let mut by_tcp = transport != Transport::Plain;
        self.state().health.queries += 1;
        for _ in 0..EXCHANGES_MAX {
            let sent = self.dress(&question)?;
            let outcome = match transport {
                Transport::Plain if !by_tcp => self.udp.exchange(&sent).await,
                // In boxes: nearly all questions go by UDP, and none shall carry the room that the others need.
                Transport::Plain | Transport::Tcp => Box::pin(self.tcp.exchange(&sent)).await,
                _ => Box::pin(self.secure.exchange(&sent)).await,
            };
            let known = outcome
                .as_ref()
                .map(|(message, facts)| (facts, &message[..]))
                .map_err(|miss| *miss);
            let now = Instant::now().into_std();
            let next = self.state().manners.next(known, &sent, by_tcp, now);
            match (next, outcome) {
                (Next::Take, Ok((message, facts))) => return self.finish(message, &facts, &sent),
                (Next::Tcp, _) => by_tcp = true,
                (Next::Again, _) => {}
                (Next::Fail(miss), _) | (Next::Take, Err(miss)) => return Err(miss),
            }
        }
        Err(Miss::Garbage)
    }

    fn dress(&self, question: &Question<'_>) -> Result<Sent, Miss> {
        let now = Instant::now().into_std();
        let dress = self.state().manners.dress(rand::random(), rand::random(), now);
        Sent::new(question, &dress).ok_or(Miss::Garbage)
    }

    fn finish(&self, mut message: Vec<u8>, facts: &Facts, sent: &Sent) -> Result<Good, Miss> {
        answer::clean(&mut message, facts, sent);
        if !self.address.transport.is_authenticated()
            && let Some(flags) = message.get_mut(3)
        {
            // RFC 4035 4.9.3: "authenticated" counts only where nobody on the way can write it.
            *flags &= !0x20;
        }
        if facts.strays {
            message = scrub::without_strays(&message).ok_or(Miss::Garbage)?;
        }
        Ok(Good {
            message,
            rcode: facts.rcode,
        })
    }
}
