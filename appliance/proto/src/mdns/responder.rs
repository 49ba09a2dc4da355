//! The responder: probes for its names, renames itself when they are taken, announces, answers, and says goodbye.
//!
//! Times are milliseconds of any clock that only goes forward; `random` is any number. A lost name is not remembered over a
//! restart: the box that stayed up defends its name, and of two that start together the same one wins each time, because
//! their addresses decide (RFC 6762 8.2).

use std::net::{IpAddr, SocketAddr};

use super::{
    Output, PORT, To,
    link::{Link, Pending, Phase, is_known},
    wire::{Message, Name, RECURSION, RESPONSE, Record, TRUNCATED},
    zone::{Claim, Zone},
};

const PROBES: u8 = 3;
const PROBE_EVERY_MS: u64 = 250;
const ANNOUNCES: u8 = 2;
const ANNOUNCE_EVERY_MS: u64 = 1000;
/// Who lost against another one that probes at the same time asks again after it (RFC 6762 8.2).
const BEATEN_MS: u64 = 1000;
/// After so many conflicts one attempt in five seconds is made (RFC 6762 8.1).
const CONFLICTS_MAX: u8 = 15;
const CONFLICT_PAUSE_MS: u64 = 5000;
/// Whoever does not speak multicast DNS itself must ask again soon (RFC 6762 6.7).
const LEGACY_TTL_MAX: u32 = 10;
const LINKS_MAX: usize = 32;

/// What is offered under the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// One label.
    pub host: String,
    /// What people read in a list of services.
    pub instance: String,
    /// Of the HTTP server.
    pub port: u16,
}

pub struct Responder {
    service: Service,
    /// 1: the name as it was wished for.
    host_number: u32,
    instance_number: u32,
    zone: Zone,
    links: Vec<Link>,
    conflicts: u8,
    out: Vec<Output>,
}

impl Responder {
    pub fn new(service: Service) -> Self {
        Self {
            zone: Zone::new(&service.host, &service.instance, service.port),
            service,
            host_number: 1,
            instance_number: 1,
            links: Vec::new(),
            conflicts: 0,
            out: Vec::new(),
        }
    }

    /// The name, such as `granary-2.local`, once it is ours somewhere.
    pub fn name(&self) -> Option<String> {
        let settled = self.links.iter().any(Link::may_answer);
        settled.then(|| format!("{}.local", self.host()))
    }

    /// The interfaces there are now. New ones are probed, changed addresses announced, lost ones forgotten.
    pub fn set_links(&mut self, now: u64, random: u32, links: &[(u32, Vec<IpAddr>)]) {
        self.links
            .retain(|link| links.iter().any(|(index, _)| *index == link.index));
        for (index, addrs) in links.iter().take(LINKS_MAX) {
            match self.links.iter_mut().find(|link| link.index == *index) {
                None => {
                    let first = now + u64::from(random) % PROBE_EVERY_MS;
                    self.links.push(Link::new(*index, addrs.clone(), first));
                }
                Some(link) if link.addrs != *addrs => {
                    link.addrs.clone_from(addrs);
                    link.forget_sent();
                    if link.may_answer() {
                        link.phase = Phase::Announcing { sent: 0, at: now };
                    }
                }
                Some(_) => {}
            }
        }
    }

    /// When [`tick`](Self::tick) has something to do.
    pub fn due(&self) -> Option<u64> {
        self.links.iter().filter_map(Link::due).min()
    }

    /// Sends what is due.
    pub fn tick(&mut self, now: u64) -> Vec<Output> {
        for at in 0..self.links.len() {
            self.step(at, now);
            for answer in self.links[at].take_due(now) {
                self.send_answer(at, answer, now);
            }
        }
        std::mem::take(&mut self.out)
    }

    /// A packet came in on an interface, from a neighbour. Packets of our own that come back are no harm.
    pub fn heard(&mut self, now: u64, random: u32, link: u32, from: SocketAddr, packet: &[u8]) {
        let Some(at) = self.links.iter().position(|one| one.index == link) else {
            return;
        };
        let Some(message) = Message::read(packet) else {
            return;
        };
        if message.opcode() != 0 || message.rcode() != 0 {
            return;
        }
        if message.is_response() {
            // RFC 6762 6: answers come from the port; anything else is a stranger's.
            if from.port() == PORT {
                self.heard_response(now, random, at, &message);
            }
        } else {
            if !message.authorities.is_empty() {
                self.heard_probe(now, at, &message);
            }
            self.heard_query(now, random, at, from, &message);
        }
    }

