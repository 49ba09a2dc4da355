//! The box as the home's DHCP server, with real clients, with a rival, and with its power cut at the worst moments.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use harness::{
    Granary, Setup,
    dhcp::{Crowd, facts, leases, real_client, wait_for_state},
    granary::cli,
    home::{BOX, Home},
    router::Router,
    soon, wait_for,
};
use serde_json::Value;

fn server(home: &Home) -> Granary {
    let lan = home.lan_half(&["--dhcp", "lease"]);
    wait_for_state(&lan, "serving");
    lan
}

#[test]
fn five_real_clients_join_renew_and_leave() {
    let home = Home::new();
    let lan = server(&home);
    for client in ["udhcpc", "dhclient", "dhcpcd", "networkd", "networkmanager"] {
        let did = real_client(&home.device, client);
        let bound = &did["bound"];
        assert!(bound.starts_with("192.168.7.1"), "{client}: {did:?}");
        assert_eq!(&did["renewed"], bound, "{client}");
        if client != "dhcpcd" {
            assert_eq!(did["wpad"], format!("http://{BOX}/wpad.dat"), "{client}");
        }
        if did.contains_key("released") {
            wait_for(&format!("{client}'s address to be free again"), soon(), || {
                !leases(&lan).contains_key(bound)
            });
        }
        home.device.ip("addr flush dev eth0");
    }
}

#[test]
fn an_address_that_somebody_took_by_hand_is_never_given() {
    let home = Home::new();
    let squatter = home.lan.host("squatter");
    for last in 100..105 {
        squatter.add_addr("eth0", &format!("192.168.7.{last}/24"));
    }
    let lan = server(&home);
    let did = real_client(&home.device, "udhcpc");
    assert_eq!(did["bound"], "192.168.7.105");
    assert!(lan.log().contains("is in use by a device"), "{}", lan.log());
}

#[test]
fn beside_another_server_the_box_is_silent_and_says_so() {
    let home = Home::new();
    let lan = server(&home);
    let router = Router::start(
        &home.router,
        "port=0\ninterface=eth0\nbind-interfaces\ndhcp-range=192.168.7.50,192.168.7.99,1h\nno-ping\n",
    );
    // A device that chooses the router shows that there is one: the box looks at once.
    wait_for("the box to notice", Duration::from_secs(60), || {
        home.device.output(
            "busybox",
            &[
                "udhcpc",
                "-i",
                "eth0",
                "-n",
                "-q",
                "-f",
                "-t",
                "3",
                "-s",
                "/bin/true",
            ],
        );
        facts(&lan)["state"] == "silent"
    });
    let told = facts(&lan);
    assert!(
        told["reason"]
            .as_str()
            .is_some_and(|text| text.contains("192.168.7.1")),
        "{told}"
    );
    assert_eq!(told["rivals"][0]["server"], "192.168.7.1", "{told}");
    drop(lan);

    // Beside a server that is already there it does not begin.
    let lan = home.lan_half(&["--dhcp", "lease"]);
    wait_for_state(&lan, "silent");
    let found = home.granary.run(
        &harness::granary::binary().display().to_string(),
        &["lan", "probe", "--interface", "eth0", "--wait", "2", "--json"],
    );
    assert!(found.contains("\"192.168.7.1\""), "{found}");
    drop(router);
    // Gone, and a person saves the settings again.
    let settings = lan.control("GET", "/v1/settings", &Value::Null).json();
    assert_eq!(lan.control("PUT", "/v1/settings", &settings).status, 200);
    wait_for_state(&lan, "serving");
}

#[test]
fn no_confirmed_lease_is_lost_when_the_box_is_killed() {
    let home = Home::new();
    home.settle_device("");
    let folder = home.granary.file("state");
    fs::create_dir_all(&folder).expect("the test's own folder");
    let mut crowd = Crowd::on(&home.device);
    let mut next = 0u8;
    for round in 0..6u64 {
        let setup = Setup::default().verb("lan").data(&folder).on(&home.granary);
        let mut lan = setup.arg("--dhcp").arg("lease").start();
        let kept = leases(&lan);
        for (addr, mac) in &crowd.confirmed {
            assert_eq!(kept.get(addr), Some(mac), "{addr} was confirmed");
        }
        wait_for_state(&lan, "serving");
        let first = next;
        next += 14;
        // Offers come after the probe; the cut falls somewhere between the first request and the last acknowledgement.
        crowd.join(
            (first..next).map(|number| [2, 0x67, 1, 0, 0, number]),
            Duration::from_millis(380 + 25 * round),
        );
        lan.kill();
    }
    let macs: BTreeSet<_> = crowd.confirmed.values().collect();
    assert_eq!(macs.len(), crowd.confirmed.len(), "one address each");
    assert!(!crowd.confirmed.is_empty(), "the cuts came too early");
}

#[test]
fn what_real_clients_sent_is_answered_with_the_same_bytes_for_ever() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/dhcp");
    let read = |name: &str| -> Option<String> {
        let text = fs::read_to_string(folder.join(name)).ok()?;
        Some(text.split_whitespace().collect())
    };
    let mut seen = 0;
    for entry in fs::read_dir(&folder).expect("the captures are there").flatten() {
        let file = entry.file_name().to_string_lossy().into_owned();
        let Some(name) = file.strip_suffix(".hex").filter(|name| !name.ends_with(".reply")) else {
            continue;
        };
        let packet = read(&file).expect("it was just listed");
        let args = [
            "dhcp-decide",
            "--own",
            "192.168.7.2/24",
            "--router",
            "192.168.7.1",
            "--json",
        ];
        let output = cli(&[&args[..], &[packet.as_str()]].concat());
        assert!(output.status.success(), "{name}: {output:?}");
        let said: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
        let expected = read(&format!("{name}.reply.hex"));
        assert_eq!(said["reply"].as_str(), expected.as_deref(), "{name}: {said}");
        seen += 1;
    }
    assert_eq!(seen, 14);
}
