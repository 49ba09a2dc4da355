//! What is seen on this LAN, from the Internet down to the devices, as words.

use lan::{
    api::{DhcpServer, DhcpState, Router6, Status, Survey},
    settings::{DhcpMode, Settings},
};
use maud::{Markup, html};
use store::UnixSecs;

use crate::{admin::look::words, arrangement::Seen};

/// Characters shown of what strangers on the LAN say.
const SHOWN_MAX: usize = 48;
/// Others who speak for the network, that are shown of each kind.
const SPEAKERS_MAX: usize = 3;
/// Entries shown of lists that strangers fill.
const LIST_MAX: usize = 4;

/// `token`: for whoever may look again.
pub fn draw(status: &Status, settings: &Settings, seen: &Seen, token: Option<&str>) -> Markup {
    let survey = seen.survey.as_ref();
    html! {
        h2 { "What is seen here" }
        @if seen.looking {
            p.notice role="status" { "The box is looking at the network; that takes up to eight seconds. This page looks again by itself." }
        }
        @if let Some(trouble) = &seen.trouble { p.error { "The last look showed nothing: " (words::short(trouble, 200)) "." } }
        ul.scene {
            (internet(status))
            (router(survey.map(|(_, survey)| survey)))
            @if let Some((_, survey)) = survey { (others(survey)) }
            (this_box(status, settings))
            @if let Some((_, survey)) = survey { (devices(survey)) }
        }
        (again(survey.map(|(at, _)| *at), seen.looking, token))
    }
}

fn again(at: Option<UnixSecs>, looking: bool, token: Option<&str>) -> Markup {
    html! {
        div.deeds {
            @if let Some(token) = token.filter(|_| !looking) {
                (crate::admin::look::send("/network/look", token, &[], "quiet", if at.is_some() { "Look again" } else { "Look now" }))
            }
            @match at {
                Some(at) => span.soft { "Seen " (words::date(at)) "." },
                None => span.soft { "The box has not looked yet. Looking changes nothing: it asks who hands out addresses, and listens." },
            }
        }
    }
}

fn part(mark: &str, title: &str, body: Markup) -> Markup {
    html! { li { strong { span.mark aria-hidden="true" { (mark) } (title) } (body) } }
}

fn internet(status: &Status) -> Markup {
    let all = status.dns.upstreams.len() as u64;
    let well = status.dns.upstreams.iter().filter(|one| one.healthy).count() as u64;
    let asked = status.dns.upstreams.iter().any(|one| one.queries > 0);
    part(
        "☁",
        "Outside",
        html! {
            @if all == 0 { p { "No resolver outside is known: nobody told the box one." } }
            @else {
                p {
                    @if asked { (words::count(well, "resolver answers", "resolvers answer")) } @else { (words::count(all, "resolver is known", "resolvers are known")) } @if well < all { ", " span.late { (words::grouped(all - well)) " silent" } } ": "
                    @for (index, one) in status.dns.upstreams.iter().take(LIST_MAX).enumerate() {
                        @if index > 0 { ", " } code { (words::short(&one.address, SHOWN_MAX)) } @if one.queries == 0 { " (not asked yet)" } @else if !one.healthy { " (silent)" }
                    }
                }
            }
        },
    )
}

fn router(survey: Option<&Survey>) -> Markup {
    let Some(survey) = survey else {
        return part("▣", "Router", html! { p.soft { "Not looked for yet." } });
    };
    let Some(addr) = survey.gateway else {
        return part(
            "▣",
            "Router",
            html! { p { span.late { "None found." } " The box has no way to the Internet now." } },
        );
    };
    let tld = proto::name::TLD;
    part(
        "▣",
        "Router",
        html! {
            p { code { (addr) } }
            @for server in survey.dhcp_servers.iter().filter(|server| server.server == Some(addr)) { (server_words("It", server)) }
            @if survey.router_forwards { p { "It sends ." (tld) " names to this box: every device that asks the router can open them." } }
            @else if survey.router_drops_private { p { span.late { "It knows ." (tld) " names but leaves their address out." } " It needs an exception: see the guide below." } }
            @else if survey.router_resolves { p { "It answers names, but sends no ." (tld) " names to this box." } }
            @else { p { "It does not answer names." } }
        },
    )
}

/// What somebody who hands out addresses offers.
fn server_words(who: &str, server: &DhcpServer) -> Markup {
    let list = |all: &[std::net::Ipv4Addr]| {
        all.iter()
            .take(LIST_MAX)
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    };
    html! {
        p {
            (who) " hands out addresses"
            @if let Some(secs) = server.lease_secs { " for " (words::span(secs.into())) }
            @if !server.dns.is_empty() { ", with the resolver " code { (list(&server.dns)) } }
            @if let Some(domain) = &server.domain { ", the domain " code { (words::short(domain, SHOWN_MAX)) } }
            @if let Some(wpad) = &server.wpad { ", and the proxy file " code { (words::short(wpad, SHOWN_MAX)) } }
            "."
        }
    }
}

/// Whoever else speaks for the network.
fn others(survey: &Survey) -> Markup {
    let servers = survey
        .dhcp_servers
        .iter()
        .filter(|server| server.server.is_none() || server.server != survey.gateway);
    html! {
        @for server in servers.take(SPEAKERS_MAX) {
            (part("▤", "Another device hands out addresses", html! {
                p { @match server.server { Some(addr) => code { (addr) }, None => "Its address is not known" } @if let Some(mac) = &server.mac { ", hardware address " code { (words::short(mac, 20)) } } }
                (server_words("It", server))
                p { span.late { "Two of them in one home give trouble." } " While it answers, this box hands out nothing." }
            }))
        }
        @for router in survey.routers6.iter().take(SPEAKERS_MAX) { (router6(router)) }
    }
}

