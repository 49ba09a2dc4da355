//! What the tests draw pages from: a household with 500 subscriptions whose publishers are not nice.

use proto::{
    feed::state::State,
    id::{InfoHash, Target},
    key::PublicKey,
    record::Mutable,
};
use store::{Conflict, Keep, RecordRow, SiteRow, Subscription, Usage, Version, VersionState};

use crate::{
    admin::pages::{home, sites},
    api::Line,
    api::network::{Network, Reach},
    feeds::View,
    sharing::Given,
    swarm,
};

/// Breaks out of text, attributes, links and styles wherever something is not escaped.
pub const HOSTILE: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>&amp;</style>{}𝕳𝖔𝖘𝖙𝖎𝖑𝖊";
pub const NOW: u64 = 1_795_224_000;

pub fn hash(number: u16) -> InfoHash {
    let mut bytes = [7; 20];
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    InfoHash(bytes)
}

pub fn record(versions: u16) -> RecordRow {
    let item = Mutable {
        key: PublicKey([3; 32]),
        salt: Vec::new(),
        seq: versions.into(),
        value: b"d2:ih20:aaaaaaaaaaaaaaaaaaaae".to_vec(),
        sig: [0; 64],
    };
    let history = (0..versions).map(|age| Version {
        seq: (versions - age).into(),
        infohash: Some(hash(age)),
        seen: NOW - u64::from(age) * 90_000 - 3_600,
    });
    RecordRow {
        history: history.collect(),
        conflict: Some(Conflict {
            item: item.clone(),
            seen: NOW - 5_000,
        }),
        item,
        owner: store::Owner::Followed,
        first_seen: NOW - 8_000_000,
        first_infohash: Some(hash(versions)),
        last_checked: NOW - 600,
        last_heard: NOW - 600,
        last_changed: NOW - 3_600,
        last_put: NOW - 1_200,
        last_copies: 11,
    }
}

pub fn view(number: u16, name: &str, state: State) -> View {
    let mut id = [0; 20];
    id[..2].copy_from_slice(&number.to_be_bytes());
    let versions = 50;
    View {
        row: Subscription {
            id: Target(id),
            address: name.into(),
            title: name.into(),
            name: name.into(),
            added: NOW - 8_000_000,
            paused: false,
            blocked: false,
            quota_bytes: 0,
            keep_versions: 5,
            pinned: vec![hash(4)],
            versions: (0..versions).map(|age| (hash(age), VersionState::Here)).collect(),
            whole: Some(hash(0)),
            trackers: Vec::new(),
            last_checked: NOW - 600,
            last_heard: NOW - 600,
            last_changed: NOW - u64::from(number) * 5_000,
            interval_secs: 900,
            trouble: name.into(),
            failures: 0,
        },
        state,
        words: name.into(),
        petname: None,
        record: Some(Box::new(record(versions))),
        bytes: Some(123_456_789),
        held_bytes: 23_456_789,
        peers: 12,
        next_look: NOW + 300,
        looking: false,
    }
}

pub fn household(count: u16) -> Vec<View> {
    let states = [
        State::UpToDate,
        State::Asking { bytes: 1_300_000_000 },
        State::Updating { percent: 43 },
        State::Silent {
            since: NOW - 9_000_000,
        },
        State::NeverSeen,
        State::NotASite,
        State::Paused,
        State::Blocked,
    ];
    (0..count)
        .map(|n| {
            view(
                n,
                &format!("{n} {}", HOSTILE.repeat(3)),
                states[usize::from(n) % states.len()].clone(),
            )
        })
        .collect()
}

pub fn site(number: u16) -> sites::Row {
    sites::Row {
        site: SiteRow {
            infohash: hash(number),
            name: HOSTILE.repeat(3),
            keep: if number.is_multiple_of(2) {
                Keep::Kept
            } else {
                Keep::Visited
            },
            private: true,
            total: 4_567_890_123,
            piece_length: 1 << 18,
            pieces: 17_500,
            held: 12_000,
            added: NOW - 900_000,
            used: NOW - 900,
            uploaded: 9_876_543_210,
            downloaded: 3_210_987_654,
            trackers: Vec::new(),
        },
        progress: Some(swarm::Progress {
            pieces: 17_500,
            held: 12_000,
            peers: 14,
            down_bps: 1_234_567,
            up_bps: 234_567,
            downloaded: 1,
        }),
        of: Some(("/subscriptions/00".into(), HOSTILE.into())),
    }
}

pub fn usage() -> Usage {
    Usage {
        live_bytes: 40_000_000_000,
        disk_bytes: 43_000_000_000,
        kept_bytes: 38_000_000_000,
        visited_bytes: 2_000_000_000,
        free_bytes: 81_000_000_000,
        sites: 612,
        pieces: 400_000,
    }
}

pub fn line() -> Line {
    Line {
        peers: 31,
        dht_nodes: 412,
        down_bytes_per_sec: 1_500_000,
        up_bytes_per_sec: 640_000,
        downloaded: 12_000_000_000,
        uploaded: 19_000_000_000,
        download_bytes_per_sec_max: 0,
        upload_bytes_per_sec_max: 1_500_000,
        fetching: 2,
        port_mapping: HOSTILE.into(),
        bt_port_outside: 42_069,
        address_outside: None,
        lsd_interfaces: 1,
        searches: 1,
        trackers_resting: 3,
    }
}

pub fn network() -> Network {
    Network {
        reach: Reach::Open,
        reach_words: HOSTILE.into(),
        incoming_secs_ago: Some(60),
        dht_nodes_v4: 400,
        dht_nodes_v6: 12,
        neighbours: 2,
        upload: true,
        line: line(),
    }
}

pub fn home(views: Vec<View>) -> home::Facts {
    home::Facts {
        views,
        usage: usage(),
        line: line(),
        given: Given {
            month_bytes: 12_000_000_000,
            total_bytes: 190_000_000_000,
            resting: true,
            ..Given::default()
        },
        sharing: true,
        troubles: vec![HOSTILE.into()],
        lan: None,
        now: NOW,
        up_secs: 40_000,
        device: Some(([192, 168, 1, 2], 42080).into()),
    }
}
