//! `granary status`: what the running Granary does, in words or JSON.

use std::path::PathBuf;

use hyper::Method;
use lan::settings::DhcpMode;
use serde_json::{Value, json};

use super::{
    Place,
    reach::{self, Reach},
};
use crate::{
    fault::Fault,
    home::{self, Home},
    tasks::Tasks,
};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// The control socket of the LAN half [default: DATA/lan.sock]
    #[arg(long, value_name = "SOCKET")]
    lan_control: Option<PathBuf>,
}

pub fn run(args: Args) -> Result<(), Fault> {
    super::wait(async {
        let tasks = Tasks::new();
        let socket = match &args.lan_control {
            Some(socket) => socket.clone(),
            None => reach::config(&args.place)?.lan_socket(),
        };
        let lan = Home::new(socket).status().await;
        let Some(client) = Reach::running(&args.place, &tasks).await? else {
            return alone(args.place.json, lan);
        };
        let mut status = client.ask(Method::GET, "/api/v1/status", None).await?;
        let sites = client.ask(Method::GET, "/api/v1/sites?max=1000", None).await?;
        if args.place.json {
            status["sites"] = sites;
            status["lan"] = lan.map_or(Value::Null, |lan| json!(lan));
            println!("{status}");
        } else {
            print(&status, sites.as_array().map_or(&[][..], Vec::as_slice));
            print_lan(&lan);
        }
        Ok(())
    })
}

/// The lan half runs without the web half, or nobody does.
fn alone(as_json: bool, lan: Result<lan::api::Status, home::Error>) -> Result<(), Fault> {
    if lan.is_err() {
        return Err(Fault::refused(
            "no Granary runs on this folder. Start one with `granary run`.",
        ));
    }
    if as_json {
        println!("{}", json!({ "lan": lan.map_or(Value::Null, |lan| json!(lan)) }));
    } else {
        println!("the web half does not run: no pages, no proxy, no sites");
        print_lan(&lan);
    }
    Ok(())
}

fn print_lan(lan: &Result<lan::api::Status, home::Error>) {
    let lan = match lan {
        Ok(lan) => lan,
        Err(err) => {
            println!("  ! {err}");
            return;
        }
    };
    let dns = &lan.dns;
    let door = lan
        .listen
        .dns
        .first()
        .map_or("off".to_owned(), ToString::to_string);
    let well = dns.upstreams.iter().filter(|one| one.healthy).count();
    println!(
        "  names {door}   {} questions: {} from memory, {} asked outside, {} blocked, {} not answered",
        dns.queries, dns.cached, dns.forwarded, dns.blocked, dns.failed
    );
    println!(
        "  resolvers {well} of {} answer   addresses {}   IPv6 {}   mDNS {}",
        dns.upstreams.len(),
        match (lan.dhcp.mode, lan.dhcp.state) {
            (DhcpMode::Off, _) => "not handed out".to_owned(),
            (mode, state) => format!("{mode:?}, {state:?}, {} leases", lan.dhcp.leases.len()).to_lowercase(),
        },
        if lan.ra.enabled { "announced" } else { "quiet" },
        lan.mdns.name.as_deref().unwrap_or("off")
    );
    for trouble in &lan.troubles {
        println!("  ! {}: {}", trouble.room, trouble.reason);
    }
}

fn print(status: &Value, sites: &[Value]) {
    let text = |key: &str| status[key].as_str().unwrap_or("off").to_string();
    let bytes = |key: &str| indicatif::BinaryBytes(status["store"][key].as_u64().unwrap_or(0));
    println!(
        "granary {} runs since {} s",
        text("version"),
        status["uptime_secs"]
    );
    println!(
        "  proxy {}   sites and PAC file {}   peers {}   DHT {}",
        text("proxy"),
        text("http"),
        text("bt"),
        text("dht")
    );
    println!(
        "  stored {} in {} sites (kept {}, visited {}); {} free",
        bytes("live_bytes"),
        status["store"]["sites"],
        bytes("kept_bytes"),
        bytes("visited_bytes"),
        bytes("free_bytes")
    );
    let number = |key: &str| status[key].as_u64().unwrap_or(0);
    println!(
        "  {} peers, {} DHT nodes; down {}/s, up {}/s; {} down and {} up since the start",
        number("peers"),
        number("dht_nodes"),
        indicatif::BinaryBytes(number("down_bytes_per_sec")),
        indicatif::BinaryBytes(number("up_bytes_per_sec")),
        indicatif::BinaryBytes(number("downloaded")),
        indicatif::BinaryBytes(number("uploaded"))
    );
    if let Some(pin) = status["claim_pin"].as_str() {
        let url = text("admin_url");
        println!(
            "  ! set up this box at {url}claim with the PIN {}",
            super::grouped(pin)
        );
    }
    println!("  port mapping: {}", text("port_mapping"));
    println!("  sharing: {}", text("sharing"));
    let following = &status["subscriptions"];
    let states: Vec<String> = following["states"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(state, count)| format!("{count} {}", state.replace('-', " ")))
        .collect();
    println!(
        "  follows {}{}",
        following["count"],
        if states.is_empty() {
            String::new()
        } else {
            format!(": {}", states.join(", "))
        }
    );
    for warning in status["warnings"].as_array().into_iter().flatten() {
        println!("  ! {}", warning.as_str().unwrap_or(""));
    }
    for trouble in status["troubles"].as_array().into_iter().flatten() {
        println!(
            "  ! {}: {}",
            trouble["room"].as_str().unwrap_or(""),
            trouble["reason"].as_str().unwrap_or("")
        );
    }
    for site in sites {
        let share = site["held"].as_u64().unwrap_or(0) * 100 / site["pieces"].as_u64().unwrap_or(1).max(1);
        let kept = if site["kept"] == true { "kept" } else { "visited" };
        println!(
            "  {} {share:>3}% {kept:<7} {}",
            site["infohash"].as_str().unwrap_or(""),
            site["name"].as_str().unwrap_or("")
        );
    }
}