fn router6(router: &Router6) -> Markup {
    let list = |all: Vec<String>| {
        all.into_iter()
            .take(LIST_MAX)
            .map(|one| words::short(&one, SHOWN_MAX))
            .collect::<Vec<_>>()
            .join(", ")
    };
    part(
        "▣",
        "Announces itself over IPv6",
        html! {
            p {
                code { (router.addr) } ", "
                @if router.lifetime_secs > 0 { "as the way to the Internet" } @else { "not as the way to the Internet" }
                @if !router.prefixes.is_empty() { ", with the networks " code { (list(router.prefixes.clone())) } }
                @if !router.dns.is_empty() { ", with the resolver " code { (list(router.dns.iter().map(ToString::to_string).collect())) } }
                "."
            }
        },
    )
}

fn this_box(status: &Status, settings: &Settings) -> Markup {
    let names = [
        status.mdns.name.clone(),
        Some(format!("{}.{}", settings.names.host, settings.names.domain)),
        Some(format!("box.{}", proto::name::TLD)),
    ];
    let served: Vec<_> = status.interfaces.iter().filter(|one| one.served).collect();
    part(
        "◆",
        "This box",
        html! {
            p { "Names: " @for (index, name) in names.iter().flatten().enumerate() { @if index > 0 { ", " } code { (words::short(name, SHOWN_MAX)) } } }
            @for one in served.iter().take(LIST_MAX) {
                p { (words::short(&one.name, 20)) ": " @if one.addrs.is_empty() { "no address" } @else { (addrs(&one.addrs)) } @if !one.up { " – no cable" } }
            }
            @if served.is_empty() { p { span.late { "No network of this home is served: no cable, or no address." } } }
            p { (deeds(status)) }
        },
    )
}

fn addrs(addrs: &[String]) -> Markup {
    html! { @for (index, addr) in addrs.iter().take(LIST_MAX).enumerate() { @if index > 0 { ", " } code { (addr) } } }
}

/// What the box says to the home unasked, and what it answers.
fn deeds(status: &Status) -> String {
    let dhcp = match (status.dhcp.mode, status.dhcp.state) {
        (DhcpMode::Off, _) => "It hands out no addresses",
        (_, DhcpState::Looking) => "It looks whether somebody else hands out addresses, before it does",
        (_, DhcpState::Silent) => "It hands out nothing, because somebody else does",
        (_, DhcpState::Broken) => "It should hand out addresses, but cannot",
        (DhcpMode::Lease, _) => "It hands out addresses",
        (DhcpMode::Inform, _) => "It answers devices that ask for proxy settings, and hands out no addresses",
    };
    let announced = match (status.ra.enabled, &status.mdns.name) {
        (true, _) => "announces itself as resolver over IPv6",
        (false, Some(_)) => "announces nothing but its name",
        (false, None) => "announces nothing",
    };
    let reason = status.dhcp.reason.as_ref().map_or_else(String::new, |reason| {
        format!(" {}", words::sentence(&words::short(reason, 160)))
    });
    format!("{dhcp}, and {announced}.{reason}")
}

fn devices(survey: &Survey) -> Markup {
    part(
        "▪",
        "Devices",
        html! {
            @if survey.handed_out_as_resolver { p { "They are told to ask this box for names." } }
            @else { p { "They are not told to ask this box for names." } }
            @if survey.doh_canary { p { "Firefox stays with this home’s resolver, unless somebody chose another one by hand." } }
            @else { p { "Firefox may ask a resolver of its own outside." } }
            p { a href="/devices" { "All devices, and how each one finds the box" } }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_server_is_shown_apart_from_the_router() {
        let gateway = "192.168.1.1".parse().ok();
        let server = |addr: &str, domain: &str| DhcpServer {
            server: addr.parse().ok(),
            domain: Some(domain.into()),
            lease_secs: Some(86_400),
            ..DhcpServer::default()
        };
        let survey = Survey {
            gateway,
            dhcp_servers: vec![server("192.168.1.1", "lan"), server("192.168.1.77", "<b>rival")],
            router_resolves: true,
            ..Survey::default()
        };
        let seen = Seen {
            survey: Some((1_795_224_000, survey)),
            ..Seen::default()
        };
        let text = draw(&Status::default(), &Settings::default(), &seen, Some("t")).into_string();
        assert_eq!(text.matches("Another device hands out addresses").count(), 1);
        assert!(text.contains("192.168.1.77") && !text.contains("<b>rival"));
        assert!(text.contains("sends no .btlink names") && text.contains("Look again"));
        let looking = Seen {
            looking: true,
            ..Seen::default()
        };
        let text = draw(&Status::default(), &Settings::default(), &looking, Some("t")).into_string();
        assert!(text.contains("looks again by itself") && !text.contains("<form"));
    }

    #[test]
    fn what_the_box_does_is_said_also_when_it_falls_silent() {
        let mut status = Status::default();
        assert_eq!(
            deeds(&status),
            "It hands out no addresses, and announces nothing."
        );
        status.dhcp.mode = DhcpMode::Lease;
        status.dhcp.state = DhcpState::Silent;
        status.dhcp.reason = Some("192.168.1.1 answers".into());
        status.mdns.name = Some("granary.local".into());
        assert_eq!(
            deeds(&status),
            "It hands out nothing, because somebody else does, and announces nothing but its name. 192.168.1.1 answers."
        );
    }
}
