//! `granary seed`: from a file or folder to a torrent that others can open.

use std::{io::Write, path::PathBuf};

use clap::ValueEnum;
use hyper::Method;
use proto::id::InfoHash;
use tokio::signal;

use super::{Place, progress, reach::Reach};
use crate::{control::client, fault::Fault, tasks::Tasks};

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
    /// Make the torrent, store it and end; seed it when `granary run` runs (when none runs now)
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    place: Place,
}

pub fn run(args: Args) -> Result<(), Fault> {
    crate::start_logging("warn")?;
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
        let reach = Reach::find(&args.place, &tasks, |_| {}).await?;
        let result = seed(&args, path, &reach).await;
        reach.close().await;
        result
    })
}

async fn seed(args: &Args, path: PathBuf, reach: &Reach) -> Result<(), Fault> {
    let bar = progress::bytes("hashing", 0, args.place.json);
    let told = |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let ih = match reach {
        Reach::Running(running) => hand_over(running, args, path, told).await?,
        Reach::Alone(daemon) => {
            let bar = bar.clone();
            let told = move |done, total| {
                bar.set_length(total);
                bar.set_position(done);
            };
            let publish = &daemon.handles().publish;
            publish
                .folder(&path, args.name.as_deref(), told)
                .await
                .map_err(|err| Fault::refused(err.to_string()))?
        }
    };
    bar.finish_and_clear();
    print(args, reach, ih).await?;
    if let Reach::Alone(daemon) = reach
        && !args.no_wait
    {
        let port = daemon.handles().addresses.bt.map_or(0, |addr| addr.port());
        eprintln!("seeding on port {port}; stop with Ctrl-C. `granary run` seeds it from then on.");
        let _ = signal::ctrl_c().await;
    }
    Ok(())
}

async fn hand_over(
    running: &client::Client,
    args: &Args,
    path: PathBuf,
    told: impl Fn(u64, u64),
) -> Result<InfoHash, Fault> {
    let body = serde_json::json!({ "path": path, "name": args.name });
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