    /// Takes back everything that was announced (RFC 6762 10.1).
    pub fn goodbye(&mut self) -> Vec<Output> {
        let mut out = Vec::new();
        for link in self.links.iter_mut().filter(|link| link.may_answer()) {
            let mut answers = self.zone.all(&link.addrs);
            answers.iter_mut().for_each(|record| record.ttl = 0);
            out.push(group(link.index, answers, Vec::new()));
        }
        self.links.clear();
        out
    }

    fn host(&self) -> String {
        match self.host_number {
            1 => self.service.host.clone(),
            number => {
                // The number must fit into the label of 63 bytes.
                let base: String = self.service.host.chars().take(52).collect();
                format!("{base}-{number}")
            }
        }
    }

    /// The next probe or announcement of an interface.
    fn step(&mut self, at: usize, now: u64) {
        let link = &mut self.links[at];
        match link.phase {
            Phase::Probing { sent, at } if at <= now && sent < PROBES => {
                let probe = Message {
                    questions: self.zone.probe_questions(),
                    authorities: self.zone.unique(&link.addrs),
                    ..Message::default()
                };
                self.out.push(Output {
                    link: link.index,
                    to: To::Group,
                    packet: probe.write(),
                });
                link.phase = Phase::Probing {
                    sent: sent + 1,
                    at: now + PROBE_EVERY_MS,
                };
            }
            Phase::Probing { at, .. } | Phase::Announcing { at, .. } if at <= now => {
                let sent = match link.phase {
                    Phase::Announcing { sent, .. } => sent + 1,
                    _ => 1,
                };
                link.phase = if sent < ANNOUNCES {
                    Phase::Announcing {
                        sent,
                        at: now + ANNOUNCE_EVERY_MS,
                    }
                } else {
                    self.conflicts = 0;
                    Phase::Settled
                };
                let answers = self.zone.all(&link.addrs);
                link.note_sent(&answers, now);
                self.out.push(group(link.index, answers, Vec::new()));
            }
            _ => {}
        }
    }

    fn heard_query(&mut self, now: u64, random: u32, at: usize, from: SocketAddr, message: &Message) {
        let link = &mut self.links[at];
        if message.questions.is_empty() {
            link.is_known_to(from, &message.answers);
            return;
        }
        if !link.may_answer() {
            return;
        }
        let legacy = from.port() != PORT;
        let defends = !message.authorities.is_empty();
        let (mut to_group, mut to_one) = (Vec::new(), Vec::new());
        for question in &message.questions {
            for record in self.zone.answers(question, &link.addrs) {
                if is_known(&record, &message.answers) {
                    continue;
                }
                // A quarter of its time: caches of all others are fresh enough (RFC 6762 5.4).
                let fresh = || link.sent_within(&record, u64::from(record.ttl) * 250, now);
                // A name is defended before all: the prober may share its port, and one packet reaches one of them.
                let alone = legacy || question.unicast && !defends && fresh();
                let list = if alone { &mut to_one } else { &mut to_group };
                if !list.iter().any(|one: &Record| one.is_same(&record)) {
                    list.push(record);
                }
            }
        }
        if legacy {
            let packet = legacy_answer(message, to_one, |answers| {
                self.zone.additionals(answers, &link.addrs)
            });
            self.out.extend(packet.map(|packet| Output {
                link: link.index,
                to: To::One(from),
                packet,
            }));
            return;
        }
        // Shared answers wait a little, so that not all boxes speak at once; the known answers of a long list may still
        // come (RFC 6762 6 and 7.2).
        let random = u64::from(random);
        let delay = if message.flags & TRUNCATED != 0 {
            400 + random % 100
        } else if to_group.iter().chain(&to_one).all(|record| record.flush) {
            0
        } else {
            20 + random % 100
        };
        for (to, records) in [(To::Group, to_group), (To::One(from), to_one)] {
            link.queue(Pending {
                at: now + delay,
                to,
                asker: from,
                records,
                defends,
            });
        }
    }

    fn send_answer(&mut self, at: usize, mut answer: Pending, now: u64) {
        let link = &mut self.links[at];
        // The name may have been lost while the answer waited.
        if !link.may_answer() {
            return;
        }
        if answer.to == To::Group {
            answer
                .records
                .retain(|record| !link.too_soon(record, answer.defends, now));
        }
        if answer.records.is_empty() {
            return;
        }
        if answer.to == To::Group {
            link.note_sent(&answer.records, now);
        }
        let additionals = self.zone.additionals(&answer.records, &link.addrs);
        self.out.push(Output {
            to: answer.to,
            ..group(link.index, answer.records, additionals)
        });
    }

