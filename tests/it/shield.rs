//! A stranger's page, opened in real browsers through our proxy, does not reach the router or any other machine of the home.

use std::{fs, time::Duration};

use harness::{
    Setup,
    browser::Browser,
    firefox::Firefox,
    netns::{Host, Lan},
    process::Process,
    soon, wait_for,
};

/// The router's page, and what a page of strangers tries to get at it: every way that needs no click.
const ROUTER: &str = "192.168.7.1";

fn attack(mark: &str) -> String {
    let at = |way: &str| format!("http://{ROUTER}/{mark}-{way}");
    format!(
        "<!doctype html><title>attack</title><script>setTimeout(() => document.title = 'tried', 3000)</script>
         <img src='{img}'><link rel=stylesheet href='{css}'><iframe src='{frame}'></iframe>
         <object data='{object}'></object><video src='{video}'></video><link rel=prefetch href='{prefetch}'>
         <form id=f action='{form}' method=post target=t><input name=a></form><iframe name=t></iframe>
         <script src='{js}'></script>
         <script>
           const ways = [
             () => fetch('{fetch}', {{mode: 'no-cors'}}).catch(() => 0),
             () => navigator.sendBeacon('{beacon}', 'x'),
             () => new WebSocket('ws://{ROUTER}/{mark}-ws'),
             () => new EventSource('{events}'),
             () => new Worker('{worker}'),
             () => document.getElementById('f').submit(),
           ];
           for (const way of ways) try {{ way() }} catch (err) {{}}
         </script>",
        img = at("img"),
        css = at("css"),
        frame = at("frame"),
        object = at("object"),
        video = at("video"),
        prefetch = at("prefetch"),
        form = at("form"),
        js = at("js"),
        fetch = at("fetch"),
        beacon = at("beacon"),
        events = at("events"),
        worker = at("worker"),
    )
}

/// A web server that writes down what it is asked for.
fn server(host: &Host, folder: &str) -> Process {
    let args = ["-u", "-m", "http.server", "80", "--directory", folder];
    let process = host.start("python3", &args);
    wait_for("the web server", soon(), || {
        host.output("curl", &["-s", "http://127.0.0.1/"]).status.success()
    });
    process
}

struct Home {
    router: Process,
    device: Host,
    site: String,
    _granary: harness::Granary,
    _nas: Process,
    _lan: Lan,
}

fn home() -> Home {
    let lan = Lan::new();
    let router = lan.host("router").with("192.168.7.1/24");
    let granary = lan.host("box").with("192.168.7.2/24");
    let nas = lan.host("nas").with("192.168.7.3/24");
    let device = lan.host("device").with("192.168.7.9/24");
    let folder = |name: &str, mark: &str| {
        let folder = lan.dir().join(name);
        fs::create_dir_all(&folder).expect("the test's own folder is writable");
        fs::write(folder.join("index.html"), attack(mark)).expect("the test's own folder is writable");
        folder.display().to_string()
    };
    let empty = lan.dir().join("empty");
    fs::create_dir_all(&empty).expect("the test's own folder is writable");
    let (site, data) = (folder("site", "site"), lan.dir().join("data"));
    let seeded = harness::granary::cli(&[
        "seed",
        &site,
        "--data",
        &data.display().to_string(),
        "--print",
        "infohash",
        "--no-wait",
    ]);
    let infohash = String::from_utf8_lossy(&seeded.stdout).trim().to_owned();
    assert_eq!(infohash.len(), 40, "{}", String::from_utf8_lossy(&seeded.stderr));
    Home {
        router: server(&router, &empty.display().to_string()),
        site: format!("http://{infohash}-ih.btlink/"),
        _granary: Setup::default().verb("web").data(&data).on(&granary).start(),
        _nas: server(&nas, &folder("nas", "nas")),
        device,
        _lan: lan,
    }
}

impl Home {
    /// `open` shows a page and returns its title.
    fn check(&self, open: impl Fn(&str), title: impl Fn() -> String) {
        open(&self.site);
        wait_for("the page to have tried", Duration::from_secs(30), || {
            title() == "tried"
        });
        assert!(
            !self.router.output().contains("/site-"),
            "{}",
            self.router.output()
        );
        // The same page from a machine without our policy reaches it: the test would see it.
        open("http://192.168.7.3/");
        wait_for("the other page to have tried", Duration::from_secs(30), || {
            title() == "tried"
        });
        for way in ["img", "js", "fetch"] {
            let mark = format!("/nas-{way}");
            wait_for("the other page to get through", soon(), || {
                self.router.output().contains(&mark)
            });
        }
        assert!(
            !self.router.output().contains("/site-"),
            "{}",
            self.router.output()
        );
    }
}

const SCRIPT: &str = "http://192.168.7.2/wpad.dat";

#[test]
fn a_strangers_page_does_not_reach_the_router_in_chromium() {
    let home = home();
    let browser = Browser::start_on(&home.device, &[format!("--proxy-pac-url={SCRIPT}")]);
    home.check(|url| browser.open(url), || browser.title());
}

#[test]
fn a_strangers_page_does_not_reach_the_router_in_firefox() {
    let home = home();
    let script = format!("\"{SCRIPT}\"");
    let prefs = [
        ("network.proxy.type", "2"),
        ("network.proxy.autoconfig_url", script.as_str()),
    ];
    let firefox = Firefox::start(&home.device, &prefs);
    home.check(|url| firefox.open(url), || firefox.title());
}
