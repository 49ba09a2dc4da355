//! `granary blocklist`: what the box does with lists, for one's own.

use std::path::PathBuf;

use mapped::Mapped;
use proto::dns::{
    blocklist::{List, Listed},
    name,
};

use crate::{blocklists::compile, fault::Fault};

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    deed: Deed,
}

#[derive(clap::Subcommand)]
enum Deed {
    /// Compile hosts files, domain lists and filter rules to the file that `granary lan` answers from
    Compile(Compile),
    /// Say whether a compiled list blocks a name
    Check(Check),
}

#[derive(clap::Args)]
struct Compile {
    /// Texts of lists
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Where the compiled list goes
    #[arg(short, long, value_name = "OUT")]
    out: PathBuf,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct Check {
    /// Names as they are asked for
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// The compiled list [default: DATA/blocklist]
    #[arg(long, value_name = "FILE")]
    list: Option<PathBuf>,
    /// The data folder of the LAN part [default: ~/.local/share/granary]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<(), Fault> {
    match args.deed {
        Deed::Compile(args) => compile_files(&args),
        Deed::Check(args) => check(args),
    }
}

fn compile_files(args: &Compile) -> Result<(), Fault> {
    let outcome = compile(&args.files, &args.out).map_err(Fault::refused)?;
    let each = args.files.iter().zip(&outcome.counts);
    if args.json {
        let files: Vec<_> = each
            .map(|(path, counts)| {
                serde_json::json!({
                    "file": path.display().to_string(), "lines": counts.lines, "blocked": counts.blocked,
                    "excepted": counts.excepted, "unsupported": counts.unsupported, "bad": counts.bad,
                    "modifiers": counts.modifiers, "over": counts.over,
                })
            })
            .collect();
        let report = serde_json::json!({
            "names": outcome.names, "exceptions": outcome.exceptions, "bytes": outcome.bytes, "files": files,
        });
        println!("{report}");
        return Ok(());
    }
    for (path, counts) in each {
        let left_out = counts.unsupported + counts.bad + counts.over;
        println!(
            "{}: {} lines, {} names, {} exceptions, {left_out} left out ({} that DNS cannot follow, {} bad, {} too many)",
            path.display(),
            counts.lines,
            counts.blocked,
            counts.excepted,
            counts.unsupported,
            counts.bad,
            counts.over,
        );
    }
    println!(
        "{}: {} different names, {} exceptions, {} bytes",
        args.out.display(),
        outcome.names,
        outcome.exceptions,
        outcome.bytes
    );
    Ok(())
}

fn check(args: Check) -> Result<(), Fault> {
    let path = match (args.list, args.data) {
        (Some(path), _) => path,
        (None, Some(data)) => data.join(lan::BLOCKLIST_FILE),
        (None, None) => super::default_data()?.join(lan::BLOCKLIST_FILE),
    };
    let shown = path.display();
    let mapped = Mapped::open(&path, lan::BLOCKLIST_BYTES_MAX).map_err(|err| {
        Fault::refused(format!(
            "read {shown}: {err}. Name another list with --list FILE."
        ))
    })?;
    let list = List::open(mapped)
        .map_err(|damage| Fault::refused(format!("{shown} cannot be used: {damage}. Compile it again.")))?;
    for typed in &args.names {
        let wire = name::from_text(typed)
            .ok_or_else(|| Fault::usage(format!("{typed:?} is no name. Write it as ads.example.")))?;
        let listed = list.look_up(&wire);
        if args.json {
            let report = serde_json::json!({
                "name": typed, "blocked": listed == Listed::Blocked, "excepted": listed == Listed::Excepted,
            });
            println!("{report}");
            continue;
        }
        println!(
            "{typed}: {}",
            match listed {
                Listed::Blocked => "blocked",
                Listed::Excepted => "not blocked: an exception of the list",
                Listed::No => "not on the list",
            }
        );
    }
    Ok(())
}
