//! The household's pages in a real browser, from the claim of a new box to a second version; and the same in text browsers,
//! because no page needs a script.

use std::{
    io::Write,
    process::{Command, Stdio},
    time::Duration,
};

use harness::{Granary, browser::Browser, http, publisher::Publisher, soon, wait_for};

/// A password as the test's owner chooses it.
const PASSWORD: &str = "seven sacks of rye";
/// Fetching, asking the network and Chromium share two slow cores.
const LONG: Duration = Duration::from_secs(120);

/// What every page promises; leaves pictures of it.
#[track_caller]
pub fn check(browser: &Browser, name: &str, says: &str) {
    let text = browser.text();
    assert!(text.contains(says), "{name} does not say {says:?}:\n{text}");
    assert!(
        browser.title().contains("Granary"),
        "{name} is called {}",
        browser.title()
    );
    let count = |selector: &str| {
        let count = browser.eval(&format!("return document.querySelectorAll('{selector}').length"));
        count.as_u64().expect("a number")
    };
    assert_eq!(count("h1"), 1, "{name}: one heading");
    assert_eq!(count("main"), 1, "{name}: one main part");
    assert_eq!(
        count("script,[onclick],[onload],[onsubmit]"),
        0,
        "{name}: no script"
    );
    let loaded = browser.eval("return performance.getEntriesByType('resource').map(e => e.name).filter(name => !name.startsWith('data:'))");
    assert_eq!(
        loaded,
        serde_json::json!([]),
        "{name} loads nothing besides itself"
    );
    let size = browser.eval("return performance.getEntriesByType('navigation')[0].decodedBodySize");
    assert!(
        size.as_u64().is_some_and(|size| (500..30_000).contains(&size)),
        "{name}: {size} bytes"
    );
    for (width, scheme) in [(320, "light"), (320, "dark"), (1200, "light"), (1200, "dark")] {
        browser.emulate(width, 700, scheme);
        assert!(!browser.scrolls_sideways(), "{name} is wider than {width} pixels");
        let barriers = browser.barriers();
        assert!(barriers.is_empty(), "{name}, {width} {scheme}: {barriers:#?}");
    }
    browser.whole_screens(&format!("admin-{name}"));
}

/// Becomes the owner, as the first person in front of the box does.
pub fn claim(browser: &Browser, granary: &Granary) {
    let pin = granary.ready()["claim_pin"]
        .as_str()
        .expect("the ready file names the PIN");
    browser.press("Claim this box");
    check(browser, "claim", "You become its owner");
    browser.fill("PIN", pin);
    browser.fill("Your name", "frieda");
    browser.fill("Password", "short");
    browser.fill("The same password again", "short");
    browser.press("Become the owner");
    check(browser, "claim-refused", "Nothing was changed yet");
    browser.fill("PIN", pin);
    browser.fill("Password", PASSWORD);
    browser.fill("The same password again", PASSWORD);
    browser.press("Become the owner");
}

#[test]
fn a_household_follows_a_publisher_and_reads_the_old_and_the_new_version() {
    let publisher = Publisher::start();
    let first = publisher.make(1, 400_000);
    let home = publisher.home().start();
    publisher.put(&first);
    let browser = Browser::with_pac(&format!("http://{}/proxy.pac", home.addr("http")));
    let page = |path: &str| browser.open(&format!("http://box.btlink{path}"));

    page("/");
    check(&browser, "start-unclaimed", "no owner yet");
    claim(&browser, &home);
    page("/");
    check(&browser, "home-empty", "Nothing is followed yet");

    page("/add");
    check(&browser, "add", "before anything is downloaded");
    browser.fill("Magnet link, key", "what is this");
    browser.press("Look at it");
    check(&browser, "add-refused", "Nothing was changed yet");
    browser.fill("Magnet link, key", &publisher.magnet);
    browser.press("Look at it");
    wait_for("the preview", LONG, || browser.text().contains("Frieda's garden"));
    check(&browser, "preview", "Nothing of it was downloaded yet");
    assert!(
        home.status()["downloaded"].as_u64() == Some(0),
        "{}",
        home.status()
    );
    browser.press("Follow");
    wait_for("the first version to be here", LONG, || {
        let text = browser.text();
        text.contains("p to date") && !text.contains("looks again by itself")
    });
    check(&browser, "subscription", "1 version seen");

    let second = publisher.make(2, 400_000);
    publisher.put(&second);
    browser.press("Check now");
    let subscription = browser.eval("return location.pathname");
    let subscription = subscription.as_str().expect("a path").to_owned();
    wait_for("the second version to be here", LONG, || {
        page(&subscription);
        let text = browser.text();
        text.contains("2 versions seen")
            && text.contains("p to date")
            && !text.contains("looks again by itself")
    });
    check(&browser, "subscription-new", "unbroken");
    page("/");
    check(&browser, "home", "What changed");

    read_both(&browser, &publisher, &subscription, [&first, &second]);
    settle(&browser, &subscription);
}

