//! The household's pages about its own network: in Chromium, Lynx and w3m, with a lan half in the same process and without.

use std::time::Duration;

use harness::{
    Granary, Setup,
    browser::Browser,
    home::{BOX, Home},
    router::Router,
    wait_for,
};
use serde_json::json;

use crate::admin_pages::{Lynx, check, claim};

/// Looking at the network takes eight seconds; Chromium shares two slow cores.
const LONG: Duration = Duration::from_secs(60);
const MAC: &str = "aa:bb:cc:dd:ee:01";

fn box_with_owner(setup: Setup) -> (Granary, Browser) {
    let home = setup.start();
    let browser = Browser::with_pac(&format!("http://{}/proxy.pac", home.addr("http")));
    browser.open("http://box.btlink/");
    claim(&browser, &home);
    (home, browser)
}

fn page(browser: &Browser, path: &str) {
    browser.open(&format!("http://box.btlink{path}"));
}

fn tick(browser: &Browser, id: &str, on: bool) {
    let done = browser.eval(&format!(
        "const box = document.getElementById('{id}'); if (box) {{ box.checked = {on} }} return !!box"
    ));
    assert_eq!(done, true, "no box {id} on:\n{}", browser.text());
}

#[test]
fn an_owner_looks_tries_chooses_and_undoes() {
    let (home, browser) = box_with_owner(Setup::default());
    page(&browser, "/network");
    check(&browser, "lan-new", "The box has not looked yet");
    page(&browser, "/network/choose/lease");
    check(&browser, "lan-lease-unseen", "has not looked at this network yet");
    page(&browser, "/network");
    browser.press("Look now");
    wait_for("the look", LONG, || browser.text().contains("Look again"));
    browser.press("Try it");
    wait_for("the trials", LONG, || browser.text().contains("Try again"));
    check(&browser, "lan-tried", "Does the box find ordinary names?");
    assert!(
        browser.text().contains("Yes, and it is a proxy file."),
        "{}",
        browser.text()
    );
    browser.press("Back to Network");
    check(&browser, "lan", "Try again");

    browser.press("Answer only who asks for a proxy …");
    check(&browser, "lan-choose", "What it costs when the box is unplugged");
    browser.press("Yes, do it");
    assert!(
        browser.text().contains("It counts from now on"),
        "{}",
        browser.text()
    );
    let mode = || lan(&home, "settings")["dhcp"]["mode"].clone();
    assert_eq!(mode(), "inform");
    check(&browser, "lan-chosen", "Answer only who asks for a proxy – ● now");
    browser.press("Undo");
    assert!(browser.text().contains("as it was before"), "{}", browser.text());
    assert_eq!(mode(), "off");

    for (path, name, says) in [
        (
            "/network/choose/lease",
            "lan-lease",
            "Hand out the router as a second resolver",
        ),
        (
            "/network/choose/announce",
            "lan-announce",
            "announces itself as a resolver",
        ),
        ("/network/guide", "lan-guides", "Which router is it?"),
        ("/network/guide/openwrt", "lan-guide-openwrt", "uci add_list"),
        (
            "/network/guide/fritzbox",
            "lan-guide-fritzbox",
            "Local DNS server",
        ),
        ("/network/guide/other", "lan-guide-other", "7 to 14 seconds"),
        ("/network/reach", "reach", "Peers connected"),
    ] {
        page(&browser, path);
        check(&browser, name, says);
    }
}

