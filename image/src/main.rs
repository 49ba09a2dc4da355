//! `cargo image`: the workshop that packs the house on a card. It reads `image/system.toml` and its lock (Debian packages),
//! `image/layout/partitions.toml`, `hw/<board>/board.toml` and `overlay/`, and writes one file to flash. Must not know what the
//! daemon does.
//!
//! Reading order: this file, `build` (the walk), `layout`, `board`, `system` and `lock` (the data), `apt`, `root`, `units`,
//! `libraries`,
//! `modules`, `initrd`, `cpio`, `boot`, `grub`, `rpi`, `fat`, `disk`, `cross`, `qemu`, `run`.

mod apt;
mod board;
mod boot;
mod build;
mod cpio;
mod cross;
mod disk;
mod fat;
mod grub;
mod initrd;
mod layout;
mod libraries;
mod lock;
mod modules;
#[cfg(test)]
mod overlay_tests;
mod qemu;
mod root;
mod rpi;
mod run;
mod system;
mod units;
mod write_lock;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};

/// Packs Granary on a card.
#[derive(Parser)]
#[command(name = "image")]
struct Cli {
    /// The root of the tree
    #[arg(long, global = true, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/.."))]
    root: PathBuf,
    /// Downloads and results [default: `image` in cargo's target folder]
    #[arg(long, global = true, value_name = "DIR")]
    cache: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check the partition layout and one board, or all of them
    Check {
        /// A folder of `hw/`
        board: Option<String>,
    },
    /// Write image/system.lock anew: the versions that Debian's archive has now
    Lock {
        #[command(flatten)]
        archive: Mirror,
    },
    /// Compile granary for the boards
    Cross {
        #[arg(long, value_enum)]
        with: Option<cross::Compiler>,
    },
    /// Build the card of a board
    Build {
        #[arg(long)]
        board: String,
        /// A granary that was compiled for the board, instead of compiling it
        #[arg(long, value_name = "FILE")]
        binary: Option<PathBuf>,
        /// Date of everything on the card [default: that of the lock]
        #[arg(long, value_name = "SECS")]
        epoch: Option<u64>,
        /// Build it once more and compare the bytes
        #[arg(long)]
        twice: bool,
        #[command(flatten)]
        archive: Mirror,
    },
    /// Start a card that was built in QEMU
    Qemu(Qemu),
}

#[derive(Args)]
struct Mirror {
    /// Debian's archive [default: what apt of this machine uses, else deb.debian.org]
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
}

#[derive(Args)]
struct Qemu {
    #[arg(long, default_value = "qemu-arm64")]
    board: String,
    /// Start the kernel without firmware and GRUB
    #[arg(long)]
    direct: bool,
    /// A network device of this machine, instead of forwarded ports
    #[arg(long, value_name = "NAME")]
    tap: Option<String>,
    /// A copy of the card that may be written to, instead of forgetting what is written
    #[arg(long, value_name = "FILE")]
    card: Option<PathBuf>,
    #[arg(long, value_name = "MIB", default_value_t = 512)]
    memory: u64,
    /// The slot that --direct starts
    #[arg(long, default_value_t = 'a')]
    slot: char,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run_command(cli) {
        Ok(faults) if faults.is_empty() => ExitCode::SUCCESS,
        Ok(faults) => {
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

/// Faults of the data, one per line; everything else that goes wrong is an error.
fn run_command(cli: Cli) -> Result<Vec<String>> {
    let root = fs::canonicalize(&cli.root).with_context(|| format!("no tree at {}", cli.root.display()))?;
    let target = target_folder()?;
    let cache = cli.cache.unwrap_or(target.join("image"));
    match cli.command {
        Command::Check { board } => {
            let (checked, faults) = check(&root, board.as_deref())?;
            if faults.is_empty() {
                println!("{checked}: no fault");
            }
            return Ok(faults);
        }
        Command::Lock { archive } => write_lock::write(&root, &cache, archive.mirror.as_deref())?,
        Command::Cross { with } => {
            println!("{}", cross::build(&root, &target.join("cross"), with)?.display());
        }
        Command::Build {
            board,
            binary,
            epoch,
            twice,
            archive,
        } => {
            let (_, faults) = check(&root, Some(&board))?;
            if !faults.is_empty() {
                return Ok(faults);
            }
            let binary = match binary {
                Some(binary) => binary,
                None => cross::build(&root, &target.join("cross"), None)?,
            };
            let plan = build::Plan {
                tree: root,
                into: board.clone(),
                board,
                cache,
                binary,
                mirror: archive.mirror,
                epoch,
            };
            let results = build::build(&plan)?;
            report(&results)?;
            if twice {
                build::again(plan, &results)?;
            }
        }
        Command::Qemu(args) => {
            let machine = qemu::Machine {
                direct: args.direct,
                tap: args.tap,
                card: args.card,
                memory_mib: args.memory,
                slot: args.slot,
            };
            let board = build::board(&root, &args.board)?;
            qemu::start(&machine, &board, &build::Results::of(&cache, &args.board))?;
        }
    }
    Ok(Vec::new())
}

fn report(results: &build::Results) -> Result<()> {
    for (what, path) in [
        ("root", &results.squashfs),
        ("kernel", &results.kernel),
        ("initramfs", &results.initrd),
    ] {
        let size = fs::metadata(path)?.len();
        println!("{what}: {:.1} MiB", size as f64 / f64::from(1 << 20));
    }
    println!("{}", results.card.display());
    Ok(())
}

/// Cargo put this program into `TARGET/PROFILE/`.
fn target_folder() -> Result<PathBuf> {
    let program = std::env::current_exe().context("find this program")?;
    let target = program.parent().and_then(Path::parent);
    Ok(target
        .context("this program lies in no target folder: use --cache")?
        .into())
}

/// What was checked, in words, and every fault found.
fn check(root: &Path, only: Option<&str>) -> Result<(String, Vec<String>)> {
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
