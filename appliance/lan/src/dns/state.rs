//! Everything a question is compared with, and its way: who asks, what it is, what is known.

use std::{
    collections::HashSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

use proto::dns::{
    Rcode,
    cache::{Cache, Found, Key},
    cookie::Secret,
    decide::{self, Decision, Facts, Known},
    edns, marker,
    marker::Mark,
    name,
    query::{self, Fault, Query},
    reply::Way,
    zone::{Choices, Zone},
};

use super::{
    Blocking, Shared,
    blocked::Counts,
    clients::Clients,
    flight::{Flights, To, Waiter},
};
use crate::{
    House, api,
    interfaces::{Interface, View},
    settings::{Blocked, Settings},
};

/// Linked domains remembered at most.
const LINKED_MAX: usize = 4096;

/// By which door a question came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    Udp,
    /// Seconds a connection may idle.
    Stream {
        encrypted: bool,
        idle_secs: u8,
    },
    Http,
}

/// Who asks, and where.
#[derive(Debug, Clone, Copy)]
pub(super) struct From {
    /// Never an IPv4 address in IPv6 form.
    pub addr: IpAddr,
    /// Our address that was asked.
    pub local: IpAddr,
    /// The interface it came by.
    pub index: u32,
    pub door: Door,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The answer is written.
    Reply,
    /// There is none.
    Silent,
    /// It comes later.
    Waits,
}

pub(super) struct State {
    pub cache: Cache,
    pub clients: Clients,
    pub blocked: Counts,
    blocking: Arc<dyn Blocking>,
    pub flights: Flights,
    pub counts: api::DnsFacts,
    /// Shared, so that a decision may borrow from it while the rest changes.
    zone: Arc<Zone>,
    learned: Vec<(String, IpAddr)>,
    linked: HashSet<Box<[u8]>>,
    secret: Secret,
    view: Arc<View>,
    /// The unique local and the IPv4 address of each interface.
    boxes: Vec<(u32, Facts)>,
    advertise: Option<Ipv4Addr>,
    settings: Arc<Settings>,
    rebind_allow: HashSet<Box<[u8]>>,
}

impl State {
    pub fn new(house: &House, blocking: Arc<dyn Blocking>) -> Self {
        let settings = house.settings();
        let mut state = Self {
            cache: Cache::new(settings.dns.cache_entries_max as usize),
            clients: Clients::new(),
            blocked: Counts::default(),
            blocking,
            flights: Flights::default(),
            counts: api::DnsFacts::default(),
            zone: Arc::default(),
            learned: Vec::new(),
            linked: HashSet::new(),
            secret: Secret(rand::random()),
            view: house.interfaces.now(),
            boxes: Vec::new(),
            advertise: house.config.advertise,
            settings,
            rebind_allow: HashSet::new(),
        };
        state.refresh(house);
        state
    }

    /// The settings or the network changed.
    pub fn refresh(&mut self, house: &House) {
        self.settings = house.settings();
        self.view = house.interfaces.now();
        self.clients.judge_anew();
        self.boxes = self
            .view
            .all
            .iter()
            .map(|one| (one.index, facts_of(one)))
            .collect();
        self.cache.resize(self.settings.dns.cache_entries_max as usize);
        self.blocked.set(self.settings.block.count_names);
        let allowed = self.settings.dns.rebind_allow.iter();
        self.rebind_allow = allowed.filter_map(|text| name::from_text(text)).collect();
        self.rebuild_zone();
    }

    fn rebuild_zone(&mut self) {
        let (names, dns) = (&self.settings.names, &self.settings.dns);
        let choices = Choices {
            host: names.host.clone(),
            domain: names.domain.clone(),
            hosts: names
                .hosts
                .iter()
                .map(|host| (host.name.clone(), host.addr))
                .collect(),
            canary_firefox: dns.canary_firefox,
            canary_relay: dns.canary_relay,
        };
        self.zone = Arc::new(Zone::new(&choices, &self.learned));
    }

