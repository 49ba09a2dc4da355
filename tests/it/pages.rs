//! The pages Granary draws itself, in a real browser: readable by everybody, on a phone, in the dark, without a script.

use std::{path::Path, thread, time::Duration};

use harness::{
    Granary, Setup,
    browser::Browser,
    foreign::{Client, Program, Role, Torrent, make_torrent},
    http, sample, soon, wait_for,
};

/// Nobody has this one.
const NOBODYS: &str = "00112233445566778899aabbccddeeff00112233";

fn address(infohash: &str, path: &str) -> String {
    format!("http://{infohash}-ih.btlink/{path}")
}

fn torrent_of(dir: &Path, name: &str, piece_len: u32) -> Torrent {
    make_torrent(
        &dir.join(name),
        &dir.join(format!("{name}.torrent")),
        "",
        piece_len,
    )
}

fn seed(dir: &Path, torrent: &Torrent, upload_kib: u32) -> Client {
    let role = Role {
        dir: dir.into(),
        upload_kib,
        ..Role::default()
    };
    Client::start(Program::Libtorrent, torrent, &role)
}

/// What every page of ours promises; leaves pictures of it.
#[track_caller]
fn check(browser: &Browser, name: &str, says: &str) {
    let text = browser.text();
    assert!(text.contains(says), "{name} does not say {says:?}:\n{text}");
    assert_ne!(browser.title(), "", "{name} has no title");
    let count = |selector: &str| {
        let count = browser.eval(&format!("return document.querySelectorAll('{selector}').length"));
        count.as_u64().expect("a number")
    };
    assert_eq!(count("h1"), 1, "{name}: one heading");
    assert_eq!(count("script,[onclick],[onload]"), 0, "{name}: no script");
    assert_eq!(count("html[lang]"), 1, "{name} says its language");
    let size = browser.eval("return new TextEncoder().encode(document.documentElement.outerHTML).length");
    assert!(
        size.as_u64().is_some_and(|size| size < 30_000),
        "{name}: {size} bytes"
    );
    for (width, scheme) in [(320, "light"), (1200, "dark")] {
        browser.emulate(width, 700, scheme);
        assert!(!browser.scrolls_sideways(), "{name} is wider than {width} pixels");
        let barriers = browser.barriers();
        assert!(barriers.is_empty(), "{name}, {width} {scheme}: {barriers:#?}");
        let paper = browser.eval(
            "return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3)
                .reduce((sum, part) => sum + Number(part), 0) / 3",
        );
        let dark = paper.as_f64().expect("a number") < 80.0;
        assert_eq!(
            dark,
            scheme == "dark",
            "{name}: the paper's brightness is {paper}"
        );
    }
    browser.screens(name);
}

/// A folder as people have them: long names, other scripts, sub-folders, sizes from nothing to large.
fn folder(dir: &Path) {
    let files: [(&str, usize); 7] = [
        ("Sommer am Meer/Tag 1.jpg", 90_000),
        ("Sommer am Meer/Tag 2.jpg", 120_000),
        ("Überblick & Grüße.txt", 400),
        ("写真.png", 2_000),
        (
            "Eine_sehr_lange_Aufnahme_ohne_ein_einziges_Leerzeichen_im_Namen_2024-08-17.flac",
            3_000_000,
        ),
        ("film.mp4", 1_500_000),
        ("leer.txt", 0),
    ];
    for (index, (path, len)) in files.into_iter().enumerate() {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().expect("a file in a folder")).expect("writable");
        std::fs::write(path, sample::bytes(index as u64, len)).expect("writable");
    }
}

