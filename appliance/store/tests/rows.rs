//! What the household follows and who may manage the box: rows go in, come out the same, keep their bounds, and survive
//! a restart.

mod world;

use bytes::Bytes;
use granary_store::{
    Account, ApiToken, DhtItem, Error, Owner, Role, Session, Store, Subscription, TargetWork, VersionState,
};
use proto::{
    id::{InfoHash, Target},
    record::{Mutable, Verdict, torrent_value},
    secret::SecretKey,
};
use world::{open, quick_folder};

fn signed(key: u8, seq: i64, torrent: u8) -> Mutable {
    let secret = SecretKey::from_seed([key; 32]);
    Mutable::sign(&secret, b"salt", seq, &torrent_value(&InfoHash([torrent; 20]))).expect("a good item")
}

fn subscription(id: u16) -> Subscription {
    let mut raw = [7; 20];
    raw[..2].copy_from_slice(&id.to_be_bytes());
    Subscription {
        id: Target(raw),
        address: format!("site{id}-pk"),
        title: "Grüße".into(),
        name: "A site".into(),
        added: 5,
        paused: true,
        blocked: false,
        quota_bytes: 1 << 40,
        keep_versions: 3,
        pinned: vec![InfoHash([0; 20]), InfoHash([1; 20])],
        versions: vec![
            (InfoHash([9; 20]), VersionState::Asking),
            (InfoHash([8; 20]), VersionState::Here),
            (InfoHash([7; 20]), VersionState::Declined),
        ],
        whole: Some(InfoHash([8; 20])),
        trackers: vec!["udp://tracker.example:1/announce".into()],
        last_checked: 10,
        last_heard: 9,
        last_changed: 8,
        interval_secs: 900,
        trouble: "nobody answered".into(),
        failures: 2,
    }
}

fn again(store: Store, dir: &std::path::Path) -> Store {
    store.close().expect("closes");
    drop(store);
    open(dir)
}

#[test]
fn the_newest_record_of_an_address_is_kept_with_its_history() {
    let dir = quick_folder();
    let mut store = open(dir.path());
    let first = signed(1, 1, 1);
    let target = first.target();
    assert_eq!(store.record(&target).expect("reads"), None);
    let put = |store: &Store, item: &Mutable, now| store.put_record(item, Owner::Followed, now).expect("put");
    assert_eq!(put(&store, &first, 100).verdict, Verdict::New);
    assert_eq!(put(&store, &first, 101).verdict, Verdict::Same);
    for seq in 2..=60 {
        assert_eq!(
            put(&store, &signed(1, seq, seq as u8), 100 + seq as u64).verdict,
            Verdict::Newer
        );
    }
    let old = put(&store, &first, 500);
    assert_eq!((old.verdict, old.row.item.seq), (Verdict::Older, 60));
    store.record_checked(&target, true, 8, 600).expect("noted");
    store.record_put(&target, 9, 601).expect("noted");
    for _ in 0..2 {
        let row = store.record(&target).expect("reads").expect("there");
        assert_eq!(row.item, signed(1, 60, 60));
        assert_eq!((row.first_seen, row.last_changed), (100, 160));
        assert_eq!(row.first_infohash, Some(InfoHash([1; 20])));
        assert_eq!(
            (row.last_checked, row.last_heard, row.last_put, row.last_copies),
            (600, 600, 601, 9)
        );
        assert_eq!(row.history.len(), 50);
        assert_eq!((row.history[0].seq, row.history[49].seq), (60, 11));
        assert_eq!(row.history[0].infohash, Some(InfoHash([60; 20])));
        store = again(store, dir.path());
    }
}