/// Opens what was pasted, the new version and the old one, and what changed between them.
fn read_both(browser: &Browser, publisher: &Publisher, subscription: &str, versions: [&str; 2]) {
    let page = |path: &str| browser.open(&format!("http://box.btlink{path}"));
    page(subscription);
    browser.press("What changed in version 2");
    check(browser, "changes", "changed");
    page(subscription);
    browser.press("Open");
    wait_for("the new version", soon(), || browser.title() == "Sample 2");
    assert_eq!(browser.eval("return location.host"), publisher.host.as_str());
    page(subscription);
    browser.press("Open version 1");
    wait_for("the old version", soon(), || browser.title() == "Sample 1");
    let host = browser.eval("return location.host");
    assert_eq!(host, format!("{}-ih.btlink", versions[0]));
    page("/");
    browser.press("Open Frieda's garden");
    wait_for("the news", soon(), || browser.title() == "Sample 2");
    assert_eq!(
        browser.eval("return location.host"),
        format!("{}-ih.btlink", versions[1])
    );
}

/// The rest of what a household does with a subscription, and every other page.
fn settle(browser: &Browser, subscription: &str) {
    let page = |path: &str| browser.open(&format!("http://box.btlink{path}"));
    page(subscription);
    browser.fill("What you call it", "The <b>garden</b>");
    browser.fill("Short name", "not a name");
    browser.press("Save");
    check(browser, "subscription-refused", "Nothing was changed yet");
    assert_eq!(
        browser.eval("return title.value"),
        "The <b>garden</b>",
        "what was typed stays"
    );
    browser.fill("Short name", "garden");
    browser.press("Save");
    check(browser, "subscription-named", "The <b>garden</b>");
    browser.open("http://garden.btlink/");
    wait_for("the site by its short name", soon(), || {
        browser.title() == "Sample 2"
    });
    page(subscription);
    assert_eq!(browser.eval("return petname.value"), "garden");
    browser.press("Pause");
    check(browser, "subscription-paused", "Resume");
    for (path, name, says) in [
        ("/subscriptions", "subscriptions", "1 subscription"),
        ("/sites", "sites", "Frieda's garden"),
        ("/storage", "storage", "free on the disk"),
        ("/network/reach", "reach", "Peers connected"),
        ("/sharing", "sharing", "Give to others"),
        ("/log", "log", "newest first"),
        ("/about", "about", "Apache License"),
        ("/nothing", "missing", "No such page"),
    ] {
        page(path);
        check(browser, name, says);
    }
    page("/sharing");
    browser.fill("Upload at most", "12,5");
    browser.fill("Give at most", "much");
    browser.press("Save");
    check(browser, "sharing-refused", "“much” is no whole number");
    browser.fill("Give at most", "300");
    browser.press("Save");
    check(browser, "sharing-set", "12.5 Mbit/s");
    page("/sites");
    browser.press("Frieda's garden");
    check(browser, "site", "Kept until you remove it");
    browser.press("Remove …");
    check(browser, "site-remove", "How to undo it");
    page(subscription);
    browser.print_screen("admin-subscription");
    browser.press("Unfollow …");
    check(browser, "unfollow", "What will change");
    browser.press("Unfollow");
    check(browser, "subscriptions-none", "no longer followed");
}

/// A text browser on the box's door; it knows its cookies from a file that the test's first visit left.
pub struct Lynx<'a> {
    granary: &'a Granary,
    dir: tempfile::TempDir,
}

impl<'a> Lynx<'a> {
    pub fn new(granary: &'a Granary) -> Self {
        Self {
            granary,
            dir: tempfile::tempdir().expect("the temporary folder is writable"),
        }
    }

