//! From a foreign seed into the store: whole, in the middle, and again after an interruption.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_infohash_is_opened_and_read_byte_for_byte_from_a_foreign_seed() {
    let seed = Seed::start(Program::Libtorrent, (5 << 20) + 321);
    let dir = tempfile::tempdir().expect("a temporary folder");
    let home = Home::open(dir.path(), &[]).await;
    let ih = seed.infohash();
    let hints = hints(&[seed.client.addr]);
    let got = home.read(ih, &hints, 0, seed.content.len(), SOON).await;
    assert!(got == seed.content, "other bytes");
    // Held now: the seed may go.
    drop(seed.client);
    let site = home
        .sites
        .open(ih, &Hints::default(), true, Instant::now())
        .await
        .expect("held");
    assert_eq!(home.sites.held_bytes(&site, 0), seed.content.len() as u64);
    let got = home.read(ih, &Hints::default(), 1 << 20, 4096, SOON).await;
    assert!(got == seed.content[1 << 20..(1 << 20) + 4096], "other bytes");
    home.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_site_interrupted_in_the_middle_fetches_only_what_is_missing() {
    let seed = Seed::start(Program::Libtorrent, 24 << 20);
    let (ih, total) = (seed.infohash(), seed.content.len() as u64);
    let dir = tempfile::tempdir().expect("a temporary folder");
    let home = Home::open_at(dir.path(), &[seed.client.addr], 6 << 20).await;
    home.swarm
        .open(ih, &Hints::default(), Instant::now() + SOON)
        .await
        .expect("it opens");
    home.swarm.keep(ih).await.expect("kept");
    let half = || home.swarm.progress(ih).is_some_and(|p| p.downloaded > total / 3);
    eventually("a third of it", half).await;
    home.close().await;

    let home = Home::open(dir.path(), &[seed.client.addr]).await;
    let held = u64::from(home.held(&ih)) * (256 << 10);
    assert!(held > 0 && held < total, "held after the interruption: {held}");
    let before = home
        .db
        .store()
        .site(&ih)
        .expect("a row")
        .expect("a row")
        .downloaded;
    // No reader, no command: kept sites go on by themselves.
    eventually("the rest", || home.held(&ih) == 96).await;
    let after = || {
        home.db
            .store()
            .site(&ih)
            .expect("a row")
            .expect("a row")
            .downloaded
    };
    eventually("the figures", || after() > before).await;
    let fetched = after() - before;
    assert_eq!(fetched, total - held, "fetched again what was held");
    let got = home.read(ih, &Hints::default(), 0, total as usize, SOON).await;
    assert!(got == seed.content, "other bytes");
    home.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seek_into_the_missing_middle_answers_before_the_rest() {
    // 8 MiB/s: the whole would take 25 s.
    let seed = Seed::start(Program::Libtorrent, 200 << 20);
    let dir = tempfile::tempdir().expect("a temporary folder");
    let home = Home::open_at(dir.path(), &[], 8 << 20).await;
    let (ih, hints) = (seed.infohash(), hints(&[seed.client.addr]));
    home.read(ih, &hints, 0, 1 << 20, SOON).await;
    for offset in [100u64 << 20, 150 << 20, 50 << 20] {
        let start = Instant::now();
        let got = home.read(ih, &hints, offset, 1 << 20, SOON).await;
        let took = start.elapsed();
        let at = offset as usize;
        assert!(got == seed.content[at..at + (1 << 20)], "other bytes at {offset}");
        println!(
            "seek to {} MiB: first MiB after {} ms",
            offset >> 20,
            took.as_millis()
        );
        assert!(took < Duration::from_secs(3), "a seek took {took:?}");
    }
    assert!(home.held(&ih) < 600, "most is still missing");
    home.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_of_many_files_is_read_as_it_was() {
    let seed = Seed::site(Program::Libtorrent);
    let dir = tempfile::tempdir().expect("a temporary folder");
    let home = Home::open(dir.path(), &[]).await;
    let hints = hints(&[seed.client.addr]);
    let opened = home
        .sites
        .open(seed.infohash(), &hints, false, Instant::now() + SOON)
        .await;
    let site = opened.expect("it opens");
    for (index, file) in site.torrent.info.files.iter().enumerate() {
        if file.pad {
            continue;
        }
        let path = file.path.join("/");
        let want = std::fs::read(seed.dir().join("site").join(&path)).expect("the original");
        let mut got = Vec::with_capacity(want.len());
        while got.len() < want.len() {
            let (at, left) = (got.len() as u64, want.len() - got.len());
            let read = home.sites.read(&site, index, at, left, Instant::now() + SOON);
            got.extend_from_slice(&read.await.expect("it reads"));
        }
        assert!(got == want, "{path} differs");
    }
    let row = || {
        home.db
            .store()
            .site(&seed.infohash())
            .expect("a row")
            .expect("a row")
    };
    eventually("pads and all to be held", || row().complete()).await;
    home.close().await;
}
