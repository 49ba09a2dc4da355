//! Deeds on the rows of what the household follows and of who may enter, and what must hold of them after a power cut:
//! what was acknowledged is there, a record's number never goes down, what was removed stays away.

use std::collections::{BTreeMap, BTreeSet};

use granary_store::{
    Account, ApiToken, Error, Owner, RecordRow, Role, Session, Store, Subscription, TargetWork, VersionState,
};
use proto::{
    id::{InfoHash, Target},
    key::PublicKey,
    record::{Mutable, torrent_value},
};

use super::Dice;

/// What the store promised of rows. `None`: that there is no such row. Not in the map: either is right.
#[derive(Debug, Clone, Default)]
pub struct Household {
    records: BTreeMap<Target, RecordRow>,
    /// Every item ever offered: what stands in a row is one of them.
    offered: BTreeSet<(Target, i64, Vec<u8>)>,
    subscriptions: BTreeMap<Target, Option<Subscription>>,
    accounts: BTreeMap<String, Option<Account>>,
    tokens: BTreeMap<[u8; 32], bool>,
    petnames: BTreeMap<String, Option<String>>,
    sessions: BTreeMap<[u8; 32], bool>,
}

impl Household {
    /// What holds even when the state file is lost: visited records and sessions are not in its copy.
    pub fn without_state(mut self) -> Self {
        self.records.retain(|_, row| row.owner > Owner::Visited);
        self.sessions.retain(|_, there| !*there);
        self
    }
}

fn item(key: u64, seq: i64, variant: u64) -> Mutable {
    Mutable {
        key: PublicKey([key as u8; 32]),
        salt: vec![b's'; key as usize % 3],
        seq,
        value: torrent_value(&InfoHash([seq as u8 ^ variant as u8; 20])),
        sig: [seq as u8; 64],
    }
}

fn subscription(no: u64, dice: &mut Dice) -> Subscription {
    Subscription {
        id: Target([no as u8; 20]),
        address: format!("{no}-pk"),
        title: format!("title {}", dice.roll(100)),
        name: String::new(),
        added: dice.roll(100),
        paused: dice.roll(2) == 0,
        blocked: false,
        quota_bytes: dice.roll(100),
        keep_versions: 2,
        pinned: vec![InfoHash([3; 20])],
        versions: vec![(InfoHash([dice.roll(200) as u8; 20]), VersionState::Here)],
        whole: None,
        trackers: vec![],
        last_checked: 0,
        last_heard: 0,
        last_changed: dice.roll(100),
        interval_secs: 0,
        trouble: String::new(),
        failures: 0,
    }
}

/// One row of each kind that is kept twice.
pub fn settle(store: &Store) {
    let mut dice = Dice(9);
    for seq in 1..=3 {
        store.put_record(&item(1, seq, 0), Owner::Me, 20).expect("put");
        store
            .put_record(&item(2, seq, 0), Owner::Followed, 20)
            .expect("put");
    }
    for no in 0..3 {
        let row = subscription(no, &mut dice);
        store.put_subscription(&row).expect("put");
    }
    store.remove_subscription(&Target([2; 20])).expect("removed");
    store.set_petname("news", "abc-pk").expect("set");
    let account = Account {
        name: "ann".into(),
        role: Role::Owner,
        password: "$argon2id$".into(),
        added: 1,
    };
    store.put_account(&account).expect("put");
    let token = ApiToken {
        id: [5; 32],
        name: "backup".into(),
        account: "ann".into(),
        since: 1,
        used: 2,
    };
    store.put_api_token(&token).expect("put");
}

/// Subscriptions with fifty versions and records with ten.
pub fn many(store: &Store, count: u64) {
    let mut dice = Dice(3);
    for no in 0..count {
        let mut row = subscription(no, &mut dice);
        row.id = Target(dice.bytes(20).try_into().expect("20 bytes"));
        row.versions = vec![(InfoHash([5; 20]), VersionState::Here); 50];
        store.put_subscription(&row).expect("put");
        for seq in 1..=10 {
            let mut item = item(no, seq, 0);
            item.key = PublicKey(Dice(no + 1).bytes(32).try_into().expect("32 bytes"));
            store.put_record(&item, Owner::Followed, 20).expect("put");
        }
    }
}

