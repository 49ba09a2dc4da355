//! `granary dns-decide`: what the resolver does with one packet, for checks against collections of packets.

use std::{
    io::Read,
    net::{Ipv4Addr, Ipv6Addr},
};

use data_encoding::HEXLOWER_PERMISSIVE;
use proto::dns::{
    decide::{self, Decision, Facts, Known},
    marker::Mark,
    query::{self, Fault},
    reply::Way,
    zone::{Choices, Zone},
};

use crate::fault::Fault as Failure;

/// Hex of the longest packet there can be, with room for spaces.
const INPUT_MAX: u64 = 1 << 18;

#[derive(clap::Args)]
pub struct Args {
    /// The packet in hex; not there: standard input
    packet: Option<String>,
    /// The address of the box
    #[arg(long, value_name = "ADDR", default_value = "192.168.1.2")]
    advertise: Ipv4Addr,
    /// Its unique local address
    #[arg(long, value_name = "ADDR")]
    advertise6: Option<Ipv6Addr>,
    /// The domain of the home
    #[arg(long, value_name = "DOMAIN", default_value = "home.arpa")]
    domain: String,
    /// The name of the box, one label
    #[arg(long, value_name = "NAME", default_value = "granary")]
    host: String,
}

/// Two lines: the decision, then the answer's bytes, or nothing.
pub fn run(args: Args) -> Result<(), Failure> {
    let text = match &args.packet {
        Some(text) => text.clone(),
        None => {
            let mut text = String::new();
            let read = std::io::stdin().take(INPUT_MAX).read_to_string(&mut text);
            read.map_err(|err| Failure::refused(format!("read the packet: {err}")))?;
            text
        }
    };
    let digits: String = text.split_whitespace().collect();
    let packet = HEXLOWER_PERMISSIVE
        .decode(digits.as_bytes())
        .map_err(|err| Failure::refused(format!("the packet is not hex: {err}")))?;
    let (decision, reply) = decide(&args, &packet);
    println!("{decision}");
    println!("{}", HEXLOWER_PERMISSIVE.encode(&reply));
    Ok(())
}

fn decide(args: &Args, packet: &[u8]) -> (&'static str, Vec<u8>) {
    let mut out = Vec::new();
    let query = match query::read(packet) {
        Ok(query) => query,
        Err(Fault::Silent) => return ("drop", out),
        Err(Fault::Answer(rcode)) => {
            query::write_fault(packet, rcode, &mut out);
            return ("refuse", out);
        }
    };
    let choices = Choices {
        host: args.host.clone(),
        domain: args.domain.clone(),
        ..Choices::default()
    };
    let zone = Zone::new(&choices, &[]);
    let facts = Facts {
        v4: Some(args.advertise),
        v6: args.advertise6,
    };
    let decision = decide::decide(&query, &zone, &facts, |_| false);
    let known = Known {
        facts,
        mark: Mark::Unknown,
        blocked_is_nxdomain: false,
    };
    decide::write(decision, &query, &known, &Way::udp(&query), &mut out);
    let word = match decision {
        Decision::Forward => "forward",
        Decision::Plain(_) => "refuse",
        _ => "answer",
    };
    (word, out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_packet_in_one_decision_out() {
        let args = Args {
            packet: None,
            advertise: Ipv4Addr::new(192, 168, 1, 2),
            advertise6: None,
            domain: "home.arpa".into(),
            host: "granary".into(),
        };
        let ask = |name: &[u8]| [b"\0\x07\x01\0\0\x01\0\0\0\0\0\0", name, b"\0\x01\0\x01"].concat();
        let (decision, reply) = decide(&args, &ask(b"\x04wpad\x04home\x04arpa\0"));
        assert_eq!((decision, reply.ends_with(&[192, 168, 1, 2])), ("answer", true));
        assert_eq!(decide(&args, &ask(b"\x07example\0")).0, "answer");
        assert_eq!(
            decide(&args, &ask(b"\x01a\x07example\0")),
            ("forward", Vec::new())
        );
        assert_eq!(decide(&args, b"abc"), ("drop", Vec::new()));
        assert_eq!(decide(&args, &ask(b"\xc0\x0c")).0, "refuse");
    }
}
