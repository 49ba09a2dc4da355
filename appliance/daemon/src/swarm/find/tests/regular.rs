//! The schedule: what we hold is announced, once in a while, at a bounded rate, and survives a restart as rows.

use std::{collections::HashSet, time::Duration};

use proto::{
    id::InfoHash,
    tracker::{Event, http},
};
use store::DueKind;

use super::world::*;
use crate::{clock::Clock, swarm::find::Config};

fn told(world: &World) -> Vec<InfoHash> {
    world
        .nodes
        .told
        .lock()
        .expect("told")
        .iter()
        .map(|(ih, ..)| *ih)
        .collect()
}

fn due(world: &World, kind: DueKind) -> Vec<(InfoHash, u64)> {
    world.db.store().due(kind, u64::MAX - 1, 1000).expect("rows")
}

#[tokio::test]
async fn everything_held_is_announced_once_at_the_given_rate() {
    let world = World::new();
    let public: HashSet<_> = (0..30)
        .map(|n| world.site(&format!("site {n}"), false, true, &[]))
        .collect();
    world.site("private", true, true, &[]);
    let partial = world.site("partial", false, false, &[]);
    let _finder = world.finder(Config {
        announces_per_sec: 50,
        ..config()
    });
    wait_for("all rows have their next time", || {
        let now = Clock::default().now_secs();
        due(&world, DueKind::DhtAnnounce)
            .iter()
            .filter(|(_, at)| *at > now)
            .count()
            == 31
    })
    .await;
    let order = told(&world);
    assert_eq!(order.len(), 30, "each once");
    assert_eq!(order.into_iter().collect::<HashSet<_>>(), public);
    let log = world.nodes.told.lock().expect("told");
    let took = log.last().expect("30").2 - log[0].2;
    assert!(took >= Duration::from_millis(20 * 28), "30 announces in {took:?}");
    assert!(log.iter().all(|(_, port, _)| *port == 6881));
    drop(log);

    let now = Clock::default().now_secs();
    let rows = due(&world, DueKind::DhtAnnounce);
    for (ih, at) in &rows {
        let pause = at - now;
        assert!((19 * 60..=76 * 60).contains(&pause), "{pause}");
        assert!(public.contains(ih) || *ih == partial);
    }
    let times: HashSet<u64> = rows.iter().map(|(_, at)| *at).collect();
    assert!(times.len() > 20, "due times are spread");
}

#[tokio::test]
async fn a_torrent_that_completes_is_announced_at_once_with_its_events() {
    let (world, outside) = (World::new(), World::new());
    let (addr, seen) = http_server(&outside.tasks, "127.0.0.1", |_| {
        ok(&http::encode_reply(Duration::from_secs(1800), None, &[peer(1)]))
    })
    .await;
    let trackers = vec![format!("http://{addr}/announce")];
    let ih = world.site("new", false, false, &trackers);
    let finder = world.finder(config());
    let mut found = finder.find(ih, false, trackers.clone());
    assert_eq!(batch(&mut found).await, [peer(1)]);

    world.db.store().add_traffic(&[(ih, 5, 100)]).expect("counted");
    assert_eq!(world.site("new", false, true, &trackers), ih);
    finder.announce_soon(ih);
    let announces = || {
        let seen = seen.lock().expect("log");
        let query = |head: &String| http::parse_query(head.split(' ').nth(1)?.split_once('?')?.1).ok();
        seen.iter().filter_map(query).collect::<Vec<_>>()
    };
    wait_for("the tracker hears it", || announces().len() == 2).await;
    drop(found);
    world.tasks.stop(Duration::from_secs(5)).await;
    let heard: Vec<_> = announces()
        .iter()
        .map(|a| (a.event, a.left, a.uploaded, a.downloaded))
        .collect();
    assert_eq!(heard[0], (Event::Started, 100, 0, 0));
    assert_eq!((heard[1].0, heard[1].1), (Event::Completed, 0));
    assert_eq!((heard[1].2, heard[1].3), (5, 100));
    assert_eq!(heard[2].0, Event::Stopped, "trackers hear that we go");
    assert_eq!(heard.len(), 3);
    assert!(told(&world).contains(&ih));
}

#[tokio::test]
async fn more_news_than_the_queue_holds_is_not_lost() {
    let world = World::new();
    let finder = world.finder(config());
    wait_for("the first look", || {
        !finder.room.sweep.load(std::sync::atomic::Ordering::Relaxed)
    })
    .await;
    let ih = world.site("late", false, true, &[]);
    for n in 0..3000u32 {
        let mut unknown = [0; 20];
        unknown[..4].copy_from_slice(&n.to_be_bytes());
        finder.announce_soon(InfoHash(unknown));
    }
    wait_for("the late one is announced", || told(&world).contains(&ih)).await;
    wait_for("unknown torrents leave no rows", || {
        due(&world, DueKind::DhtAnnounce).len() == 1
    })
    .await;
}

#[tokio::test]
async fn nothing_is_announced_before_the_port_is_known() {
    let world = World::new();
    let ih = world.site("early", false, true, &[]);
    let finder = world.finder(Config { port: 0, ..config() });
    finder.announce_soon(ih);
    let mut found = finder.find(ih, false, Vec::new());
    assert!(
        tokio::time::timeout(Duration::from_millis(100), found.recv())
            .await
            .is_err()
    );
    assert!(told(&world).is_empty());
    finder.set_port(6307);
    wait_for("the announce", || !told(&world).is_empty()).await;
    assert_eq!(world.nodes.told.lock().expect("told")[0].1, 6307);
}

#[tokio::test]
async fn when_upload_comes_back_everything_is_announced_anew_although_nothing_is_due() {
    let (world, outside) = (World::new(), World::new());
    let (addr, seen) = http_server(&outside.tasks, "127.0.0.1", |_| {
        ok(&http::encode_reply(Duration::from_secs(1800), None, &[]))
    })
    .await;
    let ih = world.site("shared", false, true, &[format!("http://{addr}/announce")]);
    let finder = world.finder(config());
    let events = || {
        let seen = seen.lock().expect("log");
        let event = |head: &String| {
            let query = http::parse_query(head.split(' ').nth(1)?.split_once('?')?.1).ok()?;
            Some(query.event)
        };
        seen.iter().filter_map(event).collect::<Vec<_>>()
    };
    wait_for("the first announces", || {
        told(&world).contains(&ih) && events().len() == 1
    })
    .await;
    finder.set_port(0);
    wait_for("the tracker to hear that we go", || {
        events().last() == Some(&Event::Stopped)
    })
    .await;
    let told_before = told(&world).len();
    finder.announce_soon(ih);
    finder.set_port(6307);
    wait_for("both to hear of us again", || {
        told(&world).len() > told_before && events().last() == Some(&Event::Started)
    })
    .await;
    assert_eq!(
        events().iter().filter(|event| **event == Event::Stopped).count(),
        1
    );
}
