//! Makes the old file of a format, or of a release that added tables, for `testdata/`: run once, when it is released, and
//! keep the result for ever. `format-1.redb` was made before there were rows of the household.
//! `cargo run -p granary-store --example old_file -- appliance/store/testdata/format-1-rows.redb`

#[path = "../tests/world/mod.rs"]
mod world;

use granary_store::{DueKind, Keep};
use world::{Torrent, open};

fn main() {
    let to = std::env::args().nth(1).expect("the file to make");
    let dir = tempfile::tempdir().expect("folder");
    let store = open(dir.path());
    let torrent = Torrent::random(1, 16_384, 3, 100);
    let trackers = ["http://tracker.example/announce".to_string()];
    store
        .add_site(&torrent.info, &torrent.raw, &trackers, Keep::Kept, 1)
        .expect("added");
    let pieces = store.pieces(&torrent.ih()).expect("handle");
    pieces.put(1, torrent.data[1].clone()).expect("put");
    store.set_setting("colour", b"green").expect("set");
    store
        .set_due(DueKind::DhtAnnounce, &[(torrent.ih(), 7)])
        .expect("set");
    world::household::settle(&store);
    store.close().expect("closes");
    drop(store);
    let file = dir.path().join("state/state.redb");
    redb::Database::open(&file)
        .expect("opens")
        .compact()
        .expect("compacts");
    std::fs::copy(file, to).expect("copies");
}