/// What [`settle`] left: nothing more, nothing less.
pub fn assert_settled(store: &Store, what: &str) {
    let mut dice = Dice(9);
    let rows = store.records(Owner::Visited, None, 10).expect("rows");
    assert_eq!(rows.len(), 2, "{what}");
    for (key, owner) in [(1, Owner::Me), (2, Owner::Followed)] {
        let row = store
            .record(&item(key, 1, 0).target())
            .expect("reads")
            .expect(what);
        assert_eq!(
            (row.item, row.owner, row.history.len()),
            (item(key, 3, 0), owner, 3),
            "{what}"
        );
    }
    let wanted: Vec<Subscription> = (0..2).map(|no| subscription(no, &mut dice)).collect();
    assert_eq!(store.subscriptions(None, 9).expect("rows"), wanted, "{what}");
    assert_eq!(store.petnames().expect("rows").len(), 1, "{what}");
    let account = store.account("ann").expect("reads").expect(what);
    assert_eq!(
        (account.role, &account.password[..]),
        (Role::Owner, "$argon2id$"),
        "{what}"
    );
    let token = store.api_token(&[5; 32]).expect("reads").expect(what);
    assert_eq!(
        (&token.name[..], &token.account[..], token.used),
        ("backup", "ann", 2),
        "{what}"
    );
    assert_eq!(check_due(store).expect("reads"), Ok(()), "{what}");
}

/// One random deed. What is in doubt while it runs is no promise; a record's number is one all the time.
pub fn deed(store: &Store, dice: &mut Dice, mut promised: impl FnMut(&mut dyn FnMut(&mut Household))) {
    match dice.roll(10) {
        0..=4 => put_record(store, dice, &mut promised),
        5 => lower(store, dice, &mut promised),
        6 | 7 => subscribe(store, dice, &mut promised),
        8 => enter(store, dice, &mut promised),
        _ => name(store, dice, &mut promised),
    }
}

type Promised<'a> = dyn FnMut(&mut dyn FnMut(&mut Household)) + 'a;

fn put_record(store: &Store, dice: &mut Dice, promised: &mut Promised) {
    let item = item(dice.roll(4), 1 + dice.roll(30) as i64, dice.roll(2) * 64);
    let target = item.target();
    let owner = [Owner::Visited, Owner::Followed, Owner::Me][dice.roll(3) as usize];
    promised(&mut |house| {
        house.offered.insert((target, item.seq, item.value.clone()));
    });
    if let Ok(out) = store.put_record(&item, owner, 50) {
        promised(&mut |house| drop(house.records.insert(target, out.row.clone())));
    }
    let _ = store.record_checked(&target, true, 3, dice.roll(1000));
}

fn lower(store: &Store, dice: &mut Dice, promised: &mut Promised) {
    let target = item(dice.roll(4), 1, 0).target();
    promised(&mut |house| {
        if let Some(row) = house.records.get_mut(&target) {
            row.owner = Owner::Visited;
        }
    });
    let _ = store.set_record_owner(&target, Owner::Visited);
}

fn subscribe(store: &Store, dice: &mut Dice, promised: &mut Promised) {
    let row = subscription(dice.roll(4), dice);
    promised(&mut |house| drop(house.subscriptions.remove(&row.id)));
    let done = match dice.roll(4) {
        0 => store.remove_subscription(&row.id).map(|()| None),
        1 => {
            let title = row.title.clone();
            let changed = store.change_subscription(&row.id, move |row| row.title.clone_from(&title));
            changed.and_then(|_| store.subscription(&row.id))
        }
        2 => {
            let looked = store.change_subscription(&row.id, |row| row.failures += 1);
            looked.and_then(|_| store.subscription(&row.id))
        }
        _ => store.put_subscription(&row).map(|()| Some(row.clone())),
    };
    if let Ok(now) = done {
        promised(&mut |house| drop(house.subscriptions.insert(row.id, now.clone())));
    }
}

fn enter(store: &Store, dice: &mut Dice, promised: &mut Promised) {
    let (no, name) = (dice.roll(3), format!("person {}", dice.roll(3)));
    let id = [no as u8; 32];
    promised(&mut |house| {
        house.accounts.remove(&name);
        house.tokens.clear();
        house.sessions.clear();
    });
    let account = Account {
        name: name.clone(),
        role: Role::Owner,
        password: format!("$argon2id${}", dice.roll(1000)),
        added: 1,
    };
    let (since, used) = (dice.roll(50), 0);
    let session = Session {
        id,
        account: name.clone(),
        since,
        used,
    };
    let token = ApiToken {
        id,
        name: "token".into(),
        account: name.clone(),
        since,
        used,
    };
    let (account_there, passes_there) = match dice.roll(4) {
        0 => (store.remove_account(&name).ok().map(|()| None), None),
        1 => {
            let gone = store
                .remove_session(&id)
                .and_then(|()| store.remove_api_token(&id));
            (None, gone.ok().map(|()| false))
        }
        _ => {
            let put = store.put_account(&account).map(|()| Some(account));
            let passes = store
                .put_session(&session)
                .and_then(|()| store.put_api_token(&token));
            (put.ok(), passes.ok().map(|()| true))
        }
    };
    promised(&mut |house| {
        if let Some(account) = &account_there {
            house.accounts.insert(name.clone(), account.clone());
        }
        if let Some(there) = passes_there {
            house.tokens.insert(id, there);
            house.sessions.insert(id, there);
        }
    });
}

