use std::{net::IpAddr, time::Instant};

use granary_lan::settings::Blocked;
use hickory_proto::{op::ResponseCode, rr::RecordType};

use super::world::{World, a, addrs, question, txt, until};

fn addr(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[tokio::test]
async fn equal_questions_under_way_are_asked_once() {
    let world = World::start(|_| {}).await;
    world.upstream.set_silent(true);
    let packet = question("slow.example.", RecordType::A);
    let asks = (0..20).map(|_| world.send(&packet));
    let all = futures_util::future::join_all(asks);
    let unlock = async {
        until("the first question", async || world.upstream.asked() > 0).await;
        world.upstream.set_silent(false);
    };
    let (replies, ()) = tokio::join!(all, unlock);
    assert!(replies.iter().all(|reply| reply.is_some()));
    // The upstream side asks again when nobody answers; nobody asks for each device.
    assert!(world.upstream.asked() < 20, "{}", world.upstream.asked());
    world.stop().await;
}

#[tokio::test]
async fn an_old_answer_is_given_when_no_upstream_answers() {
    let world = World::start(|_| {}).await;
    world
        .upstream
        .script(|name, _| Some(vec![a(name, 1, [192, 0, 2, 7])]));
    assert_eq!(
        addrs(&world.ask("www.example.", RecordType::A).await),
        [addr("192.0.2.7")]
    );
    world.upstream.set_silent(true);
    // The answer counts for a second.
    until("the old answer", async || {
        let reply = world.ask("www.example.", RecordType::A).await;
        assert_eq!(addrs(&reply), [addr("192.0.2.7")]);
        world.status().dns.stale > 0
    })
    .await;
    // Then nobody waits any more.
    let began = Instant::now();
    let reply = world.ask("www.example.", RecordType::A).await;
    assert_eq!(
        (addrs(&reply), reply.answers[0].ttl),
        (vec![addr("192.0.2.7")], 30)
    );
    assert!(began.elapsed().as_millis() < 1_000);
    let reply = world.ask("unknown.example.", RecordType::A).await;
    assert_eq!(reply.metadata.response_code, ResponseCode::ServFail);
    world.stop().await;
}

#[tokio::test]
async fn addresses_of_the_home_are_kept_from_public_names() {
    let world = World::start(|settings| {
        settings.dns.rebind_allow = vec!["plex.direct".into()];
    })
    .await;
    world
        .upstream
        .script(|name, _| Some(vec![a(name, 60, [192, 168, 1, 1])]));
    assert!(world.ask("evil.example.", RecordType::A).await.answers.is_empty());
    let reply = world.ask("1-2.x.plex.direct.", RecordType::A).await;
    assert_eq!(addrs(&reply), [addr("192.168.1.1")]);
    assert_eq!(
        addrs(&world.ask("nas.fritz.box.", RecordType::A).await),
        [addr("192.168.1.1")]
    );
    world.stop().await;
}

#[tokio::test]
async fn blocked_names_are_not_forwarded_and_counted_when_asked_for() {
    let world = World::start(|settings| {
        settings.block.enabled = true;
        settings.block.answer = Blocked::Nxdomain;
        settings.block.count_names = true;
        settings.block.deny = vec!["ads.example".into()];
    })
    .await;
    let reply = world.ask("x.ads.example.", RecordType::A).await;
    assert_eq!(reply.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!((world.upstream.asked(), world.status().dns.blocked), (0, 1));
    assert!(world.status().block.enabled);
    world.stop().await;
}

#[tokio::test]
async fn a_marker_is_answered_at_once_and_right_a_moment_later() {
    let world = World::start(|settings| settings.dns.markers = true).await;
    world.upstream.script(|name, rtype| match (name, rtype) {
        ("_btlink.linked.example", RecordType::TXT) => {
            let hash = "951ead31d09e4049fc1f21f137e233dd0589fcbd";
            Some(vec![txt(name, &format!("magnet:?xt=urn:btih:{hash}"))])
        }
        _ => None,
    });
    let mark = async |name: &str| {
        let reply = world.ask(name, RecordType::A).await;
        (addrs(&reply)[0], reply.answers[0].ttl)
    };
    assert_eq!(mark("linked.example.q.btlink.").await, (addr("198.19.66.78"), 3));
    until("the link record", async || {
        mark("linked.example.q.btlink.").await == (addr("198.19.66.84"), 60)
    })
    .await;
    until("no link record", async || {
        mark("other.example.q.btlink.").await == (addr("198.19.66.78"), 60)
    })
    .await;
    assert_eq!(mark("10.q.btlink.").await, (addr("198.19.66.78"), 60));
    let names = world.upstream.names();
    assert!(names.iter().all(|name| name.starts_with("_btlink.")), "{names:?}");
    world.stop().await;
}

#[tokio::test]
async fn markers_ask_nobody_unless_switched_on() {
    let world = World::start(|_| {}).await;
    let reply = world.ask("linked.example.q.btlink.", RecordType::A).await;
    assert_eq!(
        (addrs(&reply), reply.answers[0].ttl),
        (vec![addr("198.19.66.78")], 60)
    );
    assert_eq!(world.upstream.asked(), 0);
    world.stop().await;
}
