//! What a site's answers carry, through the real binary and its proxy door, from bytes a foreign client seeds.

use std::{path::Path, process::Command};

use harness::{
    Granary, Setup,
    foreign::{Client, Program, Role, Torrent, make_torrent},
    http::{self, Response},
    sample,
};

const BIG: usize = 700_001;

/// One site for all questions of a test.
struct House {
    granary: Granary,
    torrent: Torrent,
    dir: tempfile::TempDir,
    _seed: Client,
}

fn write(dir: &Path, files: &[(&str, &[u8])]) {
    for (path, bytes) in files {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().expect("a file in a folder")).expect("writable");
        std::fs::write(path, bytes).expect("writable");
    }
}

impl House {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let rules = b"/old/* /docs/:splat 301\n/app/* /app.html 200\n/went /gone.html 410\n";
        let files: [(&str, &[u8]); 13] = [
            ("index.html", b"<!doctype html><title>Home</title>home"),
            ("about.html", b"<title>About</title>about"),
            ("app.html", b"app"),
            ("gone.html", b"gone for good"),
            ("404.html", b"<title>Lost</title>not here, says the site"),
            ("_redirects", rules),
            ("docs/index.html", b"docs"),
            ("docs/a.txt", b"a"),
            ("pics/Bär & Co.txt", b"pictures"),
            ("pics/empty.txt", b""),
            (".btlink/info", b"the torrent's own"),
            ("code.js", b"1"),
            ("big.bin", &sample::bytes(5, BIG)),
        ];
        write(&dir.path().join("site"), &files);
        let torrent = make_torrent(
            &dir.path().join("site"),
            &dir.path().join("site.torrent"),
            "",
            64 << 10,
        );
        let role = Role {
            dir: dir.path().into(),
            ..Role::default()
        };
        let seed = Client::start(Program::Libtorrent, &torrent, &role);
        let granary = Setup::default().peer(seed.addr).start();
        Self {
            granary,
            torrent,
            dir,
            _seed: seed,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}-ih.btlink{path}", self.torrent.infohash)
    }

    #[track_caller]
    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
        http::request(self.granary.addr("proxy"), method, &self.url(path), headers, &[])
            .unwrap_or_else(|err| panic!("{method} {path}: {err:#}"))
    }

    #[track_caller]
    fn get(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        self.ask("GET", path, headers)
    }

    /// Saves the body of `path` and runs a Python program on it; returns what it prints.
    #[track_caller]
    fn python(&self, path: &str, program: &str) -> String {
        let answer = self.get(path, &[]);
        assert_eq!(answer.status, 200, "{path}");
        let file = self.dir.path().join("answer");
        std::fs::write(&file, &answer.body).expect("writable");
        let output = Command::new("/usr/bin/python3")
            .args(["-c", program])
            .arg(&file)
            .arg(self.dir.path().join("site"))
            .output()
            .expect("python3 is part of the set-up");
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{path}: {err}");
        String::from_utf8_lossy(&output.stdout).trim().into()
    }
}

