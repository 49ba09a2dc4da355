//! Two homes on one network, played by the loopback interface.

use super::world::*;
use crate::swarm::find::{Config, LsdConfig};

pub fn on_loopback(port: u16) -> Config {
    Config {
        port,
        lsd: Some(LsdConfig {
            interfaces: vec!["lo".into()],
        }),
        ..config()
    }
}

#[tokio::test]
async fn a_neighbour_that_holds_the_torrent_is_found_at_once() {
    let (holder, seeker) = (World::new(), World::new());
    let ih = holder.site("page", false, true, &[]);
    let secret = holder.site("secret", true, true, &[]);
    let one = holder.finder(on_loopback(6101));
    assert!(one.status().lsd_interfaces >= 1);
    let two = seeker.finder(on_loopback(6102));
    let mut found = two.find(ih, false, Vec::new());
    let mut private = two.find(secret, false, Vec::new());
    let peers = batch(&mut found).await;
    assert_eq!(peers[0].port(), 6101);
    assert!(peers[0].ip().is_loopback());
    assert!(
        private.try_recv().is_err(),
        "private torrents are not told to neighbours"
    );
}

#[tokio::test]
async fn two_searches_hear_each_other_and_nobody_hears_himself() {
    let (a, b) = (World::new(), World::new());
    let one = a.finder(on_loopback(6103));
    let two = b.finder(on_loopback(6104));
    let mut first = one.find(hash(0x55), false, Vec::new());
    let mut second = two.find(hash(0x55), false, Vec::new());
    let heard = tokio::select! {
        batch = batch(&mut first) => (batch[0].port(), 6104),
        batch = batch(&mut second) => (batch[0].port(), 6103),
    };
    assert_eq!(heard.0, heard.1);
}

#[tokio::test]
async fn switched_off_means_no_socket() {
    let world = World::new();
    assert_eq!(world.finder(config()).status().lsd_interfaces, 0);
}
