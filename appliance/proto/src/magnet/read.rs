//! From text to a [`Magnet`].

use std::{net::SocketAddr, ops::RangeInclusive};

use data_encoding::HEXLOWER_PERMISSIVE;
use percent_encoding::percent_decode_str;

use super::{Error, MAGNET_MAX, Magnet, PEERS_MAX, VALUE_MAX};
use crate::{
    id::InfoHash,
    key::{PublicKey, SALT_MAX, infohash_from_base32},
    metainfo::{FILES_MAX, TRACKERS_MAX},
};

/// Reads a magnet as it stands in a page, a chat or a command line. Forgiving about what can be meant in one way only
/// (`&amp;` from HTML, numbered parameters, upper case, unknown parameters, broken hints), strict about what names the
/// torrent: a hash of the wrong length is a typing mistake worth telling.
pub fn parse(text: &str) -> Result<Magnet, Error> {
    if text.len() > MAGNET_MAX {
        return Err(Error::Long);
    }
    let text = text.trim();
    let query = text
        .split_at_checked("magnet:?".len())
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("magnet:?"))
        .ok_or(Error::NotAMagnet)?
        .1;
    let query = query.replace("&amp;", "&");
    let mut magnet = Magnet::default();
    let mut salt = None;
    for part in query.split('&') {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        // "xt.1" and "tr.2" number what may also be repeated; "x.pe" is a name of its own.
        let key = key.to_ascii_lowercase();
        let key = match key.rsplit_once('.') {
            Some((name, number)) if number.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => &key,
        };
        // Only a name is written by people's tools with "+" for a space; in an address it may be a plus.
        let value = if key == "dn" {
            value.replace('+', " ")
        } else {
            value.to_owned()
        };
        let value = percent_decode_str(&value).decode_utf8_lossy();
        match key {
            "xt" => read_topic(&mut magnet, &value)?,
            "xs" => match tail(&value, "urn:btpk:") {
                Some(_) => read_topic(&mut magnet, &value)?,
                None => address(&mut magnet.sources, &value, &["http://", "https://"]),
            },
            "s" => salt = Some(read_salt(&value)?),
            "dn" if magnet.name.is_none() => magnet.name = name(&value),
            "tr" => address(&mut magnet.trackers, &value, &["http://", "https://", "udp://"]),
            "ws" | "as" => address(&mut magnet.web_seeds, &value, &["http://", "https://"]),
            "x.pe" => peer(&mut magnet.peers, &value),
            "so" => select(&mut magnet.select, &value),
            _ => {}
        }
    }
    if magnet.infohash.is_none() && magnet.infohash_v2.is_none() && magnet.key.is_none() {
        return Err(Error::Nothing);
    }
    if magnet.key.is_some() {
        magnet.salt = salt.unwrap_or_default();
    }
    Ok(magnet)
}

/// 40 hexadecimal digits or 32 characters of base32, any case (BEP 9).
pub(super) fn infohash(text: &str) -> Option<InfoHash> {
    match text.len() {
        40 => InfoHash::from_hex(text),
        32 => infohash_from_base32(text).map(InfoHash),
        _ => None,
    }
}

/// The first topic of each kind counts; kinds of other networks are passed over.
fn read_topic(magnet: &mut Magnet, value: &str) -> Result<(), Error> {
    if let Some(hash) = tail(value, "urn:btih:") {
        let found = infohash(hash).ok_or_else(|| Error::InfoHash(shown(hash)))?;
        magnet.infohash.get_or_insert(found);
    } else if let Some(hash) = tail(value, "urn:btmh:") {
        // A multihash: 0x12 is SHA-256, 0x20 its length.
        let found = hash
            .strip_prefix("1220")
            .and_then(|hex| HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok())
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| Error::InfoHashV2(shown(hash)))?;
        magnet.infohash_v2.get_or_insert(found);
    } else if let Some(key) = tail(value, "urn:btpk:") {
        let found = PublicKey::from_label(key).ok_or_else(|| Error::Key(shown(key)))?;
        magnet.key.get_or_insert(found);
    }
    Ok(())
}

/// What follows a prefix in any case.
fn tail<'a>(value: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, tail) = value.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(tail)
}

/// The beginning of a wrong value, for a message.
fn shown(value: &str) -> String {
    value.chars().filter(|c| !c.is_control()).take(80).collect()
}

fn read_salt(hex: &str) -> Result<Vec<u8>, Error> {
    HEXLOWER_PERMISSIVE
        .decode(hex.as_bytes())
        .ok()
        .filter(|salt| salt.len() <= SALT_MAX)
        .ok_or(Error::Salt)
}

fn name(value: &str) -> Option<String> {
    let name: String = value.chars().filter(|c| !c.is_control()).collect();
    (!name.is_empty() && name.len() <= VALUE_MAX).then_some(name)
}

fn address(list: &mut Vec<String>, value: &str, schemes: &[&str]) {
    let known = schemes
        .iter()
        .any(|scheme| tail(value, scheme).is_some_and(|rest| !rest.is_empty()));
    let clean = value.len() <= VALUE_MAX && !value.chars().any(|c| c.is_control() || c == ' ');
    if known && clean && list.len() < TRACKERS_MAX && !list.iter().any(|held| held == value) {
        list.push(value.to_owned());
    }
}

fn peer(list: &mut Vec<SocketAddr>, value: &str) {
    let Ok(address) = value.parse::<SocketAddr>() else {
        return;
    };
    if address.port() > 0 && list.len() < PEERS_MAX && !list.contains(&address) {
        list.push(address);
    }
}

/// `0,2,4,6-8`; a part that is no index or range is passed over.
fn select(list: &mut Vec<RangeInclusive<u32>>, value: &str) {
    let index = |text: &str| text.parse::<u32>().ok().filter(|i| (*i as usize) < FILES_MAX);
    for part in value.split(',').take(PEERS_MAX) {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        match (index(from), index(to)) {
            (Some(from), Some(to)) if from <= to && list.len() < PEERS_MAX => list.push(from..=to),
            _ => {}
        }
    }
}
