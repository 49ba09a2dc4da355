//! IPv6 assist as devices see it: NetworkManager, systemd-networkd, the kernel alone, and programs that only look.

use std::{
    net::{Ipv6Addr, UdpSocket},
    time::Duration,
};

use harness::{
    Granary, Setup, http,
    machine::Machine,
    netns::{Host, Lan},
    process::Process,
    router::Router,
    soon,
    wait::wait_some,
    wait_for,
};
use serde_json::Value;

/// A LAN half on `host` with these settings.
pub fn lan_half(host: &Host, settings: &str) -> Granary {
    let data = host.file("data");
    std::fs::create_dir_all(&data).expect("the test's own folder is writable");
    std::fs::write(data.join("lan.toml"), settings).expect("the test's own folder is writable");
    Setup::default().verb("lan").data(&data).on(host).start()
}

/// A request to the socket of the LAN half.
pub fn control(granary: &Granary, method: &str, target: &str, body: &str) -> Value {
    let reply = http::request_unix(&granary.control, method, target, body.as_bytes())
        .unwrap_or_else(|err| panic!("{method} {target}: {err:#}"));
    assert_eq!(reply.status, 200, "{method} {target}: {}", reply.text());
    serde_json::from_slice(&reply.body).expect("the socket speaks JSON")
}

/// Changes one setting and leaves the others.
pub fn set(granary: &Granary, section: &str, key: &str, value: Value) {
    let mut settings = control(granary, "GET", "/v1/settings", "");
    settings[section][key] = value;
    control(granary, "PUT", "/v1/settings", &settings.to_string());
}

const RESOLVER: &str = "fd00:7::2";

/// A router as in a home with IPv6: it leases IPv4 addresses, and announces itself as router and resolver.
fn router(lan: &Lan) -> (Router, Process) {
    let host = lan.host("router").with("192.168.7.1/24").with("fd00:7::1/64");
    host.sysctl("net/ipv6/conf/all/forwarding", "1");
    let dnsmasq = Router::start(
        &host,
        "port=0\ninterface=eth0\ndhcp-range=192.168.7.100,192.168.7.199,1h\ndhcp-option=3,192.168.7.1\n",
    );
    let file = host.file("radvd.conf");
    let config = "interface eth0 { AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 10; AdvDefaultLifetime 1800; \
         prefix fd00:7::/64 { AdvOnLink on; AdvAutonomous on; }; RDNSS fd00:7::1 { AdvRDNSSLifetime 600; }; };";
    std::fs::write(&file, config).expect("the test's own folder is writable");
    let (config, pid) = (
        file.display().to_string(),
        host.file("radvd.pid").display().to_string(),
    );
    let radvd = host.start("radvd", &["-n", "-m", "stderr", "-C", &config, "-p", &pid]);
    (dnsmasq, radvd)
}

/// The default routes of IPv6 that a machine has, by gateway.
fn gateways(host: &Host) -> Vec<String> {
    let text = host.ip("-6 route show default");
    let mut gateways: Vec<String> = text
        .split_whitespace()
        .zip(text.split_whitespace().skip(1))
        .filter(|(word, _)| *word == "via")
        .map(|(_, gateway)| gateway.into())
        .collect();
    gateways.sort();
    gateways.dedup();
    gateways
}

fn link_local(host: &Host) -> String {
    let text = host.ip("-6 -o addr show dev eth0 scope link");
    let addr = text.split_whitespace().find_map(|word| word.strip_suffix("/64"));
    addr.expect("eth0 has a link-local address").into()
}

#[test]
fn network_manager_takes_the_box_as_resolver_and_keeps_its_router() {
    let lan = Lan::new();
    let client = lan.host("client");
    // What the kernel has configured before it, NetworkManager takes for another program's work and leaves alone.
    client.sysctl("net/ipv6/conf/eth0/accept_ra", "0");
    let (router, _radvd) = router(&lan);
    let host = lan.host("box").with("192.168.7.2/24").with("fd00:7::2/64");
    let granary = lan_half(&host, "");
    let machine = Machine::start(&client);
    let _manager = machine.network_manager();
    let dns = || {
        machine
            .text("nmcli", &["-g", "IP6.DNS", "dev", "show", "eth0"])
            .replace('\\', "")
    };
    let searches = || machine.text("nmcli", &["-g", "IP6.SEARCHES", "dev", "show", "eth0"]);
    let to_router = vec![link_local(&router.host)];
    wait_for("the router to be known", soon(), || {
        dns().contains("fd00:7::1") && gateways(&client) == to_router
    });
    assert!(
        !dns().contains(RESOLVER),
        "nothing is announced in the factory state"
    );

    set(&granary, "ra", "enabled", true.into());
    wait_for("the box to be known", soon(), || {
        dns().contains(RESOLVER) && searches().contains("home.arpa")
    });
    assert_eq!(gateways(&client), to_router, "the default route is untouched");
    assert!(
        dns().contains("fd00:7::1"),
        "the router's resolver stays too: {}",
        dns()
    );
    let facts = || control(&granary, "GET", "/v1/status", "")["ra"].clone();
    assert_eq!(facts()["resolver"], RESOLVER);
    wait_for("the router to announce itself to the box, too", soon(), || {
        let router = facts()["routers"][0].clone();
        router["dns"][0] == "fd00:7::1" && router["lifetime_secs"] == 1800
    });

    set(&granary, "ra", "enabled", false.into());
    wait_for("the box to be forgotten", soon(), || {
        !dns().contains(RESOLVER) && !searches().contains("home.arpa")
    });
    assert_eq!(gateways(&client), to_router);
}