#[test]
fn an_owner_names_things_and_hands_out_addresses() {
    let (home, browser) = box_with_owner(Setup::default());
    page(&browser, "/network/addresses");
    browser.fill("First address", "10.0.0.200");
    browser.fill("Last address", "10.0.0.100");
    browser.fill("Hours", "long");
    browser.press("Save");
    check(&browser, "lan-addresses-refused", "lies before the first one");
    assert!(browser.text().contains("“long” is no whole number"));
    browser.fill("Last address", "10.0.0.250");
    browser.fill("Hours", "12");
    browser.press("Save");
    assert_eq!(lan(&home, "settings")["dhcp"]["lease_secs"], 43_200);
    page(&browser, "/network/addresses");
    check(&browser, "lan-addresses", "away from the ends");

    page(&browser, "/network/names");
    browser.fill("Name of the box", "Barn");
    browser.press("Save");

    page(&browser, "/network/names");
    assert_eq!(browser.eval("return host.value"), "barn");
    browser.eval("document.getElementById('name').value = 'printer'; addr.value = 'no'");
    browser.press("Add");
    check(&browser, "lan-names-refused", "“no” is no address");
    browser.eval("addr.value = '192.168.1.20'");
    browser.press("Add");
    check(&browser, "lan-names", "printer – 192.168.1.20");

    let mut settings = lan(&home, "settings");
    settings["devices"] = json!([{ "mac": MAC, "name": "Anna's <phone>", "bypass": false }]);
    let put = home.control("PUT", "/api/v1/lan/settings", &settings);
    assert_eq!(put.status, 200, "{}", put.text());
    page(&browser, "/devices");
    check(&browser, "devices", "Which sites a device opens is not kept");
    page(&browser, &format!("/devices/{MAC}"));
    browser.fill("Always this address", "ten");
    browser.press("Save");
    check(&browser, "device-refused", "“ten” is no address");
    browser.fill("What you call it", "Anna's telephone");
    browser.fill("Always this address", "10.0.0.7");
    tick(&browser, "bypass", true);
    browser.press("Save");
    page(&browser, &format!("/devices/{MAC}"));
    check(&browser, "device", "Anna's telephone");
    let settings = lan(&home, "settings");
    assert_eq!(
        settings["devices"],
        json!([{ "mac": MAC, "name": "Anna's telephone", "bypass": true }])
    );
    assert_eq!(settings["dhcp"]["reservations"][0]["addr"], "10.0.0.7");
}

#[test]
fn an_owner_chooses_resolvers_and_what_is_blocked() {
    let (home, browser) = box_with_owner(Setup::default());
    page(&browser, "/dns");
    check(&browser, "dns", "Only these counts are kept");
    browser.press("Choose who is asked, and how");
    tick(&browser, "way-chosen", true);
    browser.fill("Resolvers, one a line", "dns.example");
    browser.fill("Most questions", "few");
    browser.press("Save");
    check(&browser, "dns-settings-refused", "“dns.example” is no resolver");
    assert!(browser.text().contains("“few” is no whole number"));
    browser.fill("Resolvers, one a line", "127.0.0.1:9");
    browser.fill("Most questions", "500");
    browser.press("Save");
    assert_eq!(lan(&home, "settings")["dns"]["upstreams"], json!(["127.0.0.1:9"]));
    page(&browser, "/dns/settings");
    check(
        &browser,
        "dns-settings",
        "Keep strangers from pointing into this home",
    );

    page(&browser, "/dns/blocking");
    check(&browser, "dns-blocking-off", "Names you wrote down");
    tick(&browser, "enabled", true);
    tick(&browser, "count", true);
    browser.press("Save");
    check(&browser, "dns-blocking", "Nothing to block yet");
    browser.press("Choose a list");
    browser.fill("Its address", "gopher://lists.example/");
    browser.press("Add");
    check(&browser, "dns-lists-refused", "Nothing was changed yet");
    browser.fill("Its address", "");
    browser.fill("What you call it", "Grandpa's list");
    browser.fill(
        "Or paste the list itself",
        "0.0.0.0 ads.example\n0.0.0.0 counter.example",
    );
    browser.press("Add");
    wait_for("the list to be compiled", LONG, || {
        browser.text().contains("2 names in all")
    });
    check(&browser, "dns-lists", "Well-known lists");
    page(&browser, "/dns/names/deny");
    browser.fill("Names to add", "com");
    browser.press("Add");
    check(&browser, "dns-names-refused", "“com” is no domain name");
    browser.fill("Names to add", "ads.example\ntracker.example");
    browser.press("Add");
    check(&browser, "dns-names", "2 names");
    tick(&browser, "n0", true);
    browser.press("Take the marked ones away");
    assert_eq!(
        lan(&home, "settings")["block"]["deny"],
        json!(["tracker.example"])
    );
    page(&browser, "/dns");
    browser.press("Pause for 5 minutes");
    check(&browser, "dns-paused", "Nothing is blocked for 5 minutes.");
}

