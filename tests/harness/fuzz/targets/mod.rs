//! The parsers of ours that read what strangers send. One line each: a name, seeds, and a function that runs the parser
//! and asserts what it promises.

mod dhcp;
mod dns;
mod formats;
mod ipv6;
mod items;
mod lists;
mod names;
mod upstream;
mod web;
mod wire;

use super::{Target, seen};

pub const TARGETS: &[Target] = &[
    target("bencode", formats::torrents, formats::bencode),
    target("metainfo", formats::torrents, formats::metainfo),
    target("magnet", formats::magnets, formats::magnet),
    target("name", formats::hosts, formats::name),
    target("link", names::records, names::record),
    target("spelling", names::spellings, names::spelling),
    target("krpc", wire::datagrams, wire::krpc),
    target("dht", wire::datagrams, wire::dht),
    target("record", items::files, items::file),
    target("item", items::answers, items::item),
    target("peer", wire::messages, wire::peer),
    target("extension", wire::extensions, wire::extension),
    target("mse", wire::encrypted, wire::mse),
    target("tracker", wire::replies, wire::tracker),
    target("lsd", wire::announces, wire::lsd),
    target("url", wire::urls, wire::url),
    target("dns", dns::packets, dns::decided),
    target("dns_digest", dns::answers, dns::digested),
    target("dhcp", dhcp::packets, dhcp::packet),
    target("head", web::heads, web::head),
    target("site", web::requests, web::site),
    target("ra", ipv6::advertisements, ipv6::advertisement),
    target("dhcp6", ipv6::requests, ipv6::request),
    target("mdns", ipv6::packets, ipv6::packet),
    target("redirects", web::rules, web::redirects),
    target("dns_answer", upstream::answers, upstream::answer),
    target("blocklist", lists::texts, lists::blocklist),
];

const fn target(name: &'static str, seeds: fn() -> Vec<Vec<u8>>, run: fn(&[u8]) -> u64) -> Target {
    Target { name, seeds, run }
}