#[test]
fn another_value_under_one_number_is_a_warning_until_it_is_settled() {
    let dir = quick_folder();
    let mut store = open(dir.path());
    let (ours, theirs) = (signed(1, 5, 1), signed(1, 5, 2));
    let target = ours.target();
    store.put_record(&ours, Owner::Visited, 1).expect("put");
    for round in 0..2 {
        let out = store.put_record(&theirs, Owner::Visited, 2 + round).expect("put");
        assert_eq!(out.verdict, Verdict::Conflict);
        assert_eq!(out.row.item, ours, "the first seen stands");
        let conflict = out.row.conflict.expect("told");
        assert_eq!((conflict.item, conflict.seen), (theirs.clone(), 2));
        store = again(store, dir.path());
    }
    store.settle_conflict(&target).expect("settled");
    let out = store.put_record(&theirs, Owner::Visited, 9).expect("put");
    assert_eq!(
        (out.verdict, out.row.conflict),
        (Verdict::Conflict, None),
        "no news"
    );
    let third = store
        .put_record(&signed(1, 5, 3), Owner::Visited, 9)
        .expect("put");
    assert!(third.row.conflict.is_some(), "a third value is news");
}

#[test]
fn an_owner_is_only_raised_by_records_and_lowered_by_word() {
    let dir = quick_folder();
    let store = open(dir.path());
    let (item, other) = (signed(1, 1, 1), signed(2, 1, 1));
    let target = item.target();
    let owner = || store.record(&target).expect("reads").expect("there").owner;
    store.put_record(&item, Owner::Visited, 1).expect("put");
    store.put_record(&other, Owner::Me, 1).expect("put");
    let work = || {
        store
            .due_targets(TargetWork::RecordPut, 10, 10)
            .expect("due")
            .len()
    };
    assert_eq!((owner(), work()), (Owner::Visited, 1));
    store.put_record(&item, Owner::Me, 2).expect("put");
    store.put_record(&item, Owner::Visited, 3).expect("put");
    assert_eq!((owner(), work()), (Owner::Me, 2));
    store.set_record_owner(&target, Owner::Followed).expect("lowered");
    assert_eq!(owner(), Owner::Followed);
    assert_eq!(store.records(Owner::Me, None, 10).expect("rows").len(), 1);
    assert_eq!(store.records(Owner::Followed, None, 10).expect("rows").len(), 2);
    store.set_record_owner(&target, Owner::Visited).expect("lowered");
    assert_eq!(work(), 1, "what nobody follows is not put again");
    let all = store.records(Owner::Visited, None, 10).expect("rows");
    assert_eq!(all.len(), 2);
    assert!(all[0].item.target() < all[1].item.target());
    let after = store
        .records(Owner::Visited, Some(all[0].item.target()), 10)
        .expect("rows");
    assert_eq!(after, all[1..]);
    assert_eq!(store.records(Owner::Visited, None, 1).expect("rows"), all[..1]);
}

#[test]
fn a_subscription_comes_back_as_it_was_and_looks_cost_no_write() {
    let dir = quick_folder();
    let mut store = open(dir.path());
    let row = subscription(1);
    store.put_subscription(&row).expect("put");
    assert_eq!(
        store.due_targets(TargetWork::Refresh, 0, 9).expect("due"),
        [(row.id, 0)]
    );
    let size = || std::fs::read(dir.path().join("state/state.redb")).expect("reads");
    let before = size();
    let looked = |row: &mut Subscription| {
        (row.last_checked, row.failures, row.interval_secs) = (77, 0, 1800);
        row.trouble.clear();
    };
    assert!(store.change_subscription(&row.id, looked).expect("changed"));
    assert!(before == size(), "a look waits in memory");
    let mut wanted = row.clone();
    looked(&mut wanted);
    for _ in 0..2 {
        assert_eq!(store.subscription(&row.id).expect("reads"), Some(wanted.clone()));
        assert_eq!(
            store.subscriptions(None, 9).expect("rows"),
            std::slice::from_ref(&wanted)
        );
        store = again(store, dir.path());
    }
    let changed = store.change_subscription(&row.id, |row| {
        row.paused = false;
        row.failures += 1;
    });
    assert!(changed.expect("changed"));
    (wanted.paused, wanted.failures) = (false, 1);
    store = again(store, dir.path());
    assert_eq!(store.subscription(&row.id).expect("reads"), Some(wanted));
    // Whoever took a row out of its turns (paused) keeps it out.
    store
        .set_due_targets(TargetWork::Refresh, &[(row.id, u64::MAX)])
        .expect("set");
    let renamed = store.change_subscription(&row.id, |row| row.title = "other".into());
    assert!(renamed.expect("changed"));
    assert_eq!(store.due_targets(TargetWork::Refresh, 9, 9).expect("due"), []);
    store.remove_subscription(&row.id).expect("removed");
    assert_eq!(store.due_targets(TargetWork::Refresh, 9, 9).expect("due"), []);
    assert!(!store.change_subscription(&row.id, looked).expect("no error"));
    assert_eq!(store.subscription(&row.id).expect("reads"), None);
}