#[test]
fn every_file_carries_the_promised_headers() {
    let house = House::new();
    let ih = &house.torrent.infohash;
    let answer = house.get("/", &[]);
    let header = |name: &str| answer.header(name).unwrap_or_default().to_string();
    assert_eq!(answer.status, 200);
    assert_eq!(header("content-type"), "text/html; charset=utf-8");
    assert_eq!(header("cache-control"), "public, max-age=29030400, immutable");
    assert_eq!(header("accept-ranges"), "bytes");
    assert_eq!(header("x-bt-path"), "/index.html");
    assert_eq!(&header("x-bt-roots"), ih);
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("referrer-policy"), "no-referrer");
    assert_eq!(header("access-control-allow-origin"), "*");
    assert!(header("access-control-expose-headers").contains("X-Bt-Path"));
    assert!(header("content-security-policy").contains("treat-as-public-address"));
    let link = header("link");
    let canonical = format!("<bittorrent://{ih}/index.html>; rel=\"canonical\"");
    assert!(link.contains(&canonical), "{link}");
    assert!(link.contains(&format!("<magnet:?xt=urn:btih:{ih}")) && link.contains("rel=\"alternate\""));
    let etag = header("etag");
    let number = etag
        .strip_prefix(&format!("\"{ih}-"))
        .and_then(|rest| rest.strip_suffix('"'));
    assert!(
        number.is_some_and(|digits| digits.parse::<u32>().is_ok()),
        "{etag}"
    );
    assert_eq!(answer.header("last-modified"), None);
    assert_eq!(answer.header("set-cookie"), None);

    let head = house.ask("HEAD", "/", &[]);
    let plain = |answer: &Response| {
        let mut headers = answer.headers.clone();
        headers.retain(|(name, _)| name != "date");
        headers.sort();
        headers
    };
    assert_eq!(plain(&head), plain(&answer), "HEAD has the headers of GET");
    assert!(head.body.is_empty());

    let listing = house.get("/pics/", &[]);
    let tag = listing.header("etag").unwrap_or_default();
    assert!(tag.starts_with(&format!("\"DirIndex-1_{ih}-")), "{tag}");
    assert_eq!(house.get("/pics/", &[("if-none-match", tag)]).status, 304);
}

#[test]
fn ranges_and_validators_are_exact() {
    let house = House::new();
    let whole = sample::bytes(5, BIG);
    let first = house.get("/big.bin", &[]);
    assert_eq!((first.status, first.body == whole), (200, true));
    let etag = first.header("etag").expect("a file has a tag").to_string();
    for (range, from, to) in [
        ("bytes=0-0", 0, 0),
        ("bytes=65535-65536", 65_535, 65_536),
        ("bytes=300000-", 300_000, BIG - 1),
        ("bytes=-7", BIG - 7, BIG - 1),
        ("bytes=-99999999", 0, BIG - 1),
        ("bytes=699999-99999999", 699_999, BIG - 1),
    ] {
        let part = house.get("/big.bin", &[("range", range)]);
        assert_eq!(part.status, 206, "{range}");
        assert!(part.body == whole[from..=to], "{range}: other bytes");
        let told = format!("bytes {from}-{to}/{BIG}");
        assert_eq!(part.header("content-range"), Some(told.as_str()));
        assert_eq!(part.header("etag"), Some(etag.as_str()));
    }
    for range in ["bytes=700001-", "bytes=-0"] {
        let past = house.get("/big.bin", &[("range", range)]);
        assert_eq!(past.status, 416, "{range}");
        assert_eq!(past.header("content-range"), Some("bytes */700001"));
    }
    for range in ["bytes=5-1", "bytes=x-", "lines=1-2", "bytes"] {
        assert_eq!(
            house.get("/big.bin", &[("range", range)]).status,
            200,
            "{range} is ignored"
        );
    }
    let weak = format!("W/{etag}");
    let list = format!("\"other\", {weak}");
    for tags in ["*", etag.as_str(), weak.as_str(), list.as_str()] {
        let same = house.get("/big.bin", &[("if-none-match", tags)]);
        assert_eq!((same.status, same.body.len()), (304, 0), "{tags}");
        assert_eq!(same.header("etag"), Some(etag.as_str()));
        assert!(
            same.header("cache-control")
                .is_some_and(|text| text.contains("immutable"))
        );
    }
    assert_eq!(
        house.get("/big.bin", &[("if-none-match", "\"other\"")]).status,
        200
    );
    for (tag, status) in [(etag.as_str(), 206), (weak.as_str(), 200), ("\"other\"", 200)] {
        let part = house.get("/big.bin", &[("range", "bytes=1-2"), ("if-range", tag)]);
        assert_eq!(part.status, status, "If-Range: {tag}");
    }
}

