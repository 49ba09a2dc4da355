//! Searches over trackers: what is sent, what is taken, and where nobody can send us.

use std::{net::SocketAddr, time::Duration};

use proto::{
    guard::{Policy, allowed_url},
    tracker::{Event, http},
};
use tokio::net::TcpListener;

use super::world::*;
use crate::web::{self, Ask};

fn announces(seen: &Seen) -> Vec<proto::tracker::Announce> {
    let seen = seen.lock().expect("log");
    let query = |head: &String| {
        head.split(' ')
            .nth(1)
            .and_then(|t| t.split_once('?'))
            .map(|(_, q)| q.to_owned())
    };
    seen.iter()
        .filter_map(query)
        .map(|q| http::parse_query(&q).expect("a good query"))
        .collect()
}

#[tokio::test]
async fn a_search_asks_an_http_tracker_and_says_goodbye() {
    let world = World::new();
    let peers = [peer(1), peer(2)];
    let (addr, seen) = http_server(&world.tasks, "127.0.0.1", move |_| {
        ok(&http::encode_reply(Duration::from_secs(60), None, &peers))
    })
    .await;
    let finder = world.finder(config());
    let mut found = finder.find(hash(7), false, vec![format!("http://{addr}/announce?key=9")]);
    assert_eq!(batch(&mut found).await, peers);
    let head = seen.lock().expect("log")[0].clone();
    assert!(
        head.starts_with("GET /announce?key=9&info_hash=") && head.contains("btlink: 1\r\n"),
        "{head}"
    );
    let first = announces(&seen)[0].clone();
    assert_eq!(
        (first.infohash, first.port, first.event),
        (hash(7), 6881, Event::Started)
    );
    assert!(first.left > 0);

    drop(found);
    wait_for("the goodbye", || {
        announces(&seen).iter().any(|a| a.event == Event::Stopped)
    })
    .await;
    assert_eq!(finder.status().searches, 0);
}

#[tokio::test]
async fn a_udp_tracker_that_loses_a_packet_is_asked_again() {
    let world = World::new();
    let tracker = udp_server(&world.tasks, |count, packet, _| {
        let tid = &packet[12..16];
        match (count, packet[11]) {
            (0, _) => None,
            // A guess of somebody else comes first and is ignored.
            (_, 0) => Some([&[0; 4][..], tid, &[0, 0, 0, 0, 0, 0, 0, 77]].concat()),
            _ => Some(
                [
                    &[0, 0, 0, 1][..],
                    tid,
                    &[0, 0, 0, 90],
                    &[0; 8],
                    &[127, 9, 9, 3, 0x17, 0x73],
                ]
                .concat(),
            ),
        }
    })
    .await;
    let mut found = world
        .finder(config())
        .find(hash(8), true, vec![format!("udp://{tracker}")]);
    assert_eq!(batch(&mut found).await, [peer(3)]);
}

#[tokio::test]
async fn peers_of_all_sources_come_once_and_judged() {
    let world = World::new();
    *world.nodes.peers.lock().expect("peers") = vec![
        peer(1),
        "127.0.0.1:22".parse().expect("addr"),
        "192.168.1.1:6881".parse().expect("addr"),
        peer(2),
    ];
    let (addr, _) = http_server(&world.tasks, "127.0.0.1", |_| {
        let hostile =
            ["169.254.169.254:6881", "10.0.0.1:6881", "127.0.0.1:6881"].map(|a| a.parse().expect("addr"));
        let all: Vec<SocketAddr> = [peer(2), peer(4)].into_iter().chain(hostile).collect();
        ok(&http::encode_reply(Duration::from_secs(60), None, &all))
    })
    .await;
    let mut found = world
        .finder(config())
        .find(hash(9), false, vec![format!("http://{addr}/a")]);
    let mut all = batch(&mut found).await;
    all.extend(batch(&mut found).await);
    all.sort();
    assert_eq!(all, [peer(1), peer(2), peer(4)]);
    wait_for("the DHT hears of us", || {
        !world.nodes.told.lock().expect("told").is_empty()
    })
    .await;
}

#[tokio::test]
async fn one_search_hands_out_a_bounded_number() {
    let world = World::new();
    let many: Vec<SocketAddr> = (0..2000u16)
        .map(|n| SocketAddr::from(([127, 9, 9, 9], 20_000 + n)))
        .collect();
    *world.nodes.peers.lock().expect("peers") = many;
    let mut found = world.finder(config()).find(hash(10), false, Vec::new());
    assert_eq!(batch(&mut found).await.len(), 500);
}

#[tokio::test]
async fn a_private_torrent_is_looked_for_on_its_trackers_only() {
    let world = World::new();
    *world.nodes.peers.lock().expect("peers") = vec![peer(1)];
    let (addr, _) = http_server(&world.tasks, "127.0.0.1", |_| {
        ok(&http::encode_reply(Duration::from_secs(60), None, &[peer(5)]))
    })
    .await;
    let mut found = world
        .finder(config())
        .find(hash(11), true, vec![format!("http://{addr}/a")]);
    assert_eq!(batch(&mut found).await, [peer(5)]);
    assert!(world.nodes.asked.lock().expect("asked").is_empty());
    assert!(world.nodes.told.lock().expect("told").is_empty());
}

