//! What the rest of the house relies on, on real files.

mod world;

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use granary_store::{DueKind, Error, Keep, Store};
use world::{Torrent, open};

fn add(store: &Store, torrent: &Torrent, keep: Keep) -> granary_store::Pieces {
    store
        .add_site(&torrent.info, &torrent.raw, &[], keep, 10)
        .expect("added");
    store.pieces(&torrent.ih()).expect("handle")
}

#[test]
fn pieces_put_are_readable_at_once_and_held_after_the_commit() {
    let dir = tempfile::tempdir().expect("folder");
    let store = open(dir.path());
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = told.clone();
    store.on_durable(Arc::new(move |rows| {
        listener.lock().expect("lock").extend_from_slice(rows)
    }));
    let torrent = Torrent::random(1, 100_000, 5, 77);
    let pieces = add(&store, &torrent, Keep::Kept);
    for (i, data) in (0..).zip(&torrent.data) {
        assert_eq!(pieces.read(i, 0, 10).expect("reads"), None);
        assert!(
            !pieces.put(i, Bytes::from(vec![1; data.len()])).expect("checked"),
            "a wrong hash is refused"
        );
        assert!(pieces.put(i, data.clone()).expect("put"));
        assert_eq!(pieces.read(i, 0, u32::MAX).expect("reads").as_ref(), Some(data));
    }
    assert_eq!(store.site(&torrent.ih()).expect("row").expect("there").held, 0);
    assert!(
        told.lock().expect("lock").is_empty(),
        "nobody is told before the commit"
    );
    store.flush().expect("commits");
    assert!(store.site(&torrent.ih()).expect("row").expect("there").complete());
    assert_eq!(told.lock().expect("lock").len(), 5);
    store.close().expect("closes");
    assert!(matches!(pieces.read(0, 0, 1), Err(Error::Gone(_))));
    drop((pieces, store));

    let store = open(dir.path());
    let pieces = store.pieces(&torrent.ih()).expect("handle");
    assert_eq!(store.have(&torrent.ih()).expect("have").count, 5);
    for (i, data) in (0..).zip(&torrent.data) {
        assert_eq!(pieces.read(i, 0, u32::MAX).expect("reads").as_ref(), Some(data));
        assert_eq!(pieces.read(i, 50, 20).expect("reads"), Some(data.slice(50..70)));
    }
    assert_eq!(
        store.raw_info(&torrent.ih()).expect("reads").as_deref(),
        Some(&torrent.raw[..])
    );
}

#[test]
fn chunks_in_any_order_become_a_piece() {
    let dir = tempfile::tempdir().expect("folder");
    let store = open(dir.path());
    let torrent = Torrent::random(2, 262_144, 2, 262_144);
    let pieces = add(&store, &torrent, Keep::Kept);
    for chunk in [3, 15, 0, 1, 2, 14, 4, 13, 5, 12, 6, 11, 7, 10, 8, 9] {
        let start = chunk * 16_384;
        pieces
            .write(1, start as u32, &torrent.data[1][start..start + 16_384])
            .expect("writes");
    }
    let mut whole = vec![0; 262_144];
    pieces.read_unverified(1, 0, &mut whole).expect("reads");
    assert_eq!(whole, torrent.data[1]);
    assert!(!pieces.readable(1));
    pieces.complete(1).expect("completes");
    assert!(pieces.readable(1) && !pieces.readable(0));
    store.flush().expect("commits");
    assert_eq!(
        pieces.read(1, 65_000, 100_000).expect("reads"),
        Some(torrent.data[1].slice(65_000..165_000))
    );
    assert!(store.have(&torrent.ih()).expect("have").has(1));
}

#[test]
fn a_huge_piece_fits_through_little_memory() {
    let dir = tempfile::tempdir().expect("folder");
    std::fs::create_dir_all(dir.path().join("content")).expect("folder");
    let config = granary_store::Config {
        pending_bytes_max: 2 << 20,
        ..world::config(dir.path())
    };
    let store = Store::open(config, 1).expect("opens");
    let torrent = Torrent::random(3, 16 << 20, 1, 16 << 20);
    let pieces = add(&store, &torrent, Keep::Kept);
    for start in (0..16 << 20).step_by(16_384) {
        pieces
            .write(0, start as u32, &torrent.data[0][start..start + 16_384])
            .expect("writes");
    }
    let mut part = vec![0; 70_000];
    pieces.read_unverified(0, 1 << 20, &mut part).expect("reads");
    assert_eq!(part, torrent.data[0][1 << 20..(1 << 20) + 70_000]);
    pieces.complete(0).expect("completes");
    assert_eq!(
        pieces.read(0, 3 << 20, 99).expect("reads"),
        Some(torrent.data[0].slice(3 << 20..(3 << 20) + 99))
    );
    store.flush().expect("commits");
    assert_eq!(
        pieces.read(0, 0, u32::MAX).expect("reads"),
        Some(torrent.data[0].clone())
    );
}

