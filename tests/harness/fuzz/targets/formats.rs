//! Torrents, magnets and names.

use proto::{
    bencode::{self, scan},
    id::InfoHash,
    magnet,
    metainfo::{self, Verdict},
    name::{Domains, Host},
};

use super::seen;
use crate::hostile;

/// The small cases of the hostile corpus, good and bad.
pub(super) fn torrents() -> Vec<Vec<u8>> {
    hostile::all()
        .take(1_200)
        .map(|case| case.bytes())
        .filter(|bytes| bytes.len() < 4_096)
        .collect()
}

pub(super) fn bencode(input: &[u8]) -> u64 {
    let (tree, walk) = (bencode::parse_unsorted(input), scan::scan(input));
    // The two readers differ only in what the tree refuses for its memory's sake or for keys that repeat.
    match (&tree, &walk) {
        (Ok(node), Ok(raw)) => assert_eq!(
            (node.raw, node.int(), node.bytes()),
            (raw.raw(), raw.int(), raw.bytes())
        ),
        (Err(bencode::Error::Keys(_) | bencode::Error::Large), _) => {}
        (tree, walk) => assert_eq!(tree.is_err(), walk.is_err(), "{tree:?} {walk:?}"),
    }
    if let Ok((node, end)) = bencode::parse_prefix(input) {
        assert_eq!(node.raw, &input[..end]);
    }
    seen(&tree)
}

pub(super) fn metainfo(input: &[u8]) -> u64 {
    if let Ok(info) = metainfo::parse_info(input) {
        hostile::check_info(&info).expect("every accepted info keeps its promises");
    }
    match metainfo::verdict(input) {
        Verdict::Accepted { torrent, remarks } => {
            hostile::check_torrent(&torrent).expect("every accepted torrent keeps its promises");
            let again = metainfo::parse_info(&torrent.raw_info).expect("it was just read");
            assert_eq!(again, torrent.info);
            seen(&(
                remarks,
                torrent.info.files.len().min(8),
                torrent.info.name.len().min(8),
            ))
        }
        Verdict::Refused(error) => seen(&error),
    }
}

pub(super) fn magnets() -> Vec<Vec<u8>> {
    let (ih, key) = (
        "951ead31d09e4049fc1f21f137e233dd0589fcbd",
        "8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e",
    );
    [
        format!("magnet:?xt=urn:btih:{ih}&dn=A+site%20x&tr=udp%3A%2F%2Ft.example%3A80&ws=http://w.example/&x.pe=192.0.2.1:1&so=0,2-4"),
        format!("magnet:?xt.1=urn:btih:supk2moqtzaet7a7ehytpyrt3ucyt7f5&amp;xt=urn:btmh:1220{key}&x.pe=[2001:db8::1]:80"),
        format!("magnet:?xs=urn:btpk:{key}&s=6e"),
        format!("bt://{ih}/a/b?c#d"),
        format!("wtp://example.org/{ih}"),
        "http://n-3bkn7umqo2g90xy96r2wpyrlu5j7n6s8ii3eoz4ra5nv45hh6m-pk.btlink:80/x".to_owned(),
        format!("http://192.168.1.2/btpk/{key}:6e/z"),
        format!("http://box.btlink/btih/{ih}/z"),
        ih.to_owned(),
        key.to_owned(),
    ]
    .map(String::into_bytes)
    .to_vec()
}

pub(super) fn magnet(input: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(input);
    let read = magnet::parse(&text);
    if let Ok(magnet) = &read {
        assert_eq!(
            magnet::parse(&magnet.to_string()).as_ref(),
            Ok(magnet),
            "written and read back"
        );
    }
    let pasted = magnet::paste(&text, &Domains::default());
    if let Ok(magnet::Pasted::Site { address, path }) = &pasted {
        assert!(path.starts_with('/') && !path.chars().any(char::is_control));
        if let Some(host) = address.host("btlink") {
            assert!(Domains::default().read(&host).is_ok(), "{host} of {address:?}");
        }
    }
    seen(&(read.is_ok(), pasted))
}

pub(super) fn hosts() -> Vec<Vec<u8>> {
    let key = "3bkn7umqo2g90xy96r2wpyrlu5j7n6s8ii3eoz4ra5nv45hh6m";
    [
        format!("{key}-pk.btlink"),
        format!("a.b-c-{key}-pk.btlink:42080"),
        format!("626c.6f-67{key}-pkx.btlink."),
        format!("{}-ih.btlink.example.org", InfoHash([0x95; 20])),
        format!("{}-44.BTLINK", InfoHash([0; 20])),
        "2vesxkooyo81zwg9fx247400tucvssgm2ux7a7q4n15emnikgh-ih.btlink".to_owned(),
        "qvb5hzqrl4hzrskea55eje642vb6jhdtt7mzqvikd5quvm3o2y7a-pk.btlink".to_owned(),
        "en-wikipedia--on--ipfs-org-dl.btlink".to_owned(),
        "alice.btlink".to_owned(),
        "wpad.btlink".to_owned(),
        "cast.hello.pk.bt.btlink.example.org".to_owned(),
        "[::1]:80".to_owned(),
        "example.org:443".to_owned(),
    ]
    .map(String::into_bytes)
    .to_vec()
}

pub(super) fn name(input: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(input);
    let domains = Domains::new(&["btlink.example.org"]).expect("a domain");
    let read = domains.read(&text);
    if let Ok(Host::Site {
        address, canonical, ..
    }) = &read
    {
        let again = domains.read(canonical).expect("what we emit we read");
        let expected = Host::Site {
            address: address.clone(),
            canonical: canonical.clone(),
            respelled: false,
        };
        assert_eq!(again, expected, "a redirect leads to an end");
    }
    seen(&read)
}
