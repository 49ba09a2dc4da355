//! The same against opentracker, the tracker most of the public ones run, and libtorrent as a neighbour.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use proto::{
    id::InfoHash,
    tracker::{Announce, Event, http},
};

use super::world::*;
use crate::swarm::find::Config;

struct Foreign(Child);

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts one on a port that was free a moment ago; it takes no port 0.
fn opentracker(dir: &std::path::Path, torrents: &[InfoHash]) -> (Foreign, SocketAddr) {
    let addr = TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("bound");
    let port = addr.port().to_string();
    // Debian builds it with a list of the torrents it may serve; it changes to `dir` first.
    let list: Vec<String> = torrents.iter().map(|ih| format!("{ih}\n")).collect();
    std::fs::write(dir.join("list"), list.concat()).expect("a file");
    let child = Command::new("opentracker")
        .args(["-i", "127.0.0.1", "-p", &port, "-P", &port, "-w", "list", "-d"])
        .arg(dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("opentracker is installed (tests/setup.sh)");
    (Foreign(child), addr)
}

/// It listens before it has read its list, and refuses what it has not read: announces until it does not.
fn serves(addr: SocketAddr, torrent: &InfoHash) -> bool {
    let goodbye = Announce {
        infohash: *torrent,
        peer_id: [b'x'; 20],
        port: 1,
        uploaded: 0,
        downloaded: 0,
        left: 1,
        event: Event::Stopped,
        numwant: 0,
        key: 0,
        ipv6: None,
    };
    let mut answer = Vec::new();
    let asked = std::net::TcpStream::connect(addr).and_then(|mut stream| {
        write!(
            stream,
            "GET {} HTTP/1.0\r\n\r\n",
            http::target("/announce", &goodbye)
        )?;
        stream.read_to_end(&mut answer)
    });
    asked.is_ok() && String::from_utf8_lossy(&answer).contains("interval")
}

#[tokio::test]
async fn opentracker_brings_a_holder_and_a_seeker_together_over_http_and_udp() {
    let dir = tempfile::tempdir().expect("a folder");
    let sites = ["http", "udp"].map(|scheme| World::new().site(scheme, false, true, &[]));
    let (_server, addr) = opentracker(dir.path(), &sites);
    wait_for("opentracker knows its list", || serves(addr, &sites[1])).await;
    for scheme in ["http", "udp"] {
        let trackers = vec![format!("{scheme}://{addr}/announce")];
        let (holder, seeker) = (World::new(), World::new());
        let ih = holder.site(scheme, false, true, &trackers);
        let _first = holder.finder(Config {
            port: 6201,
            ..config()
        });
        wait_for("the holder is announced", || {
            let known = holder
                .db
                .store()
                .due(store::DueKind::TrackerAnnounce, u64::MAX - 1, 9)
                .expect("rows");
            known
                .iter()
                .any(|(_, at)| *at > crate::clock::Clock::default().now_secs())
        })
        .await;
        let second = seeker.finder(Config {
            port: 6202,
            ..config()
        });
        let mut found = second.find(ih, true, trackers);
        assert_eq!(
            batch(&mut found).await,
            ["127.0.0.1:6201".parse::<SocketAddr>().expect("addr")],
            "{scheme}"
        );
    }
}

/// Shares one torrent with neighbours, and prints the port of each neighbour it hears.
const LIBTORRENT: &str = "
import libtorrent as lt, sys, time
s = lt.session({'listen_interfaces': '127.0.0.1:0', 'enable_dht': False, 'enable_lsd': True, 'enable_upnp': False,
    'enable_natpmp': False, 'local_service_announce_interval': 5, 'alert_mask': lt.alert.category_t.all_categories})
p = lt.parse_magnet_uri('magnet:?xt=urn:btih:' + '66' * 20)
p.save_path = sys.argv[1]
s.add_torrent(p)
print(s.listen_port(), flush=True)
for _ in range(300):
    s.wait_for_alert(100)
    for a in s.pop_alerts():
        if 'peer from local service discovery' in a.message():
            print(a.message().split(' client:')[0].rsplit(':', 1)[1], flush=True)
";

#[tokio::test]
async fn libtorrent_and_we_hear_each_other_on_the_local_network() {
    let world = World::new();
    let dir = tempfile::tempdir().expect("a folder");
    let mut child = Command::new("/usr/bin/python3")
        .args(["-c", LIBTORRENT])
        .arg(dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 with libtorrent is installed (tests/setup.sh)");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let _client = Foreign(child);
    let heard: Arc<Mutex<Vec<u16>>> = Arc::default();
    let log = heard.clone();
    std::thread::spawn(move || {
        for port in lines.map_while(Result::ok).filter_map(|line| line.parse().ok()) {
            log.lock().expect("log").push(port);
        }
    });
    wait_for("libtorrent listens", || !heard.lock().expect("log").is_empty()).await;
    let theirs = heard.lock().expect("log")[0];
    let finder = world.finder(super::neighbours::on_loopback(6105));
    let mut found = finder.find(hash(0x66), false, Vec::new());
    assert_eq!(
        batch(&mut found).await,
        [SocketAddr::from(([127, 0, 0, 1], theirs))]
    );
    wait_for("libtorrent hears us", || {
        heard.lock().expect("log").contains(&6105)
    })
    .await;
}
