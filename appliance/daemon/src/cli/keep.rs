//! `granary keep` and `granary forget`.

use std::time::Duration;

use hyper::Method;

use super::{Place, fetch, network, reach::Reach};
use crate::{fault::Fault, tasks::Tasks};

#[derive(clap::Args)]
pub struct Args {
    /// A magnet link, an infohash, a .btlink address, or a torrent file
    #[arg(value_name = "ADDRESS")]
    address: String,
    /// Give up looking for the site after so many seconds
    #[arg(long, value_name = "SECS", default_value_t = 120)]
    deadline: u64,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    network: network::Flags,
}

#[derive(clap::Args)]
pub struct ForgetArgs {
    /// A magnet link, an infohash, a .btlink address, or a torrent file
    #[arg(value_name = "ADDRESS")]
    address: String,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    network: network::Flags,
}

pub fn run(args: Args) -> Result<(), Fault> {
    crate::start_logging(args.network.log())?;
    let (ih, mut hints) = fetch::address(&args.address)?;
    hints.peers.extend(&args.network.peer);
    super::wait(async {
        let tasks = Tasks::new();
        let reach = Reach::find(&args.place, &args.network, &tasks).await?;
        let done = async {
            let opened = reach.open(ih, &hints, Duration::from_secs(args.deadline)).await?;
            reach.keep(ih).await?;
            Ok::<_, Fault>(opened)
        }
        .await;
        let runs = matches!(reach, Reach::Running(_));
        reach.close().await;
        let opened = done?;
        report(&args.place, &ih.to_string(), "kept");
        if !args.place.json && !runs {
            println!(
                "{} will be fetched and seeded while `granary run` runs.",
                opened.info.name
            );
        }
        Ok(())
    })
}

pub fn forget(args: ForgetArgs) -> Result<(), Fault> {
    crate::start_logging(args.network.log())?;
    let (ih, _) = fetch::address(&args.address)?;
    super::wait(async {
        let tasks = Tasks::new();
        let reach = Reach::find(&args.place, &args.network, &tasks).await?;
        let done = match &reach {
            Reach::Running(client) => {
                let asked = client
                    .ask(Method::DELETE, &format!("/api/v1/sites/{ih}"), None)
                    .await;
                asked.map(|_| ()).map_err(Fault::from)
            }
            Reach::Alone(daemon) => {
                let forgotten = daemon.handles().swarm.forget(ih).await;
                forgotten.map_err(|err| Fault::refused(err.to_string()))
            }
        };
        reach.close().await;
        done?;
        report(&args.place, &ih.to_string(), "forgotten");
        Ok(())
    })
}

fn report(place: &Place, ih: &str, what: &str) {
    if place.json {
        println!("{}", serde_json::json!({ "infohash": ih, "done": what }));
    } else {
        println!("{ih} is {what}.");
    }
}