#[test]
fn the_boxs_own_pages_are_readable_by_everybody() {
    let granary = Granary::start();
    let door = granary.addr("http");
    let browser = Browser::with_pac(&format!("http://{door}/proxy.pac"));
    let site = format!("/open?uri=magnet:?xt=urn:btih:{NOBODYS}%26dn=Nobody");
    for (name, path, says) in [
        ("start", "/", "BitTorrent"),
        ("choice", site.as_str(), NOBODYS),
        ("not-understood", "/open?uri=what+is+this", "cannot be opened"),
        ("no-such-page", "/nothing", "No such page"),
    ] {
        browser.open(&format!("http://{door}{path}"));
        check(&browser, name, says);
    }
    browser.open("http://box.btlink/");
    assert_eq!(browser.title(), "Granary", "by name, through the proxy");
    browser.eval(&format!("document.forms[0].uri.value = '{NOBODYS}'"));
    browser.eval("document.forms[0].querySelector('button').click()");
    wait_for("the form to lead to the site", soon(), || {
        browser.eval("return location.host") == format!("{NOBODYS}-ih.btlink")
    });
}

#[test]
fn folders_and_waiting_are_shown_plainly() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    folder(&dir.path().join("Ferien 2024"));
    let many = dir.path().join("many");
    std::fs::create_dir_all(&many).expect("writable");
    for index in 0..3_000 {
        std::fs::write(many.join(format!("measurement number {index:04}.csv")), b"1;2\n").expect("writable");
    }
    let (small, huge) = (
        torrent_of(dir.path(), "Ferien 2024", 64 << 10),
        torrent_of(dir.path(), "many", 64 << 10),
    );
    let (first, second) = (seed(dir.path(), &small, 200), seed(dir.path(), &huge, 0));
    let granary = Setup::default().peer(first.addr).peer(second.addr).start();
    let door = granary.addr("http");
    let browser = Browser::with_pac(&format!("http://{door}/proxy.pac"));

    browser.open(&address(&small.infohash, ""));
    wait_for("the folder", soon(), || browser.title() == "Ferien 2024");
    check(&browser, "listing", "Überblick & Grüße.txt");
    let film = address(&small.infohash, "film.mp4");
    assert_eq!(
        granary.get_with(&film, &[("range", "bytes=0-400000")]).status,
        206
    );
    browser.open(&address(&small.infohash, ""));
    let row = "[...document.querySelectorAll('tr')].find(row => row.innerText.includes('film.mp4'))";
    let here = browser.eval(&format!("return parseInt({row}.lastElementChild.innerText)"));
    assert!(
        here.as_u64().is_some_and(|percent| (20..100).contains(&percent)),
        "the page says how much of the film is here: {here}"
    );
    check(&browser, "listing-half", "film.mp4");
    browser.open(&address(
        &small.infohash,
        "Sommer%20am%20Meer/?sort=size&order=desc",
    ));
    check(&browser, "listing-below", "Tag 2.jpg");
    browser.open(&address(NOBODYS, ""));
    check(&browser, "progress", "two seconds");
    browser.open(&address(&huge.infohash, ""));
    wait_for("the large folder", soon(), || browser.title() == "many");
    check(&browser, "listing-huge", "Page 1 of");
    browser.eval("[...document.links].find(link => link.innerText.includes('Next')).click()");
    wait_for("the second page", soon(), || browser.text().contains("Page 2 of"));
    browser.open(&format!("http://{door}/btih/{}/", small.infohash));
    check(&browser, "listing-by-path", "film.mp4");
    browser.open(&format!("http://{door}/btih/{}/leer.txt", small.infohash));
    assert_eq!(browser.text(), "", "a file by path");
}

