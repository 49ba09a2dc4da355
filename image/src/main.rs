//! `cargo image`: the workshop that packs the house on a card. This release checks the data that the card is made of:
//! `image/layout/partitions.toml` and `hw/<board>/board.toml`. Must not know what the daemon does.
//!
//! Reading order: this file, `layout` (partitions), `board`.

mod board;
mod layout;

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

/// Checks the data that the card is made of.
#[derive(Parser)]
#[command(name = "image")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check the partition layout and one board, or all of them
    Check {
        /// A folder of `hw/`
        board: Option<String>,
        /// The root of the tree
        #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/.."))]
        root: PathBuf,
    },
}

fn main() -> ExitCode {
    let Command::Check { board, root } = Cli::parse().command;
    match check(&root, board.as_deref()) {
        Ok((checked, faults)) if faults.is_empty() => {
            println!("{checked}: no fault");
            ExitCode::SUCCESS
        }
        Ok((_, faults)) => {
            for fault in faults {
                eprintln!("{fault}");
            }
            ExitCode::FAILURE
        }
        Err(err) => {
            eprintln!("image: {err:#}");
            ExitCode::FAILURE
        }
    }
}

/// What was checked, in words, and every fault found.
fn check(root: &std::path::Path, only: Option<&str>) -> Result<(String, Vec<String>)> {
    let path = root.join("image/layout/partitions.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let mut faults = layout::check(&text);
    let mut boards = Vec::new();
    let folder = root.join("hw");
    for entry in fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() && only.is_none_or(|only| only == name) {
            let file = entry.path().join("board.toml");
            let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
            faults.extend(
                board::check(&text)
                    .into_iter()
                    .map(|fault| format!("hw/{name}/board.toml: {fault}")),
            );
            boards.push(name);
        }
    }
    boards.sort();
    if boards.is_empty() {
        faults.push(match only {
            Some(only) => format!("hw/ has no board {only}"),
            None => "hw/ has no board".into(),
        });
    }
    Ok((format!("layout and {}", boards.join(", ")), faults))
}
