//! `granary reset-owner`: the owner's password is forgotten; whoever holds the box sets it up again.

use hyper::Method;
use serde_json::json;
use store::Role;

use super::{Place, network, reach::Reach};
use crate::{fault::Fault, tasks::Tasks};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
}

pub fn run(args: Args) -> Result<(), Fault> {
    super::wait(async {
        let tasks = Tasks::new();
        match Reach::find(&args.place, &network::Flags::default(), &tasks).await? {
            Reach::Running(client) => {
                let opened = client.ask(Method::POST, "/api/v1/reset-owner", None).await?;
                if args.place.json {
                    println!("{opened}");
                    return Ok(());
                }
                let text = |key: &str| opened[key].as_str().unwrap_or_default();
                println!("Open {} and set up the box with this PIN:\n", text("claim_url"));
                println!("  {}\n", super::grouped(text("claim_pin")));
                println!(
                    "It works for {} minutes. The new owner takes the place of all former owners; members, sites and\n\
                     subscriptions stay. If nobody uses it, nothing changes.",
                    opened["window_secs"].as_u64().unwrap_or(0) / 60
                );
                Ok(())
            }
            Reach::Alone(daemon) => {
                let removed = daemon.handles().db.run(|store| {
                    let mut removed = 0;
                    for account in store.accounts()? {
                        if account.role == Role::Owner {
                            store.remove_account(&account.name)?;
                            removed += 1;
                        }
                    }
                    Ok(removed)
                });
                let removed: u32 = removed.await?;
                daemon.stop().await;
                if args.place.json {
                    println!("{}", json!({ "owners_removed": removed }));
                } else {
                    println!(
                        "The box has no owner any more; everything else stays. Start it with `granary run`: it shows a PIN \
                         for setting it up."
                    );
                }
                Ok(())
            }
        }
    })
}
