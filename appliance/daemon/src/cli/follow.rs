//! `granary follow`, `unfollow`, `feeds` and `preview`: what the household follows.

use hyper::Method;
use proto::{
    feed::state::day,
    id::Target,
    magnet::{Pasted, paste},
    name::{Address, Domains},
    site::listing::{percent, size},
};
use serde_json::{Value, json};

use super::{Place, network, reach::Reach};
use crate::{fault::Fault, sites::domain_id, tasks::Tasks};

#[derive(clap::Args)]
pub struct FollowArgs {
    /// A magnet link with a key, a key, a .btlink address, or a name you gave
    #[arg(value_name = "ADDRESS")]
    address: String,
    /// What you call it
    #[arg(long, value_name = "T")]
    title: Option<String>,
    /// Ask before a version larger than this is fetched, as 500M or 2G [default: the house's limit]
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    quota: Option<u64>,
    /// A name for it under the top-level name: NAME.btlink
    #[arg(long, value_name = "PETNAME")]
    name: Option<String>,
    /// Versions kept besides the present one
    #[arg(long, value_name = "N")]
    keep: Option<u32>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    network: network::Flags,
}

#[derive(clap::Args)]
pub struct UnfollowArgs {
    /// The subscription's id, or its address in any form
    #[arg(value_name = "ID|ADDRESS")]
    which: String,
    /// Also remove its versions; else they stay as kept sites
    #[arg(long)]
    remove: bool,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    network: network::Flags,
}

#[derive(clap::Args)]
pub struct FeedsArgs {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    network: network::Flags,
}

#[derive(clap::Args)]
pub struct PreviewArgs {
    /// Anything a person pastes: a magnet link, a key, an address, an infohash
    #[arg(value_name = "ADDRESS")]
    address: String,
    /// Give up looking after so many seconds
    #[arg(long, value_name = "SECS", default_value_t = 30)]
    deadline: u64,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    network: network::Flags,
}

/// Asks the Granary of `place` once.
fn ask(
    place: &Place,
    network: &network::Flags,
    request: (Method, String, Option<Value>),
) -> Result<Value, Fault> {
    crate::start_logging(network.log())?;
    let (method, target, body) = request;
    super::wait(async {
        let tasks = Tasks::new();
        let reach = Reach::find(place, network, &tasks).await?;
        let answer = reach.ask(method, &target, body.as_ref()).await;
        reach.close().await;
        answer
    })
}

pub fn follow(args: FollowArgs) -> Result<(), Fault> {
    let mut body = json!({ "paste": args.address });
    let given = [
        ("title", args.title.map(Value::from)),
        ("petname", args.name.map(Value::from)),
        ("quota_bytes", args.quota.map(Value::from)),
        ("keep_versions", args.keep.map(Value::from)),
    ];
    for (field, value) in given {
        if let Some(value) = value {
            body[field] = value;
        }
    }
    let request = (Method::POST, "/api/v1/subscriptions".to_string(), Some(body));
    let view = ask(&args.place, &args.network, request)?;
    if args.place.json {
        println!("{view}");
    } else {
        println!("{} is followed: {}", text(&view["address"]), text(&view["words"]));
        println!(
            "Its id is {}. The box looks for it now and keeps it fresh.",
            text(&view["id"])
        );
    }
    Ok(())
}

pub fn unfollow(args: UnfollowArgs) -> Result<(), Fault> {
    let id = subscription(&args.which)?;
    let target = format!("/api/v1/subscriptions/{id}?remove={}", args.remove);
    ask(&args.place, &args.network, (Method::DELETE, target, None))?;
    if args.place.json {
        println!(
            "{}",
            json!({ "id": id.to_string(), "done": "unfollowed", "removed": args.remove })
        );
    } else if args.remove {
        println!("{id} is no longer followed, and its versions were removed.");
    } else {
        println!("{id} is no longer followed. The versions that are here stay as kept sites.");
    }
    Ok(())
}

/// An id as `granary feeds` shows it, or what a person pastes.
fn subscription(text: &str) -> Result<Target, Fault> {
    if let Some(id) = Target::from_hex(text) {
        return Ok(id);
    }
    let refused = |why: String| Fault::refused(format!("{why}. Nothing was done."));
    let pasted = paste(text, &Domains::default()).map_err(|err| refused(err.to_string()))?;
    let address = match pasted {
        Pasted::Site { address, .. } => address,
        Pasted::Magnet(magnet) => match magnet.key {
            Some(key) => Address::Key {
                key,
                salt: magnet.salt,
            },
            None => return Err(refused("this names one torrent, which nobody follows".into())),
        },
    };
    match address {
        Address::Key { key, salt } => Ok(Target(key.target(&salt))),
        Address::Domain(domain) => Ok(domain_id(&domain)),
        _ => Err(refused(
            "this is no address that can be followed; `granary feeds` lists what is followed, with ids"
                .into(),
        )),
    }
}

