//! A look at the LAN: who is the router, who hands out what, does the router send our zone to us. And the one recommendation
//! that follows.
//!
//! Must not know how the rooms work: what they have seen is handed in. Asks by a small DNS client of its own, so that what it
//! finds is what a device would find, and not what our resolver thinks.

use std::{
    fs,
    future::Future,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use proto::{
    advice::{self, Advice, Seen},
    mdns::wire::{A, CLASS_CHAOS, CLASS_IN, Message, Name, Question, RECURSION, SOA, TXT},
    name::TLD,
};
use tokio::{net::UdpSocket, time::timeout};

use crate::{
    api::{DhcpServer, Router6, Survey},
    frame::House,
    interfaces::{Interface, View},
    settings::{DhcpMode, Settings},
};

/// For one answer; it is asked twice.
const ANSWER_DEADLINE: Duration = Duration::from_millis(800);
const TRIES: usize = 2;
const ANSWER_BYTES_MAX: usize = 4096;
const NOT_EXISTING: u16 = 3;
const REFUSED: u16 = 5;
/// Longest name of a resolver that is shown.
const SOFTWARE_CHARS_MAX: usize = 48;

/// Looks once; `dhcp`, which is given the name of the interface, and `routers6` are under way meanwhile. `dhcp` is `None` when
/// nobody may look for servers.
pub(crate) async fn look<D: Future<Output = Option<Vec<DhcpServer>>>>(
    house: &House,
    dhcp: impl FnOnce(String) -> D,
    routers6: impl Future<Output = Vec<Router6>>,
) -> Survey {
    let view = house.interfaces.now();
    let interface = chosen(&view);
    let own = own_addresses(&view, house.config.advertise);
    let gateway = view.gateway.filter(|addr| !own.contains(addr));
    let (router, elsewhere, dhcp, routers6) = tokio::join!(
        async {
            match gateway {
                Some(addr) => router(SocketAddr::from((addr, 53)), &own).await,
                None => Router::default(),
            }
        },
        async {
            match system_resolver(&view) {
                Some(addr) => canary(SocketAddr::from((addr, 53))).await,
                None => None,
            }
        },
        async {
            match interface {
                Some(one) => dhcp(one.name.clone()).await,
                None => None,
            }
        },
        routers6,
    );
    let dhcp_servers = dhcp.clone().unwrap_or_default();
    Survey {
        interface: interface.map(|one| one.name.clone()),
        addr: interface.and_then(Interface::v4_addr).map(|(addr, _)| addr),
        addrs6: interface
            .map(|one| one.v6.iter().map(|(addr, _)| *addr).collect())
            .unwrap_or_default(),
        gateway,
        handed_out_as_resolver: dhcp_servers
            .iter()
            .any(|one| one.dns.iter().any(|addr| own.contains(addr))),
        dhcp_looked: dhcp.is_some(),
        dhcp_servers,
        routers6,
        router_resolves: router.resolves,
        router_software: router.software,
        router_forwards: router.forwards,
        router_drops_private: router.drops_private,
        doh_canary: router.canary.or(elsewhere).unwrap_or(false),
    }
}

/// The one recommendation.
pub fn recommend(survey: &Survey, settings: &Settings) -> Advice {
    let seen = Seen {
        addressed: survey.addr.is_some(),
        router: survey.gateway.is_some(),
        router_resolves: survey.router_resolves,
        router_software: survey.router_software.as_deref(),
        router_forwards: survey.router_forwards,
        router_drops_private: survey.router_drops_private,
        dhcp_looked: survey.dhcp_looked,
        dhcp_servers: survey.dhcp_servers.len(),
        handed_out_as_resolver: survey.handed_out_as_resolver,
        leases: settings.dhcp.mode == DhcpMode::Lease,
        other_resolvers6: survey.routers6.iter().any(|router| {
            !router.dns.is_empty() && !router.dns.iter().any(|addr| survey.addrs6.contains(addr))
        }),
        announces: settings.ra.enabled,
    };
    advice::recommend(&seen, TLD)
}

/// The served interface on which the router is, else the first one with an address.
fn chosen(view: &View) -> Option<&Interface> {
    let to_router = |one: &&Interface| view.gateway.is_some_and(|addr| one.is_on_link(addr.into()));
    view.served()
        .find(to_router)
        .or_else(|| view.served().find(|one| one.v4_addr().is_some()))
        .or_else(|| view.served().next())
}

fn own_addresses(view: &View, advertise: Option<Ipv4Addr>) -> Vec<Ipv4Addr> {
    let all = view.all.iter().filter(|one| !one.loopback);
    all.flat_map(|one| one.v4.iter().map(|(addr, _)| *addr))
        .chain(advertise)
        .collect()
}

/// What this machine itself asks, when that is another one.
fn system_resolver(view: &View) -> Option<IpAddr> {
    let text = fs::read_to_string("/etc/resolv.conf").ok()?;
    let addrs = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver"));
    addrs
        .filter_map(|rest| rest.trim().parse::<IpAddr>().ok())
        .find(|addr| !view.is_own(*addr))
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Router {
    resolves: bool,
    software: Option<String>,
    forwards: bool,
    drops_private: bool,
    canary: Option<bool>,
}

async fn router(resolver: SocketAddr, own: &[Ipv4Addr]) -> Router {
    // A name that nobody has asked for, so that no cache knows it.
    let probe = Name::of(&[&format!("probe-{:016x}", rand::random::<u64>()), TLD]);
    let (canary, software, text, addr) = tokio::join!(
        canary(resolver),
        ask(resolver, Name::text("version.bind"), TXT, CLASS_CHAOS),
        ask(resolver, probe.clone(), TXT, CLASS_IN),
        ask(resolver, probe.clone(), A, CLASS_IN),
    );
    judge(canary, software, text, addr, own)
}

/// `text` and `addr`: the answers to TXT and A of a name of our zone that nobody ever asked for.
fn judge(
    canary: Option<bool>,
    software: Option<Message>,
    text: Option<Message>,
    addr: Option<Message>,
    own: &[Ipv4Addr],
) -> Router {
    let answers = [&software, &text, &addr];
    let answered = |one: &&Option<Message>| one.as_ref().is_some_and(|one| one.rcode() != REFUSED);
    let resolves = canary.is_some() || answers.iter().any(answered);
    let forwards = addr.as_ref().is_some_and(|answer| {
        let mut addrs = answer.answers.iter().filter_map(|record| record.addr());
        addrs.any(|addr| matches!(addr, IpAddr::V4(addr) if own.contains(&addr)))
    });
    // "There is no text" with the SOA of our zone can only come from a Granary: the root says that the zone does not exist.
    let saw_us = text.as_ref().is_some_and(|answer| {
        let soa = |record: &proto::mdns::wire::Record| record.kind == SOA && record.name == Name::text(TLD);
        answer.rcode() == 0 && answer.authorities.iter().any(soa)
    });
    let empty = addr
        .as_ref()
        .is_some_and(|answer| answer.answers.iter().all(|one| one.addr().is_none()));
    Router {
        resolves,
        software: software.and_then(|answer| shown(&answer)),
        forwards,
        drops_private: saw_us && empty,
        canary,
    }
}

/// The text of a resolver's version, as plain as it can be.
fn shown(answer: &Message) -> Option<String> {
    let record = answer.answers.iter().find(|record| record.kind == TXT)?;
    let (&len, rest) = record.data.split_first()?;
    let text = rest.get(..usize::from(len))?;
    let plain = |b: &&u8| b.is_ascii_alphanumeric() || b" .-_+()/:".contains(b);
    let text: String = text
        .iter()
        .filter(plain)
        .take(SOFTWARE_CHARS_MAX)
        .map(|b| char::from(*b))
        .collect();
    (!text.trim().is_empty()).then(|| text.trim().into())
}

/// Does the resolver ask Firefox to stay with it? `None`: it did not answer.
async fn canary(resolver: SocketAddr) -> Option<bool> {
    let answer = ask(resolver, Name::text("use-application-dns.net"), A, CLASS_IN).await?;
    match answer.rcode() {
        NOT_EXISTING => Some(true),
        0 => Some(answer.answers.is_empty()),
        _ => None,
    }
}

/// One question, from a port and with a number that nobody can guess; asked twice.
async fn ask(resolver: SocketAddr, name: Name, kind: u16, class: u16) -> Option<Message> {
    for _ in 0..TRIES {
        if let Ok(Some(answer)) = timeout(ANSWER_DEADLINE, ask_once(resolver, &name, kind, class)).await {
            return Some(answer);
        }
    }
    None
}

async fn ask_once(resolver: SocketAddr, name: &Name, kind: u16, class: u16) -> Option<Message> {
    let any: SocketAddr = if resolver.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (std::net::Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let socket = UdpSocket::bind(any).await.ok()?;
    socket.connect(resolver).await.ok()?;
    let question = Message {
        id: rand::random(),
        flags: RECURSION,
        questions: vec![Question {
            name: name.clone(),
            kind,
            class,
            unicast: false,
        }],
        ..Message::default()
    };
    socket.send(&question.write()).await.ok()?;
    let mut buffer = [0; ANSWER_BYTES_MAX];
    loop {
        let len = socket.recv(&mut buffer).await.ok()?;
        let answer = Message::read(&buffer[..len]);
        let ours = |answer: &Message| {
            answer.is_response() && answer.id == question.id && answer.questions == question.questions
        };
        if let Some(answer) = answer.filter(ours) {
            return Some(answer);
        }
    }
}

#[cfg(test)]
#[path = "survey_tests.rs"]
mod tests;
