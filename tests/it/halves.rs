//! The web half beside a lan half that comes, goes and comes back: it starts and answers without, and is of one mind with it
//! again soon.

use std::{
    io::Read,
    net::TcpStream,
    time::{Duration, Instant},
};

use harness::{Granary, Setup, http, soon, wait_for};
use rustix::process::Signal;
use serde_json::{Value, json};

fn troubles(granary: &Granary) -> String {
    granary.status()["troubles"].to_string()
}

fn script(granary: &Granary) -> String {
    http::get(granary.addr("http"), "/wpad.dat", &[])
        .expect("the door is open")
        .text()
}

#[test]
fn the_web_half_starts_and_answers_without_the_lan_half_and_says_so_until_it_comes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let socket = folder.path().join("lan.sock").display().to_string();
    let web = Setup::default()
        .verb("web")
        .arg("--lan-control")
        .arg(&socket)
        .arg("--starter")
        .start();
    let starter = web.ready()["starter"].as_str().expect("it is seeded").to_owned();
    assert!(script(&web).contains("PROXY"));
    wait_for("the trouble to be told", soon(), || {
        troubles(&web).contains("does not answer")
    });

    let lan = |verb: &str| {
        Setup::default()
            .verb(verb)
            .arg("--lan-control")
            .arg(&socket)
            .arg("--interface")
            .arg("lo")
            .start()
    };
    let mut beside = lan("lan");
    wait_for("the trouble to be over", soon(), || {
        !troubles(&web).contains("does not answer")
    });

    // Frozen: it holds the socket and says nothing.
    beside.process.signal(Signal::STOP);
    let before = Instant::now();
    assert!(!web.site(&starter, "/").is_empty());
    assert!(script(&web).contains("PROXY"));
    assert!(
        before.elapsed() < Duration::from_secs(2),
        "{:?}",
        before.elapsed()
    );
    beside.process.signal(Signal::CONT);
    beside.kill();
    wait_for("the trouble to be told again", soon(), || {
        troubles(&web).contains("does not answer")
    });
    assert!(!web.site(&starter, "/").is_empty());
    let _back = lan("lan");
    wait_for("it to be there again", soon(), || {
        !troubles(&web).contains("does not answer")
    });
}

#[test]
fn a_followed_linked_domain_stands_in_the_script_and_a_blocked_one_does_not() {
    let granary = Granary::start();
    assert!(!script(&granary).contains("linked.example.com"));
    let paste = json!({"paste": "http://linked.example.com/"});
    let followed = granary.control("POST", "/api/v1/subscriptions", &paste);
    assert_eq!(followed.status, 200, "{}", followed.text());
    wait_for("the domain in the script", soon(), || {
        script(&granary).contains("\"linked.example.com\":1")
    });
    let id = followed.json()["id"].as_str().expect("an id").to_owned();
    let change = json!({"blocked": true});
    let changed = granary.control("PATCH", &format!("/api/v1/subscriptions/{id}"), &change);
    assert_eq!(changed.status, 200, "{}", changed.text());
    wait_for("the domain to leave the script", soon(), || {
        !script(&granary).contains("linked.example.com")
    });
}

#[test]
fn a_switched_off_script_says_direct_and_what_is_set_survives_a_restart() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    let mut granary = Setup::default().data(&data).start();
    let socket = data.join("lan.sock");
    let ask = |method: &str, body: &[u8]| {
        http::request_unix(&socket, method, "/v1/settings", body).expect("the lan half runs beside")
    };
    let mut settings = ask("GET", b"").json();
    settings["wpad"]["enabled"] = Value::Bool(false);
    let saved = ask("PUT", settings.to_string().as_bytes());
    assert_eq!(saved.status, 200, "{}", saved.text());
    wait_for("the script to say direct", soon(), || {
        !script(&granary).contains("PROXY")
    });
    let pac = http::get(granary.addr("http"), "/wpad.dat", &[]).expect("the door is open");
    assert_eq!(pac.status, 200);
    assert_eq!(granary.stop(), 0);
    let granary = Setup::default().data(&data).start();
    wait_for("it to be off still", soon(), || {
        !script(&granary).contains("PROXY")
    });
}

#[test]
fn a_clean_stop_closes_every_door_at_once() {
    let mut granary = Granary::start();
    let (http, proxy) = (granary.addr("http"), granary.addr("proxy"));
    let mut idle: Vec<TcpStream> = [http, proxy]
        .iter()
        .map(|door| TcpStream::connect(door).expect("the door is open"))
        .collect();
    granary.process.signal(Signal::TERM);
    for door in [http, proxy] {
        wait_for("the door to be closed", Duration::from_secs(5), || {
            TcpStream::connect(door).is_err()
        });
    }
    for stream in &mut idle {
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .expect("not zero");
        let mut byte = [0];
        let ended = stream.read(&mut byte);
        let in_time = !matches!(&ended, Err(err) if err.kind() == std::io::ErrorKind::WouldBlock);
        assert!(in_time && !matches!(ended, Ok(1)), "{ended:?}");
    }
    assert_eq!(granary.stop(), 0);
}