#[test]
fn bounds_are_kept_with_a_sentence() {
    let dir = quick_folder();
    let store = open(dir.path());
    let mut row = subscription(1);
    row.title = "x".repeat(300);
    let refused = store.put_subscription(&row).expect_err("too long");
    assert_eq!(
        refused.to_string(),
        "over the quota: bytes of a title: 300 is more than the 256 that fit"
    );
    row = subscription(1);
    row.versions = vec![(InfoHash([1; 20]), VersionState::Gone); 70];
    row.name = "ß".repeat(300);
    row.trackers = (0..100).map(|no| format!("udp://{no}")).collect();
    store.put_subscription(&row).expect("what others wrote is cut");
    let kept = store.subscription(&row.id).expect("reads").expect("there");
    assert_eq!(
        (kept.versions.len(), kept.name.len(), kept.trackers.len()),
        (50, 256, 64)
    );
    let mut item = signed(1, 1, 1);
    item.value = vec![b'1'; 1001];
    assert!(matches!(
        store.put_record(&item, Owner::Me, 1),
        Err(Error::Quota(_))
    ));
    for no in 0..100 {
        store
            .put_account(&account(&no.to_string(), Role::Member))
            .expect("put");
    }
    let refused = store
        .put_account(&account("one more", Role::Member))
        .expect_err("full");
    assert_eq!(
        refused.to_string(),
        "over the quota: there are 100 accounts already; remove one first"
    );
    store
        .put_account(&account("7", Role::Owner))
        .expect("a row that is there can change");
}

fn account(name: &str, role: Role) -> Account {
    Account {
        name: name.into(),
        role,
        password: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA".into(),
        added: 4,
    }
}

#[test]
fn petnames_stand_in_name_order() {
    let dir = quick_folder();
    let mut store = open(dir.path());
    store.set_petname("news", "abc-pk").expect("set");
    store.set_petname("blog", "def-pk").expect("set");
    store.set_petname("news", "ghi-pk").expect("replaced");
    store.set_petname("gone", "x-pk").expect("set");
    store.set_petname("gone", "").expect("removed");
    store = again(store, dir.path());
    let row = |name: &str, address: &str| (name.to_string(), address.to_string());
    assert_eq!(
        store.petnames().expect("rows"),
        [row("blog", "def-pk"), row("news", "ghi-pk")]
    );
    assert_eq!(store.petname("news").expect("reads").as_deref(), Some("ghi-pk"));
    assert_eq!(store.petname("gone").expect("reads"), None);
}

