//! How Granary starts and ends: ready file, signals, exit codes, messages that say what to do.

use std::{
    fs,
    net::{TcpListener, UdpSocket},
    process::Output,
    time::Duration,
};

use harness::{Granary, Setup, granary::cli, http, soon, wait_for};
use rustix::process::Signal;

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_ready_file_names_every_address_and_a_stop_is_clean() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let pidfile = dir.path().join("pid");
    let mut granary = Setup::default()
        .arg("--pidfile")
        .arg(pidfile.display().to_string())
        .start();
    for service in ["http", "proxy", "bt", "dht"] {
        assert_ne!(granary.addr(service).port(), 0, "{service}");
    }
    let pid = granary.process.pid();
    assert_eq!(granary.ready()["pid"], pid);
    assert_eq!(
        fs::read_to_string(&pidfile).expect("written").trim(),
        pid.to_string()
    );
    let page = http::get(granary.addr("http"), "/", &[]).expect("the household's page");
    assert_eq!(page.status, 200);
    let pac = http::get(granary.addr("http"), "/proxy.pac", &[]).expect("the PAC");
    assert!(
        pac.text().contains(&format!("PROXY {}", granary.addr("proxy"))),
        "{}",
        pac.text()
    );
    assert!(granary.status()["troubles"].as_array().is_some_and(Vec::is_empty));

    assert_eq!(granary.stop(), 0);
    assert!(!pidfile.exists() && !granary.control.exists());
    assert!(
        !granary.log().contains("did not stop in time"),
        "{}",
        granary.log()
    );
}

#[test]
fn a_second_granary_on_one_folder_ends_with_3_and_harms_nothing() {
    let first = Granary::start();
    let data = first.data.display().to_string();
    let ports = [
        "--listen-http",
        "127.0.0.1:0",
        "--listen-proxy",
        "127.0.0.1:0",
        "--listen-bt",
        "127.0.0.1:0",
    ];
    let mut args = vec![
        "run",
        "--data",
        &data,
        "--no-lsd",
        "--no-upnp",
        "--dht-bootstrap",
        "none",
    ];
    args.extend(ports);
    let second = cli(&args);
    assert_eq!(code(&second), 3, "{}", said(&second));
    assert!(said(&second).contains("--data DIR"), "{}", said(&second));
    assert_eq!(first.status()["pid"], first.process.pid());
}

#[test]
fn a_used_folder_opens_again_after_a_stop_and_after_a_kill() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut starter = String::new();
    for end in ["stop", "kill", "stop"] {
        let mut granary = Setup::default().data(dir.path()).arg("--starter").start();
        let now = granary.ready()["starter"]
            .as_str()
            .expect("it is seeded")
            .to_string();
        assert!(
            starter.is_empty() || starter == now,
            "the starter site is the same every time"
        );
        starter = now;
        let page = granary.site(&starter, "/");
        assert!(String::from_utf8_lossy(&page).contains("Welcome to Granary"));
        if end == "kill" {
            granary.kill();
        } else {
            assert_eq!(granary.stop(), 0);
        }
    }
}

#[test]
fn a_taken_port_ends_with_5_and_names_the_option() {
    for option in ["--listen-http", "--listen-proxy", "--listen-bt", "--listen-dht"] {
        // The DHT speaks UDP, all others TCP.
        let (tcp, udp) = match option {
            "--listen-dht" => (None, Some(UdpSocket::bind("127.0.0.1:0").expect("a free port"))),
            _ => (Some(TcpListener::bind("127.0.0.1:0").expect("a free port")), None),
        };
        let bound = tcp
            .as_ref()
            .map(TcpListener::local_addr)
            .or(udp.as_ref().map(UdpSocket::local_addr));
        let addr = bound.expect("one of them").expect("bound").to_string();
        let dir = tempfile::tempdir().expect("a temporary folder");
        let data = dir.path().display().to_string();
        let mut args = vec![
            "run",
            "--data",
            &data,
            "--no-lsd",
            "--no-upnp",
            "--dht-bootstrap",
            "none",
            option,
            &addr,
        ];
        for other in ["--listen-http", "--listen-proxy", "--listen-bt", "--listen-dht"] {
            if other != option {
                args.extend([other, "127.0.0.1:0"]);
            }
        }
        let output = cli(&args);
        assert_eq!(code(&output), 5, "{option}: {}", said(&output));
        assert!(
            said(&output).contains(option) && said(&output).contains(&addr),
            "{}",
            said(&output)
        );
        drop((tcp, udp));
    }
}

#[test]
fn faults_of_the_config_file_are_listed_together() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = dir.path().join("granary.toml");
    fs::write(&file, "colour = 'red'\n[listen]\nhttp = ['here']\n").expect("writable");
    let output = cli(&[
        "run",
        "--data",
        &dir.path().display().to_string(),
        "--config",
        &file.display().to_string(),
    ]);
    assert_eq!(code(&output), 2);
    assert!(
        said(&output).contains("colour: unknown key") && said(&output).contains("listen.http"),
        "{}",
        said(&output)
    );
}

