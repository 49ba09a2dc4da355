//! What a person sees: Debian's Chromium with nothing but our PAC file, on sites that a foreign client seeds.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use harness::{
    Granary, Setup,
    browser::Browser,
    foreign::{Client, Program, Role, Torrent, make_torrent},
    sample, soon,
};

/// A site in a folder of its own, as a torrent.
fn torrent_of(dir: &Path, name: &str) -> Torrent {
    make_torrent(
        &dir.join(name),
        &dir.join(format!("{name}.torrent")),
        "",
        256 << 10,
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

fn browser_for(granary: &Granary) -> Browser {
    Browser::with_pac(&format!("http://{}/proxy.pac", granary.addr("http")))
}

fn address(torrent: &Torrent, path: &str) -> String {
    format!("http://{}-ih.btlink/{path}", torrent.infohash)
}

/// A page with everything a page has: style, image, font, script, links into sub-folders.
fn rich_site(dir: &Path) {
    sample::site(dir, 7, 3_000_000);
    let page = r#"<!doctype html><html lang=en><meta charset=utf-8><title>Rich</title>
<link rel=stylesheet href=look/style.css>
<h1 id=head>Rich</h1><img id=pic src=look/pic.png alt=pic><p><a id=down href=more/>more</a>
<script src=look/code.js></script></html>"#;
    let style =
        "@font-face{font-family:Ours;src:url(face.ttf)}\nh1{font-family:Ours,serif;color:rgb(1, 2, 3)}\n";
    let look = dir.join("look");
    std::fs::create_dir_all(&look).expect("the test's own folder is writable");
    std::fs::write(dir.join("index.html"), page).expect("writable");
    std::fs::write(look.join("style.css"), style).expect("writable");
    std::fs::write(look.join("code.js"), "window.ranScript = 'yes';\n").expect("writable");
    std::fs::copy(
        "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
        look.join("face.ttf"),
    )
    .expect("DejaVu is part of the set-up");
    let drawn = Command::new("ffmpeg")
        .args([
            "-loglevel",
            "error",
            "-y",
            "-f",
            "lavfi",
            "-i",
            "testsrc=s=120x80",
            "-frames:v",
            "1",
        ])
        .arg(look.join("pic.png"))
        .status()
        .expect("ffmpeg is part of the set-up");
    assert!(drawn.success());
}

/// A function body that fetches `path` and yields its length and a 32-bit FNV-1a hash of its bytes.
fn digest_script(path: &str) -> String {
    format!(
        "fetch('{path}').then(r => r.arrayBuffer()).then(b => {{
            let h = 2166136261; for (const x of new Uint8Array(b)) {{ h = Math.imul(h ^ x, 16777619) >>> 0 }}
            done([b.byteLength, h]) }}).catch(e => done(String(e)))"
    )
}

fn digest(bytes: &[u8]) -> serde_json::Value {
    let hash = bytes.iter().fold(2_166_136_261u32, |h, b| {
        (h ^ u32::from(*b)).wrapping_mul(16_777_619)
    });
    serde_json::json!([bytes.len(), hash])
}

#[test]
fn a_foreign_site_opens_whole_in_chromium_through_our_pac() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    rich_site(&dir.path().join("rich"));
    let torrent = torrent_of(dir.path(), "rich");
    let foreign = seed(dir.path(), &torrent, 0);
    let granary = Setup::default().peer(foreign.addr).start();
    let browser = browser_for(&granary);

    browser.open(&address(&torrent, ""));
    harness::wait_for("the page itself", soon(), || browser.title() == "Rich");
    assert_eq!(
        browser.eval("return getComputedStyle(head).color"),
        "rgb(1, 2, 3)",
        "the style sheet"
    );
    assert_eq!(browser.eval("return pic.naturalWidth"), 120, "the image");
    assert_eq!(
        browser.eval("return window.ranScript"),
        "yes",
        "the script of a whole site"
    );
    assert_eq!(
        browser.eval_async("document.fonts.ready.then(() => done(document.fonts.check('12px Ours')))"),
        true,
        "the font"
    );
    for path in [
        "index.html",
        "big.bin",
        "look/face.ttf",
        "look/pic.png",
        "more/note.txt",
    ] {
        let bytes = std::fs::read(dir.path().join("rich").join(path)).expect("just written");
        assert_eq!(
            browser.eval_async(&digest_script(&format!("/{path}"))),
            digest(&bytes),
            "{path}"
        );
    }
    browser.screens("site");
    browser.eval("down.click()");
    harness::wait_for("the sub-folder", soon(), || browser.title() == "more");
    assert_eq!(browser.eval("return location.pathname"), "/more/");
}