    pub fn set_names(&mut self, learned: Vec<(String, IpAddr)>) {
        if learned != self.learned {
            self.learned = learned;
            self.rebuild_zone();
        }
    }

    pub fn set_linked(&mut self, domains: &[String]) {
        let names = domains.iter().take(LINKED_MAX);
        self.linked = names.filter_map(|text| name::from_text(text)).collect();
    }

    pub fn facts(&self) -> api::DnsFacts {
        api::DnsFacts {
            cache_entries: self.cache.len() as u64,
            ..self.counts.clone()
        }
    }

    /// The index of the interface that has this address.
    pub fn index_of(&self, addr: IpAddr) -> u32 {
        let has = |one: &&Interface| match addr {
            IpAddr::V4(addr) => one.v4.iter().any(|(own, _)| *own == addr),
            IpAddr::V6(addr) => one.v6.iter().any(|(own, _)| *own == addr),
        };
        self.view.all.iter().find(has).map_or(0, |one| one.index)
    }

    pub fn is_inside(&self, addr: IpAddr) -> bool {
        self.view.is_inside(addr)
    }

    /// Answers a packet, or says that it waits; then `to` got its place. Never waits itself.
    pub fn handle(
        &mut self,
        shared: &Arc<Shared>,
        packet: &[u8],
        from: &From,
        now: Duration,
        out: &mut Vec<u8>,
        to: impl FnOnce() -> To,
    ) -> Outcome {
        self.counts.queries += 1;
        let per_sec = self.settings.dns.device_queries_per_sec;
        let Some(client) = self.clients.asks(from.addr, &self.view, per_sec, now) else {
            self.counts.dropped += 1;
            return Outcome::Silent;
        };
        let query = match query::read(packet) {
            Ok(query) => query,
            Err(Fault::Silent) => {
                self.counts.dropped += 1;
                return Outcome::Silent;
            }
            Err(Fault::Answer(rcode)) => {
                self.counts.dropped += 1;
                query::write_fault(packet, rcode, out);
                return Outcome::Reply;
            }
        };
        client.encrypted |= !matches!(from.door, Door::Udp | Door::Stream { encrypted: false, .. });
        client.looked_up_wpad |= query.name.first() == b"wpad";
        let bypass = client.bypass;
        let way = self.way(shared, &query, from);
        let facts = self.facts_for(from);
        let (zone, blocking) = (self.zone.clone(), &self.blocking);
        let decision = decide::decide(&query, &zone, &facts, |name| !bypass && blocking.is_blocked(name));
        let mark = match decision {
            Decision::Forward => return self.look_up(shared, packet, &query, from, &way, now, out, to),
            Decision::Marker { len } => mark(self, shared, &query, len, now),
            _ => Mark::No,
        };
        match decision {
            Decision::Blocked => {
                self.counts.blocked += 1;
                self.blocked.count(query.name.wire());
            }
            Decision::Plain(_) => self.counts.dropped += 1,
            _ => self.counts.own += 1,
        }
        let known = Known {
            facts,
            mark,
            blocked_is_nxdomain: self.settings.block.answer == Blocked::Nxdomain,
        };
        decide::write(decision, &query, &known, &way, out);
        Outcome::Reply
    }