#[test]
fn systemd_networkd_takes_the_box_as_resolver_and_forgets_it_when_it_stops() {
    let lan = Lan::new();
    let (router, _radvd) = router(&lan);
    let host = lan.host("box").with("192.168.7.2/24").with("fd00:7::2/64");
    let granary = lan_half(&host, "[ra]\nenabled = true\n");
    let client = lan.host("client");
    let machine = Machine::start(&client);
    machine.write(
        "/etc/systemd/network/eth0.network",
        "[Match]\nName=eth0\n[Network]\nDHCP=yes\nIPv6AcceptRA=yes\n[IPv6AcceptRA]\nUseDomains=yes\n",
    );
    for folder in ["/run/systemd/network", "/run/systemd/netif"] {
        let made = machine.output("install", &["-d", "-o", "systemd-network", folder]);
        assert!(made.status.success(), "{made:?}");
    }
    let _networkd = machine.start_program("/lib/systemd/systemd-networkd", &[]);
    let known = |key: &str| {
        let text = machine.text("sh", &["-c", "cat /run/systemd/netif/links/*"]);
        text.lines()
            .find_map(|line| line.strip_prefix(key))
            .unwrap_or_default()
            .to_string()
    };
    wait_for("networkd to know both resolvers", soon(), || {
        let dns = known("DNS=");
        dns.contains("fd00:7::1") && dns.contains(RESOLVER) && known("DOMAINS=").contains("home.arpa")
    });
    let to_router = vec![link_local(&router.host)];
    wait_for("networkd to have its route", soon(), || {
        gateways(&client) == to_router
    });
    drop(granary);
    wait_for("networkd to forget the box", soon(), || {
        let dns = known("DNS=");
        dns.contains("fd00:7::1") && !dns.contains(RESOLVER) && !known("DOMAINS=").contains("home.arpa")
    });
    assert_eq!(gateways(&client), to_router);
}

/// The first address of the box that it made up itself.
fn made_up(host: &Host) -> Option<Ipv6Addr> {
    host.addrs().into_iter().find_map(|addr| match addr {
        std::net::IpAddr::V6(addr) if addr.is_unique_local() => Some(addr),
        _ => None,
    })
}

#[test]
fn where_nobody_gives_ipv6_addresses_the_box_makes_one_up_and_devices_reach_it() {
    let lan = Lan::new();
    let host = lan.host("box").with("192.168.7.2/24");
    let client = lan.host("client").with("192.168.7.9/24");
    let granary = lan_half(&host, "[ra]\nenabled = true\n");
    let addr = wait_some("the box's own address", soon(), || made_up(&host)).to_string();
    wait_for("the client's route to it", soon(), || {
        client
            .ip("-6 route")
            .lines()
            .any(|line| line.starts_with(&addr[..4]))
    });
    client.run("ping", &["-c1", "-W5", &addr]);
    assert!(gateways(&client).is_empty());
    assert!(made_up(&client).is_none(), "devices take no address from us");
    let seen = client.run("rdisc6", &["-m", "-1", "eth0"]);
    let line = |text: &str| {
        let found = seen.lines().find(|line| line.contains(text));
        found
            .unwrap_or_else(|| panic!("no {text:?} in\n{seen}"))
            .to_string()
    };
    assert!(
        line("Router lifetime").contains("0 (0x00000000) seconds"),
        "{seen}"
    );
    assert!(line("Recursive DNS server").contains(&addr), "{seen}");
    assert!(line("DNS server lifetime").contains("600 "), "{seen}");
    assert!(line("DNS search list").contains("home.arpa"), "{seen}");
    assert!(line("Autonomous address conf.").contains("No"), "{seen}");
    let status = control(&granary, "GET", "/v1/status", "");
    assert_eq!(status["ra"]["resolver"], addr);
    assert_eq!(status["ra"]["reason"], Value::Null);

    set(&granary, "ra", "enabled", false.into());
    wait_for("the address and the route to go", soon(), || {
        made_up(&host).is_none()
            && !client
                .ip("-6 route")
                .lines()
                .any(|line| line.starts_with(&addr[..4]))
    });
    set(&granary, "ra", "enabled", true.into());
    let again = wait_some("the address to come back", soon(), || made_up(&host));
    assert_eq!(again.to_string(), addr, "it is the same each time");
}

