use super::*;
use crate::dht::{K, id::is_secure};

#[test]
fn peers_are_found_in_a_net_of_200_nodes_of_which_every_tenth_is_dead() {
    let mut world = World::new(200, 10, 10);
    world.run(secs(60));
    let (found, mean, worst) = world.promise(20);
    assert!(found >= 0.95, "{found}");
    assert!(
        mean < Duration::from_millis(1_200) && worst < secs(3),
        "{mean:?} {worst:?}"
    );
}

#[test]
fn peers_are_found_in_a_net_of_300_nodes_of_which_half_are_dead() {
    let mut world = World::new(300, 50, 20);
    world.run(secs(60));
    let (found, mean, worst) = world.promise(20);
    assert!(found >= 0.9, "{found}");
    assert!(mean < secs(2) && worst < secs(5), "{mean:?} {worst:?}");
}

#[test]
fn peers_are_found_in_a_net_of_500_nodes() {
    let mut world = World::new(500, 20, 30);
    world.run(secs(20));
    let (found, mean, _) = world.promise(10);
    assert!(found >= 0.9, "{found}");
    assert!(mean < secs(2), "{mean:?}");
    let sizes: Vec<_> = world
        .honest()
        .into_iter()
        .map(|at| world.node(at).stats(secs(0)).nodes_v4)
        .collect();
    assert!(
        sizes.iter().all(|size| *size < 160 * K / 4),
        "tables stay small: {sizes:?}"
    );
}

#[test]
fn garbage_and_liars_near_the_target_do_not_hide_a_peer() {
    let mut world = World::new(200, 10, 40);
    world.run(secs(60));
    for n in 0..40 {
        let at = addr(10_000 + n);
        let kind = if n % 4 == 0 { Kind::Garbage } else { Kind::Sybil };
        world.kinds.insert(at, kind);
        world.liars.push(at);
    }
    // Everyone gets to know liars, as by their queries.
    for (n, at) in world.honest().into_iter().enumerate() {
        let (liar, now) = (world.liars[n % 40], world.now);
        world.node(at).ping(liar, now);
        world.flush(at);
    }
    world.run(secs(70));
    let sent = |world: &mut World| -> u64 {
        world
            .honest()
            .into_iter()
            .map(|at| world.node(at).stats(secs(0)).queries_out.total())
            .sum()
    };
    let before = sent(&mut world);
    let (found, _, worst) = world.promise(20);
    assert!(found >= 0.9, "{found}");
    assert!(worst < secs(10), "{worst:?}");
    let per_job = (sent(&mut world) - before) / 40;
    assert!(per_job < 150, "{per_job} queries per job");
}

#[test]
fn an_idle_net_is_quiet() {
    let mut world = World::new(60, 0, 50);
    world.run(secs(120));
    let total = |world: &mut World| -> u64 {
        world
            .honest()
            .into_iter()
            .map(|at| world.node(at).stats(secs(0)).queries_out.total())
            .sum()
    };
    let before = total(&mut world);
    world.run(secs(120 + 3_600));
    let per_node_and_minute = (total(&mut world) - before) as f64 / 60.0 / 60.0;
    assert!(
        per_node_and_minute < 20.0,
        "{per_node_and_minute} queries a minute"
    );
    let now = world.now;
    let good: Vec<_> = world
        .honest()
        .into_iter()
        .map(|at| world.node(at).stats(now).good_v4)
        .collect();
    assert!(
        good.iter().all(|good| *good >= K),
        "and nobody forgets the others: {good:?}"
    );
}

#[test]
fn an_announced_peer_is_forgotten_after_half_an_hour() {
    let mut world = World::new(60, 0, 60);
    world.run(secs(60));
    let honest = world.honest();
    let info_hash = Id([0x77; 20]);
    let outcome = world.job(honest[1], |node, now| node.announce(info_hash, 20_001, now));
    assert_eq!(outcome.stored.stored, K);
    let found = world.job(honest[2], |node, now| node.get_peers(info_hash, now));
    assert_eq!(found.peers, [SocketAddr::new(honest[1].ip(), 20_001)]);
    world.run(world.now + secs(31 * 60));
    let found = world.job(honest[2], |node, now| node.get_peers(info_hash, now));
    assert!(found.peers.is_empty());
}

#[test]
fn a_node_with_an_unbound_id_learns_its_address_and_takes_one_that_is_bound() {
    let mut world = World::new(60, 0, 70);
    let at = addr(5_000);
    let mut node = Node::new(Config::default(), [9; 32], Duration::ZERO);
    node.enable(Family::V4);
    node.set_routers(vec![addr(1)], Duration::ZERO);
    let old = node.id(Family::V4).expect("enabled");
    assert!(!is_secure(&old, at.ip()), "the seed is chosen so");
    world.kinds.insert(at, Kind::Honest(Box::new(node)));
    world.wake(at, Duration::ZERO);
    world.run(secs(60));
    let new = world.node(at).id(Family::V4).expect("enabled");
    assert_ne!(new, old);
    assert!(is_secure(&new, at.ip()));
    let snapshot = world.node(at).snapshot();
    let mut again = Node::new(Config::default(), [10; 32], Duration::ZERO);
    again.enable(Family::V4);
    again.restore(&snapshot, Duration::ZERO);
    assert_eq!(again.id(Family::V4), Some(new), "the id survives a restart");
    again.tick(Duration::ZERO);
    assert!(again.take_datagram().is_some(), "and so do nodes to ask");
}

#[test]
fn forged_replies_and_addresses_of_the_home_are_ignored() {
    let mut node = Node::new(Config::default(), [11; 32], Duration::ZERO);
    node.enable(Family::V4);
    node.ping(addr(1), Duration::ZERO);
    let (_, ping) = node.take_datagram().expect("asked");
    let tid = krpc::decode(&ping).expect("a message").tid.to_vec();
    let reply = Reply {
        id: Id([1; 20]),
        ..Reply::default()
    };
    let forged = Message::new(&tid, Body::Reply(Box::new(reply))).encode();
    node.on_datagram(addr(2), &forged, secs(0));
    assert_eq!(
        (node.stats(secs(0)).nodes_v4, node.stats(secs(0)).ignored),
        (0, 1),
        "not who was asked"
    );
    node.on_datagram(addr(1), &forged, secs(0));
    assert_eq!(node.stats(secs(0)).nodes_v4, 1);

    let home: SocketAddr = "192.168.1.1:6881".parse().expect("address");
    let find =
        b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q9:find_node1:t2:aa1:y1:qe";
    node.on_datagram(home, find, secs(0));
    node.ping(home, secs(0));
    node.ping("127.0.0.1:6881".parse().expect("address"), secs(0));
    node.ping("45.1.1.1:22".parse().expect("address"), secs(0));
    assert_eq!(node.take_datagram(), None);
}
