//! The resolvers that devices come with, asking the box.

use harness::{internet::PAGE, machine::Machine, soon, wait::wait_some, wait_for};
use serde_json::Value;

use harness::home::{BOX, Home, starter};

/// What the box knows of the device's questions.
fn device(lan: &harness::Granary) -> Value {
    wait_some("the device to be known", soon(), || {
        let devices = lan.control("GET", "/v1/devices", &Value::Null).json();
        let all = devices["devices"].as_array()?.clone();
        all.into_iter().find(|one| one["dns_queries"].as_u64() > Some(0))
    })
}

#[test]
fn a_glibc_host_finds_sites_ordinary_names_and_the_box_itself() {
    let home = Home::new();
    let web = home.web();
    let _lan = home.lan_half(&[]);
    home.settle_device(&format!("nameserver {BOX}\nsearch home.arpa\n"));
    let site = starter(&web).replace("http://", "").replace('/', "");
    for (name, addr) in [
        (site.as_str(), BOX),
        ("www.example.com", PAGE),
        ("granary", BOX),
        ("wpad", BOX),
    ] {
        let found = home.device.run("getent", &["ahostsv4", name]);
        assert!(found.starts_with(addr), "{name}: {found}");
    }
    assert!(
        !home
            .device
            .output("getent", &["hosts", "printer.btlink.home.arpa"])
            .status
            .success()
    );
}

#[test]
fn systemd_resolved_asks_the_box_and_answers_with_it() {
    let home = Home::new();
    let web = home.web();
    let _lan = home.lan_half(&[]);
    home.settle_device("nameserver 127.0.0.53\n");
    let machine = Machine::start(&home.device);
    let _resolved = machine.resolved(&format!("DNS={BOX}\nDNSOverTLS=no\nDNSSEC=no"));
    let page = machine.text("curl", &["-sS", "--fail", &starter(&web)]);
    assert!(page.contains("Granary"), "{page}");
    let found = machine.text("resolvectl", &["query", "--legend=no", "www.example.com"]);
    assert!(found.contains(PAGE), "{found}");
}

#[test]
fn systemd_resolved_encrypts_by_itself_when_the_box_offers_it() {
    let home = Home::new();
    let web = home.web();
    let lan = home.lan_half(&["--listen-dot", "0.0.0.0:853"]);
    home.settle_device("nameserver 127.0.0.53\n");
    let machine = Machine::start(&home.device);
    let _resolved = machine.resolved(&format!("DNS={BOX}\nDNSOverTLS=opportunistic\nDNSSEC=no"));
    let page = machine.text("curl", &["-sS", "--fail", &starter(&web)]);
    assert!(page.contains("Granary"), "{page}");
    wait_for("the box to see an encrypted question", soon(), || {
        device(&lan)["dns_encrypted"] == Value::Bool(true)
    });
}
