//! `granary convert` and `granary extract-pubkey`: keys and infohashes from one spelling to another, with the flags that the
//! first gateway's commands had. Work without a data folder.

use std::io::Read;

use data_encoding::HEXLOWER;
use proto::{
    encoding::Encoding,
    id::InfoHash,
    key::PublicKey,
    magnet::Magnet,
    name::{Address, TLD},
    secret::SecretKey,
};
use serde_json::{Map, Value};

use crate::fault::Fault;

/// Spellings that are no encoding of bytes but made from them.
const HOST: &str = "host";
const MAGNET: &str = "magnet";

#[derive(clap::Args)]
pub struct Args {
    /// How INPUT is written: hex, base36, base32, base32hex, zbase32 or base64url [default: recognised]
    #[arg(short, long, value_name = "ENCODING")]
    from: Option<String>,
    /// How to write it: one of those, `host` or `magnet` [default: all of them]
    #[arg(short, long, value_name = "ENCODING")]
    to: Option<String>,
    /// An infohash of 20 bytes or a key of 32
    input: String,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub struct ExtractArgs {
    /// How to write the public key: hex, base36, base32, base32hex, zbase32 or base64url
    #[arg(long, value_name = "ENCODING", default_value = "base36")]
    encoder: String,
    /// The seed, 64 hexadecimal digits; `-` reads it from standard input, where other users of this machine cannot see it
    seed: String,
}

pub fn run(args: Args) -> Result<(), Fault> {
    let text = args.input.trim();
    let from = match &args.from {
        Some(name) => encoding(name)?,
        None => Encoding::guess(text).ok_or_else(|| {
            Fault::refused(format!(
                "{:?} is in no spelling that is recognised by its look. Nothing was converted. Say which one with --from.",
                shown(text)
            ))
        })?,
    };
    let bytes = from.decode(text).ok_or_else(|| {
        Fault::refused(format!(
            "{:?} is not 20 or 32 bytes in {}. Nothing was converted.",
            shown(text),
            from.name()
        ))
    })?;
    let spelled = spellings(&bytes);
    match &args.to {
        Some(name) if name == HOST || name == MAGNET => print_one(&spelled, name, args.json),
        Some(name) => print_one(&spelled, encoding(name)?.name(), args.json),
        None if args.json => {
            println!("{}", Value::Object(spelled));
            Ok(())
        }
        None => {
            for (name, text) in &spelled {
                println!("{name:<10} {}", text.as_str().unwrap_or_default());
            }
            Ok(())
        }
    }
}

pub fn extract(args: ExtractArgs) -> Result<(), Fault> {
    let encoder = encoding(&args.encoder)?;
    let mut seed = args.seed;
    if seed == "-" {
        seed.clear();
        let read = std::io::stdin().take(256).read_to_string(&mut seed);
        read.map_err(|err| Fault::refused(format!("read the seed from standard input: {err}")))?;
    }
    let secret = Encoding::Hex
        .decode(seed.trim())
        .and_then(|seed| <[u8; 32]>::try_from(seed).ok())
        .map(SecretKey::from_seed)
        .ok_or_else(|| Fault::refused("the seed is not 64 hexadecimal digits. Nothing was printed."))?;
    let key = encoder.encode(&secret.public().0);
    println!("{}", key.expect("every encoding has 32 bytes"));
    Ok(())
}

fn encoding(name: &str) -> Result<Encoding, Fault> {
    Encoding::from_name(name).ok_or_else(|| {
        let names = Encoding::ALL.map(Encoding::name).join(", ");
        Fault::usage(format!("{name:?} is no encoding. Choose one of {names}."))
    })
}

/// Every spelling this many bytes have, in a fixed order.
fn spellings(bytes: &[u8]) -> Map<String, Value> {
    let encodings = Encoding::ALL.into_iter();
    let texts = encodings.filter_map(|encoding| Some((encoding.name(), encoding.encode(bytes)?)));
    let mut spelled: Map<String, Value> = texts.map(|(name, text)| (name.to_owned(), text.into())).collect();
    let (address, magnet) = match (<[u8; 20]>::try_from(bytes), <[u8; 32]>::try_from(bytes)) {
        (Ok(hash), _) => {
            let infohash = Some(InfoHash(hash));
            let magnet = Magnet {
                infohash,
                ..Magnet::default()
            };
            (Address::Torrent(InfoHash(hash)), magnet)
        }
        (_, Ok(key)) => {
            let key = PublicKey(key);
            let magnet = Magnet {
                key: Some(key),
                ..Magnet::default()
            };
            (Address::Key { key, salt: vec![] }, magnet)
        }
        // Decoding let nothing else through.
        _ => return spelled,
    };
    if let Some(host) = address.host(TLD) {
        spelled.insert(HOST.to_owned(), host.into());
    }
    spelled.insert(MAGNET.to_owned(), magnet.to_string().into());
    spelled
}

fn print_one(spelled: &Map<String, Value>, name: &str, json: bool) -> Result<(), Fault> {
    let Some(text) = spelled.get(name).and_then(Value::as_str) else {
        return Err(Fault::refused(format!(
            "{name} has no spelling for {} bytes. Nothing was converted.",
            spelled
                .get("hex")
                .and_then(Value::as_str)
                .and_then(|hex| HEXLOWER.decode(hex.as_bytes()).ok())
                .map_or(0, |bytes| bytes.len())
        )));
    };
    if json {
        println!("{}", serde_json::json!({ name: text }));
    } else {
        println!("{text}");
    }
    Ok(())
}

fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}
