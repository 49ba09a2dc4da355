//! The rest of the world: where the box listens, whether others can reach it, whom it knows.

use std::net::SocketAddr;

use maud::{Markup, html};

use crate::{
    admin::{
        look::{self, words},
        pages::{Answer, Visit},
    },
    api::{
        Addresses,
        network::{Network, Reach},
    },
};

pub async fn show(visit: Visit<'_>) -> Answer {
    let network = Network::of(visit.handles);
    Answer::page(
        "The rest of the world",
        draw(&visit.handles.addresses, &network, visit.proxy),
    )
}

pub fn draw(addresses: &Addresses, network: &Network, proxy: SocketAddr) -> Markup {
    let line = &network.line;
    let address = |addr: Option<SocketAddr>| match addr {
        Some(addr) => html! { code { (addr) } },
        None => html! { "off" },
    };
    html! {
        h1 { "The rest of the world" }
        p.lead { "Whom the box reaches outside this home, who reaches it, and where it listens." }
        (reachable(network))
        h2 { "Now" }
        (look::facts(&[
            ("Peers connected", html! { (line.peers) }),
            ("Receiving", html! { (words::rate(line.down_bytes_per_sec)) }),
            ("Giving", html! { (words::rate(line.up_bytes_per_sec)) }),
            ("Since the start", html! { (words::size(line.downloaded)) " received, " (words::size(line.uploaded)) " given" }),
            ("Nodes of the network known", html! { (line.dht_nodes) @if line.dht_nodes == 0 { " – the box cannot look up sites yet" } }),
            ("Searches under way", html! { (line.searches) }),
            ("Trackers left alone", html! { (line.trackers_resting) @if line.trackers_resting > 0 { " – they did not answer and are asked later" } }),
            ("Local discovery", html! { @if line.lsd_interfaces == 0 { "off: other boxes in this home are not looked for" } @else { "on " (words::count(line.lsd_interfaces as u64, "interface", "interfaces")) } }),
        ]))
        p.hint { "Nodes are other computers that help to find sites; trackers are servers that do the same." }
        h2 { "Addresses" }
        (look::facts(&[
            ("Pages", address(addresses.http)),
            ("Proxy for browsers", html! { code { (proxy) } }),
            ("Automatic proxy", html! { code { "http://" (proxy) "/proxy.pac" } }),
            ("Peers (TCP and uTP)", address(addresses.bt)),
            ("Network of nodes (UDP)", address(addresses.dht)),
        ]))
        p.hint { "Ports are set in the configuration file; changing one needs a restart." }
        p { a href="/network" { "Back to Network" } }
    }
}

fn reachable(network: &Network) -> Markup {
    let (reach, line) = (network.reach, &network.line);
    let router = (!line.port_mapping.is_empty()).then_some(&line.port_mapping);
    html! {
        div.light.is-warn[reach == Reach::Behind].is-plain[reach == Reach::Unknown] {
            @match reach {
                Reach::Open => {
                    h2 { "Others can reach this box" }
                    @if network.incoming_secs_ago.is_some() {
                        p { "Somebody outside this home did, since the box was started. Sites kept here are easy to get for others." }
                    } @else {
                        p { "The router lets connections in on port " (line.bt_port_outside) ". Sites kept here are easy to get for others." }
                    }
                }
                Reach::Behind => {
                    h2 { "Others cannot start a connection to this box" }
                    p { "Several homes share one address at your provider, or a second router stands in between. The box starts connections itself, so opening, following and sharing work; sharing is slower." }
                }
                Reach::Unknown => {
                    h2 { "It is not known whether others can reach this box" }
                    p { "Opening, following and sharing work all the same, because the box starts connections itself." }
                }
            }
            @match router {
                Some(words) => p.soft { "The router: " (words) "." },
                None => p.soft { "The router was left alone. Forward port " (line.bt_port_outside) " to the box by hand, or start Granary with --upnp, to be reached from outside." },
            }
        }
    }
}
