//! `granary put`: signs a record here and hands it over signed; the key never goes to the daemon.

use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use hyper::Method;
use proto::{
    id::{InfoHash, Target},
    key::{PublicKey, SALT_MAX},
    record::{Mutable, torrent_value},
};
use serde_json::{Value, json};

use super::{Place, fetch::read_bounded, key_file, network, reach::Reach};
use crate::{
    api::record::{host, magnet},
    fault::Fault,
    tasks::Tasks,
};

#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub struct Args {
    /// The torrent that the address shall point to: 40 hex digits or a magnet link
    #[arg(value_name = "INFOHASH", group = "what")]
    infohash: Option<String>,
    /// A file with a bencoded value instead, `-` for standard input
    #[arg(long, value_name = "FILE", group = "what")]
    value: Option<PathBuf>,
    /// A file with a bencoded value that nobody signs: an immutable item, whose address is its hash
    #[arg(long, value_name = "FILE", group = "what", conflicts_with_all = ["key", "salt", "seq", "cas"])]
    immutable: Option<PathBuf>,
    /// The secret key, as `granary keygen` writes it; also 64 bytes, or hex
    #[arg(long, value_name = "FILE", required_unless_present = "immutable")]
    key: Option<PathBuf>,
    /// The public key that must belong to it
    #[arg(long, value_name = "KEY", requires = "key")]
    public: Option<String>,
    /// A word that makes several addresses of one key
    #[arg(long, value_name = "SALT", default_value = "", hide_default_value = true)]
    salt: String,
    /// The number of this version [default: one more than the highest that is known]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    seq: Option<i64>,
    /// Only if this number stands now
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    cas: Option<i64>,
    /// Give up after so many seconds
    #[arg(long, value_name = "SECS", default_value_t = 60)]
    deadline: u64,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    network: network::Flags,
}

pub fn run(args: Args) -> Result<(), Fault> {
    crate::start_logging(args.network.log())?;
    super::wait(async {
        let tasks = Tasks::new();
        let reach = Reach::find(&args.place, &args.network, &tasks).await?;
        let done = match &args.immutable {
            Some(file) => put_immutable(&args, &reach, file).await,
            None => put_record(&args, &reach).await,
        };
        reach.close().await;
        done
    })
}

async fn put_immutable(args: &Args, reach: &Reach, file: &Path) -> Result<(), Fault> {
    let value = read_value(file)?;
    let body = json!({ "value": HEXLOWER.encode(&value), "deadline": args.deadline });
    let put = reach.ask(Method::POST, "/api/v1/items", Some(&body)).await?;
    let target = put["target"].as_str().unwrap_or_default();
    report(args, &put, &format!("item {target}"))
}

async fn put_record(args: &Args, reach: &Reach) -> Result<(), Fault> {
    let public = args.public.as_deref().map(|text| {
        PublicKey::from_label(text).ok_or_else(|| Fault::usage(format!("{text:?} is no public key")))
    });
    let file = args.key.as_deref().unwrap_or(Path::new("granary.key"));
    let secret = key_file::read(file, public.transpose()?.as_ref())?;
    let (key, salt) = (secret.public(), args.salt.as_bytes());
    if salt.len() > SALT_MAX {
        return Err(Fault::usage(format!(
            "the salt has more than {SALT_MAX} bytes. Nothing was done."
        )));
    }
    let value = value(args)?;
    let seq = match args.seq {
        Some(seq) => seq,
        None => next_seq(args, reach, &key).await?,
    };
    let item = Mutable::sign(&secret, salt, seq, &value)
        .map_err(|err| Fault::refused(format!("{err}. Nothing was done.")))?;
    drop(secret);
    let body =
        json!({ "record": HEXLOWER.encode(&item.encode()), "cas": args.cas, "deadline": args.deadline });
    let put = reach.ask(Method::POST, "/api/v1/records", Some(&body)).await?;
    let address = host(&key, salt).unwrap_or_else(|| magnet(&key, salt));
    report(args, &put, &format!("number {seq} of {address}"))
}

/// One above the highest number that the store or the network has; 1 when nobody has one.
async fn next_seq(args: &Args, reach: &Reach, key: &PublicKey) -> Result<i64, Fault> {
    let salt = args.salt.as_bytes();
    let (target, salt) = (Target(key.target(salt)), HEXLOWER.encode(salt));
    let half = (args.deadline / 2).max(1);
    let path = format!("/api/v1/records/{target}?look=true&key={key}&salt={salt}&deadline={half}");
    let found = reach.ask(Method::GET, &path, None).await?;
    let highest = found["record"]["seq"].as_i64().unwrap_or(0);
    highest.checked_add(1).ok_or_else(|| {
        Fault::refused("this address has used up its last number. Nothing was done. Make a new key.")
    })
}

fn value(args: &Args) -> Result<Vec<u8>, Fault> {
    if let Some(file) = &args.value {
        return read_value(file);
    }
    let text = args.infohash.as_deref().unwrap_or_default();
    let ih = match InfoHash::from_hex(text) {
        Some(ih) => ih,
        None => super::pasted::read(text)?.0,
    };
    Ok(torrent_value(&ih))
}

fn read_value(file: &Path) -> Result<Vec<u8>, Fault> {
    let value = read_bounded(file)?;
    proto::record::check_value(&value)
        .map_err(|err| Fault::refused(format!("{}: {err}. Nothing was put.", file.display())))?;
    Ok(value)
}

/// Nobody took it: that is no success, though it is stored and tried again.
fn report(args: &Args, put: &Value, what: &str) -> Result<(), Fault> {
    let stored = put["stored"].as_u64().unwrap_or(0);
    if args.place.json {
        println!("{put}");
    } else if stored > 0 {
        let nodes = if stored == 1 { "node" } else { "nodes" };
        println!("{what}: {stored} {nodes} took it");
    }
    if stored > 0 {
        return Ok(());
    }
    let kept = match args.immutable {
        None => "It is stored here, and a running Granary tries again every few minutes.",
        Some(_) => "Nothing was stored.",
    };
    Err(Fault::refused(format!(
        "{what}: no node took it. {kept} Name a DHT node with --dht-bootstrap HOST:PORT, or look with `granary doctor`."
    )))
}