#[test]
fn a_router_that_hands_out_addresses_is_named_and_keeps_lease_mode_away() {
    let home = Home::new();
    let lan_half = home.lan_half(&[]);
    let _router = Router::start(
        &home.router,
        &format!(
            "interface=eth0\nbind-interfaces\nno-ping\ndhcp-authoritative\n\
             dhcp-range=192.168.7.100,192.168.7.200,255.255.255.0,12h\ndomain=lan\n\
             server=9.9.9.9\nserver=/btlink/{BOX}\nstop-dns-rebind\n"
        ),
    );
    let web = Setup::default()
        .verb("web")
        .arg("--lan-control")
        .arg(lan_half.control.display().to_string())
        .on(&home.granary)
        .start();
    home.settle_device(&format!("nameserver {BOX}\n"));
    let pac = format!("--proxy-pac-url=http://{BOX}/proxy.pac");
    let browser = Browser::start_on(&home.device, &[pac]);
    page(&browser, "/");
    claim(&browser, &web);
    page(&browser, "/network");
    browser.press("Look now");
    wait_for("the look", LONG, || browser.text().contains("Look again"));
    check(&browser, "lan-router", "leaves their address out");
    let text = browser.text();
    for says in [
        "Have the router let the answers through",
        "It hands out addresses for 12 hours",
        "granary.local",
    ] {
        assert!(text.contains(says), "{says} in {text}");
    }
    browser.press("Try it");
    wait_for("the trials", LONG, || browser.text().contains("Try again"));
    check(&browser, "lan-router-tried", "leaves its address out");
    page(&browser, "/network/choose/lease");
    check(&browser, "lan-lease-rival", "your router, hands out addresses");
    assert!(!browser.text().contains("Yes, do it"), "{}", browser.text());
    page(&browser, "/network/guide/dnsmasq");
    check(&browser, "lan-guide-dnsmasq", &format!("server=/btlink/{BOX}"));
    page(&browser, "/devices");
    check(&browser, "devices-router", "uses the proxy");
}

#[test]
fn without_the_lan_half_the_pages_say_what_that_means() {
    let (_home, browser) = box_with_owner(Setup::default().verb("web"));
    page(&browser, "/");
    check(&browser, "home-no-lan", "does not run");
    page(&browser, "/network");
    check(&browser, "lan-absent", "switch the box off and on");
    for path in ["/dns", "/devices"] {
        page(&browser, path);
        check(
            &browser,
            &format!("absent{}", path.replace('/', "-")),
            "does not answer",
        );
    }
}

#[test]
fn lynx_and_w3m_read_every_page_about_the_network() {
    let home = Setup::default().start();
    let lynx = Lynx::new(&home);
    lynx.claim();
    lynx.post("/network", "/network/look", &[]);
    wait_for("the look", LONG, || lynx.page("/network").contains("Look again"));
    lynx.post("/network/choose/announce", "/network/choose/announce", &[]);
    assert_eq!(lan(&home, "settings")["ra"]["enabled"], true);
    for (path, says) in [
        ("/network", "How devices find the box"),
        ("/network/choose/lease", "How to undo it"),
        ("/network/guide/dnsmasq", "server=/btlink/"),
        ("/network/addresses", "First address"),
        ("/network/names", "Name of the box"),
        ("/dns", "Who is asked outside"),
        ("/dns/settings", "Resolvers, one a line"),
        ("/dns/blocking", "Names you wrote down"),
        ("/dns/names/allow", "Names to add"),
        ("/devices", "Devices"),
    ] {
        for (browser, text) in [("lynx", lynx.page(path)), ("w3m", lynx.in_w3m(path))] {
            assert!(text.contains(says), "{browser} {path}:\n{text}");
            let wide = text.lines().find(|line| line.chars().count() > 100);
            assert!(wide.is_none(), "{browser} {path}: {wide:?}");
        }
    }
}

/// What the JSON API says of the lan half.
fn lan(home: &Granary, what: &str) -> serde_json::Value {
    let answer = home.control("GET", &format!("/api/v1/lan/{what}"), &serde_json::Value::Null);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}