#[tokio::test]
async fn a_dead_tracker_rests_for_all_torrents() {
    let world = World::new();
    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port")
        .local_addr()
        .expect("bound");
    let finder = world.finder(config());
    let _one = finder.find(hash(1), true, vec![format!("http://{closed}/a")]);
    wait_for("the tracker rests", || finder.status().trackers_resting == 1).await;
    let log = Seen::default();
    let listener = TcpListener::bind(closed).await.expect("the same port");
    let seen = log.clone();
    world.tasks.spawn("test.trap", async move {
        while listener.accept().await.is_ok() {
            seen.lock().expect("log").push("asked".into());
        }
    });
    let room = &finder.room;
    let moment = super::super::trackers::Moment::unknown(hash(2), 1);
    let outcome = room
        .trackers
        .announce(&format!("http://{closed}/b"), &moment, &room.policy())
        .await;
    assert!(outcome.peers.is_empty() && outcome.interval > Duration::from_secs(30));
    assert!(log.lock().expect("log").is_empty());
}

/// A listener at 127.0.0.2, which the policy of these tests calls our own: nobody may be sent there.
async fn trap(world: &World) -> (SocketAddr, Seen) {
    http_server(&world.tasks, "127.0.0.2", |_| {
        ok(b"d8:intervali60e5:peers6:\x7f\x09\x09\x09\x17\x71e")
    })
    .await
}

#[tokio::test]
async fn no_redirect_leads_a_tracker_request_home() {
    let world = World::new();
    let (trap, sprung) = trap(&world).await;
    let port = trap.port();
    let places = [
        format!("http://127.0.0.2:{port}/"),
        format!("http://127.0.2:{port}/"),
        format!("http://127.2:{port}/"),
        format!("http://2130706434:{port}/"),
        format!("http://0x7f000002:{port}/"),
        format!("http://0177.0.0.2:{port}/"),
        format!("http://[::ffff:127.0.0.2]:{port}/"),
        format!("http://[::ffff:7f00:2]:{port}/"),
        format!("http://x@127.0.0.2:{port}/"),
        format!("//127.0.0.2:{port}/"),
        format!("http:\\\\127.0.0.2:{port}\\"),
        format!("http://127.0.0.2:{port}@8.8.8.8/"),
        format!("HTTP://127.0.0.2:{port}/"),
        format!("http://127.0.0.2.:{port}/"),
        format!("udp://127.0.0.2:{port}/"),
        "http://169.254.169.254/latest/meta-data/".into(),
        "http://10.0.0.1:6969/".into(),
        "http://[fd00::1]:6969/".into(),
        "http://127.0.0.1:22/".into(),
        "file:///etc/passwd".into(),
        "gopher://127.0.0.1:70/".into(),
        "relative".into(),
        "".into(),
    ];
    let mut policy = loopback();
    policy.own.push(trap.ip());
    for place in places {
        let answer = redirect(&place);
        let (addr, seen) = http_server(&world.tasks, "127.0.0.1", move |_| answer.clone()).await;
        let url = allowed_url(&format!("http://{addr}/announce"), &policy).expect("loopback is allowed here");
        let got = web::fetch(url, &policy, &ask(1 << 10, 5)).await;
        assert!(got.is_err(), "{place}: {got:?}");
        assert_eq!(seen.lock().expect("log").len(), 1, "{place}");
    }
    assert!(sprung.lock().expect("log").is_empty());
}

#[tokio::test]
async fn trackers_named_by_torrents_cannot_make_us_knock_at_home() {
    let world = World::new();
    let (trap, sprung) = trap(&world).await;
    let port = trap.port();
    let hosts = [
        "127.0.0.2",
        "127.2",
        "0x7f.2",
        "2130706434",
        "[::ffff:127.0.0.2]",
        "[::1]",
        "localhost",
        "0",
        "10.0.0.1",
    ];
    let mut config = config();
    config.policy = Policy::default();
    let finder = world.finder(config);
    let mut searches = Vec::new();
    for (n, host) in hosts.iter().enumerate() {
        let urls = ["http", "https", "udp", "ftp"].map(|scheme| format!("{scheme}://{host}:{port}/announce"));
        searches.push(finder.find(hash(n as u8), true, urls.to_vec()));
    }
    for found in &mut searches {
        assert!(
            tokio::time::timeout(Duration::from_millis(50), found.recv())
                .await
                .is_err()
        );
    }
    assert!(sprung.lock().expect("log").is_empty());
    assert_eq!(finder.status().trackers_resting, 0, "nothing was even tried");
}

fn ask(bytes_max: usize, secs: u64) -> Ask<'static> {
    Ask {
        body: None,
        extra: &[],
        answer_bytes_max: bytes_max,
        deadline: Duration::from_secs(secs),
    }
}

#[tokio::test]
async fn endless_redirects_bodies_and_silence_come_to_an_end() {
    let world = World::new();
    let policy = loopback();
    let fetch = async |addr: SocketAddr, secs| {
        let url = allowed_url(&format!("http://{addr}/a"), &policy).expect("loopback is allowed here");
        web::fetch(url, &policy, &ask(1000, secs)).await
    };
    let (addr, seen) = http_server(&world.tasks, "127.0.0.1", |_| redirect("/again")).await;
    assert!(fetch(addr, 5).await.is_err());
    assert_eq!(seen.lock().expect("log").len(), 4);

    let (addr, _) = http_server(&world.tasks, "127.0.0.1", |_| ok(&[b'x'; 1001])).await;
    assert!(fetch(addr, 5).await.is_err());
    let (addr, _) = http_server(&world.tasks, "127.0.0.1", |_| ok(&[b'x'; 1000])).await;
    assert_eq!(fetch(addr, 5).await.expect("just fits").len(), 1000);
    let (addr, _) = http_server(&world.tasks, "127.0.0.1", |_| b"HTTP/1.1 500 no\r\n\r\n".to_vec()).await;
    assert!(matches!(fetch(addr, 5).await, Err(web::Error::Status(500))));

    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let begun = tokio::time::Instant::now();
    assert!(fetch(silent.local_addr().expect("bound"), 1).await.is_err());
    assert!(begun.elapsed() < Duration::from_secs(3));
}