#[test]
fn the_cable_is_pulled_and_the_box_is_announced_again() {
    let lan = Lan::new();
    let host = lan.host("box").with("192.168.7.2/24");
    let client = lan.host("client").with("192.168.7.9/24");
    let granary = lan_half(&host, "[ra]\nenabled = true\n");
    let addr = wait_some("the box's own address", soon(), || made_up(&host)).to_string();
    let resolver = || control(&granary, "GET", "/v1/status", "")["ra"]["resolver"].clone();
    wait_for("it to be announced", soon(), || resolver() == addr.as_str());
    host.unplug();
    wait_for("the carrier to be lost", soon(), || {
        host.ip("link show dev eth0").contains("NO-CARRIER")
    });
    host.plug();
    // Down altogether, the kernel forgets all IPv6 addresses of an interface.
    host.ip("link set eth0 down");
    host.ip("link set eth0 up");
    wait_for("it to be announced again", soon(), || resolver() == addr.as_str());
    wait_for("the client to see it", soon(), || {
        let seen = client.output("rdisc6", &["-1", "-r", "1", "eth0"]);
        String::from_utf8_lossy(&seen.stdout).contains(&addr)
    });
}

#[test]
fn a_device_that_asks_by_dhcpv6_for_settings_is_told_them() {
    let lan = Lan::new();
    let host = lan.host("box").with("192.168.7.2/24").with("fd00:7::2/64");
    let client = lan.host("client").with("192.168.7.9/24");
    let granary = lan_half(&host, "");
    let socket = client.within(|| UdpSocket::bind("[::]:546").expect("a host of its own has every port"));
    socket
        .set_read_timeout(Some(Duration::from_millis(500)))
        .expect("not zero");
    let index: u32 = client
        .run("cat", &["/sys/class/net/eth0/ifindex"])
        .trim()
        .parse()
        .expect("a number");
    let servers = std::net::SocketAddrV6::new("ff02::1:2".parse().expect("a group"), 547, 0, index);
    // Information-request 0x010203: client identifier, and the wish for resolvers and search domains.
    let request = [
        11, 1, 2, 3, 0, 1, 0, 10, 0, 3, 0, 1, 2, 0x67, 0, 0, 0, 2, 0, 6, 0, 4, 0, 23, 0, 24,
    ];
    let ask = || {
        socket
            .send_to(&request, servers)
            .expect("there is a way to the group");
        let mut reply = [0; 512];
        let (len, _) = socket.recv_from(&mut reply).ok()?;
        Some(reply[..len].to_vec())
    };
    assert_eq!(ask(), None, "nobody is answered in the factory state");
    set(&granary, "ra", "enabled", true.into());
    let reply = wait_some("an answer", soon(), ask);
    let addr: Ipv6Addr = RESOLVER.parse().expect("an address");
    let has = |part: &[u8]| reply.windows(part.len()).any(|window| window == part);
    assert_eq!(reply[..4], [7, 1, 2, 3]);
    assert!(has(&request[4..18]), "the client's identifier comes back");
    assert!(has(&[&[0, 23, 0, 16][..], &addr.octets()].concat()));
    assert!(has(b"\x00\x18\x00\x0b\x04home\x04arpa\x00"));
}

#[test]
fn without_permission_to_add_an_address_the_link_local_one_is_announced_and_it_is_said() {
    let lan = Lan::new();
    let host = lan.host("box").with("192.168.7.2/24");
    let data = host.file("data");
    std::fs::create_dir_all(&data).expect("the test's own folder is writable");
    std::fs::write(data.join("lan.toml"), "[ra]\nenabled = true\n")
        .expect("the test's own folder is writable");
    let start = |capability: &str| {
        let mut command = host.command("setpriv");
        command.args(["--bounding-set", capability, "--inh-caps", capability]);
        command
            .arg(harness::granary::binary())
            .args(["lan", "--data"])
            .arg(&data);
        host.start_command("granary", &mut command)
    };
    let status = || -> Option<Value> {
        let reply = http::request_unix(&data.join("lan.sock"), "GET", "/v1/status", b"").ok()?;
        serde_json::from_slice(&reply.body).ok()
    };
    let reason = |word: &str| {
        wait_some(&format!("{word} to be missed"), soon(), || {
            let ra = status()?["ra"].clone();
            ra["reason"].as_str()?.contains(word).then_some(ra)
        })
    };
    let granary = start("-net_admin");
    assert_eq!(reason("CAP_NET_ADMIN")["resolver"], link_local(&host));
    drop(granary);
    let granary = start("-net_raw");
    assert_eq!(reason("CAP_NET_RAW")["resolver"], Value::Null);
    let troubles = status().expect("it answers")["troubles"].to_string();
    assert!(troubles.contains("CAP_NET_RAW"), "{troubles}");
    drop(granary);
}