    fn run(&self, program: &str, args: &[&str], path: &str, posted: Option<&[(&str, &str)]>) -> String {
        let jar = self.dir.path().join("cookies");
        let mut command = Command::new("timeout");
        command.args(["-k", "3", "60", program]).args(args);
        if program == "lynx" {
            let settings = self.dir.path().join("lynx.cfg");
            std::fs::write(&settings, "PERSISTENT_COOKIES:TRUE\nACCEPT_ALL_COOKIES:TRUE\n")
                .expect("writable");
            command.arg(format!("-cfg={}", settings.display()));
            command.arg(format!("-cookie_file={}", jar.display()));
            command.args(["-accept_all_cookies", "-nopause", "-width=80", "-dump"]);
        }
        if posted.is_some() {
            command.arg("-post_data");
        }
        command.arg(format!("http://{}{path}", self.granary.addr("http")));
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("tests/setup.sh installs lynx and w3m");
        let mut stdin = child.stdin.take().expect("piped");
        for (place, (name, value)) in posted.unwrap_or_default().iter().enumerate() {
            let mark = if place == 0 { "" } else { "&" };
            let value = percent(value);
            write!(stdin, "{mark}{name}={value}").expect("it reads what is posted");
        }
        if posted.is_some() {
            writeln!(stdin, "\n---").expect("it reads what is posted");
        }
        drop(stdin);
        let output = child.wait_with_output().expect("it ends");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub fn page(&self, path: &str) -> String {
        self.run("lynx", &[], path, None)
    }

    /// The hidden token of a page's forms.
    fn token(&self, path: &str) -> String {
        let source = self.run("lynx", &["-source"], path, None);
        let rest = source.split("name=\"token\" value=\"").nth(1);
        let token = rest.and_then(|rest| rest.split('"').next());
        token
            .unwrap_or_else(|| panic!("no form on {path}:\n{source}"))
            .to_owned()
    }

    /// Fills a form in and sends it, as Lynx does from its keyboard.
    pub fn post(&self, from: &str, to: &str, fields: &[(&str, &str)]) -> String {
        let token = self.token(from);
        let mut all = vec![("token", token.as_str())];
        all.extend(fields);
        self.run("lynx", &[], to, Some(&all))
    }

    /// Becomes the owner with two plain requests, as any browser makes them, and leaves the session where Lynx finds it.
    pub fn claim(&self) {
        let door = self.granary.addr("http");
        let pin = self.granary.ready()["claim_pin"]
            .as_str()
            .expect("the ready file names the PIN");
        let page = http::get(door, "/claim", &[("host", &door.to_string())]).expect("the page of a new box");
        let text = page.text();
        let token = text
            .split("name=\"token\" value=\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        let fields = [
            ("token", token.expect("a form")),
            ("pin", pin),
            ("name", "frieda"),
            ("password", PASSWORD),
            ("again", PASSWORD),
        ];
        let body: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{name}={}", percent(value)))
            .collect();
        let crumb = |response: &http::Response| {
            let cookie = response.header("set-cookie").expect("a cookie");
            cookie.split(';').next().unwrap_or_default().to_owned()
        };
        let headers = [
            ("host", door.to_string()),
            ("cookie", crumb(&page)),
            ("content-type", "application/x-www-form-urlencoded".into()),
        ];
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let claimed =
            http::request(door, "POST", "/claim", &headers, body.join("&").as_bytes()).expect("an answer");
        assert_eq!(claimed.status, 303, "{}", claimed.text());
        let session = crumb(&claimed).replace('=', "\t");
        let line = format!("127.0.0.1\tFALSE\t/\tFALSE\t4102444800\t{session}\n");
        std::fs::write(self.dir.path().join("cookies"), line).expect("the temporary folder is writable");
    }

    /// The same page in w3m, which gets the session of Lynx.
    pub fn in_w3m(&self, path: &str) -> String {
        let jar = std::fs::read_to_string(self.dir.path().join("cookies")).unwrap_or_default();
        let pairs = jar.lines().filter(|line| line.contains('\t')).filter_map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            Some(format!("{}={}", fields.get(5)?, fields.get(6)?))
        });
        let cookie = format!("Cookie: {}", pairs.collect::<Vec<_>>().join("; "));
        self.run("w3m", &["-dump", "-cols", "80", "-header", &cookie], path, None)
    }
}

fn percent(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(b).to_string(),
            b => format!("%{b:02X}"),
        })
        .collect()
}

#[test]
fn lynx_and_w3m_claim_the_box_follow_a_site_and_read_every_page() {
    let publisher = Publisher::start();
    let first = publisher.make(3, 300_000);
    let home = publisher.home().start();
    publisher.put(&first);
    let lynx = Lynx::new(&home);
    assert!(lynx.page("/").contains("no owner yet"), "{}", lynx.page("/"));
    lynx.claim();
    assert!(lynx.page("/").contains("Log out"), "{}", lynx.page("/"));
    let magnet = format!("/add?uri={}", percent(&publisher.magnet));
    wait_for("the preview", LONG, || {
        lynx.page(&magnet).contains("Frieda's garden")
    });
    assert!(lynx.page(&magnet).contains("Nothing of it was downloaded yet"));
    lynx.post(&magnet, "/add", &[("uri", &publisher.magnet), ("follow", "1")]);
    wait_for("the site to be here", LONG, || {
        lynx.page("/subscriptions").contains("Up to date")
    });

    for (path, says) in [
        ("/", "What changed|New"),
        ("/add", "Magnet link, key, address or domain"),
        ("/subscriptions", "Frieda's garden"),
        ("/sites", "Frieda's garden"),
        ("/storage", "Kept sites"),
        ("/network/reach", "Peers connected"),
        ("/sharing", "Give to others"),
        ("/log", "newest first"),
        ("/about", "Apache License"),
    ] {
        for (browser, text) in [("lynx", lynx.page(path)), ("w3m", lynx.in_w3m(path))] {
            assert!(
                says.split('|').any(|says| text.contains(says)),
                "{browser} {path}:\n{text}"
            );
            assert!(
                text.contains("Sites kept"),
                "{browser} {path}: the ways are missing:\n{text}"
            );
            let wide = text.lines().find(|line| line.chars().count() > 100);
            assert!(wide.is_none(), "{browser} {path}: {wide:?}");
        }
    }
}