#[test]
fn flags_that_would_do_nothing_are_refused_with_a_reason() {
    for (args, reason) in [
        (&["web", "--dhcp", "lease"][..], "`granary lan`"),
        (&["web", "--listen-dns", "127.0.0.1:0"], "`granary lan`"),
        (&["run", "--listen-https", "1.2.3.4:1"], "this release has no"),
    ] {
        let output = cli(args);
        assert_eq!(code(&output), 2, "{args:?}");
        assert!(said(&output).contains(reason), "{}", said(&output));
    }
}

#[test]
fn another_date_needs_a_fresh_folder() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    fs::write(dir.path().join("something"), "of mine").expect("writable");
    let output = cli(&[
        "run",
        "--data",
        &dir.path().display().to_string(),
        "--clock-offset",
        "1000",
    ]);
    assert_eq!(code(&output), 2, "{}", said(&output));

    let granary = Setup::default().arg("--clock-offset").arg("100000000").start();
    let now = granary.status()["now"].as_u64().expect("a date");
    // The test compares with the system's own date: that is what the product has to differ from.
    #[allow(clippy::disallowed_methods)]
    let real = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    assert!(now > real + 99_000_000, "{now} is not far ahead of {real}");
}

#[test]
fn a_damaged_state_file_is_set_aside_and_the_house_opens() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut granary = Setup::default().data(dir.path()).start();
    assert_eq!(granary.stop(), 0);
    let damage = || fs::write(dir.path().join("state.redb"), b"this is no database".repeat(1000));
    damage().expect("writable");
    let mut granary = Setup::default().data(dir.path()).arg("--starter").start();
    let starter = granary.ready()["starter"]
        .as_str()
        .expect("it is seeded again")
        .to_string();
    assert!(!granary.site(&starter, "/").is_empty());
    assert!(dir.path().join("state.redb.damaged-1").exists());

    // What a site needs is kept twice: the same damage costs nothing now.
    assert_eq!(granary.stop(), 0);
    damage().expect("writable");
    let granary = Setup::default().data(dir.path()).start();
    assert!(!granary.site(&starter, "/").is_empty());
    assert!(granary.status()["troubles"].as_array().is_some_and(Vec::is_empty));
    assert!(dir.path().join("state.redb.damaged-2").exists());
}

#[test]
fn a_hangup_reloads_the_config_and_a_faulty_one_changes_nothing() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = dir.path().join("granary.toml");
    fs::write(&file, "[swarm]\nupload_bytes_per_sec = 100000\n").expect("writable");
    let granary = Setup::default()
        .arg("--config")
        .arg(file.display().to_string())
        .start();
    granary.process.signal(Signal::HUP);
    wait_for("the reload", soon(), || granary.log().contains("config reloaded"));
    assert_eq!(granary.status()["upload_bytes_per_sec_max"], 100_000);
    fs::write(
        &file,
        "[swarm]\nschedule = ['daily 0-24 up=200000 down=300000']\n",
    )
    .expect("writable");
    granary.process.signal(Signal::HUP);
    wait_for("the schedule to be in force", soon(), || {
        let status = granary.status();
        status["upload_bytes_per_sec_max"] == 200_000 && status["download_bytes_per_sec_max"] == 300_000
    });
    fs::write(&file, "nonsense = 1\n").expect("writable");
    granary.process.signal(Signal::HUP);
    wait_for("the refusal", soon(), || {
        granary.log().contains("config not reloaded")
    });
    assert_eq!(granary.status()["pid"], granary.process.pid());
}

#[test]
fn both_doors_tell_the_same_figures_in_the_same_words() {
    let granary = Granary::start();
    let page = http::get(granary.addr("http"), "/api/v1/status", &[])
        .expect("the status")
        .json();
    let told = granary.status();
    for word in [
        "version",
        "peers",
        "dht_nodes",
        "down_bytes_per_sec",
        "up_bytes_per_sec",
        "downloaded",
        "uploaded",
        "download_bytes_per_sec_max",
        "upload_bytes_per_sec_max",
        "fetching",
        "port_mapping",
    ] {
        assert!(!page[word].is_null(), "the page does not tell {word}: {page}");
        assert_eq!(page[word], told[word], "{word}");
    }
    let words = told["port_mapping"].as_str().expect("a sentence");
    assert!(words.starts_with("off:") && words.contains("--upnp"), "{words}");
}

#[test]
fn what_the_fetch_engine_grumbles_about_is_not_logged() {
    let mut granary = Granary::start();
    assert_eq!(granary.stop(), 0);
    let log = granary.log();
    assert!(log.contains("DHT node started"), "{log}");
    assert!(!log.contains(" librqbit"), "{log}");
    assert!(!log.contains("WARN"), "an ordinary stop is no trouble: {log}");
}

#[test]
fn an_interrupted_reader_does_not_keep_the_house_from_stopping() {
    let mut granary = Setup::default().arg("--starter").start();
    // A connection that never asks anything.
    let idle = std::net::TcpStream::connect(granary.addr("http")).expect("the door is open");
    let started = std::time::Instant::now();
    assert_eq!(granary.stop(), 0);
    assert!(
        started.elapsed() < Duration::from_secs(15),
        "{:?}",
        started.elapsed()
    );
    drop(idle);
}
