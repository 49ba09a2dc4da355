use proto::{
    name::{Address, TLD},
    record::{Mutable, immutable_target},
};
use serde_json::Value;
use tokio::time::{Duration, Instant};

use super::fixture::{Answer, Fixture, House, IH, sample};

const NEXT: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
/// A version of which nothing is here.
const AWAY: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const PERSON: &str = "Accept: text/html,*/*";

fn two_versions() -> Fixture {
    sample().with(NEXT, "next", &[("index.html", b"<p>second"), ("new.txt", b"new")])
}

fn host(address: &Address) -> String {
    address.host(TLD).unwrap()
}

fn hex(address: &Address) -> String {
    match address {
        Address::Key { key, .. } => data_encoding::HEXLOWER.encode(&key.0),
        other => panic!("{other:?}"),
    }
}

fn json(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{}", answer.text()))
}

#[tokio::test]
async fn a_key_shows_its_newest_version_with_every_promised_header() {
    let house = House::start(two_versions()).await;
    let known = &house.source.known;
    known.publish(1, b"blog", IH);
    let address = known.publish(1, b"blog", NEXT);
    *known.age_secs.lock().unwrap() = 42;
    let page = house.ask("GET", "/", &host(&address), &[]).await;
    assert_eq!((page.status, page.text().as_str()), (200, "<p>second"));
    let key = hex(&address);
    for (name, value) in [
        (
            "cache-control",
            "public, max-age=60, stale-while-revalidate=86400",
        ),
        ("etag", &*format!("\"{NEXT}-0\"")),
        ("x-bt-roots", NEXT),
        ("x-bt-path", "/index.html"),
        ("x-bt-seq", "2"),
        ("x-bt-checked", "Tue, 05 May 2026 14:05:00 GMT"),
        ("age", "42"),
        ("vary", "Origin"),
        ("access-control-allow-origin", "*"),
        (
            "link",
            &format!(
                "<bittorrent://{NEXT}/index.html>; rel=\"canonical\", \
                 <magnet:?xs=urn:btpk:{key}&s=626c6f67&xt=urn:btih:{NEXT}&dn=next>; rel=\"alternate\", \
                 </?btlink-version={IH}>; rel=\"predecessor-version\", \
                 </.btlink/versions>; rel=\"version-history\""
            ),
        ),
    ] {
        assert_eq!(page.header(name), Some(value), "{name}");
    }
    assert_eq!(page.header("access-control-allow-credentials"), None);
    // The same file by its infohash is the same entity: what a browser holds of one counts for the other.
    let tag = format!("If-None-Match: \"{NEXT}-0\"");
    let same = house.ask("GET", "/", &host(&address), &[&tag]).await;
    assert_eq!((same.status, same.header("x-bt-seq")), (304, Some("2")));
    let fixed = house.ask("GET", "/", &format!("{NEXT}-ih.btlink"), &[]).await;
    assert_eq!(
        fixed.header("cache-control"),
        Some("public, max-age=29030400, immutable")
    );
    assert_eq!((fixed.header("x-bt-seq"), fixed.header("vary")), (None, None));
}

#[tokio::test]
async fn only_pages_of_the_same_key_read_with_credentials() {
    let house = House::start(sample()).await;
    let blog = house.source.known.publish(1, b"blog", IH);
    let other = house.source.known.publish(2, b"", IH);
    let plain = match &blog {
        Address::Key { key, .. } => Address::Key {
            key: *key,
            salt: vec![],
        },
        _ => unreachable!(),
    };
    for (origin, same) in [
        (format!("http://{}", host(&plain)), true),
        (format!("https://{}:8443", host(&blog)), true),
        (format!("http://{}", host(&other)), false),
        (format!("http://{IH}-ih.btlink"), false),
        ("http://example.org".to_owned(), false),
        ("null".to_owned(), false),
    ] {
        let line = format!("Origin: {origin}");
        for method in ["GET", "OPTIONS"] {
            let answer = house.ask(method, "/", &host(&blog), &[&line]).await;
            let allowed = answer.header("access-control-allow-origin");
            let credentials = answer.header("access-control-allow-credentials");
            let want = if same {
                (Some(origin.as_str()), Some("true"))
            } else {
                (Some("*"), None)
            };
            assert_eq!((allowed, credentials), want, "{method} {origin}");
        }
    }
}

