//! The tools of the tests themselves: when these are wrong, every other result is worth nothing.

use harness::{
    browser::Browser,
    foreign::{Client, Program, Role, make_torrent},
    sample,
    tracker::Tracker,
};

#[test]
fn two_foreign_clients_exchange_a_site_through_our_test_tracker() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let content = dir.path().join("seed/site");
    sample::site(&content, 1, 300_000);
    let tracker = Tracker::start();
    let torrent = make_torrent(
        &content,
        &dir.path().join("site.torrent"),
        &tracker.url(),
        32 << 10,
    );
    let seed_role = Role {
        dir: dir.path().join("seed"),
        ..Role::default()
    };
    let seed = Client::start(Program::Libtorrent, &torrent, &seed_role);
    let leech_role = Role {
        dir: dir.path().join("leech"),
        peer: Some(seed.addr),
        ..Role::default()
    };
    let leech = Client::start(Program::Webtorrent, &torrent, &leech_role);
    leech.wait_file("site/big.bin", &sample::bytes(1, 300_000), harness::soon());
}

#[test]
fn the_browser_runs_script_and_takes_pictures() {
    let browser = Browser::start(&[]);
    browser.open("data:text/html,<title>it</title><p>works");
    assert_eq!(
        (browser.title().as_str(), browser.text().as_str()),
        ("it", "works")
    );
    assert_eq!(browser.eval("return 6 * 7"), 42);
    assert_eq!(browser.eval_async("setTimeout(() => done('later'), 1)"), "later");
    browser.screens("harness");
    browser.emulate(320, 700, "light");
    assert!(!browser.scrolls_sideways());
}