    /// Somebody wants the same name at the same moment: whose records come later in order has it (RFC 6762 8.2).
    fn heard_probe(&mut self, now: u64, at: usize, message: &Message) {
        if !matches!(self.links[at].phase, Phase::Probing { .. }) {
            return;
        }
        let ours = self.zone.unique(&self.links[at].addrs);
        let beaten = [&self.zone.host, &self.zone.instance].into_iter().any(|name| {
            let theirs = ranked(&message.authorities, name);
            !theirs.is_empty() && theirs > ranked(&ours, name)
        });
        if beaten {
            self.links[at].phase = Phase::Probing {
                sent: 0,
                at: now + BEATEN_MS,
            };
        }
    }

    fn heard_response(&mut self, now: u64, random: u32, at: usize, message: &Message) {
        let own: Vec<IpAddr> = self
            .links
            .iter()
            .flat_map(|link| link.addrs.iter().copied())
            .collect();
        let claim = message
            .answers
            .iter()
            .chain(&message.additionals)
            .find_map(|record| self.zone.is_conflict(record, &own));
        let Some(claim) = claim else { return };
        self.conflicts = self.conflicts.saturating_add(1);
        if self.links[at].may_answer() {
            // It was ours: ask again who has it (RFC 6762 9). Whoever defends it keeps it.
            self.links[at].phase = Phase::Probing {
                sent: 0,
                at: now + self.pause(random),
            };
            return;
        }
        self.rename(claim, now, random);
    }

    fn pause(&self, random: u32) -> u64 {
        if self.conflicts > CONFLICTS_MAX {
            CONFLICT_PAUSE_MS
        } else {
            u64::from(random) % PROBE_EVERY_MS
        }
    }

    /// Takes the next name, and claims it on all interfaces.
    fn rename(&mut self, claim: Claim, now: u64, random: u32) {
        let number = match claim {
            Claim::Host => &mut self.host_number,
            Claim::Instance => &mut self.instance_number,
        };
        *number = number.checked_add(1).unwrap_or(2);
        // Who knows the old pointer would look for a service that is no more.
        for link in self.links.iter().filter(|link| link.may_answer()) {
            let mut pointer = self.zone.pointer();
            pointer.ttl = 0;
            self.out.push(group(link.index, vec![pointer], Vec::new()));
        }
        let instance = match self.instance_number {
            1 => self.service.instance.clone(),
            number => format!("{} ({number})", self.service.instance),
        };
        self.zone = Zone::new(&self.host(), &instance, self.service.port);
        let first = now + self.pause(random);
        for link in &mut self.links {
            link.phase = Phase::Probing { sent: 0, at: first };
            link.pending.clear();
            link.forget_sent();
        }
    }
}

/// In the order in which they are compared (RFC 6762 8.2.1): by class, type, then bytes.
fn ranked<'a>(records: &'a [Record], name: &Name) -> Vec<(u16, u16, &'a [u8])> {
    let of_name = records.iter().filter(|record| record.name == *name);
    let mut ranked: Vec<_> = of_name.map(|one| (one.class, one.kind, &one.data[..])).collect();
    ranked.sort_unstable();
    ranked
}

fn group(link: u32, answers: Vec<Record>, additionals: Vec<Record>) -> Output {
    let message = Message {
        flags: RESPONSE,
        answers,
        additionals,
        ..Message::default()
    };
    Output {
        link,
        to: To::Group,
        packet: message.write(),
    }
}

/// For those who ask as they would ask a server (RFC 6762 6.7): the question repeated, its number, short lifetimes, and
/// nothing that only speakers of multicast DNS understand.
fn legacy_answer(
    message: &Message,
    answers: Vec<Record>,
    additionals: impl FnOnce(&[Record]) -> Vec<Record>,
) -> Option<Vec<u8>> {
    if answers.is_empty() {
        return None;
    }
    let plain = |mut record: Record| {
        record.flush = false;
        record.ttl = record.ttl.min(LEGACY_TTL_MAX);
        record
    };
    let more = additionals(&answers);
    let mut questions = message.questions.clone();
    questions.iter_mut().for_each(|question| question.unicast = false);
    let answer = Message {
        id: message.id,
        flags: RESPONSE | (message.flags & RECURSION),
        questions,
        answers: answers.into_iter().map(plain).collect(),
        authorities: Vec::new(),
        additionals: more.into_iter().map(plain).collect(),
    };
    Some(answer.write())
}
