//! `granary pac`: the text browsers get, for checks and for people who host it elsewhere.

use std::net::Ipv4Addr;

use proto::pac::{Kind, Linked, script};

use crate::fault::Fault;

/// The port of the proxy door unless another one is given.
const PROXY_PORT: u16 = 42080;

#[derive(clap::Args)]
pub struct Args {
    /// The address of the box
    #[arg(long, value_name = "ADDR")]
    advertise: Ipv4Addr,
    /// The port of its proxy door
    #[arg(long, value_name = "PORT", default_value_t = PROXY_PORT)]
    port: u16,
    /// A domain of the ordinary web that the proxy opens, over http (repeatable)
    #[arg(long, value_name = "DOMAIN")]
    linked: Vec<String>,
    /// Ask the resolver about every other domain; only for devices whose resolver is the box
    #[arg(long, conflicts_with = "off")]
    markers: bool,
    /// The script that says nothing needs a proxy
    #[arg(long)]
    off: bool,
}

pub fn run(args: Args) -> Result<(), Fault> {
    let kind = match (args.off, args.markers) {
        (true, _) => Kind::Direct,
        (_, true) => Kind::Marker,
        _ => Kind::Lite,
    };
    let linked = Linked::new(&args.linked);
    print!("{}", script(kind, (args.advertise, args.port).into(), &linked));
    Ok(())
}
