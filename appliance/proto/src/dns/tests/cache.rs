use super::super::{
    digest::{Asked, digest},
    packets::{Rr, key, question, read, response, show, with_opt},
    rtype::A,
};
use super::*;

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn answer(text: &str, ttl: u32) -> Digest {
    let packet = question(text, A);
    let query = read(&packet);
    let asked = Asked {
        name: query.name.wire(),
        qtype: A,
        qclass: 1,
        dnssec_ok: false,
        public: true,
    };
    let whole = response(
        &packet,
        0x81a0,
        [&[Rr(text, A, ttl, vec![192, 0, 2, 1])], &[], &[]],
    );
    digest(&whole, &asked).expect("it is good")
}

fn put(cache: &mut Cache, text: &str, ttl: u32, now: Duration) {
    let packet = question(text, A);
    let query = read(&packet);
    cache.insert(&key(&query), &answer(text, ttl), now);
}

/// What is found, and what goes out.
fn ask(cache: &mut Cache, packet: &[u8], now: Duration) -> (Found, String) {
    let (found, out) = bytes(cache, packet, now);
    let shown = if out.is_empty() { String::new() } else { show(&out) };
    (found, shown)
}

fn bytes(cache: &mut Cache, packet: &[u8], now: Duration) -> (Found, Vec<u8>) {
    let query = read(packet);
    let key = key(&query);
    let hash = cache.hash(&key);
    let found = cache.find(&key, hash, now);
    let mut out = Vec::new();
    if let Found::Fresh(at) | Found::Renew(at) | Found::Stale { at, .. } = found {
        cache.write(at, &query, now, &Way::udp(&query), &mut out);
    }
    (found, out)
}

#[test]
fn an_answer_goes_out_with_the_askers_letters_and_an_aged_ttl() {
    let mut cache = Cache::new(10);
    put(&mut cache, "www.example", 60, secs(100));
    let (found, text) = ask(&mut cache, &question("WWW.eXample", A), secs(125));
    assert!(matches!(found, Found::Fresh(_)));
    assert_eq!(text, "rcode 0 rd ra; an WWW.eXample 1 35 192.0.2.1");
    // Authentic data are told to who asks for it, in both ways.
    let mut packet = question("www.example", A);
    packet[3] |= 0x20;
    assert_eq!(
        ask(&mut cache, &packet, secs(100)).1,
        "rcode 0 rd ra ad; an www.example 1 60 192.0.2.1"
    );
    assert_eq!(
        ask(&mut cache, &question("www.example", 28), secs(100)).0,
        Found::Nothing
    );
    assert_eq!(
        ask(&mut cache, &question("ww.example", A), secs(100)).0,
        Found::Nothing
    );
}

#[test]
fn questions_with_dnssec_are_others() {
    let mut cache = Cache::new(10);
    put(&mut cache, "www.example", 60, secs(0));
    let packet = with_opt(question("www.example", A), 1232, 0, 0x80, &[]);
    assert_eq!(ask(&mut cache, &packet, secs(0)).0, Found::Nothing);
    let mut packet = question("www.example", A);
    packet[3] |= 0x10;
    assert_eq!(ask(&mut cache, &packet, secs(0)).0, Found::Nothing);
    let packet = with_opt(question("www.example", A), 1232, 0, 0, &[]);
    assert_eq!(
        ask(&mut cache, &packet, secs(0)).1,
        "rcode 0 rd ra; an www.example 1 60 192.0.2.1; opt 1232 0 bytes"
    );
}

#[test]
fn an_old_answer_is_better_than_none() {
    let mut cache = Cache::new(10);
    put(&mut cache, "www.example", 60, secs(0));
    let packet = with_opt(question("www.example", A), 1232, 0, 0, &[]);
    let (found, text) = ask(&mut cache, &packet, secs(60));
    assert!(matches!(found, Found::Stale { ask: true, .. }));
    assert_eq!(
        text,
        "rcode 0 rd ra; an www.example 1 30 192.0.2.1; opt 1232 6 bytes"
    );
    // Nobody answered: it is not asked again for a while.
    let query = read(&packet);
    cache.fail(&key(&query), Why::Unreachable, secs(61));
    assert!(matches!(
        ask(&mut cache, &packet, secs(90)).0,
        Found::Stale { ask: false, .. }
    ));
    assert!(matches!(
        ask(&mut cache, &packet, secs(91)).0,
        Found::Stale { ask: true, .. }
    ));
    let last = secs(60) + STALE_MAX;
    assert!(matches!(
        ask(&mut cache, &packet, last - secs(1)).0,
        Found::Stale { .. }
    ));
    assert_eq!(ask(&mut cache, &packet, last).0, Found::Nothing);
    // An answer whose proof is wrong does not hide behind an old one.
    cache.fail(&key(&query), Why::Bogus, secs(100));
    assert_eq!(
        ask(&mut cache, &packet, secs(100)).1,
        "rcode 2 rd ra; opt 1232 6 bytes"
    );
    let (_, out) = bytes(&mut cache, &packet, secs(100));
    assert!(out.ends_with(&[0, 15, 0, 2, 0, 6]), "RFC 8914 4.7: DNSSEC bogus");
}

