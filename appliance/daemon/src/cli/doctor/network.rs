//! The lan half: is it there, does it answer on its own port, and what of the network keeps it from its work.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
};

use lan::{
    api::{DhcpState, Status},
    settings::{DhcpMode, Resolving, Settings},
};

use super::Check;
use crate::{
    arrangement::{Answer, ask_name, reachable},
    home::Home,
};

/// `web_runs`: then the lan half should run too.
pub async fn checks(home: &Home, web_runs: bool) -> Vec<Check> {
    match (home.status().await, home.settings().await) {
        (Ok(status), Ok(settings)) => running(&status, &settings).await,
        (Err(err), _) | (_, Err(err)) if web_runs => {
            let text = format!("{err}: start `granary lan`, or look at its log");
            vec![bad("network", text)]
        }
        _ => free_ports(),
    }
}

async fn running(status: &Status, settings: &Settings) -> Vec<Check> {
    let mut checks = vec![good(
        "network",
        format!("the LAN half answers since {} s", status.uptime_secs),
    )];
    let troubles = status.troubles.iter();
    checks.extend(troubles.map(|trouble| bad("network", format!("{}: {}", trouble.room, trouble.reason))));
    checks.push(own_answer(status).await);
    checks.push(upstreams(status, settings));
    checks.extend(dhcp(status));
    checks.push(interfaces(status));
    checks
}

/// Asks the lan half's own port, as a device would.
pub async fn own_answer(status: &Status) -> Check {
    let Some(addr) = status.listen.dns.first() else {
        let text = "nobody listens for questions: look at the log of the LAN half, or give --listen-dns";
        return bad("names", text);
    };
    match ask_name(reachable(*addr), &format!("box.{}.", proto::name::TLD)).await {
        Answer::Silent => bad(
            "names",
            format!("no answer on {addr} within three seconds: restart the LAN half"),
        ),
        _ => good("names", format!("{addr} answers")),
    }
}

fn upstreams(status: &Status, settings: &Settings) -> Check {
    let all = &status.dns.upstreams;
    let well = all.iter().filter(|one| one.healthy).count();
    if settings.dns.resolving == Resolving::Recursive {
        return good("resolvers", "the box asks the servers of each domain itself");
    }
    match (well, all.len()) {
        (_, 0) => bad(
            "resolvers",
            "none is known: the network told none. Choose one on the page Names, or with --upstream-dns",
        ),
        (0, count) => bad(
            "resolvers",
            format!("none of {count} answers: is the Internet connected? Choose others on the page Names"),
        ),
        (well, count) => good("resolvers", format!("{well} of {count} answer")),
    }
}

fn dhcp(status: &Status) -> Option<Check> {
    let dhcp = &status.dhcp;
    let reason = dhcp.reason.as_deref().unwrap_or("it does not say why");
    match (dhcp.mode, dhcp.state) {
        (DhcpMode::Off, _) => None,
        (_, DhcpState::Broken) => Some(bad("addresses", format!("none are handed out: {reason}"))),
        (_, DhcpState::Silent) => {
            let rival = dhcp.rivals.last().and_then(|rival| rival.server);
            let who = rival.map_or_else(|| "another server".into(), |addr| addr.to_string());
            let text = format!("none are handed out, because {who} does: switch it off there, or here");
            Some(bad("addresses", text))
        }
        (_, DhcpState::Looking) => Some(good("addresses", "looking for other servers first")),
        (_, _) => Some(good("addresses", format!("{} leases", dhcp.leases.len()))),
    }
}

fn interfaces(status: &Status) -> Check {
    let served: Vec<String> = status
        .interfaces
        .iter()
        .filter(|one| one.served && one.up && !one.addrs.is_empty())
        .map(|one| format!("{} {}", one.name, one.addrs[0]))
        .collect();
    match served.is_empty() {
        true => bad(
            "interfaces",
            "none is served: no cable, no address, or another one is meant (--interface)",
        ),
        false => good("interfaces", served.join(", ")),
    }
}

/// Nobody runs: could it?
fn free_ports() -> Vec<Check> {
    let at = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    let tried = [
        ("53/UDP", UdpSocket::bind(at(53)).map(drop)),
        ("53/TCP", TcpListener::bind(at(53)).map(drop)),
        ("67/UDP", UdpSocket::bind(at(67)).map(drop)),
    ];
    tried
        .into_iter()
        .map(|(port, outcome)| match outcome {
            Ok(()) => good("port", format!("{port} is free")),
            Err(err) if err.kind() == ErrorKind::PermissionDenied => {
                good("port", format!("{port} was not tried: it needs more rights than ours"))
            }
            Err(err) => bad(
                "port",
                format!("{port}: {err}. `granary lan` needs it: stop what uses it (ss -lnp shows it), or give --listen-dns"),
            ),
        })
        .collect()
}

fn good(what: &'static str, text: impl Into<String>) -> Check {
    Check {
        what,
        good: true,
        text: text.into(),
    }
}

fn bad(what: &'static str, text: impl Into<String>) -> Check {
    Check {
        what,
        good: false,
        text: text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rival_and_a_missing_cable_are_named_with_what_to_do() {
        let mut status = Status::default();
        assert!(dhcp(&status).is_none(), "off is no fault");
        status.dhcp.mode = DhcpMode::Lease;
        status.dhcp.state = DhcpState::Silent;
        status.dhcp.rivals.push(lan::api::DhcpServer {
            server: Some([192, 168, 1, 1].into()),
            ..Default::default()
        });
        let rival = dhcp(&status).expect("it is one");
        assert!(
            !rival.good && rival.text.contains("192.168.1.1"),
            "{}",
            rival.text
        );
        assert!(!interfaces(&status).good);
        assert!(!upstreams(&status, &Settings::default()).good);
    }

    #[tokio::test]
    async fn a_resolver_that_does_not_listen_is_bad() {
        assert!(!own_answer(&Status::default()).await.good);
    }
}
