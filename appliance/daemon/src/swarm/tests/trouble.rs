//! Things that break: rotten pieces, a full disk, torrents the engine does not take, and a household that gives nothing.

use std::{path::PathBuf, process::Command};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::*;

/// Opens the seed's torrent, keeps it and waits for all of it.
async fn keep_all(home: &Home, seed: &Seed) {
    let ih = seed.infohash();
    let opened = home
        .swarm
        .open(ih, &hints(&[seed.client.addr]), Instant::now() + SOON)
        .await;
    let count = opened.expect("it opens").info.piece_count();
    home.swarm.keep(ih).await.expect("kept");
    home.swarm.add_peers(ih, &[seed.client.addr]);
    eventually("all pieces", || home.held(&ih) == count).await;
}

fn row(home: &Home, ih: InfoHash) -> store::SiteRow {
    home.db.store().site(&ih).expect("readable").expect("a row")
}

/// Flips bytes of the content in every file where they are found; returns how many places.
fn damage(folder: &Path, content: &[u8]) -> usize {
    let mut places = 0;
    for entry in std::fs::read_dir(folder).expect("the content folder") {
        let path = entry.expect("readable").path();
        let mut bytes = std::fs::read(&path).expect("readable");
        let found: Vec<usize> = bytes
            .windows(content.len())
            .enumerate()
            .filter(|(_, window)| *window == content)
            .map(|(at, _)| at)
            .collect();
        for at in &found {
            bytes[*at..*at + content.len()]
                .iter_mut()
                .for_each(|b| *b ^= 0xff);
        }
        if !found.is_empty() {
            std::fs::write(&path, &bytes).expect("writable");
        }
        places += found.len();
    }
    places
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotten_piece_is_fetched_again_and_neither_peer_nor_reader_ever_sees_it() {
    let seed = Seed::start(Program::Libtorrent, 3 << 20);
    let (ih, content) = (seed.infohash(), seed.content.clone());
    let dir = tempfile::tempdir().expect("a temporary folder");
    let home = Home::open(dir.path(), &[]).await;
    keep_all(&home, &seed).await;
    home.close().await;
    let rotten = &content[(1 << 20) + 1000..(1 << 20) + 1064];
    assert!(
        damage(&dir.path().join("content"), rotten) > 0,
        "nothing was damaged"
    );

    let home = Home::open(dir.path(), &[seed.client.addr]).await;
    assert!(row(&home, ih).complete(), "nobody has looked yet");
    let copies = tempfile::tempdir().expect("a temporary folder");
    let role = Role {
        dir: copies.path().into(),
        peer: home.swarm.status().listen_bt,
        ..Role::default()
    };
    let leech = Client::start(Program::Libtorrent, &seed.torrent, &role);
    leech.wait_file("big.bin", &content, SOON);
    eventually("the piece to be here again", || row(&home, ih).complete()).await;
    let got = home.read(ih, &Hints::default(), 0, content.len(), SOON).await;
    assert!(got == content, "other bytes");
    let status = home.swarm.status();
    assert!(
        status.uploaded >= (content.len() - (256 << 10)) as u64,
        "{status:?}"
    );
    assert!(status.downloaded >= 256 << 10, "{status:?}");
    home.close().await;
    drop(leech);

    // What a connected peer got is in the books though the house ended.
    let home = Home::open(dir.path(), &[]).await;
    let written = row(&home, ih).uploaded;
    assert!(written >= (content.len() - (256 << 10)) as u64, "{written}");
    home.close().await;
}

/// A small file system for content, unmounted when dropped.
struct Mount(PathBuf);

impl Mount {
    fn new(at: PathBuf, mib: u32) -> Self {
        std::fs::create_dir_all(&at).expect("writable");
        let mount = Self(at);
        mount.run(
            "mount",
            &["-t", "tmpfs", "-o", &format!("size={mib}m"), "granary-test"],
        );
        mount
    }

    fn grow(&self, mib: u32) {
        self.run("mount", &["-o", &format!("remount,size={mib}m")]);
    }

    fn run(&self, program: &str, args: &[&str]) {
        let done = Command::new(program).args(args).arg(&self.0).status();
        assert!(
            done.is_ok_and(|status| status.success()),
            "this test mounts a small disk and needs the right to do so"
        );
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_puts_fetching_off_and_more_space_lets_it_go_on() {
    let seed = Seed::start(Program::Libtorrent, 40 << 20);
    let dir = tempfile::tempdir().expect("a temporary folder");
    let disk = Mount::new(dir.path().join("content"), 24);
    let home = Home::open(dir.path(), &[seed.client.addr]).await;
    let ih = seed.infohash();
    let opened = home
        .swarm
        .open(ih, &Hints::default(), Instant::now() + SOON)
        .await;
    let count = opened.expect("it opens").info.piece_count();
    home.swarm.keep(ih).await.expect("kept");
    let jobs = home.swarm.parts.fetch.clone();
    eventually("fetching to be put off", || jobs.put_off(&ih)).await;
    let held = home.held(&ih);
    assert!(held < count, "the disk is too small for all");
    disk.grow(128);
    // The store looks at its disk when it is ticked.
    let clock = Clock::default();
    let start = StdInstant::now();
    while home.held(&ih) < count {
        assert!(start.elapsed() < SOON, "{} of {count} are held", home.held(&ih));
        let now = clock.now_secs();
        let _ = home.db.run(move |store| store.tick(now)).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let got = home
        .read(ih, &Hints::default(), 0, seed.content.len(), SOON)
        .await;
    assert!(got == seed.content, "other bytes");
    home.close().await;
    drop(disk);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torrent_with_two_files_of_one_name_is_refused_with_a_sentence() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let home = Home::open(dir.path(), &[]).await;
    let file = "d6:lengthi5e4:pathl1:aee";
    let info = |second: &str| {
        let mut raw =
            format!("d5:filesl{file}{second}e4:name1:n12:piece lengthi16384e6:pieces20:").into_bytes();
        raw.extend([7; 20]);
        raw.push(b'e');
        bytes::Bytes::from(raw)
    };
    let adopt = |raw| home.swarm.adopt(raw, Vec::new(), store::Keep::Visited);
    adopt(info("d6:lengthi5e4:pathl1:bee")).await.expect("two names");
    let refused = adopt(info(file)).await.expect_err("one name").to_string();
    assert!(
        refused.contains("duplicate filenames") && refused.contains("nothing was stored"),
        "{refused}"
    );
    home.close().await;
}

/// Whether the home answers a peer's handshake.
async fn answers(home: &Home, ih: InfoHash) -> bool {
    let addr = home.swarm.status().listen_bt.expect("it listens");
    let mut peer = TcpStream::connect(addr).await.expect("the door is open");
    let mut hello = b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0".to_vec();
    hello.extend(ih.0);
    hello.extend(b"-XX0001-abcdefghijkl");
    peer.write_all(&hello).await.expect("sent");
    let mut answer = [0; 68];
    let read = tokio::time::timeout(SOON, peer.read_exact(&mut answer)).await;
    read.expect("it answers or closes in time").is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_upload_sites_are_fetched_and_nothing_is_given() {
    let seed = Seed::start(Program::Libtorrent, 3 << 20);
    let dir = tempfile::tempdir().expect("a temporary folder");
    let stingy = SwarmConfig {
        upload: false,
        ..SwarmConfig::loopback(dir.path())
    };
    let home = Home::open_with(dir.path(), stingy).await;
    keep_all(&home, &seed).await;
    assert!(!answers(&home, seed.infohash()).await, "it gives all the same");
    assert_eq!(home.swarm.parts.found.port(), 0, "it would announce itself");
    home.close().await;
    let home = Home::open(dir.path(), &[]).await;
    assert!(answers(&home, seed.infohash()).await, "it should give again");
    home.close().await;
}