#[tokio::test]
async fn an_earlier_version_opens_by_number_and_infohash_and_no_other_does() {
    let house = House::start(two_versions()).await;
    let known = &house.source.known;
    known.publish(1, b"", IH);
    let host = host(&known.publish(1, b"", NEXT));
    for wanted in [IH, "1"] {
        let old = house
            .ask("GET", &format!("/about?btlink-version={wanted}"), &host, &[])
            .await;
        assert_eq!((old.status, old.text().as_str()), (200, "about"), "{wanted}");
        assert_eq!(
            (old.header("x-bt-roots"), old.header("x-bt-seq")),
            (Some(IH), Some("1"))
        );
        assert!(old.header("link").unwrap().contains("rel=\"latest-version\""));
    }
    for wanted in [NEXT, "2"] {
        let now = house
            .ask("GET", &format!("/?btlink-version={wanted}"), &host, &[])
            .await;
        assert_eq!(now.text(), "<p>second", "{wanted}");
    }
    for wanted in [AWAY, "3", "-1", "0", "x", "", "99999999999999999999"] {
        let path = format!("/?btlink-version={wanted}");
        let none = house.ask("GET", &path, &host, &[PERSON]).await;
        assert_eq!(none.status, 404, "{wanted}");
        assert!(
            none.text().contains(&format!("?btlink-version={IH}")),
            "{}",
            none.text()
        );
    }
}

#[tokio::test]
async fn the_history_is_told_to_people_and_programs() {
    let house = House::start(two_versions()).await;
    let known = &house.source.known;
    known.publish(1, b"", AWAY);
    known.publish(1, b"", IH);
    let address = known.publish(1, b"", NEXT);
    let host = host(&address);
    let rows = json(&house.ask("GET", "/.btlink/versions", &host, &[]).await);
    let told: Vec<_> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            (
                row["seq"].as_i64(),
                row["infohash"].as_str(),
                row["held_percent"].as_u64(),
            )
        })
        .collect();
    let want = [(3, NEXT, 100), (2, IH, 100), (1, AWAY, 0)];
    let want = want.map(|(seq, ih, held)| (Some(seq), Some(ih), Some(held)));
    assert_eq!(told, want);
    assert_eq!(rows[1]["open"], format!("/?btlink-version={IH}"));
    let page = house
        .ask("GET", "/.btlink/versions", &host, &[PERSON])
        .await
        .text();
    for sign in ["shown now", "6 May 2026", "Nothing of it", "What changed"] {
        assert!(page.contains(sign), "{sign}: {page}");
    }
    let path = format!("/.btlink/versions?changes={NEXT}");
    let changes = json(&house.ask("GET", &path, &host, &[]).await);
    assert_eq!((&changes["from"], &changes["to"]), (&IH.into(), &NEXT.into()));
    assert_eq!(changes["added"][0]["path"], "index.html");
    let page = house.ask("GET", &path, &host, &[PERSON]).await.text();
    assert!(page.contains("New files") && page.contains("new.txt"), "{page}");
    for path in [
        format!("/.btlink/versions?changes={IH}"),
        "/.btlink/versions?changes=x".into(),
    ] {
        assert_eq!(house.ask("GET", &path, &host, &[]).await.status, 404, "{path}");
    }
    let info = json(&house.ask("GET", "/.btlink/info", &host, &[]).await);
    assert_eq!(
        (&info["seq"], &info["copies"], &info["key"]),
        (&3.into(), &8.into(), &hex(&address).into())
    );
    assert!(info["first_seen"].as_u64() < info["last_checked"].as_u64());
}

#[tokio::test]
async fn the_record_is_given_as_others_can_check_it() {
    let house = House::start(sample()).await;
    let address = house.source.known.publish(1, b"blog", IH);
    let answer = house.ask("GET", "/.btlink/record", &host(&address), &[]).await;
    let item = Mutable::decode(&answer.body).expect("a good record");
    assert_eq!((item.seq, item.salt.as_slice()), (1, b"blog".as_slice()));
    let name = format!("attachment; filename=\"{}.record\"", item.target());
    assert_eq!(answer.header("content-disposition"), Some(name.as_str()));
}