#[test]
fn a_site_author_finds_what_web_servers_do() {
    let house = House::new();
    for (path, status, says) in [
        ("/about", 200, "about"),
        ("/docs/", 200, "docs"),
        ("/app/some/view", 200, "app"),
        ("/went", 410, "gone for good"),
        ("/nowhere", 404, "not here, says the site"),
    ] {
        let answer = house.get(path, &[]);
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.text().contains(says), "{path}: {}", answer.text());
        if status != 200 {
            let cached = answer.header("cache-control").unwrap_or_default();
            assert!(!cached.contains("immutable"), "{path}: {cached}");
        }
    }
    let moved = |path: &str| {
        let answer = house.get(path, &[]);
        (
            answer.status,
            answer.header("location").unwrap_or_default().to_string(),
        )
    };
    assert_eq!(moved("/docs?x=1"), (308, "/docs/?x=1".into()));
    assert_eq!(moved("/old/a.txt"), (301, "/docs/a.txt".into()));
    assert_eq!(
        house.get("/code.js", &[]).header("content-type"),
        Some("text/javascript; charset=utf-8")
    );
    assert_eq!(
        house.get("/pics/empty.txt", &[]).header("content-length"),
        Some("0")
    );
}

#[test]
fn downloads_archives_and_raw_paths_are_what_others_can_read() {
    let house = House::new();
    let ih = &house.torrent.infohash;
    let saved = |path: &str| {
        let answer = house.get(path, &[]);
        answer
            .header("content-disposition")
            .unwrap_or_default()
            .to_string()
    };
    assert_eq!(
        saved("/about.html?filename=B%C3%A4r.html"),
        "inline; filename=\"B_C3_A4r.html\"; filename*=UTF-8''B%C3%A4r.html"
    );
    assert!(saved("/about.html?download=true").starts_with("attachment; filename=\"about.html\""));

    let same = "
want = {}
for folder, _, files in os.walk(sys.argv[2]):
    for name in files:
        path = os.path.join(folder, name)
        want['site/' + os.path.relpath(path, sys.argv[2])] = open(path, 'rb').read()
assert have == want, sorted(set(have) ^ set(want))
print(len(have))
";
    let zip = format!(
        "import os, sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\nassert z.testzip() is None\n\
         have = {{i.filename: z.read(i) for i in z.infolist()}}{same}"
    );
    let tar = format!(
        "import os, sys, tarfile\nt = tarfile.open(sys.argv[1])\n\
         have = {{m.name: t.extractfile(m).read() for m in t if m.isfile()}}{same}"
    );
    for (path, program) in [("/.btlink/zip", &zip), ("/.btlink/tar", &tar)] {
        let count: usize = house.python(path, program).parse().expect("a number");
        assert!(count >= 12, "{path} holds {count} files");
    }
    let hash = "import sys, libtorrent as lt; print(lt.torrent_info(sys.argv[1]).info_hash())";
    assert_eq!(&house.python("/.btlink/metainfo", hash), ih);
    let raw = house.get("/.btlink/raw/site/.btlink/info", &[]);
    assert_eq!(raw.text(), "the torrent's own");
    let info = house.get("/.btlink/info", &[]).json();
    assert_eq!(info["infohash"], ih.as_str());
    assert!(
        info["peers"].is_u64() && info["size"].as_u64() > Some(BIG as u64),
        "{info}"
    );
}

#[test]
fn what_is_not_stored_is_not_looked_for_when_the_client_forbids_it() {
    let house = House::new();
    let only = [("cache-control", "only-if-cached")];
    let refused = house.get("/", &only);
    assert_eq!(refused.status, 412);
    assert!(
        refused
            .header("x-reason")
            .is_some_and(|text| text.contains("only-if-cached"))
    );
    assert_eq!(house.get("/big.bin", &[]).body.len(), BIG);
    assert_eq!(house.get("/big.bin", &only).status, 200, "it is here now");

    let preflight = house.ask("OPTIONS", "/big.bin", &[("origin", "http://other.btlink")]);
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-origin"), Some("*"));
    assert!(
        preflight
            .header("access-control-allow-headers")
            .is_some_and(|text| text.contains("Range"))
    );
    let post = house.ask("POST", "/", &[]);
    assert_eq!(
        (post.status, post.header("allow")),
        (405, Some("GET, HEAD, OPTIONS"))
    );
}