fn name(store: &Store, dice: &mut Dice, promised: &mut Promised) {
    let name = format!("name{}", dice.roll(3));
    let address = [String::new(), format!("{}-pk", dice.roll(99))][dice.roll(2) as usize].clone();
    promised(&mut |house| drop(house.petnames.remove(&name)));
    if store.set_petname(&name, &address).is_ok() {
        let there = (!address.is_empty()).then_some(address);
        promised(&mut |house| drop(house.petnames.insert(name.clone(), there.clone())));
    }
}

/// What of a subscription may not be lost.
fn hard(mut row: Subscription) -> Subscription {
    (row.last_checked, row.last_heard, row.interval_secs, row.failures) = (0, 0, 0, 0);
    row.trouble.clear();
    row
}

/// Everything that must hold. `Err` is a sentence.
pub fn check(store: &Store, promised: &Household) -> Result<(), String> {
    let say = |err: Error| format!("reading rows: {err}");
    for (target, row) in &promised.records {
        let found = store.record(target).map_err(say)?;
        let found = found.ok_or_else(|| format!("record {target} is lost"))?;
        check_record(&found, row, promised)?;
    }
    for (id, row) in &promised.subscriptions {
        let found = store.subscription(id).map_err(say)?;
        if found.clone().map(hard) != row.clone().map(hard) {
            return Err(format!("subscription: {row:?} became {found:?}"));
        }
    }
    for (name, account) in &promised.accounts {
        if store.account(name).map_err(say)? != *account {
            return Err(format!("account {name} is not as promised"));
        }
    }
    for (id, there) in &promised.tokens {
        if store.api_token(id).map_err(say)?.is_some() != *there {
            return Err(format!("token {} should be there: {there}", id[0]));
        }
    }
    for (id, there) in &promised.sessions {
        if store.session(id).map_err(say)?.is_some() != *there {
            return Err(format!("session {} should be there: {there}", id[0]));
        }
    }
    for (name, address) in &promised.petnames {
        if store.petname(name).map_err(say)? != *address {
            return Err(format!("name {name} is not as promised"));
        }
    }
    check_due(store).map_err(say)?
}

fn check_record(found: &RecordRow, row: &RecordRow, promised: &Household) -> Result<(), String> {
    let target = row.item.target();
    let seq = found.item.seq;
    if seq < row.item.seq {
        return Err(format!(
            "record {target} went down from {} to {seq}",
            row.item.seq
        ));
    }
    if seq == row.item.seq && found.item != row.item {
        return Err(format!("record {target} has another value under {seq}"));
    }
    let (list, offered) = (&found.history, &promised.offered);
    if !offered.contains(&(target, seq, found.item.value.clone())) {
        return Err(format!("record {target} has a value nobody offered"));
    }
    if found.owner < row.owner || found.first_infohash != row.first_infohash {
        return Err(format!("record {target}: {row:?} became {found:?}"));
    }
    let falls = list.windows(2).all(|pair| pair[0].seq > pair[1].seq);
    if !falls || list.first().map(|version| version.seq) != Some(seq) {
        return Err(format!("record {target} has the history {list:?}"));
    }
    Ok(())
}

/// Whatever is followed is due some time.
fn check_due(store: &Store) -> Result<Result<(), String>, Error> {
    let due = |work| store.due_targets(work, u64::MAX - 1, 1000);
    let refresh = due(TargetWork::Refresh)?;
    for row in store.subscriptions(None, 1000)? {
        if !refresh.iter().any(|due| due.0 == row.id) {
            return Ok(Err(format!("subscription {} is never looked at again", row.id)));
        }
    }
    let put = due(TargetWork::RecordPut)?;
    for row in store.records(Owner::Followed, None, 1000)? {
        if !put.iter().any(|due| due.0 == row.item.target()) {
            return Ok(Err(format!("record {} is never put again", row.item.target())));
        }
    }
    Ok(Ok(()))
}
