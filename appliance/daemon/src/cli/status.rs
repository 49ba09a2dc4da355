//! `granary status`: what the running Granary does, in words or JSON.

use hyper::Method;
use serde_json::Value;

use super::{Place, reach::Reach};
use crate::{fault::Fault, tasks::Tasks};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
}

pub fn run(args: Args) -> Result<(), Fault> {
    super::wait(async {
        let tasks = Tasks::new();
        let Some(client) = Reach::running(&args.place, &tasks).await? else {
            return Err(Fault::refused(
                "no Granary runs on this folder. Start one with `granary run`.",
            ));
        };
        let mut status = client.ask(Method::GET, "/api/v1/status", None).await?;
        let sites = client.ask(Method::GET, "/api/v1/sites?max=1000", None).await?;
        if args.place.json {
            status["sites"] = sites;
            println!("{status}");
        } else {
            print(&status, sites.as_array().map_or(&[][..], Vec::as_slice));
        }
        Ok(())
    })
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
