//! `granary check-torrent`: the verdict that protects the daemon, for corpora and curious people.

use std::path::PathBuf;

use proto::metainfo::{Verdict, verdict};

use super::fetch::read_bounded;
use crate::fault::Fault;

#[derive(clap::Args)]
pub struct Args {
    /// A torrent file, or `-` for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<(), Fault> {
    let raw = read_bounded(&args.file)?;
    let name = args.file.display();
    match verdict(&raw) {
        Verdict::Accepted { torrent, remarks } => {
            let info = &torrent.info;
            let files = info.files.iter().filter(|file| !file.pad).count();
            if args.json {
                let report = serde_json::json!({
                    "accepted": true, "infohash": info.infohash.to_string(), "name": info.name, "total": info.total,
                    "pieces": info.pieces.len(), "piece_length": info.piece_length, "files": files,
                    "private": info.private, "remarks": remarks,
                });
                println!("{report}");
            } else {
                println!(
                    "{name}: {} {} ({files} files, {} bytes)",
                    info.infohash, info.name, info.total
                );
                for remark in remarks {
                    println!("  {remark}");
                }
            }
            Ok(())
        }
        Verdict::Refused(err) => {
            if args.json {
                println!(
                    "{}",
                    serde_json::json!({ "accepted": false, "reason": err.to_string() })
                );
            }
            Err(Fault::refused(format!("{name} is refused: {err}")))
        }
    }
}
