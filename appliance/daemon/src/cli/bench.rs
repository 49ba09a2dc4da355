//! `granary bench`: parts of the product measured alone, through its own code path. What needs peers beside it is `make bench`.

use clap::Subcommand;

use crate::{
    fault::Fault,
    swarm::{dht, records},
};

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
    /// Keeping records alive in a net of our DHT nodes on loopback: seconds, packets and CPU as one JSON line
    Records {
        /// Nodes besides the one that keeps
        #[arg(long, default_value_t = 64)]
        nodes: usize,
        /// Records, each of a key of its own
        #[arg(long, default_value_t = 500)]
        records: usize,
    },
}

pub fn run(args: Args) -> Result<(), Fault> {
    let refused = |err: dht::Error| Fault::refused(format!("measure the DHT: {err}"));
    super::wait(async move {
        let report = match args.what {
            What::Dht { nodes, ops, dead } => {
                let report = dht::bench::run(nodes, ops, dead).await.map_err(refused)?;
                serde_json::to_string(&report)
            }
            What::Records { nodes, records } => {
                let report = records::bench::run(nodes, records).await.map_err(refused)?;
                serde_json::to_string(&report)
            }
        };
        println!("{}", report.unwrap_or_default());
        Ok(())
    })
}