    /// The cache, else an upstream.
    #[allow(clippy::too_many_arguments)]
    fn look_up(
        &mut self,
        shared: &Arc<Shared>,
        packet: &[u8],
        query: &Query<'_>,
        from: &From,
        way: &Way,
        now: Duration,
        out: &mut Vec<u8>,
        to: impl FnOnce() -> To,
    ) -> Outcome {
        let key = Key::of(query);
        let hash = self.cache.hash(&key);
        let stale = match self.cache.find(&key, hash, now) {
            Found::Fresh(at) => {
                self.cache.write(at, query, now, way, out);
                self.counts.cached += 1;
                self.counts.failed += u64::from(is_failure(out));
                return Outcome::Reply;
            }
            Found::Renew(at) => {
                self.cache.write(at, query, now, way, out);
                self.counts.cached += 1;
                self.flights.begin_unasked(shared, &key, hash);
                return Outcome::Reply;
            }
            Found::Stale { at, ask } => {
                if !ask || self.flights.is_late(hash) {
                    self.cache.write(at, query, now, way, out);
                    self.counts.stale += 1;
                    return Outcome::Reply;
                }
                Some(at)
            }
            Found::Nothing => None,
        };
        if self.clients.waits(from.addr) {
            let waiter = || Waiter {
                packet: packet.into(),
                way: *way,
                addr: from.addr,
                to: to(),
            };
            if self.flights.join(shared, &key, hash, stale.is_some(), waiter) {
                self.counts.forwarded += 1;
                return Outcome::Waits;
            }
            self.clients.waits_no_more(from.addr);
        }
        // Too much is under way: what is old is better than nothing, and who gets nothing asks again.
        match stale {
            Some(at) => {
                self.cache.write(at, query, now, way, out);
                self.counts.stale += 1;
                Outcome::Reply
            }
            None => {
                self.counts.dropped += 1;
                Outcome::Silent
            }
        }
    }

    fn way(&self, shared: &Shared, query: &Query<'_>, from: &From) -> Way {
        let mut way = match from.door {
            Door::Udp => Way::udp(query),
            Door::Stream { encrypted, idle_secs } => Way::stream(encrypted, Some(idle_secs)),
            Door::Http => Way::stream(true, None),
        };
        if let Some(edns::Edns {
            cookie: Some(cookie), ..
        }) = &query.edns
        {
            let now_secs = shared.house.clock.now_secs() as u32;
            way.cookie = Some(self.secret.answer(cookie, from.addr, now_secs));
        }
        way
    }

    fn facts_for(&self, from: &From) -> Facts {
        let by_index = self.boxes.iter().find(|(index, _)| *index == from.index);
        let mut facts = by_index.map_or_else(Facts::default, |(_, facts)| *facts);
        match (self.advertise, from.local) {
            (Some(addr), _) => facts.v4 = Some(addr),
            // The address that was asked can certainly be reached.
            (None, IpAddr::V4(addr))
                if !addr.is_broadcast() && !addr.is_multicast() && !addr.is_unspecified() =>
            {
                facts.v4 = Some(addr);
            }
            _ => {}
        }
        facts
    }

    /// May the name not point into the home?
    pub fn is_public(&self, name: &[u8]) -> bool {
        self.settings.dns.rebind_protection
            && !self.zone.is_of_the_home(name)
            && !name::upwards(name).any(|above| self.rebind_allow.contains(above))
    }
}

/// What is known of a marked domain now. What is not known is looked for behind.
fn mark(state: &mut State, shared: &Arc<Shared>, query: &Query<'_>, len: usize, now: Duration) -> Mark {
    let mut host = query.name.wire()[..len].to_vec();
    host.push(0);
    if !state.settings.dns.markers {
        return Mark::No;
    }
    if state.linked.contains(host.as_slice()) {
        return Mark::Yes;
    }
    let Some(asked) = marker::record_name(&host) else {
        return Mark::No;
    };
    let key = Key {
        name: &asked,
        qtype: proto::dns::rtype::TXT,
        qclass: proto::dns::CLASS_IN,
        dnssec_ok: false,
        checking_disabled: false,
    };
    let hash = state.cache.hash(&key);
    match state.cache.find(&key, hash, now) {
        Found::Fresh(at) => marker::read(state.cache.image(at)),
        Found::Renew(at) | Found::Stale { at, .. } => {
            state.flights.begin_unasked(shared, &key, hash);
            marker::read(state.cache.image(at))
        }
        Found::Nothing => {
            state.flights.begin_unasked(shared, &key, hash);
            Mark::Unknown
        }
    }
}

fn is_failure(out: &[u8]) -> bool {
    out.get(3).is_some_and(|low| low & 0xf == Rcode::ServFail as u8)
}

fn facts_of(one: &Interface) -> Facts {
    Facts {
        v4: one.v4_addr().map(|(addr, _)| addr),
        v6: one.v6_addr().filter(Ipv6Addr::is_unique_local),
    }
}