#[test]
fn two_sites_do_not_share_storage_or_pages() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    sample::site(&dir.path().join("one"), 1, 1000);
    sample::site(&dir.path().join("two"), 2, 1000);
    let (one, two) = (torrent_of(dir.path(), "one"), torrent_of(dir.path(), "two"));
    let (first, second) = (seed(dir.path(), &one, 0), seed(dir.path(), &two, 0));
    let granary = Setup::default().peer(first.addr).peer(second.addr).start();
    let browser = browser_for(&granary);
    let open = |torrent: &Torrent, title: &str| {
        browser.open(&address(torrent, ""));
        harness::wait_for(title, soon(), || browser.title() == title);
    };

    open(&one, "Sample 1");
    browser.eval("localStorage.setItem('mine', '1'); document.cookie = 'mine=1; Domain=btlink'; document.cookie = 'own=1'");
    assert_eq!(browser.eval("return localStorage.getItem('mine')"), "1");
    open(&two, "Sample 2");
    assert_eq!(
        browser.eval("return localStorage.getItem('mine')"),
        serde_json::Value::Null
    );
    assert_eq!(
        browser.eval("return document.cookie"),
        "",
        "no cookie crosses from one site to another"
    );
    open(&one, "Sample 1");
    assert_eq!(browser.eval("return localStorage.getItem('mine')"), "1");
}

/// About 200 MB of H.264 in MP4, made once and kept in the cache folder.
fn video() -> PathBuf {
    let path = harness::foreign::cache_dir().join("sample-200mb-1.mp4");
    if !path.exists() {
        let part = path.with_extension(format!("{}.part.mp4", std::process::id()));
        let made = Command::new("ffmpeg")
            .args([
                "-loglevel",
                "error",
                "-y",
                "-f",
                "lavfi",
                "-i",
                "testsrc2=s=640x360:r=25,noise=alls=40:allf=t",
                "-t",
                "118",
            ])
            .args([
                "-c:v",
                "libx264",
                "-preset",
                "ultrafast",
                "-b:v",
                "14M",
                "-maxrate",
                "14M",
                "-bufsize",
                "14M",
                "-g",
                "50",
            ])
            .args(["-pix_fmt", "yuv420p", "-movflags", "+faststart"])
            .arg(&part)
            .status()
            .expect("ffmpeg is part of the set-up");
        assert!(made.success());
        std::fs::rename(&part, &path).expect("the cache folder is writable");
    }
    let size = std::fs::metadata(&path).expect("just made").len();
    assert!(size > 190_000_000, "the sample video has {size} bytes");
    path
}

#[test]
fn a_video_plays_from_the_middle_while_most_of_it_is_missing() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let folder = dir.path().join("film");
    std::fs::create_dir_all(&folder).expect("writable");
    std::fs::write(
        folder.join("index.html"),
        "<!doctype html><title>Film</title><video id=v src=film.mp4 muted controls></video>",
    )
    .expect("writable");
    std::fs::hard_link(video(), folder.join("film.mp4"))
        .or_else(|_| std::fs::copy(video(), folder.join("film.mp4")).map(drop))
        .expect("writable");
    let torrent = make_torrent(&folder, &dir.path().join("film.torrent"), "", 1 << 20);
    // 6 MiB/s: at least half a minute for all of it, like a good home line.
    let foreign = seed(dir.path(), &torrent, 6 << 10);
    let granary = Setup::default().peer(foreign.addr).start();
    let browser = browser_for(&granary);

    browser.open(&address(&torrent, ""));
    harness::wait_for("the page", soon(), || browser.title() == "Film");
    let ready = browser.eval_async("if (v.readyState > 0) done(v.duration); v.onloadedmetadata = () => done(v.duration); v.onerror = () => done(v.error.message)");
    assert!(
        ready.as_f64().is_some_and(|secs| secs > 110.0),
        "the video's head: {ready}"
    );
    let begin = Instant::now();
    let shown = browser.eval_async(
        "v.onseeked = () => done(v.currentTime); v.onerror = () => done(v.error.message); v.currentTime = 60",
    );
    let took = begin.elapsed();
    assert_eq!(shown, 60);
    let info = granary.get(&address(&torrent, ".btlink/info")).json();
    let number = |key: &str| {
        info[key]
            .as_u64()
            .unwrap_or_else(|| panic!("the info has a number {key}: {info}"))
    };
    let (held, all) = (number("held_bytes"), number("size"));
    println!("seek to the middle took {took:?} with {held} of {all} bytes held");
    assert!(
        held * 10 < all * 7,
        "the rest is still missing, or this proves nothing: {held} of {all}"
    );
    assert!(took < Duration::from_secs(3), "{took:?}");
    browser.screens("video");
}
