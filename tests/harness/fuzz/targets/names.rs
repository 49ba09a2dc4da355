//! Link records and spellings of keys.

use proto::{
    encoding::Encoding,
    link::{self, Kind},
    name::Address,
};

use super::seen;

pub(super) fn records() -> Vec<Vec<u8>> {
    let key = "8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e";
    let hash = "951ead31d09e4049fc1f21f137e233dd0589fcbd";
    [
        format!("magnet:?xs=urn:btpk:{key}&s=6e"),
        format!("dnslink=/btpk/{key}:6e"),
        format!("dnslink=/btih/{hash}/docs"),
        "dnslink=/dnslink/example.org".to_owned(),
        format!("{hash}-ih"),
        format!("\"wtpkey={hash}\""),
        "n-3bkn7umqo2g90xy96r2wpyrlu5j7n6s8ii3eoz4ra5nv45hh6m-pk.btlink".to_owned(),
    ]
    .map(String::into_bytes)
    .to_vec()
}

pub(super) fn record(input: &[u8]) -> u64 {
    let records: Vec<Vec<u8>> = input.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
    let read = Kind::ALL.map(|kind| link::read(kind, &records));
    for address in read.iter().flatten() {
        assert!(
            !matches!(address, Address::Petname(_)),
            "those belong to the household"
        );
    }
    seen(&read)
}

pub(super) fn spellings() -> Vec<Vec<u8>> {
    let texts = Encoding::ALL
        .iter()
        .filter_map(|encoding| encoding.encode(&[7; 32]));
    texts.map(String::into_bytes).collect()
}

pub(super) fn spelling(input: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(input);
    let read = Encoding::ALL.map(|encoding| encoding.decode(&text));
    for (encoding, bytes) in Encoding::ALL.into_iter().zip(&read) {
        let again = bytes.as_ref().and_then(|bytes| encoding.encode(bytes));
        let back = again.as_ref().and_then(|again| encoding.decode(again));
        assert_eq!(bytes.is_some(), again.is_some(), "{encoding:?}");
        assert_eq!(*bytes, back, "{encoding:?}");
    }
    seen(&(
        Encoding::guess(&text),
        read.map(|bytes| bytes.map(|bytes| bytes.len())),
    ))
}
