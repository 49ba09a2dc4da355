//! `granary resolve`: what an address means now, in any form a person pastes.

use hyper::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::{Place, network, reach::Reach};
use crate::{fault::Fault, tasks::Tasks};

#[derive(clap::Args)]
pub struct Args {
    /// A key, a magnet link, a host, a domain with a link record, or a name you gave
    #[arg(value_name = "ADDRESS")]
    address: String,
    /// Give up after so many seconds
    #[arg(long, value_name = "SECS", default_value_t = 30)]
    deadline: u64,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    network: network::Flags,
}

pub fn run(args: Args) -> Result<(), Fault> {
    crate::start_logging(args.network.log())?;
    super::wait(async {
        let tasks = Tasks::new();
        let reach = Reach::find(&args.place, &args.network, &tasks).await?;
        let address = utf8_percent_encode(&args.address, NON_ALPHANUMERIC);
        let path = format!("/api/v1/resolve?address={address}&deadline={}", args.deadline);
        let resolved = reach.ask(Method::GET, &path, None).await;
        reach.close().await;
        let resolved = resolved?;
        if args.place.json {
            println!("{resolved}");
        } else {
            print(&resolved);
        }
        Ok(())
    })
}

fn print(resolved: &Value) {
    let line = |name: &str, value: &Value| match value {
        Value::Null => {}
        Value::String(text) => println!("{name:<9} {text}"),
        other => println!("{name:<9} {other}"),
    };
    line("infohash", &resolved["infohash"]);
    line("address", &resolved["address"]);
    let (record, link) = (&resolved["record"], &resolved["link"]);
    line("number", &record["seq"]);
    line("record", &record["kept"]);
    if !link.is_null() {
        line("link", &link["name"]);
        let signed = if link["signed"] == true {
            "signed, and the signature is good"
        } else {
            "not signed"
        };
        println!("{:<9} {signed}", "DNSSEC");
    }
    line("newer", &resolved["newer"]);
    if resolved["stale"] == true {
        println!("This may be old: the network is being asked again.");
    }
    if !record["conflict"].is_null() {
        println!("Warning: another value was seen under this number. The first one seen stands.");
    }
}
