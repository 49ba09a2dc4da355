//! `granary get`: what the DHT holds under an address or a target, as it is.

use std::io::Write;

use data_encoding::HEXLOWER;
use hyper::Method;
use proto::{
    bencode,
    id::Target,
    key::PublicKey,
    magnet::{Pasted, paste},
    name::{Address, Domains},
    record::Mutable,
};
use serde_json::{Value, json};

use super::{Place, network, reach::Reach};
use crate::{fault::Fault, tasks::Tasks};

#[derive(clap::Args)]
pub struct Args {
    /// A key, a magnet link or a host of a key; or the target of an item, 40 hex digits
    #[arg(value_name = "ADDRESS|TARGET")]
    address: String,
    /// The salt of a target
    #[arg(long, value_name = "SALT", default_value = "", hide_default_value = true)]
    salt: String,
    /// Write the bytes: a record as a record file, an item as its value
    #[arg(long, conflicts_with = "json")]
    raw: bool,
    /// Give up after so many seconds
    #[arg(long, value_name = "SECS", default_value_t = 30)]
    deadline: u64,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    network: network::Flags,
}

pub fn run(args: Args) -> Result<(), Fault> {
    crate::start_logging(args.network.log())?;
    let wanted = Wanted::read(&args)?;
    super::wait(async {
        let tasks = Tasks::new();
        let reach = Reach::find(&args.place, &args.network, &tasks).await?;
        let found = wanted.look(&reach, args.deadline).await;
        reach.close().await;
        show(&args, &found?)
    })
}

enum Wanted {
    Key(PublicKey, Vec<u8>),
    Target(Target, Vec<u8>),
}

impl Wanted {
    fn read(args: &Args) -> Result<Self, Fault> {
        let salt = args.salt.as_bytes().to_vec();
        if let Some(target) = Target::from_hex(&args.address) {
            return Ok(Self::Target(target, salt));
        }
        let refused = |why: String| Fault::refused(format!("{why}. Nothing was done."));
        let pasted = paste(&args.address, &Domains::default()).map_err(|err| refused(err.to_string()))?;
        match pasted {
            Pasted::Site {
                address: Address::Item(target),
                ..
            } => Ok(Self::Target(Target(target), salt)),
            Pasted::Site {
                address: Address::Key { key, salt },
                ..
            } => Ok(Self::Key(key, salt)),
            Pasted::Magnet(magnet) if magnet.key.is_some() => {
                let key = magnet
                    .key
                    .ok_or_else(|| refused("the magnet link names no key".into()))?;
                Ok(Self::Key(key, magnet.salt))
            }
            _ => Err(refused(
                "this address names no key and no item; `granary resolve` reads every address".into(),
            )),
        }
    }

    /// The record or item as the API shows it.
    async fn look(&self, reach: &Reach, deadline: u64) -> Result<Value, Fault> {
        let (target, salt, key) = match self {
            Self::Key(key, salt) => (Target(key.target(salt)), salt, Some(key)),
            Self::Target(target, salt) => (*target, salt, None),
        };
        let salt = HEXLOWER.encode(salt);
        let Some(key) = key else {
            let path = format!("/api/v1/items/{target}?salt={salt}&deadline={deadline}");
            return reach.ask(Method::GET, &path, None).await;
        };
        let path = format!("/api/v1/records/{target}?look=true&key={key}&salt={salt}&deadline={deadline}");
        let mut found = reach.ask(Method::GET, &path, None).await?;
        let mut record = found["record"].take();
        if record.is_null() {
            return Err(Fault::refused(format!(
                "no record of {key} was found. {} nodes answered. Try again later, or name a DHT node with --dht-bootstrap \
                 HOST:PORT.",
                found["answered"]
            )));
        }
        record["kind"] = json!("mutable");
        record["heard"] = found["heard"].take();
        Ok(record)
    }
}

fn show(args: &Args, found: &Value) -> Result<(), Fault> {
    let hex = |field: &str| {
        let text = found[field].as_str().unwrap_or_default();
        HEXLOWER.decode(text.as_bytes()).unwrap_or_default()
    };
    let value = hex("value");
    if args.raw {
        let bytes = match item(found, &hex) {
            Some(item) => item.encode(),
            None => value,
        };
        return super::manual::print(&bytes);
    }
    let mut text = Vec::new();
    if args.place.json {
        writeln!(text, "{found}")
    } else {
        write_text(&mut text, found, &value)
    }
    .map_err(|err| Fault::refused(format!("print: {err}")))?;
    super::manual::print(&text)
}

/// The record, put together again from its fields.
fn item(found: &Value, hex: &impl Fn(&str) -> Vec<u8>) -> Option<Mutable> {
    Some(Mutable {
        key: PublicKey(hex("key").try_into().ok()?),
        salt: hex("salt"),
        seq: found["seq"].as_i64()?,
        value: hex("value"),
        sig: hex("sig").try_into().ok()?,
    })
}

fn write_text(out: &mut Vec<u8>, found: &Value, value: &[u8]) -> std::io::Result<()> {
    for field in [
        "kind", "target", "key", "salt", "seq", "infohash", "magnet", "host", "kept",
    ] {
        match &found[field] {
            Value::Null => {}
            Value::String(text) if text.is_empty() => {}
            Value::String(text) => writeln!(out, "{field:<9} {text}")?,
            other => writeln!(out, "{field:<9} {other}")?,
        }
    }
    if found["heard"] == json!(false) {
        writeln!(out, "no node answered with it now; this is what is stored here")?;
    }
    if let Some(other) = found["conflict"]["infohash"].as_str() {
        writeln!(out, "warning   another value was seen under this number: {other}")?;
    }
    let bytes = bencode::parse(value).ok();
    let text = bytes
        .as_ref()
        .and_then(|value| value.bytes())
        .map(String::from_utf8_lossy);
    match text {
        Some(text) if text.chars().all(|c| !c.is_control()) => writeln!(out, "value     {text}"),
        _ => writeln!(out, "value     {}", HEXLOWER.encode(value)),
    }
}
