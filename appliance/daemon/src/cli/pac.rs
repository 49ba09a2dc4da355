//! `granary pac`: the text browsers get, for checks and for people who host it elsewhere.

use std::net::Ipv4Addr;

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
}

pub fn run(args: Args) -> Result<(), Fault> {
    print!("{}", proto::pac::pac((args.advertise, args.port).into()));
    Ok(())
}
