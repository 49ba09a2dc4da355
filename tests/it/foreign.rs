//! Sites that foreign BitTorrent clients seed open through our proxy, byte for byte, and are seeded on by us when that client
//! is gone and after our restart.

use std::{net::SocketAddr, path::Path, time::Duration};

use harness::{
    Granary, Setup,
    foreign::{Client, Program, Role, Torrent, make_torrent},
    http, sample,
    tracker::{Tracker, own_addr},
    wait_for,
};
use serde_json::Value;

const BIG: usize = 1_500_000;

/// From `program` to us; then we restart, and `leech` gets it from us.
#[track_caller]
fn carries_on(seed: Program, leech: Program, number: u64) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let content = dir.path().join("seed/site");
    sample::site(&content, number, BIG);
    let tracker = Tracker::start();
    let torrent = make_torrent(
        &content,
        &dir.path().join("site.torrent"),
        &tracker.url(),
        64 << 10,
    );
    let data = dir.path().join("data");
    receive(seed, &torrent, &dir.path().join("seed"), &data, number);

    let granary = Setup::default().data(&data).bt_everywhere().start();
    assert_eq!(
        granary.site(&torrent.infohash, "/big.bin"),
        sample::bytes(number, BIG)
    );
    // Transmission does not dial loopback, so it is given our other address; the others take either.
    let ip = own_addr().unwrap_or([127, 0, 0, 1].into());
    let ours = SocketAddr::new(ip.into(), granary.addr("bt").port());
    tracker.add(&torrent.infohash, ours);
    let role = Role {
        dir: dir.path().join("leech"),
        peer: Some(ours),
        ..Role::default()
    };
    let leech = Client::start(leech, &torrent, &role);
    leech.wait_file(
        "site/big.bin",
        &sample::bytes(number, BIG),
        Duration::from_secs(90),
    );
}

/// The site from a foreign seed through the proxy, whole and kept; both ends are gone afterwards.
fn receive(program: Program, torrent: &Torrent, seed_dir: &Path, data: &Path, number: u64) {
    let role = Role {
        dir: seed_dir.into(),
        ..Role::default()
    };
    let seed = Client::start(program, torrent, &role);
    let mut granary = Setup::default().data(data).peer(seed.addr).start();
    // Transmission lets one address in once at a time: the fetch follows the metadata with a pause, so a reader may have to
    // ask again, as a browser does by itself.
    let url = format!("http://{}-ih.btlink/", torrent.infohash);
    wait_for("the page", Duration::from_secs(120), || {
        let page = http::get(granary.addr("proxy"), &url, &[]);
        page.is_ok_and(|page| page.status == 200 && page.text().contains(&format!("Sample {number}")))
    });
    keep(&granary, &torrent.infohash);
    assert_eq!(
        granary.site(&torrent.infohash, "/big.bin"),
        sample::bytes(number, BIG),
        "{program:?}"
    );
    assert_eq!(granary.stop(), 0);
}

fn keep(granary: &Granary, infohash: &str) {
    let kept = granary.control("POST", &format!("/api/v1/sites/{infohash}/keep"), &Value::Null);
    assert_eq!(kept.status, 200, "{}", kept.text());
    wait_for("the whole site", Duration::from_secs(90), || {
        granary.control("GET", "/api/v1/sites", &Value::Null).json()[0]["complete"] == true
    });
}

#[test]
fn libtorrent_seeds_us_and_transmission_gets_it_from_us() {
    carries_on(Program::Libtorrent, Program::Transmission, 21);
}

#[test]
fn transmission_seeds_us_and_aria2_gets_it_from_us() {
    carries_on(Program::Transmission, Program::Aria2, 22);
}

#[test]
fn aria2_seeds_us_and_webtorrent_gets_it_from_us() {
    carries_on(Program::Aria2, Program::Webtorrent, 23);
}

#[test]
fn webtorrent_seeds_us_and_qbittorrent_gets_it_from_us() {
    carries_on(Program::Webtorrent, Program::Qbittorrent, 24);
}

#[test]
fn qbittorrent_seeds_us_and_libtorrent_gets_it_from_us() {
    carries_on(Program::Qbittorrent, Program::Libtorrent, 25);
}
