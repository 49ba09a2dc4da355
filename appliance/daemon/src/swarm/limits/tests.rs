use std::net::{IpAddr, Ipv4Addr};

use super::*;

const TORRENT: InfoHash = InfoHash([1; 20]);

fn limited(up: u64) -> Limits {
    Limits::new(Settings {
        rates: Rates { up, down: 0 },
        ..Settings::default()
    })
}

/// Bytes that pass in `secs`, asking for 16 KiB blocks as fast as allowed.
async fn passed(limits: &Limits, secs: u64) -> u64 {
    let end = Instant::now() + Duration::from_secs(secs);
    let mut bytes = 0;
    while Instant::now() < end {
        match limits.take(&TORRENT, 16384) {
            Ok(()) => bytes += 16384,
            Err(wait) => tokio::time::sleep(wait).await,
        }
    }
    bytes
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_kept_within_ten_percent() {
    for rate in [RATE_MIN, 200_000, 2 << 20, 100 << 20] {
        let bytes = passed(&limited(rate), 20).await as f64;
        let expected = (rate * 20) as f64;
        assert!(
            (bytes / expected - 1.0).abs() < 0.1,
            "{rate} B/s: {bytes} of {expected}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_below_the_minimum_is_raised_and_zero_is_unlimited() {
    let bytes = passed(&limited(1), 20).await;
    assert!((RATE_MIN * 18..=RATE_MIN * 22).contains(&bytes), "{bytes}");
    assert_eq!(limited(0).take(&TORRENT, u64::MAX / 2), Ok(()));
    let limits = limited(RATE_MIN);
    limits.take(&TORRENT, 1 << 30).expect("debt");
    assert!(limits.take(&TORRENT, 1).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_torrent_keeps_its_own_rate_under_the_global_one() {
    let limits = limited(10 << 20);
    limits.set_torrent(TORRENT, Some(100_000));
    let bytes = passed(&limits, 20).await;
    assert!((1_800_000..=2_200_000).contains(&bytes), "{bytes}");
    limits.set_torrent(TORRENT, None);
    assert!(passed(&limits, 1).await > 5 << 20);
}

#[tokio::test(start_paused = true)]
async fn the_schedule_changes_the_rate_and_tells_the_engine() {
    let night = Rates { up: 5 << 20, down: 0 };
    let limits = Limits::new(Settings {
        rates: Rates { up: 100_000, down: 0 },
        schedule: Schedule::new(vec![Span {
            from: 0,
            until: 6,
            rates: night,
        }]),
        ..Settings::default()
    });
    let mut told = limits.rates();
    limits.minute_begins(3);
    assert!(told.has_changed().expect("alive"));
    assert_eq!(*told.borrow_and_update(), night);
    limits.minute_begins(4);
    assert!(!told.has_changed().expect("alive"));
    limits.minute_begins(7);
    assert_eq!(told.borrow().up, 100_000);
}

fn ip(last: u8) -> IpAddr {
    Ipv4Addr::new(198, 51, 100, last).into()
}

#[tokio::test(start_paused = true)]
async fn seats_are_counted_per_source_torrent_and_house() {
    let limits = Limits::new(Settings {
        caps: Caps {
            global: 4,
            per_torrent: 2,
            per_source: 2,
        },
        ..Settings::default()
    });
    let seats = limits.seats();
    let a = seats.admit(ip(1)).expect("first");
    let b = seats.admit(ip(1)).expect("second");
    assert!(seats.admit(ip(1)).is_none(), "third of one source");
    let c = seats.admit(ip(2)).expect("other source");
    assert!(a.join(TORRENT) && b.join(TORRENT));
    assert!(!c.join(TORRENT), "third of one torrent");
    assert!(c.join(InfoHash([2; 20])));
    let _d = seats.admit(ip(3)).expect("fourth");
    assert!(seats.admit(ip(4)).is_none(), "the house is full of useful peers");
    drop(a);
    assert_eq!(seats.taken(), 3);
    assert!(seats.admit(ip(4)).is_some());
}

#[tokio::test(start_paused = true)]
async fn the_longest_useless_peer_gives_way_when_the_house_is_full() {
    let limits = Limits::new(Settings {
        caps: Caps {
            global: 2,
            per_torrent: 2,
            per_source: 2,
        },
        ..Settings::default()
    });
    let idle = limits.seats().admit(ip(1)).expect("first");
    let busy = limits.seats().admit(ip(2)).expect("second");
    tokio::time::advance(Duration::from_secs(60)).await;
    busy.useful();
    let _new = limits.seats().admit(ip(3)).expect("takes the idle one's place");
    assert!(idle.leave().is_cancelled() && !busy.leave().is_cancelled());
    assert!(limits.seats().admit(ip(4)).is_none());
    assert_eq!(limits.seats().taken(), 2);
    drop(idle);
    assert_eq!(limits.seats().taken(), 2);
}

#[tokio::test(start_paused = true)]
async fn new_settings_keep_to_the_hour_and_the_engine_is_paid_for() {
    let span = |up| Settings {
        schedule: Schedule::new(vec![Span {
            from: 2,
            until: 4,
            rates: Rates { up, down: 0 },
        }]),
        ..Settings::default()
    };
    let limits = Limits::new(span(100_000));
    assert_eq!(limits.rates().borrow().up, 0, "the hour is not known yet");
    limits.minute_begins(3);
    assert_eq!(limits.rates().borrow().up, 100_000);
    limits.set(span(200_000));
    assert_eq!(limits.rates().borrow().up, 200_000, "still that hour");

    assert_eq!(
        [0, 1000, 200_000].map(Limits::engine_share),
        [0, RATE_MIN, 100_000]
    );
    // The engine uses its share; what passes beside it is the rest.
    let end = Instant::now() + Duration::from_secs(20);
    let mut bytes = 0;
    while Instant::now() < end {
        limits.owe(50_000);
        let look = Instant::now() + Duration::from_millis(500);
        while Instant::now() < look {
            match limits.take(&TORRENT, 16384) {
                Ok(()) => bytes += 16384,
                Err(wait) => tokio::time::sleep(wait.min(look - Instant::now())).await,
            }
        }
    }
    assert!((1_800_000..=2_200_000).contains(&bytes), "{bytes}");
}
