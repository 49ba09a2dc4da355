//! `granary doctor`: looks for what could keep Granary from working, and says what to do. With `--boot` only what decides
//! whether this boot is good: names are answered, pages are served, the store reads and writes.
//!
//! Reading order: this file, `network` (the lan half), `boot`.

mod boot;
mod network;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use hyper::Method;

use super::{Place, reach};
use crate::{clock::Clock, config::Config, fault::Fault, home::Home, net, tasks::Tasks};

/// 2026-01-01: a clock before it is not set.
const DATE_MIN: u64 = 1_767_225_600;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// The control socket of the LAN half [default: DATA/lan.sock]
    #[arg(long, value_name = "SOCKET")]
    lan_control: Option<PathBuf>,
    /// Only what decides whether this boot is good
    #[arg(long)]
    boot: bool,
}

/// One finding.
struct Check {
    what: &'static str,
    good: bool,
    text: String,
}

pub fn run(args: Args) -> Result<(), Fault> {
    let config = reach::config(&args.place)?;
    let home = Home::new(args.lan_control.clone().unwrap_or_else(|| config.lan_socket()));
    if args.boot {
        let checks = super::wait(async { Ok(boot::checks(&args.place, &home).await) })?;
        return report(&args.place, &checks);
    }
    let checks = super::wait(async {
        let tasks = Tasks::new();
        let running = reach::Reach::running(&args.place, &tasks).await?;
        let mut checks = vec![folder(&config.data), space(&config), date(), certificates()];
        let web_runs = running.is_some();
        match running {
            Some(client) => {
                let status = client.ask(Method::GET, "/api/v1/status", None).await?;
                let troubles = status["troubles"].as_array().cloned().unwrap_or_default();
                for trouble in &troubles {
                    checks.push(Check {
                        what: "running",
                        good: false,
                        text: format!(
                            "{}: {}",
                            trouble["room"].as_str().unwrap_or(""),
                            trouble["reason"].as_str().unwrap_or("")
                        ),
                    });
                }
                checks.push(Check {
                    what: "running",
                    good: true,
                    text: format!("a Granary answers since {} s", status["uptime_secs"]),
                });
            }
            None => checks.extend(ports(&config)),
        }
        checks.extend(network::checks(&home, web_runs).await);
        Ok(checks)
    })?;
    report(&args.place, &checks)
}

fn report(place: &Place, checks: &[Check]) -> Result<(), Fault> {
    if place.json {
        let rows: Vec<_> = checks
            .iter()
            .map(|check| serde_json::json!({ "what": check.what, "good": check.good, "text": check.text }))
            .collect();
        println!("{}", serde_json::Value::from(rows));
    } else {
        for check in checks {
            println!(
                "{} {}: {}",
                if check.good { "ok " } else { "BAD" },
                check.what,
                check.text
            );
        }
    }
    match checks.iter().filter(|check| !check.good).count() {
        0 => Ok(()),
        bad => Err(Fault::refused(format!(
            "{bad} thing(s) need attention; each line above says what to do"
        ))),
    }
}

fn folder(dir: &Path) -> Check {
    let probe = dir.join(".doctor");
    let written = fs::create_dir_all(dir)
        .and_then(|()| fs::write(&probe, b"ok"))
        .and_then(|()| fs::remove_file(&probe));
    Check {
        what: "data folder",
        good: written.is_ok(),
        text: match written {
            Ok(()) => format!("{} can be written", dir.display()),
            Err(err) => format!(
                "{} cannot be written ({err}): give another one with --data DIR",
                dir.display()
            ),
        },
    }
}

fn space(config: &Config) -> Check {
    let stat = rustix::fs::statvfs(&config.data);
    let free = stat
        .map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize))
        .unwrap_or(0);
    let good = free > 2 * config.free_floor_bytes;
    let advice = if good {
        ""
    } else {
        ": free some, or set `content` to another disk"
    };
    Check {
        what: "space",
        good,
        text: format!("{} free{advice}", indicatif::BinaryBytes(free)),
    }
}

fn date() -> Check {
    let good = Clock::default().now_secs() >= DATE_MIN;
    let advice = if good {
        "is plausible"
    } else {
        "lies in the past: set it, or let systemd-timesyncd do so"
    };
    Check {
        what: "date",
        good,
        text: format!("the system's date {advice}"),
    }
}

/// The engine reads the system's certificates when it starts, for trackers and web seeds over https.
fn certificates() -> Check {
    let known = [
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/cert.pem",
    ];
    let good = known.iter().any(|path| Path::new(path).exists());
    let text = if good {
        "the system has a list"
    } else {
        "none found: install the package ca-certificates"
    };
    Check {
        what: "certificates",
        good,
        text: text.into(),
    }
}

fn ports(config: &Config) -> Vec<Check> {
    let doors: [(&[SocketAddr], &'static str); 3] = [
        (&config.http, "--listen-http"),
        (&config.proxy, "--listen-proxy"),
        (std::slice::from_ref(&config.bt), "--listen-bt"),
    ];
    let mut checks = Vec::new();
    for (addrs, option) in doors {
        for addr in addrs {
            let opened = net::listen_tcp(*addr, option);
            checks.push(Check {
                what: "port",
                good: opened.is_ok(),
                text: opened.map_or_else(|err| err.to_string(), |_| format!("{addr} is free")),
            });
        }
    }
    checks
}