#[test]
fn every_refusal_says_what_happened_and_what_can_be_done() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    folder(&dir.path().join("photos"));
    let torrent = torrent_of(dir.path(), "photos", 64 << 10);
    let foreign = seed(dir.path(), &torrent, 0);
    let granary = Setup::default().peer(foreign.addr).start();
    let (door, proxy) = (granary.addr("http"), granary.addr("proxy"));
    // Everything but one name goes to the proxy, as by a fixed setting; that one leads here by DNS.
    let browser = Browser::start(&[
        format!("--proxy-server={proxy}"),
        "--proxy-bypass-list=stranger.example".into(),
        "--host-resolver-rules=MAP stranger.example 127.0.0.1".into(),
    ]);
    let stranger = format!("http://stranger.example:{}/", door.port());
    for (name, url, says) in [
        (
            "error-404",
            address(&torrent.infohash, "Sommer%20am%20Meer/gone.jpg"),
            "no file of this name",
        ),
        (
            "error-400",
            address(&torrent.infohash, "a%00b"),
            "not well formed",
        ),
        ("error-403", "http://ordinary.example/".into(), "ordinary site"),
        ("error-421", stranger, "neither the box's"),
        (
            "error-name",
            "http://nobody.btlink/".into(),
            "Nobody has this name",
        ),
        (
            "error-publisher",
            "http://3bkn7umqo2g90xy96r2wpyrlu5j7n6s8ii3eoz4ra5nv45hh6m-pk.btlink/".into(),
            "publisher was not found",
        ),
        ("stopped", address(NOBODYS, "?btlink-stop"), "stopped waiting"),
        (
            "special",
            address(&torrent.infohash, ".btlink/record"),
            "signed record",
        ),
    ] {
        browser.open(&url);
        // What is looked for in the network shows how far that is first.
        wait_for(name, soon(), || browser.text().contains(says));
        check(&browser, name, says);
    }
    browser.open(&address(&torrent.infohash, "Sommer%20am%20Meer/gone.jpg"));
    browser.eval("document.querySelector('a.button').click()");
    wait_for("the way on to lead to the folder", soon(), || {
        browser.title() == "Sommer am Meer"
    });
}

#[test]
fn three_kinds_of_silence_have_three_pages() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for name in ["gone", "part"] {
        folder(&dir.path().join(name));
    }
    let (gone, part) = (
        torrent_of(dir.path(), "gone", 64 << 10),
        torrent_of(dir.path(), "part", 1 << 20),
    );
    // One knows the list of files, holds nothing of them, and goes away; the other takes two minutes for a piece.
    let mut holder = seed(&dir.path().join("nothing"), &gone, 0);
    let other = seed(dir.path(), &part, 8);
    let granary = Setup::default().peer(holder.addr).peer(other.addr).start();
    for torrent in [&gone, &part] {
        assert_eq!(
            granary.get(&address(&torrent.infohash, "")).status,
            200,
            "its list of files"
        );
    }
    holder.process.kill();

    let proxy = granary.addr("proxy");
    // A frame waits for the answer itself; a whole tab would be shown progress.
    let framed = [("accept", "text/html"), ("sec-fetch-dest", "iframe")];
    let asked = [
        (NOBODYS, ""),
        (&*gone.infohash, "film.mp4"),
        (&*part.infohash, "film.mp4"),
    ];
    let waiting = asked.map(|(infohash, path)| {
        let url = address(infohash, path);
        thread::spawn(move || http::get(proxy, &url, &framed).expect("an answer"))
    });
    let browser = Browser::start(&[]);
    let words = ["Nobody", "none of its holders", "did not come in time"];
    for ((waiting, says), name) in waiting
        .into_iter()
        .zip(words)
        .zip(["silent", "offline", "missing"])
    {
        let answer = waiting.join().expect("the asker does not panic");
        assert_eq!(answer.status, 504, "{name}");
        assert!(answer.header("retry-after").is_some());
        let file = dir.path().join(format!("{name}.html"));
        std::fs::write(&file, &answer.body).expect("writable");
        browser.open(&format!("file://{}", file.display()));
        check(&browser, &format!("error-504-{name}"), says);
    }
}

#[test]
fn a_person_who_waited_in_vain_is_told_once() {
    let granary = Granary::start();
    let browser = Browser::with_pac(&format!("http://{}/proxy.pac", granary.addr("http")));
    browser.open(&address(NOBODYS, ""));
    assert!(browser.title().starts_with("Looking for"));
    // The page looks again by itself until the search has ended.
    wait_for(
        "the page to say that nobody answered",
        Duration::from_secs(90),
        || browser.title() == "Nobody answered",
    );
    browser.open(&address(NOBODYS, ""));
    assert!(browser.title().starts_with("Looking for"), "a new try begins");
}
