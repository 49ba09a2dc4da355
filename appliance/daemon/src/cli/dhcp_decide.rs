//! `granary dhcp-decide`: what the DHCP service would say to a packet, for corpora and curious people. Sends nothing.

use std::{
    io::{self, Read},
    net::Ipv4Addr,
};

use data_encoding::HEXLOWER_PERMISSIVE as HEX;
use lan::settings::{DhcpMode, Pool, Settings};
use proto::dhcp::{Packet, Table, decide};

use crate::fault::Fault;

/// Hexadecimal digits of the longest packet, and some.
const HEX_MAX: u64 = 16_384;

#[derive(clap::Args)]
pub struct Args {
    /// The packet's UDP payload in hexadecimal digits, or `-` for standard input
    #[arg(value_name = "HEX")]
    packet: String,
    /// inform or lease
    #[arg(long, value_name = "MODE", default_value = "lease")]
    mode: String,
    /// The box's address and the length of its network's prefix
    #[arg(long, value_name = "ADDR/LEN", default_value = "192.168.1.2/24")]
    own: String,
    /// First and last address to give
    #[arg(long, value_name = "FIRST-LAST")]
    pool: Option<String>,
    /// The router that devices are told
    #[arg(long, value_name = "ADDR", default_value = "192.168.1.1")]
    router: Ipv4Addr,
    /// A second resolver behind the box
    #[arg(long, value_name = "ADDR")]
    second_resolver: Option<Ipv4Addr>,
    /// Seconds of a lease
    #[arg(long, value_name = "SECS", default_value_t = 86_400)]
    lease_secs: u32,
    /// The port of the box's pages
    #[arg(long, value_name = "PORT", default_value_t = 80)]
    http_port: u16,
    /// Where the packet came from
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0")]
    source: Ipv4Addr,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<(), Fault> {
    let bytes = packet(&args.packet)?;
    let mode = match args.mode.as_str() {
        "lease" => DhcpMode::Lease,
        "inform" => DhcpMode::Inform,
        other => {
            return Err(Fault::usage(format!(
                "--mode {other:?} is neither lease nor inform."
            )));
        }
    };
    let (own, prefix) = args
        .own
        .split_once('/')
        .and_then(|(addr, len)| Some((addr.parse().ok()?, len.parse().ok().filter(|len| *len <= 32)?)))
        .ok_or_else(|| Fault::usage(format!("--own {:?} is not like 192.168.1.2/24.", args.own)))?;
    let mut settings = Settings::default();
    settings.dhcp.router = Some(args.router);
    settings.dhcp.second_resolver = args.second_resolver;
    settings.dhcp.lease_secs = args.lease_secs;
    if let Some(text) = &args.pool {
        let pool = text.split_once('-').and_then(|(first, last)| {
            Some(Pool {
                first: first.parse().ok()?,
                last: last.parse().ok()?,
            })
        });
        let pool = pool.ok_or_else(|| {
            Fault::usage(format!(
                "--pool {text:?} is not like 192.168.1.100-192.168.1.199."
            ))
        })?;
        settings.dhcp.pool = Some(pool);
    }
    let (serving, pool) = lan::dhcp::would_serve(&settings, mode, (own, prefix), args.http_port)
        .map_err(|reason| Fault::usage(format!("{reason}.")))?;
    let packet = match Packet::read(&bytes) {
        Ok(packet) => packet,
        Err(reason) => return say(&args, "silent", &format!("malformed: {reason}"), None),
    };
    // A fresh table: the first second of a new server.
    let decision = decide(&packet, args.source, &Table::new(pool), &serving, 0);
    match decision.answer {
        Ok(answer) => {
            let kind = format!("{:?}", answer.kind).to_lowercase();
            say(&args, &kind, &format!("to {:?}", answer.to), Some(&answer.bytes))
        }
        Err(why) => say(&args, "silent", &why.to_string(), None),
    }
}

fn say(args: &Args, decision: &str, why: &str, reply: Option<&[u8]>) -> Result<(), Fault> {
    let hex = reply.map(|bytes| HEX.encode(bytes));
    if args.json {
        println!(
            "{}",
            serde_json::json!({ "decision": decision, "reason": why, "reply": hex })
        );
    } else {
        println!("{decision}: {why}");
        if let Some(hex) = hex {
            println!("{hex}");
        }
    }
    Ok(())
}

fn packet(text: &str) -> Result<Vec<u8>, Fault> {
    let mut input = String::new();
    if text == "-" {
        io::stdin()
            .take(HEX_MAX)
            .read_to_string(&mut input)
            .map_err(|err| Fault::usage(format!("read standard input: {err}.")))?;
    } else {
        input.push_str(text);
    }
    input.retain(|letter| !letter.is_whitespace());
    HEX.decode(input.as_bytes())
        .map_err(|err| Fault::usage(format!("the packet is not hexadecimal digits: {err}.")))
}
