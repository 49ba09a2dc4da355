//! Browsers that nobody has configured: they join a LAN with Granary on it, and a `.btlink` site opens.

use std::time::Duration;

use harness::{
    browser::Browser, firefox::Firefox, internet::PAGE, machine::Machine, netns::Host, router::Router, soon,
    wait_for,
};

use harness::home::{BOX, Home, ROUTER, starter};

/// What the starter site's page says.
const STARTER: &str = "Granary";

/// Chromium that asks the network for nothing of its own accord, with a log of what it does.
fn chromium(host: &Host, args: &[&str]) -> (Browser, std::path::PathBuf) {
    let log = host.file("netlog.json");
    let mut all = vec![
        format!("--log-net-log={}", log.display()),
        "--disable-quic".into(),
        "--disable-background-networking".into(),
        "--disable-component-update".into(),
        "--disable-sync".into(),
        "--no-first-run".into(),
    ];
    all.extend(args.iter().map(ToString::to_string));
    (Browser::start_on(host, &all), log)
}

/// Closes the browser and reads its log. A log that was not closed is text all the same.
fn netlog(browser: Browser, log: &std::path::Path) -> String {
    drop(browser);
    wait_for("Chromium's log", soon(), || {
        log.metadata().is_ok_and(|meta| meta.len() > 0)
    });
    String::from_utf8_lossy(&std::fs::read(log).expect("it was just seen")).into_owned()
}

#[test]
fn a_device_that_gets_its_lease_from_the_box_opens_a_site() {
    let home = Home::new();
    let web = home.web();
    let _lan = home.lan_half(&["--dhcp", "lease"]);
    let machine = Machine::start(&home.device);
    let _manager = machine.network_manager();
    let pac = machine
        .lease_option("wpad")
        .expect("option 252 was asked for and given");
    assert_eq!(pac, format!("http://{BOX}/wpad.dat"));
    assert_eq!(machine.lease_option("domain_name_servers").as_deref(), Some(BOX));
    assert_eq!(machine.lease_option("routers").as_deref(), Some(ROUTER));
    let learned = machine.text("cat", &["/run/NetworkManager/resolv.conf"]);
    assert!(learned.contains(&format!("nameserver {BOX}")), "{learned}");
    home.device.resolv_conf(&learned);
    let (browser, log) = chromium(&home.device, &[&format!("--proxy-pac-url={pac}")]);
    browser.open(&starter(&web));
    assert!(browser.text().contains(STARTER), "{}", browser.text());
    browser.open("http://www.example.com/");
    assert_eq!(browser.title(), "Internet www.example.com");
    let log = netlog(browser, &log);
    assert!(
        log.contains(&format!("{BOX}:3128")),
        "the site must come through the proxy"
    );
}

#[test]
fn chromium_finds_the_box_by_web_proxy_auto_discovery() {
    let home = Home::new();
    let web = home.web();
    let _lan = home.lan_half(&[]);
    home.settle_device(&format!("nameserver {BOX}\nsearch home.arpa\n"));
    let (browser, log) = chromium(&home.device, &["--proxy-auto-detect"]);
    browser.open(&starter(&web));
    assert!(browser.text().contains(STARTER), "{}", browser.text());
    browser.open("http://www.example.com/");
    assert_eq!(browser.title(), "Internet www.example.com");
    let log = netlog(browser, &log);
    assert!(log.contains("http://wpad/wpad.dat"), "the log must show WPAD");
    assert!(
        log.contains(&format!("{BOX}:3128")),
        "the site must come through the proxy"
    );
    let leaked = home.internet.dns.heard();
    assert!(
        leaked
            .iter()
            .all(|one| !one.query.name().starts_with("wpad") && !one.query.name().ends_with("btlink")),
        "our names must not leave the home"
    );
}

#[test]
fn firefox_finds_the_box_by_web_proxy_auto_discovery() {
    let home = Home::new();
    let web = home.web();
    let lan = home.lan_half(&[]);
    home.settle_device(&format!("nameserver {BOX}\nsearch home.arpa\n"));
    let firefox = Firefox::start(&home.device, &[("network.proxy.type", "4")]);
    firefox.open(&starter(&web));
    assert!(firefox.title().contains(STARTER), "{}", firefox.title());
    firefox.open("http://www.example.com/");
    assert_eq!(firefox.title(), "Internet www.example.com");
    let devices = lan.control("GET", "/v1/devices", &serde_json::Value::Null).json();
    let known = devices["devices"].as_array().expect("a list");
    assert!(known.iter().any(|one| one["looked_up_wpad"] == true), "{devices}");
}

#[test]
fn browsers_that_know_no_proxy_open_a_site_by_its_name_alone() {
    let home = Home::new();
    let web = home.web();
    let _lan = home.lan_half(&[]);
    home.settle_device(&format!("nameserver {BOX}\n"));
    let url = starter(&web);
    let page = home.device.run("curl", &["-sS", "--fail", &url]);
    assert!(page.contains(STARTER), "{page}");
    let (browser, _) = chromium(&home.device, &["--no-proxy-server"]);
    browser.open(&url);
    assert!(browser.text().contains(STARTER), "{}", browser.text());
    drop(browser);
    let firefox = Firefox::start(&home.device, &[("network.proxy.type", "0")]);
    firefox.open(&url);
    assert!(firefox.title().contains(STARTER), "{}", firefox.title());
}

#[test]
fn a_router_that_forwards_only_our_names_opens_sites_and_loses_nothing_without_the_box() {
    let home = Home::new();
    let web = home.web();
    let _lan = home.lan_half(&[]);
    let _router = Router::start(
        &home.router,
        &format!(
            "listen-address={ROUTER}\nbind-interfaces\nserver=9.9.9.9\nserver=/btlink/{BOX}\n\
             stop-dns-rebind\nrebind-domain-ok=/btlink/\n"
        ),
    );
    home.settle_device(&format!("nameserver {ROUTER}\noptions timeout:1 attempts:1\n"));
    let url = starter(&web);
    let page = home.device.run("curl", &["-sS", "--fail", &url]);
    assert!(page.contains(STARTER), "{page}");
    let (browser, _) = chromium(&home.device, &[&format!("--proxy-pac-url=http://{BOX}/wpad.dat")]);
    browser.open(&url);
    assert!(browser.text().contains(STARTER), "{}", browser.text());
    home.granary.unplug();
    let started = std::time::Instant::now();
    browser.open("http://one.example.com/");
    assert_eq!(browser.title(), "Internet one.example.com");
    let found = home.device.run("getent", &["hosts", "two.example.com"]);
    assert!(found.contains(PAGE), "{found}");
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
}
