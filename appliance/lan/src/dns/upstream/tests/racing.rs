//! Slow, dead and returning servers. Time is paused: waits end when nothing else happens.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::{super::Error, world::*};

/// A server that is silent while the switch is off.
async fn switched(world: &World, last: u8) -> (Fake, Arc<AtomicBool>) {
    let on = Arc::new(AtomicBool::new(true));
    let seen = on.clone();
    let fake = fake(&world.tasks, move |asked| match seen.load(Ordering::Relaxed) {
        true => vec![good(asked, last)],
        false => Vec::new(),
    })
    .await;
    (fake, on)
}

#[tokio::test(start_paused = true)]
async fn when_the_first_is_silent_the_second_is_asked_and_the_first_goes_down() {
    let nobody = world(&[]);
    let (first, on) = switched(&nobody, 1).await;
    let (second, _) = switched(&nobody, 2).await;
    on.store(false, Ordering::Relaxed);
    let world = world(&[first.text(), second.text()]);
    let upstreams = world.upstreams();
    let mut slow = 0;
    for n in 0..40 {
        let start = Instant::now();
        let message = upstreams
            .ask(&query(&format!("n{n}.example")))
            .await
            .expect("answered");
        assert_eq!(last_of(&message), 2);
        assert!(
            start.elapsed() <= Duration::from_millis(400),
            "{:?}",
            start.elapsed()
        );
        slow += u32::from(start.elapsed() > Duration::from_millis(100));
        sleep(Duration::from_millis(100)).await;
    }
    assert!(slow <= 6, "{slow} questions waited for a dead server");
    assert!(!upstreams.facts()[0].healthy && upstreams.facts()[1].healthy);

    on.store(true, Ordering::Relaxed);
    let back = Instant::now();
    while !upstreams.facts()[0].healthy {
        sleep(Duration::from_millis(50)).await;
        upstreams.ask(&query("example")).await.expect("answered");
        assert!(back.elapsed() < Duration::from_secs(5), "it is not tried again");
    }
    assert!(
        back.elapsed() <= Duration::from_millis(2_500),
        "{:?}",
        back.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn when_all_are_down_the_error_comes_soon_and_the_first_answer_ends_it() {
    let nobody = world(&[]);
    let (only, on) = switched(&nobody, 1).await;
    let world = world(&[only.text()]);
    let upstreams = world.upstreams();
    upstreams.ask(&query("example")).await.expect("answered");
    on.store(false, Ordering::Relaxed);
    let start = Instant::now();
    assert_eq!(upstreams.ask(&query("a.example")).await, Err(Error::Silent));
    assert!(start.elapsed() <= Duration::from_secs(5), "{:?}", start.elapsed());
    while upstreams.facts()[0].healthy {
        let _ = upstreams.ask(&query("b.example")).await;
        assert!(start.elapsed() < Duration::from_secs(30));
    }
    let start = Instant::now();
    assert_eq!(upstreams.ask(&query("c.example")).await, Err(Error::Silent));
    assert!(
        start.elapsed() <= Duration::from_millis(1_010),
        "{:?}",
        start.elapsed()
    );
    on.store(true, Ordering::Relaxed);
    let start = Instant::now();
    upstreams.ask(&query("d.example")).await.expect("it is back");
    assert!(
        start.elapsed() < Duration::from_millis(100),
        "{:?}",
        start.elapsed()
    );
    assert!(upstreams.facts()[0].healthy);
}

#[tokio::test(start_paused = true)]
async fn a_lost_datagram_is_sent_again_from_another_port() {
    let nobody = world(&[]);
    let lossy = fake(&nobody.tasks, |asked| match asked.nth {
        0 => Vec::new(),
        _ => vec![good(asked, 1)],
    })
    .await;
    let world = world(&[lossy.text()]);
    let start = Instant::now();
    world.upstreams().ask(&query("example")).await.expect("answered");
    assert!(
        start.elapsed() < Duration::from_millis(500),
        "{:?}",
        start.elapsed()
    );
    let asked = lossy.asked();
    assert!(asked.len() == 2 && asked[0].from != asked[1].from);
}

#[tokio::test]
async fn a_server_that_cannot_answer_gives_way_to_one_that_can() {
    let nobody = world(&[]);
    let failing = fake(&nobody.tasks, |asked| {
        let mut message = asked.bytes[..asked.question_end()].to_vec();
        message[2] = 0x81;
        message[3] = 0x82;
        message[6..12].fill(0);
        vec![message]
    })
    .await;
    let able = fake(&nobody.tasks, |asked| vec![good(asked, 2)]).await;
    let both = world(&[failing.text(), able.text()]);
    let message = both.upstreams().ask(&query("example")).await.expect("answered");
    assert_eq!(last_of(&message), 2);

    let alone = world(&[failing.text()]);
    let message = alone
        .upstreams()
        .ask(&query("example"))
        .await
        .expect("its answer");
    assert_eq!(message[3] & 0xf, 2);
    assert!(
        alone.upstreams().facts()[0].healthy,
        "the name may be broken, not the server"
    );
}

#[tokio::test]
async fn a_closed_port_costs_nothing() {
    let nobody = world(&[]);
    let able = fake(&nobody.tasks, |asked| vec![good(asked, 2)]).await;
    let closed = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let text = closed.local_addr().expect("bound").to_string();
    drop(closed);
    let world = world(&[text, able.text()]);
    let upstreams = world.upstreams();
    let message = upstreams.ask(&query("example")).await.expect("answered");
    assert_eq!(last_of(&message), 2);
    assert!(!upstreams.facts()[0].healthy);
}
