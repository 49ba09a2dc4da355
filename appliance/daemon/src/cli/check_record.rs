//! `granary check-record`: the verdict that protects the daemon, for corpora and curious people.

use std::path::PathBuf;

use data_encoding::HEXLOWER;
use proto::record::{Mutable, VALUE_MAX};

use super::fetch::read_bounded;
use crate::{
    api::record::{holds, magnet},
    fault::Fault,
};

#[derive(clap::Args)]
pub struct Args {
    /// A record file (bencoded: k, seq, sig, v and maybe salt), or `-` for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<(), Fault> {
    let raw = read_bounded(&args.file)?;
    let name = args.file.display();
    let item = match Mutable::decode(&raw) {
        Ok(item) => item,
        Err(err) => {
            if args.json {
                let report = serde_json::json!({ "accepted": false, "reason": err.to_string() });
                println!("{report}");
            }
            return Err(Fault::refused(format!("{name} is refused: {err}")));
        }
    };
    let (holds, infohash) = holds(&item.value);
    debug_assert!(item.value.len() <= VALUE_MAX);
    if args.json {
        let report = serde_json::json!({
            "accepted": true, "target": item.target().to_string(), "key": item.key.to_string(),
            "salt": HEXLOWER.encode(&item.salt), "seq": item.seq, "holds": holds, "infohash": infohash,
            "value": HEXLOWER.encode(&item.value), "magnet": magnet(&item.key, &item.salt),
        });
        println!("{report}");
    } else {
        let points = infohash.map_or_else(
            || format!("holds something else ({holds})"),
            |ih| format!("points to {ih}"),
        );
        println!(
            "{name}: number {} of {} {points}",
            item.seq,
            magnet(&item.key, &item.salt)
        );
    }
    Ok(())
}