#[tokio::test(start_paused = true)]
async fn each_silence_and_refusal_of_a_key_has_its_own_text() {
    let house = House::start(sample()).await;
    let known = &house.source.known;
    let away = known.publish(1, b"", AWAY);
    let packet = known.put(2, b"", b"5:hello");
    let blocked = known.publish(3, b"", IH);
    if let Address::Key { key, salt } = &blocked {
        known
            .blocked
            .lock()
            .unwrap()
            .insert(proto::id::Target(key.target(salt)));
    }
    let silent = "3bkn7umqo2g90xy96r2wpyrlu5j7n6s8ii3eoz4ra5nv45hh6m-pk.btlink".to_owned();
    let mut texts = Vec::new();
    for (host, status) in [
        (silent.clone(), 504),
        (host(&away), 504),
        (host(&packet), 502),
        (host(&blocked), 410),
        ("nobody.btlink".to_owned(), 404),
    ] {
        let answer = house.ask("GET", "/", &host, &["Sec-Fetch-Dest: image"]).await;
        assert_eq!(answer.status, status, "{host}: {}", answer.text());
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        texts.push(answer.text());
    }
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), 5, "{texts:#?}");
    for host in [silent, host(&away)] {
        let lines = ["Cache-Control: only-if-cached"];
        assert_eq!(house.ask("GET", "/", &host, &lines).await.status, 412, "{host}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_person_sees_what_is_asked_and_what_was_found() {
    let house = House::start(sample()).await;
    let silent = "3bkn7umqo2g90xy96r2wpyrlu5j7n6s8ii3eoz4ra5nv45hh6m-pk.btlink";
    let begun = Instant::now();
    let asking = house.ask("GET", "/", silent, &[PERSON]).await;
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!((asking.status, asking.header("refresh")), (202, Some("2")));
    assert!(asking.text().contains("newest record"), "{}", asking.text());
    let stopped = house.ask("GET", "/?btlink-stop", silent, &[PERSON]).await;
    assert_eq!((stopped.status, stopped.header("refresh")), (200, None));
    let known = &house.source.known;
    known.publish(1, b"", IH);
    let away = host(&known.publish(1, b"", AWAY));
    let found = house.ask("GET", "/about", &away, &[PERSON]).await;
    assert_eq!(found.status, 202);
    for sign in ["record number 2, of 5 May 2026", "/about?btlink-version=951ead31"] {
        assert!(found.text().contains(sign), "{sign}: {}", found.text());
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_with_both_leads_to_its_infohash_until_the_key_answers() {
    let house = House::start(two_versions()).await;
    let address = house.source.known.publish(9, b"", NEXT);
    let key = "8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e";
    let magnet = format!("/magnet:?xt=urn:btih:{IH}&xs=urn:btpk:{key}");
    let led = house.ask("GET", &magnet, "box.btlink", &[]).await;
    let silent = "3bkn7umqo2g90xy96r2wpyrlu5j7n6s8ii3eoz4ra5nv45hh6m-pk.btlink";
    assert_eq!(led.header("location"), Some(format!("http://{silent}/").as_str()));
    let begun = Instant::now();
    for _ in 0..5 {
        let away = house.ask("GET", "/about?a=b", silent, &[]).await;
        let to = format!("http://{IH}-ih.btlink/about?a=b");
        assert_eq!((away.status, away.header("location")), (302, Some(to.as_str())));
        assert_eq!(away.header("cache-control"), Some("no-store"));
    }
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    let own = house.http.to_string();
    let here = house.ask("GET", &format!("/btpk/{key}/about"), &own, &[]).await;
    assert_eq!(
        here.header("location"),
        Some(format!("/btih/{IH}/about").as_str())
    );
    let magnet = format!("/magnet:?xt=urn:btih:{IH}&xs=urn:btpk:{}", hex(&address));
    house.ask("GET", &magnet, "box.btlink", &[]).await;
    assert_eq!(
        house.ask("GET", "/", &host(&address), &[]).await.text(),
        "<p>second"
    );
}

#[tokio::test]
async fn a_name_of_this_home_opens_what_it_names() {
    let house = House::start(sample()).await;
    let known = &house.source.known;
    let address = known.publish(1, b"", IH);
    let torrent = Address::Torrent(proto::id::InfoHash::from_hex(IH).unwrap());
    known.names.lock().unwrap().insert("alice".into(), address);
    known.names.lock().unwrap().insert("fixed".into(), torrent);
    let alice = house.ask("GET", "/about", "alice.btlink", &[]).await;
    assert_eq!(
        (alice.text().as_str(), alice.header("x-bt-seq")),
        ("about", Some("1"))
    );
    let fixed = house.ask("GET", "/about", "fixed.btlink", &[]).await;
    assert_eq!((fixed.text().as_str(), fixed.header("x-bt-seq")), ("about", None));
    assert!(
        fixed.header("cache-control").unwrap().contains("max-age=60"),
        "names are given anew"
    );
    assert_eq!(fixed.header("age"), None);
}

#[tokio::test]
async fn a_key_by_path_runs_no_script_and_redirects_who_has_the_proxy() {
    let house = House::start(sample()).await;
    let address = house.source.known.publish(1, b"n", IH);
    let (key, own) = (hex(&address), house.http.to_string());
    let base = format!("/btpk/{key}:6e");
    let page = house.ask("GET", &format!("{base}/about"), &own, &[]).await;
    assert_eq!((page.status, page.text().as_str()), (200, "about"));
    assert!(
        page.header("content-security-policy")
            .unwrap()
            .starts_with("sandbox")
    );
    assert!(
        page.header("link")
            .unwrap()
            .contains(&format!("<{base}/.btlink/versions>"))
    );
    for (path, to) in [
        (base.clone(), format!("{base}/")),
        (
            base.to_uppercase().replace("BTPK", "btpk") + "/a?b",
            format!("{base}/a?b"),
        ),
        (format!("{base}/files"), format!("{base}/files/")),
    ] {
        let answer = house.ask("GET", &path, &own, &[]).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (308, Some(to.as_str())),
            "{path}"
        );
    }
    let named = house
        .ask("GET", &format!("{base}/about?x"), "box.btlink", &[])
        .await;
    let to = format!("http://{}/about?x", host(&address));
    assert_eq!((named.status, named.header("location")), (301, Some(to.as_str())));
    for path in [
        "/btpk/z!/",
        "/btpk/",
        "/btih/12/",
        "/bt44/x/",
        "/btdl/nodots/",
        "/btpk/1:zz/",
    ] {
        assert_eq!(house.ask("GET", path, &own, &[]).await.status, 400, "{path}");
    }
    let long = format!("/btpk/{key}:{}/", "aa".repeat(65));
    assert_eq!(house.ask("GET", &long, &own, &[]).await.status, 400);
}

#[tokio::test(start_paused = true)]
async fn an_item_is_shown_as_page_json_and_bytes_and_never_runs() {
    let house = House::start(sample()).await;
    let known = &house.source.known;
    let value = [
        b"d4:html25:<script>alert(1)</script>2:ih20:".as_slice(),
        &[0xaa; 20],
        b"e",
    ]
    .concat();
    let target = immutable_target(&value);
    known.items.lock().unwrap().insert(target, value.clone());
    let host = format!("{target}-44.btlink");
    let page = house.ask("GET", "/", &host, &[PERSON]).await;
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, Some("text/html; charset=utf-8"))
    );
    assert!(!page.text().contains("<script") && page.text().contains("&lt;script"));
    assert!(page.text().contains(&format!("http://{NEXT}-ih.btlink/")));
    let program = house.ask("GET", "/", &host, &[]).await;
    assert_eq!(json(&program)["ih"]["hex"], "aa".repeat(20));
    assert_eq!(
        house.ask("GET", "/?format=json", &host, &[PERSON]).await.body,
        program.body
    );
    let raw = house.ask("GET", "/?format=raw", &host, &[PERSON]).await;
    assert_eq!(raw.body, value);
    assert_eq!(raw.header("content-type"), Some("application/octet-stream"));
    for answer in [&page, &program, &raw] {
        let csp = answer.header("content-security-policy").unwrap();
        assert!(
            csp.contains("default-src 'none'") && csp.contains("sandbox"),
            "{csp}"
        );
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert!(answer.header("cache-control").unwrap().contains("immutable"));
    }
    let tag = format!("If-None-Match: {}", raw.header("etag").unwrap());
    assert_eq!(house.ask("GET", "/?format=raw", &host, &[&tag]).await.status, 304);
    let mutable = known.publish(1, b"", IH);
    let record = match &mutable {
        Address::Key { key, salt } => proto::id::Target(key.target(salt)),
        _ => unreachable!(),
    };
    let signed = house
        .ask("GET", "/", &format!("{record}-44.btlink"), &[PERSON])
        .await;
    assert!(signed.text().contains("A signed record: number 1") && signed.text().contains(&hex(&mutable)));
    assert!(signed.header("cache-control").unwrap().contains("max-age=60"));
    let unknown = format!("{NEXT}-44.btlink");
    assert_eq!(house.ask("GET", "/", &unknown, &[]).await.status, 504);
    assert_eq!(house.ask("GET", "/", &unknown, &[PERSON]).await.status, 202);
    assert_eq!(house.ask("GET", "/x", &host, &[]).await.status, 404);
}

#[tokio::test]
async fn a_reload_asks_the_network_and_a_part_of_the_page_does_not() {
    let house = House::start(sample()).await;
    let host = host(&house.source.known.publish(1, b"", IH));
    for (lines, asked) in [
        (vec![PERSON], 0),
        (vec![PERSON, "Cache-Control: max-age=0"], 1),
        (vec![PERSON, "Cache-Control: no-cache"], 2),
        (vec!["Sec-Fetch-Dest: image", "Cache-Control: no-cache"], 2),
        (vec![PERSON, "Cache-Control: only-if-cached, no-cache"], 2),
    ] {
        assert_eq!(
            house.ask("GET", "/about", &host, &lines).await.status,
            200,
            "{lines:?}"
        );
        assert_eq!(*house.source.known.again.lock().unwrap(), asked, "{lines:?}");
    }
}