pub fn feeds(args: FeedsArgs) -> Result<(), Fault> {
    let request = (Method::GET, "/api/v1/subscriptions".to_string(), None);
    let views = ask(&args.place, &args.network, request)?;
    if args.place.json {
        println!("{views}");
        return Ok(());
    }
    let rows = views.as_array().map_or(&[][..], Vec::as_slice);
    if rows.is_empty() {
        println!("Nothing is followed. `granary follow ADDRESS` follows a site.");
        return Ok(());
    }
    println!(
        "{:<24} {:<9} {:<16} {:<16} {:<40} state",
        "name", "size", "changed", "checked", "id"
    );
    for row in rows {
        let size = row["bytes"].as_u64().map_or("-".to_string(), size);
        let date = |field: &str| match row[field].as_u64() {
            None | Some(0) => "never".to_string(),
            Some(at) => day(at),
        };
        println!(
            "{:<24} {:<9} {:<16} {:<16} {} {}",
            clipped(called(row), 24),
            size,
            date("last_changed"),
            date("last_checked"),
            text(&row["id"]),
            text(&row["words"])
        );
        if row["trouble"].as_str().is_some_and(|why| !why.is_empty()) {
            println!("{:<24} {}", "", text(&row["trouble"]));
        }
    }
    Ok(())
}

pub fn preview(args: PreviewArgs) -> Result<(), Fault> {
    let target = format!("/api/v1/preview?deadline={}", args.deadline);
    let body = json!({ "paste": args.address });
    let found = ask(&args.place, &args.network, (Method::POST, target, Some(body)))?;
    if args.place.json {
        println!("{found}");
        return Ok(());
    }
    let line = |name: &str, value: String| println!("{name:<11} {value}");
    for (name, field) in [("name", "name"), ("address", "address"), ("infohash", "infohash")] {
        if let Some(value) = found[field].as_str() {
            line(name, value.into());
        }
    }
    if let (Some(bytes), Some(files)) = (found["bytes"].as_u64(), found["files"].as_u64()) {
        let held = percent(found["held_bytes"].as_u64().unwrap_or(0), bytes.max(1));
        line(
            "size",
            format!("{} in {files} files, {held} % of it here", size(bytes)),
        );
    }
    line("peers", format!("{} named", found["peers"]));
    let record = &found["record"];
    if !record.is_null() {
        let first = record["first_seen"].as_u64().map(day).unwrap_or_default();
        line(
            "publisher",
            format!("first seen {first}, {} version(s) since", record["versions"]),
        );
    }
    if let Some(why) = found["trouble"].as_str() {
        line("but", why.into());
    }
    println!("{}", advice(&found, &args.address));
    Ok(())
}

fn advice(found: &Value, address: &str) -> String {
    let quoted = if address.contains(['&', '?', ' ']) {
        format!("'{address}'")
    } else {
        address.into()
    };
    let yes = |field: &str| found[field] == true;
    match (yes("changes"), yes("followed")) {
        (true, true) => "It is followed already.".into(),
        (true, false) if yes("asks") => {
            format!(
                "`granary follow {quoted}` follows it; it is larger than the house's limit, so it asks first."
            )
        }
        (true, false) => format!("`granary follow {quoted}` follows it."),
        (false, true) => "It is kept already.".into(),
        (false, false) if found["infohash"].is_null() => "There is nothing to keep here.".into(),
        (false, false) => format!("It never changes. `granary keep {quoted}` keeps it."),
    }
}

fn called(row: &Value) -> &str {
    let fields = ["petname", "title", "name", "address"];
    let names = fields.iter().filter_map(|field| row[*field].as_str());
    names.into_iter().find(|name| !name.is_empty()).unwrap_or("")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

fn clipped(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.into();
    }
    text.chars().take(max - 1).chain(['…']).collect()
}

/// `500M`, `2G`, `2GB`, `1500000`: powers of 1000, as disks are sold.
fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no size; write it as 500M or 2G");
    let upper = text.trim().to_ascii_uppercase();
    let upper = upper.strip_suffix('B').unwrap_or(&upper);
    let digits = upper.trim_end_matches(['K', 'M', 'G', 'T']);
    let unit = match &upper[digits.len()..] {
        "" => 1,
        "K" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000u64,
        _ => return Err(wrong()),
    };
    let number: f64 = digits.trim().parse().map_err(|_| wrong())?;
    if !number.is_finite() || number < 0.0 {
        return Err(wrong());
    }
    Ok((number * unit as f64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        assert_eq!(bytes("500M"), Ok(500_000_000));
        assert_eq!(bytes("1.5 gb"), Ok(1_500_000_000));
        assert_eq!(bytes("12345"), Ok(12_345));
        for text in ["", "M", "5X", "-1G", "nan", "1GM"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_id_is_found_in_every_form_of_an_address() {
        let id = "59ee7c2cb9b4f7eb1986ee2d18fd2fdb8a56554f";
        let key = "8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e";
        let host = "n-3bkn7umqo2g90xy96r2wpyrlu5j7n6s8ii3eoz4ra5nv45hh6m-pk.btlink";
        for text in [id, &format!("magnet:?xs=urn:btpk:{key}&s=6e"), host] {
            assert_eq!(
                subscription(text).map(|id| id.to_string()).ok().as_deref(),
                Some(id),
                "{text}"
            );
        }
        assert!(subscription("magnet:?xt=urn:btih:8543d3e6115f0f98c944077a4493dcd543e49c73").is_err());
    }
}
