//! `granary lan probe`: which DHCP servers answer on a network, and everything they hand out.

use std::{io, time::Duration};

use crate::fault::{Exit, Fault};

#[derive(clap::Args)]
pub struct Args {
    /// The interface to ask on
    #[arg(long, value_name = "NAME")]
    interface: String,
    /// Listen for so many seconds
    #[arg(long, value_name = "SECS", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=60))]
    wait: u64,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<(), Fault> {
    let name = &args.interface;
    let found = super::wait(async {
        let asked = lan::dhcp::ask(name, Duration::from_secs(args.wait)).await;
        asked.map_err(|err| match err.kind() {
            io::ErrorKind::PermissionDenied => Fault::new(
                Exit::Denied,
                "no permission to send frames: run it as root, or grant CAP_NET_RAW.",
            ),
            io::ErrorKind::NotFound => Fault::usage(format!("there is no interface {name}.")),
            io::ErrorKind::Unsupported => Fault::usage(format!("{name} is no Ethernet or Wi-Fi interface.")),
            _ => Fault::refused(format!("ask on {name}: {err}")),
        })
    })?;
    if args.json {
        let servers: Vec<_> = found
            .iter()
            .map(|found| {
                let options = found.options.iter().map(
                    |(code, name, value)| serde_json::json!({ "code": code, "name": name, "value": value }),
                );
                serde_json::json!({ "server": found.server, "options": options.collect::<Vec<_>>() })
            })
            .collect();
        println!("{}", serde_json::json!({ "interface": name, "servers": servers }));
        return Ok(());
    }
    if found.is_empty() {
        println!("No DHCP server answered on {name} within {} s.", args.wait);
    }
    for found in &found {
        let or = |value: Option<String>| value.unwrap_or_else(|| "unknown".into());
        let server = &found.server;
        let addr = or(server.server.map(|addr| addr.to_string()));
        let offered = or(server.offered.map(|addr| addr.to_string()));
        println!("Server {addr} ({}) offers {offered}:", or(server.mac.clone()));
        for (code, name, value) in &found.options {
            println!("  {code:>3}  {name}: {value}");
        }
    }
    Ok(())
}