#[test]
fn an_account_goes_with_its_sessions_and_tokens() {
    let dir = quick_folder();
    let mut store = open(dir.path());
    let session = |id, account: &str| Session {
        id: [id; 32],
        account: account.into(),
        since: 1,
        used: 1,
    };
    let token = |id, account: &str| ApiToken {
        id: [id; 32],
        name: "backup".into(),
        account: account.into(),
        since: 1,
        used: 0,
    };
    for (id, name) in [(1, "ann"), (2, "bob"), (3, "ann")] {
        store.put_account(&account(name, Role::Owner)).expect("put");
        store.put_session(&session(id, name)).expect("put");
        store.put_api_token(&token(id, name)).expect("put");
    }
    store.touch_session(&[2; 32], 50).expect("noted");
    store.touch_api_token(&[2; 32], 51).expect("noted");
    store.touch_session(&[9; 32], 50).expect("nothing there");
    store = again(store, dir.path());
    assert_eq!(store.session(&[9; 32]).expect("reads"), None);
    assert_eq!(store.session(&[2; 32]).expect("reads").expect("there").used, 50);
    assert_eq!(store.api_token(&[2; 32]).expect("reads").expect("there").used, 51);
    store.remove_account("ann").expect("removed");
    store = again(store, dir.path());
    assert_eq!(store.account("ann").expect("reads"), None);
    assert_eq!(store.accounts().expect("rows"), [account("bob", Role::Owner)]);
    assert_eq!(store.session(&[1; 32]).expect("reads"), None);
    assert_eq!(store.api_tokens().expect("rows").len(), 1);
    store.put_session(&session(4, "bob")).expect("put");
    store.remove_sessions(None, 40).expect("removed");
    assert_eq!(store.session(&[4; 32]).expect("reads"), None, "not used for long");
    assert!(store.session(&[2; 32]).expect("reads").is_some());
    store.remove_sessions(Some("bob"), 0).expect("removed");
    assert_eq!(store.session(&[2; 32]).expect("reads"), None);
    store.remove_api_token(&[2; 32]).expect("removed");
    assert_eq!(store.api_tokens().expect("rows"), []);
}

#[test]
fn only_the_box_itself_reads_the_files_with_passwords() {
    use std::os::unix::fs::PermissionsExt;
    let dir = quick_folder();
    let store = open(dir.path());
    store.put_account(&account("ann", Role::Owner)).expect("put");
    store.tick(1).expect("ticks");
    for file in ["state.redb", "state-copy.redb"] {
        let data = std::fs::metadata(dir.path().join("state").join(file)).expect("there");
        assert_eq!(data.permissions().mode() & 0o777, 0o600, "{file}");
    }
}

#[test]
fn visited_records_give_way_oldest_first_and_others_never() {
    let dir = quick_folder();
    let store = open(dir.path());
    let item = |no: u64| Mutable {
        key: proto::key::PublicKey(
            [&no.to_be_bytes()[..], &[0; 24]]
                .concat()
                .try_into()
                .expect("32 bytes"),
        ),
        salt: vec![],
        seq: 1,
        value: b"i1e".to_vec(),
        sig: [0; 64],
    };
    store.put_record(&item(99_999), Owner::Followed, 1).expect("put");
    for no in 0..10_001 {
        store.put_record(&item(no), Owner::Visited, 10 + no).expect("put");
        if no == 10 {
            store
                .record_checked(&item(3).target(), true, 1, 50_000)
                .expect("noted");
            store.tick(1_000).expect("ticks");
        }
    }
    let there = |no: u64| store.record(&item(no).target()).expect("reads").is_some();
    assert!(
        !there(0) && !there(500),
        "the oldest five hundred and what was too many"
    );
    assert!(there(501) && there(10_000) && there(99_999));
    assert!(there(3), "looked for lately");
}

#[test]
fn others_items_expire() {
    let dir = quick_folder();
    let mut store = open(dir.path());
    let item = |no, expires| DhtItem {
        target: Target([no; 20]),
        raw: Bytes::from_static(b"d1:v1:xe"),
        expires,
    };
    store
        .set_dht_items(&[item(1, 100), item(2, 200), item(3, 300)])
        .expect("set");
    let mut gone = item(3, 300);
    gone.raw = Bytes::new();
    store.set_dht_items(&[gone]).expect("removed");
    store = again(store, dir.path());
    assert_eq!(
        store.dht_items(50, 10).expect("rows"),
        [item(1, 100), item(2, 200)]
    );
    assert_eq!(store.dht_items(50, 1).expect("rows").len(), 1);
    assert_eq!(store.dht_items(150, 10).expect("rows"), [item(2, 200)]);
    assert_eq!(
        store.dht_items(50, 10).expect("rows"),
        [item(2, 200)],
        "the expired one is gone"
    );
}