#[test]
fn a_failure_is_kept_for_a_moment() {
    let mut cache = Cache::new(10);
    let packet = question("www.example", A);
    let query = read(&packet);
    cache.fail(&key(&query), Why::Unreachable, secs(10));
    assert_eq!(ask(&mut cache, &packet, secs(10)).1, "rcode 2 rd ra");
    assert_eq!(ask(&mut cache, &packet, secs(11)).0, Found::Nothing);
    put(&mut cache, "www.example", 60, secs(11));
    assert!(matches!(ask(&mut cache, &packet, secs(11)).0, Found::Fresh(_)));
}

#[test]
fn popular_answers_are_renewed_before_they_end() {
    let mut cache = Cache::new(10);
    put(&mut cache, "www.example", 100, secs(0));
    let packet = question("www.example", A);
    for _ in 0..3 {
        assert!(matches!(ask(&mut cache, &packet, secs(80)).0, Found::Fresh(_)));
    }
    assert!(matches!(ask(&mut cache, &packet, secs(90)).0, Found::Renew(_)));
    // Once.
    assert!(matches!(ask(&mut cache, &packet, secs(91)).0, Found::Fresh(_)));
    put(&mut cache, "rare.example", 100, secs(0));
    assert!(matches!(
        ask(&mut cache, &question("rare.example", A), secs(95)).0,
        Found::Fresh(_)
    ));
}

#[test]
fn a_full_cache_keeps_what_is_asked_for() {
    let mut cache = Cache::new(100);
    put(&mut cache, "often.example", 3600, secs(0));
    for n in 0..1_000 {
        put(&mut cache, &format!("{n}.example"), 3600, secs(1));
        if n % 10 == 0 {
            assert!(
                matches!(
                    ask(&mut cache, &question("often.example", A), secs(1)).0,
                    Found::Fresh(_)
                ),
                "{n}"
            );
        }
    }
    assert_eq!((cache.len(), cache.index.len()), (100, 100));
    for (at, place) in cache.places.iter().enumerate() {
        assert_eq!(cache.index.get(&place.hash), Some(&(at as u32)));
    }
    let bytes: usize = cache.places.iter().map(cost).sum();
    assert_eq!(cache.bytes(), bytes);
    cache.resize(7);
    assert_eq!(cache.len(), 7);
    cache.resize(0);
    put(&mut cache, "a.example", 60, secs(0));
    assert!(cache.is_empty() && cache.bytes() == 0);
}

#[test]
fn large_answers_take_the_place_of_many() {
    let mut cache = Cache::new(100);
    for n in 0..100 {
        let text = format!("{n}.example");
        let packet = question(&text, A);
        let query = read(&packet);
        let mut digest = answer(&text, 60);
        digest.image.resize(8_000, 0);
        cache.insert(&key(&query), &digest, secs(0));
    }
    assert!(cache.bytes() <= 100 * BYTES_PER_ENTRY && !cache.is_empty());
}

#[test]
fn an_answer_that_does_not_fit_is_cut_and_says_so() {
    let packet = question("www.example", 16);
    let query = read(&packet);
    let text = [vec![255], vec![b'x'; 255]].concat().repeat(4);
    let whole = response(&packet, 0x8180, [&[Rr("www.example", 16, 60, text)], &[], &[]]);
    let asked = Asked {
        name: query.name.wire(),
        qtype: 16,
        qclass: 1,
        dnssec_ok: false,
        public: true,
    };
    let digest = digest(&whole, &asked).expect("good");
    let mut out = Vec::new();
    write_new(&digest, &query, &Way::udp(&query), &mut out);
    assert_eq!(show(&out), "rcode 0 tc rd ra");
    write_new(&digest, &query, &Way::stream(false, None), &mut out);
    assert_eq!(show(&out), "rcode 0 rd ra; an www.example 16 60 1024 bytes");
    let with = with_opt(packet, 4096, 0, 0, &[]);
    let query = read(&with);
    write_new(&digest, &query, &Way::udp(&query), &mut out);
    assert!(out.len() <= 1232);
    assert_eq!(
        show(&out),
        "rcode 0 rd ra; an www.example 16 60 1024 bytes; opt 1232 0 bytes"
    );
}
