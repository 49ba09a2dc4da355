//! `granary bench`: parts of the product measured alone, through its own code path. What needs peers beside it is `make bench`.

use clap::Subcommand;

use crate::{fault::Fault, swarm::dht};

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// A net of our DHT nodes on loopback: times, CPU and memory as one JSON line
    Dht {
        /// Nodes
        #[arg(long, default_value_t = 64)]
        nodes: usize,
        /// Puts of immutable items, of mutable ones, and announces: so many each, each followed by a lookup
        #[arg(long, default_value_t = 200)]
        ops: usize,
        /// Nodes that fall silent after the net has formed, in percent
        #[arg(long, default_value_t = 0)]
        dead: usize,
    },
}

pub fn run(args: Args) -> Result<(), Fault> {
    let What::Dht { nodes, ops, dead } = args.what;
    super::wait(async move {
        let report = dht::bench::run(nodes, ops, dead).await;
        let report = report.map_err(|err| Fault::refused(format!("measure the DHT: {err}")))?;
        println!("{}", serde_json::to_string(&report).unwrap_or_default());
        Ok(())
    })
}
