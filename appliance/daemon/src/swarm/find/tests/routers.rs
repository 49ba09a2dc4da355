//! Routers that open ports, and one that is not there.

use std::{net::SocketAddr, time::Duration};

use super::world::*;
use crate::swarm::find::{Config, PortmapConfig};

fn asking(gateway: SocketAddr, ssdp: SocketAddr) -> Config {
    Config {
        portmap: Some(PortmapConfig {
            gateway: Some(gateway),
            ssdp,
            udp_ports: vec![6999],
            ..PortmapConfig::default()
        }),
        ..config()
    }
}

/// An address where nobody answers.
async fn nobody(world: &World) -> SocketAddr {
    udp_server(&world.tasks, |_, _, _| None).await
}

#[tokio::test]
async fn a_nat_pmp_router_opens_the_ports_and_closes_them_at_the_end() {
    let world = World::new();
    let log = Seen::default();
    let seen = log.clone();
    let gateway = udp_server(&world.tasks.child(), move |_, packet, _| {
        let op = packet[1];
        if op == 0 {
            return Some(vec![0, 128, 0, 0, 0, 0, 0, 9, 9, 8, 7, 6]);
        }
        seen.lock()
            .expect("log")
            .push(data_encoding::HEXLOWER.encode(packet));
        // The outside port 6881 is taken: this router gives 7000.
        Some(
            [
                &[0, op + 128, 0, 0, 0, 0, 0, 9],
                &packet[4..6],
                &7000u16.to_be_bytes(),
                &packet[8..12],
            ]
            .concat(),
        )
    })
    .await;
    let other = nobody(&world).await;
    // The router outlives the home.
    let home = World::new();
    let finder = home.finder(asking(gateway, other));
    wait_for("an open port", || !finder.status().port_mapping.is_empty()).await;
    let status = finder.status();
    assert_eq!(status.port_mapping, "the router opened port 7000 (NAT-PMP)");
    assert_eq!((status.port, status.external), (7000, Some([9, 8, 7, 6].into())));
    let told = *home.nodes.external.lock().expect("external");
    assert_eq!(told, Some([9, 8, 7, 6].into()), "the DHT node's id depends on it");
    assert_eq!(
        *log.lock().expect("log"),
        [
            "000200001ae11ae100000e10",
            "000100001ae11ae100000e10",
            "000100001b571b5700000e10"
        ]
    );
    assert!(home.tasks.stop(Duration::from_secs(5)).await.is_empty());
    assert_eq!(
        log.lock().expect("log")[3..],
        [
            "000200001ae1000000000000",
            "000100001ae1000000000000",
            "000100001b57000000000000"
        ]
    );
}

#[tokio::test]
async fn a_upnp_router_opens_the_ports_and_closes_them_at_the_end() {
    let world = World::new();
    let (http, seen) = http_server(&world.tasks, "127.0.0.1", |head| match head {
        h if h.starts_with("GET /desc.xml") => ok(b"<root><device><serviceList><service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType><controlURL>/ctl</controlURL></service></serviceList></device></root>"),
        h if h.contains("GetExternalIPAddress") => ok(b"<s:Envelope><NewExternalIPAddress>100.64.3.4</NewExternalIPAddress></s:Envelope>"),
        _ => ok(b"<s:Envelope/>"),
    })
    .await;
    let ssdp = udp_server(&world.tasks, move |_, _, _| {
        Some(format!("HTTP/1.1 200 OK\r\nST: x\r\nLOCATION: http://{http}/desc.xml\r\n\r\n").into_bytes())
    })
    .await;
    let home = World::new();
    let finder = home.finder(asking(nobody(&world).await, ssdp));
    wait_for("an open port", || !finder.status().port_mapping.is_empty()).await;
    let words = finder.status().port_mapping;
    assert!(
        words.starts_with("the router opened port 6881 (UPnP), but its own address 100.64.3.4"),
        "{words}"
    );
    let calls = || seen.lock().expect("log").join("\n");
    let count = |text: &str| calls().matches(text).count();
    assert_eq!(count("<u:AddPortMapping"), 3);
    assert_eq!(count("<NewInternalClient>127.0.0.1</NewInternalClient>"), 3);
    assert!(home.tasks.stop(Duration::from_secs(5)).await.is_empty());
    assert_eq!(count("<u:DeletePortMapping"), 3);
}

#[tokio::test]
async fn a_machine_may_answer_a_router_search_only_for_itself() {
    let world = World::new();
    let (trap, sprung) = http_server(&world.tasks, "127.0.0.2", |_| ok(b"<root/>")).await;
    let ssdp = udp_server(&world.tasks, move |n, _, _| {
        let place = [
            "http://@/x",
            "http://[::ffff:127.0.0.2]:1/x",
            "file:///etc/passwd",
        ][n % 3]
            .replace('@', &trap.to_string());
        Some(format!("HTTP/1.1 200 OK\r\nLOCATION: {place}\r\n\r\n").into_bytes())
    })
    .await;
    let finder = world.finder(asking(nobody(&world).await, ssdp));
    wait_for("a verdict", || !finder.status().port_mapping.is_empty()).await;
    assert!(finder.status().port_mapping.starts_with("no router answered"));
    assert!(sprung.lock().expect("log").is_empty());
    assert_eq!((finder.status().port, finder.status().external), (6881, None));
}
