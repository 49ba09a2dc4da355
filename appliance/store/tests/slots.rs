//! Two programs of different age on one store: a box has two slots, and the other one may boot tomorrow. Adding tables is
//! no new format, so the older program opens the file, leaves alone what it does not know, and gives it back.

mod world;

use std::path::Path;

use redb::{Database, ReadableDatabase, TableDefinition, TableHandle};
use world::{
    household::{assert_settled, settle},
    open, quick_folder,
};

/// The tables the release before did not know.
const NEWER: [&str; 9] = [
    "records-1",
    "visited-records-1",
    "subscriptions-1",
    "petnames-1",
    "accounts-1",
    "sessions-1",
    "api-tokens-1",
    "looks-1",
    "dht-items-1",
];

/// What the release before leaves when it makes a file anew: everything but the tables it does not know.
fn as_made_by_the_older(file: &Path) {
    let there = tables(file);
    let db = Database::open(file).expect("opens");
    let txn = db.begin_write().expect("begins");
    for name in NEWER
        .iter()
        .filter(|name| there.iter().any(|there| there == *name))
    {
        let table: TableDefinition<&[u8], &[u8]> = TableDefinition::new(name);
        txn.delete_table(table).expect("deletes");
    }
    txn.commit().expect("commits");
}

fn tables(file: &Path) -> Vec<String> {
    let db = Database::open(file).expect("opens");
    let txn = db.begin_read().expect("begins");
    let names = txn
        .list_tables()
        .expect("lists")
        .map(|table| table.name().to_string());
    names.collect()
}

fn settled(dir: &Path) {
    let store = open(dir);
    settle(&store);
    store.tick(10).expect("ticks");
    store.close().expect("closes");
}

#[test]
fn a_file_of_this_release_keeps_the_format_the_older_program_opens() {
    let dir = quick_folder();
    settled(dir.path());
    let db = Database::open(dir.path().join("state/state.redb")).expect("opens");
    let txn = db.begin_read().expect("begins");
    let meta: TableDefinition<&str, u64> = TableDefinition::new("meta");
    let format = txn.open_table(meta).expect("table").get("format").expect("reads");
    assert_eq!(format.map(|format| format.value()), Some(1));
}

#[test]
fn rows_come_back_when_the_older_program_made_the_state_anew() {
    let dir = quick_folder();
    settled(dir.path());
    let state = dir.path().join("state/state.redb");
    as_made_by_the_older(&state);
    let store = open(dir.path());
    assert_settled(&store, "from the copy");
    store.tick(60).expect("ticks");
    store.close().expect("closes");
    drop(store);
    std::fs::remove_file(&state).expect("removed");
    assert_settled(&open(dir.path()), "and the copy still has them");
}

#[test]
fn the_copy_gets_the_rows_again_when_the_older_program_made_it_anew() {
    let dir = quick_folder();
    settled(dir.path());
    let copy = dir.path().join("state/state-copy.redb");
    as_made_by_the_older(&copy);
    let store = open(dir.path());
    assert_settled(&store, "from the state");
    store.tick(60).expect("ticks");
    store.close().expect("closes");
    drop(store);
    assert!(tables(&copy).contains(&"subscriptions-1".into()));
    std::fs::remove_file(dir.path().join("state/state.redb")).expect("removed");
    assert_settled(&open(dir.path()), "from the copy");
}

#[test]
fn a_file_of_the_release_before_gets_the_tables_and_loses_nothing() {
    let dir = quick_folder();
    for file in ["format-1.redb", "format-1-rows.redb"] {
        let folder = dir.path().join(file);
        std::fs::create_dir_all(folder.join("state")).expect("folder");
        let old = format!("{}/testdata/{file}", env!("CARGO_MANIFEST_DIR"));
        std::fs::copy(old, folder.join("state/state.redb")).expect("copied");
        let store = open(&folder);
        let colour = store.setting("colour").expect("reads");
        assert_eq!(colour.as_deref(), Some(&b"green"[..]));
        assert_eq!(store.sites(None, 9).expect("rows").len(), 1);
        if file == "format-1.redb" {
            assert_eq!(store.accounts().expect("rows"), []);
            settle(&store);
        }
        assert_settled(&store, file);
    }
}
