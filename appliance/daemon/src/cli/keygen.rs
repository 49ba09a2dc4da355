//! `granary keygen`: a new key for an address that can change what it points to.

use std::path::PathBuf;

use proto::secret::SecretKey;
use rand::{TryRngCore, rngs::OsRng};

use super::key_file;
use crate::{
    api::record::{host, magnet},
    fault::Fault,
};

#[derive(clap::Args)]
pub struct Args {
    /// The file for the secret key; it must not exist yet
    #[arg(long, value_name = "FILE", default_value = "granary.key")]
    out: PathBuf,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<(), Fault> {
    let mut seed = zeroize::Zeroizing::new([0; 32]);
    OsRng.try_fill_bytes(&mut *seed).map_err(|err| {
        Fault::refused(format!(
            "the system gives no randomness: {err}. Nothing was done."
        ))
    })?;
    key_file::write(&args.out, &seed)?;
    let key = SecretKey::from_seed(*seed).public();
    let (base36, magnet) = (key.to_base36(), magnet(&key, b""));
    let host = host(&key, b"").unwrap_or_default();
    if args.json {
        let report = serde_json::json!({
            "file": args.out, "key": key.to_string(), "base36": base36, "magnet": magnet, "host": host,
        });
        println!("{report}");
    } else {
        println!("key     {key}\nbase36  {base36}\nmagnet  {magnet}\nhost    {host}");
        eprintln!(
            "The secret key is in {}. Whoever has that file can publish under this address: keep a copy in a safe place.",
            args.out.display()
        );
    }
    Ok(())
}