#[test]
fn identical_pieces_are_stored_once_and_outlive_one_of_their_sites() {
    let dir = tempfile::tempdir().expect("folder");
    let store = open(dir.path());
    let old = Torrent::random(4, 50_000, 4, 50_000);
    let mut data: Vec<Vec<u8>> = old.data.iter().map(|data| data.to_vec()).collect();
    data[3] = vec![7; 50_000];
    let new = Torrent::of("new version", 50_000, data);
    let pieces = add(&store, &old, Keep::Kept);
    for (i, data) in (0..).zip(&old.data) {
        pieces.put(i, data.clone()).expect("put");
    }
    store.flush().expect("commits");
    let next = add(&store, &new, Keep::Kept);
    assert_eq!(
        store.have(&new.ih()).expect("have").count,
        3,
        "the shared ones are held at once"
    );
    assert_eq!(store.usage().expect("usage").pieces, 4);
    store.remove_site(&old.ih()).expect("removed");
    assert_eq!(store.site(&old.ih()).expect("row"), None);
    assert!(matches!(pieces.read(0, 0, 1), Err(Error::Unknown(_))));
    assert_eq!(store.usage().expect("usage").pieces, 3);
    assert_eq!(
        next.read(2, 0, u32::MAX).expect("reads"),
        Some(new.data[2].clone())
    );
    store.remove_site(&new.ih()).expect("removed");
    let usage = store.usage().expect("usage");
    assert_eq!((usage.pieces, usage.live_bytes, usage.sites), (0, 0, 0));
    let left = std::fs::read_dir(dir.path().join("content"))
        .expect("lists")
        .flatten();
    assert_eq!(
        left.filter(|entry| entry.file_name().to_string_lossy().starts_with("seg-"))
            .count(),
        0
    );
}

#[test]
fn a_second_store_on_the_folders_is_refused() {
    let dir = tempfile::tempdir().expect("folder");
    let store = open(dir.path());
    assert!(matches!(
        Store::open(world::config(dir.path()), 1),
        Err(Error::InUse(_))
    ));
    drop(store);
    open(dir.path());
}

#[test]
fn due_work_comes_in_time_order_and_settings_stay() {
    let dir = tempfile::tempdir().expect("folder");
    let store = open(dir.path());
    let (a, b) = (Torrent::random(5, 1024, 1, 10), Torrent::random(6, 1024, 1, 10));
    add(&store, &a, Keep::Kept);
    add(&store, &b, Keep::Visited);
    store
        .set_due(DueKind::DhtAnnounce, &[(a.ih(), 50), (b.ih(), 40)])
        .expect("set");
    store.set_due(DueKind::DhtAnnounce, &[(b.ih(), 60)]).expect("set");
    assert_eq!(
        store.due(DueKind::DhtAnnounce, 55, 10).expect("due"),
        vec![(a.ih(), 50)]
    );
    assert_eq!(
        store.due(DueKind::DhtAnnounce, 99, 10).expect("due"),
        vec![(a.ih(), 50), (b.ih(), 60)]
    );
    assert_eq!(store.due(DueKind::TrackerAnnounce, 99, 10).expect("due"), vec![]);
    store.set_setting("upload", b"2000").expect("set");
    store.touch(&b.ih(), 77).expect("touched");
    store.add_traffic(&[(b.ih(), 5, 6)]).expect("added");
    store.set_keep(&b.ih(), Keep::Kept).expect("kept");
    store.close().expect("closes");
    drop(store);
    let store = open(dir.path());
    assert_eq!(
        store.setting("upload").expect("reads").as_deref(),
        Some(&b"2000"[..])
    );
    let row = store.site(&b.ih()).expect("row").expect("there");
    assert_eq!(
        (row.used, row.uploaded, row.downloaded, row.keep),
        (77, 5, 6, Keep::Kept)
    );
    let first = store.sites(None, 1).expect("rows");
    let rest = store.sites(Some(first[0].infohash), 9).expect("rows");
    assert_eq!((first.len(), rest.len()), (1, 1));
    store.remove_site(&b.ih()).expect("removed");
    assert_eq!(
        store.due(DueKind::DhtAnnounce, 99, 10).expect("due"),
        vec![(a.ih(), 50)]
    );
}
