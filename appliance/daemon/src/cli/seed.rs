//! `granary seed`: from a file or folder to a torrent that others can open.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use hyper::Method;
use proto::id::InfoHash;
use tokio::signal;

use super::{Place, fetch::read_bounded, network, progress, reach::Reach};
use crate::{control::client, fault::Fault, publish, tasks::Tasks};

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Print {
    Magnet,
    Infohash,
    Torrent,
}

#[derive(clap::Args)]
pub struct Args {
    /// The file or folder
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Its name in the torrent [default: the name of the file or folder]
    #[arg(long)]
    name: Option<String>,
    /// What is printed on standard output
    #[arg(long, value_enum, default_value = "magnet")]
    print: Print,
    /// Seed what these torrent files describe instead, their content lies below PATH (repeatable)
    #[arg(long, value_name = "FILE")]
    torrent: Vec<PathBuf>,
    /// Make the torrent, store it and end; seed it when `granary run` runs (when none runs now)
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    network: network::Flags,
}

pub fn run(args: Args) -> Result<(), Fault> {
    crate::start_logging(args.network.log())?;
    let path = std::path::absolute(&args.path)
        .and_then(|path| path.metadata().map(|_| path))
        .map_err(|err| {
            Fault::refused(format!(
                "read {}: {err}. Nothing was seeded.",
                args.path.display()
            ))
        })?;
    super::wait(async {
        let tasks = Tasks::new();
        let reach = Reach::find(&args.place, &args.network, &tasks).await?;
        let result = seed(&args, path, &reach).await;
        reach.close().await;
        result
    })
}

async fn seed(args: &Args, path: PathBuf, reach: &Reach) -> Result<(), Fault> {
    let bar = progress::bytes("hashing", 0, args.place.json);
    let shown = bar.clone();
    let told = move |done, total| {
        shown.set_length(total);
        shown.set_position(done);
    };
    let sites = if args.torrent.is_empty() {
        let ih = match reach {
            Reach::Running(running) => hand_over(running, &path, args.name.as_deref(), None, told).await?,
            Reach::Alone(daemon) => {
                let publish = &daemon.handles().publish;
                publish
                    .folder(&path, args.name.as_deref(), told)
                    .await
                    .map_err(explain)?
            }
        };
        vec![ih]
    } else {
        given(args, &path, reach).await?
    };
    bar.finish_and_clear();
    for ih in &sites {
        print(args, reach, *ih).await?;
    }
    if let Reach::Alone(daemon) = reach
        && !args.no_wait
    {
        let port = daemon.handles().addresses.bt.map_or(0, |addr| addr.port());
        eprintln!("seeding on port {port}; stop with Ctrl-C. `granary run` seeds it from then on.");
        let _ = signal::ctrl_c().await;
    }
    Ok(())
}

/// Content that somebody else made torrents of.
async fn given(args: &Args, path: &Path, reach: &Reach) -> Result<Vec<InfoHash>, Fault> {
    let mut sites = Vec::new();
    for file in &args.torrent {
        let ih = match reach {
            Reach::Running(running) => {
                let file = std::path::absolute(file).map_err(|err| Fault::refused(err.to_string()))?;
                hand_over(running, path, None, Some(&file), |_, _| {}).await?
            }
            Reach::Alone(daemon) => {
                let raw = read_bounded(file)?;
                daemon
                    .handles()
                    .publish
                    .torrent(path, &raw)
                    .await
                    .map_err(explain)?
            }
        };
        sites.push(ih);
    }
    Ok(sites)
}

fn explain(err: publish::Error) -> Fault {
    match err {
        publish::Error::Store(err) => err.into(),
        err => Fault::refused(err.to_string()),
    }
}

async fn hand_over(
    running: &client::Client,
    path: &Path,
    name: Option<&str>,
    torrent: Option<&Path>,
    told: impl Fn(u64, u64),
) -> Result<InfoHash, Fault> {
    let body = serde_json::json!({ "path": path, "name": name, "torrent": torrent });
    let mut last = serde_json::Value::Null;
    running
        .lines(Method::POST, "/api/v1/seed", &body, |step| {
            told(
                step["done"].as_u64().unwrap_or(0),
                step["total"].as_u64().unwrap_or(0),
            );
            last = step;
        })
        .await?;
    match last["infohash"].as_str().and_then(InfoHash::from_hex) {
        Some(ih) => Ok(ih),
        None => Err(Fault::refused(
            last["error"]
                .as_str()
                .unwrap_or("the running Granary broke off")
                .to_string(),
        )),
    }
}

async fn print(args: &Args, reach: &Reach, ih: InfoHash) -> Result<(), Fault> {
    let opened = reach
        .open(ih, &Default::default(), std::time::Duration::from_secs(30))
        .await?;
    let name = percent_encoding::utf8_percent_encode(&opened.info.name, percent_encoding::NON_ALPHANUMERIC);
    let magnet = format!("magnet:?xt=urn:btih:{ih}&dn={name}");
    let url = format!("http://{ih}-ih.btlink/");
    if args.place.json {
        println!(
            "{}",
            serde_json::json!({ "infohash": ih.to_string(), "magnet": magnet, "url": url })
        );
        return Ok(());
    }
    match args.print {
        Print::Magnet => println!("{magnet}"),
        Print::Infohash => println!("{ih}"),
        Print::Torrent => {
            let raw = reach.raw_info(ih).await?;
            let mut torrent = b"d4:info".to_vec();
            torrent.extend_from_slice(&raw);
            torrent.push(b'e');
            std::io::stdout()
                .write_all(&torrent)
                .map_err(|err| Fault::refused(format!("print the torrent: {err}")))?;
        }
    }
    let _ = std::io::stdout().flush();
    Ok(())
}
