//! `granary fetch`: from an address to files in a folder, byte for byte.

use std::{
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use indicatif::ProgressBar;
use proto::{id::InfoHash, metainfo::Info};
use tokio::time::Instant;

use super::{
    Place, network, progress,
    reach::{Opened, Reach},
};
use crate::{
    fault::{Exit, Fault},
    swarm::Hints,
    tasks::Tasks,
};

/// A torrent file larger than this is refused.
const TORRENT_BYTES_MAX: u64 = 16 << 20;

#[derive(clap::Args)]
pub struct Args {
    /// A magnet link, an infohash, a .btlink address, or a torrent file
    #[arg(value_name = "ADDRESS")]
    address: String,
    /// One file of the site; without it, all of it
    #[arg(value_name = "PATH")]
    path: Option<String>,
    /// Folder to write to; with PATH also a file, or `-` for standard output
    #[arg(short, long, value_name = "OUT", default_value = ".")]
    output: PathBuf,
    /// Give up after so many seconds
    #[arg(long, value_name = "SECS", default_value_t = 3600)]
    deadline: u64,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    network: network::Flags,
}

pub fn run(args: Args) -> Result<(), Fault> {
    crate::start_logging(args.network.log())?;
    let (ih, mut hints) = address(&args.address)?;
    hints.peers.extend(&args.network.peer);
    super::wait(async {
        let tasks = Tasks::new();
        let reach = Reach::find(&args.place, &args.network, &tasks).await?;
        let deadline = Instant::now() + Duration::from_secs(args.deadline);
        let result = fetch(&args, &reach, ih, &hints, deadline).await;
        reach.close().await;
        result
    })
}

async fn fetch(
    args: &Args,
    reach: &Reach,
    ih: InfoHash,
    hints: &Hints,
    deadline: Instant,
) -> Result<(), Fault> {
    let spinner = progress::spinner("looking for the site", args.place.json);
    let opened = reach
        .open(ih, hints, deadline.saturating_duration_since(Instant::now()))
        .await?;
    spinner.finish_and_clear();
    let wanted = wanted(&opened.info, args.path.as_deref())?;
    if args.path.is_none() {
        reach.keep(ih).await?;
    }
    let total = wanted.iter().map(|&file| opened.info.files[file].length).sum();
    let bar = progress::bytes(&opened.info.name, total, args.place.json);
    let mut written = Vec::new();
    for file in wanted {
        let target = target(&opened.info, file, args)?;
        write(reach, &opened, file, &target, deadline, &bar).await?;
        written.push(target);
    }
    bar.finish_and_clear();
    if args.place.json {
        let report = serde_json::json!({ "infohash": ih.to_string(), "bytes": total, "files": written });
        println!("{report}");
    } else if args.output != Path::new("-") {
        eprintln!(
            "{}: {} file(s), {total} bytes, all verified",
            opened.info.name,
            written.len()
        );
    }
    Ok(())
}

/// What a person pasted: where the site is and who may have it.
pub fn address(text: &str) -> Result<(InfoHash, Hints), Fault> {
    let path = Path::new(text);
    if path.is_file() {
        let raw = read_bounded(path)?;
        let torrent = proto::metainfo::parse_torrent(&raw)
            .map_err(|err| Fault::refused(format!("{text} is refused: {err}. Nothing was fetched.")))?;
        let hints = Hints {
            trackers: torrent.trackers,
            ..Hints::default()
        };
        return Ok((torrent.info.infohash, hints));
    }
    super::pasted::read(text)
}

/// A file of a size that cannot hurt.
pub fn read_bounded(path: &Path) -> Result<Vec<u8>, Fault> {
    let mut raw = Vec::new();
    let read = |from: &mut dyn Read, to: &mut Vec<u8>| from.take(TORRENT_BYTES_MAX + 1).read_to_end(to);
    let result = if path == Path::new("-") {
        read(&mut std::io::stdin().lock(), &mut raw)
    } else {
        fs::File::open(path).and_then(|mut file| read(&mut file, &mut raw))
    };
    result.map_err(|err| Fault::refused(format!("read {}: {err}", path.display())))?;
    if raw.len() as u64 > TORRENT_BYTES_MAX {
        let limit = TORRENT_BYTES_MAX >> 20;
        return Err(Fault::refused(format!(
            "{} is larger than {limit} MiB",
            path.display()
        )));
    }
    Ok(raw)
}

/// Indices of the files a person asked for: one, a folder's, or all.
fn wanted(info: &Info, path: Option<&str>) -> Result<Vec<usize>, Fault> {
    let all = (0..info.files.len()).filter(|&file| !info.files[file].pad);
    let Some(path) = path else {
        return Ok(all.collect());
    };
    let words: Vec<&str> = path.split('/').filter(|word| !word.is_empty()).collect();
    let found: Vec<usize> = all
        .filter(|&file| {
            info.files[file]
                .path
                .iter()
                .map(String::as_str)
                .zip(&words)
                .filter(|(a, b)| a == *b)
                .count()
                == words.len()
        })
        .collect();
    if found.is_empty() {
        return Err(Fault::refused(format!(
            "{} has no file {path}. Nothing was written. Leave PATH out to get all files.",
            info.name
        )));
    }
    Ok(found)
}

/// Where file `file` goes.
fn target(info: &Info, file: usize, args: &Args) -> Result<PathBuf, Fault> {
    let below = info
        .disk_path(file)
        .ok_or_else(|| Fault::refused("a pad file has no place"))?
        .map_err(|err| Fault::refused(format!("a file name of {} is refused: {err}", info.name)))?;
    let Some(_) = &args.path else {
        return Ok(args.output.join(below));
    };
    if args.output == Path::new("-") || (!args.output.is_dir() && args.output != Path::new(".")) {
        return Ok(args.output.clone());
    }
    Ok(args.output.join(below.file_name().unwrap_or(below.as_os_str())))
}

/// The file appears under its name only when it is whole.
async fn write(
    reach: &Reach,
    opened: &Opened,
    file: usize,
    target: &Path,
    deadline: Instant,
    bar: &ProgressBar,
) -> Result<(), Fault> {
    let denied = |err: std::io::Error| Fault::new(Exit::Denied, format!("write {}: {err}", target.display()));
    if target == Path::new("-") {
        let mut out = std::io::stdout().lock();
        return reach
            .read(opened, file, 0, deadline, |part| {
                out.write_all(part).map_err(denied)
            })
            .await;
    }
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent).map_err(denied)?;
    }
    let mut name = target.file_name().unwrap_or_default().to_os_string();
    name.push(".part");
    let part_path = target.with_file_name(name);
    let mut out = fs::File::create(&part_path).map_err(denied)?;
    let result = reach
        .read(opened, file, 0, deadline, |part| {
            bar.inc(part.len() as u64);
            out.write_all(part).map_err(denied)
        })
        .await;
    match result {
        Ok(()) => fs::rename(&part_path, target).map_err(denied),
        Err(fault) => {
            let _ = fs::remove_file(&part_path);
            Err(fault)
        }
    }
}
