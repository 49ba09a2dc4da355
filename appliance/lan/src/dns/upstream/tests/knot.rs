//! Knot as a server of zones that it signs itself.

use std::{fmt::Write, fs, net::IpAddr, path::Path, process::Command};

use harness::{
    process::{Process, bounded},
    wait::{soon, wait_some},
};

pub struct Zone {
    /// Without the final dot; the root is empty.
    pub name: &'static str,
    /// Records behind the SOA, in zone file form.
    pub records: String,
    pub signed: bool,
}

pub struct Knot {
    _process: Process,
    ip: IpAddr,
    port: u16,
}

impl Knot {
    /// Starts and answers at `ip`. `name` is that of its folder in `dir`.
    pub fn start(dir: &Path, name: &str, ip: IpAddr, port: u16, zones: &[Zone]) -> Self {
        let dir = dir.join(name);
        fs::create_dir_all(&dir).expect("the test's own folder is writable");
        let path = dir.display();
        let mut config = format!(
            "server:\n  rundir: {path}\n  listen: {ip}@{port}\ndatabase:\n  storage: {path}\n\
             policy:\n  - id: ours\n    algorithm: ecdsap256sha256\n    cds-cdnskey-publish: always\nzone:\n"
        );
        for zone in zones {
            let file = format!("{}zone", zone.name);
            let text = format!(
                "$ORIGIN {name}.\n$TTL 600\n@ SOA ns admin 1 3600 600 86400 300\n{}",
                zone.records,
                name = zone.name
            );
            fs::write(dir.join(&file), text).expect("writable");
            let _ = write!(
                config,
                "  - domain: {}.\n    file: {file}\n    storage: {path}\n",
                zone.name
            );
            if zone.signed {
                config.push_str("    dnssec-signing: on\n    dnssec-policy: ours\n");
            }
        }
        fs::write(dir.join("knot.conf"), config).expect("writable");
        let mut command = bounded("/usr/sbin/knotd");
        command.arg("-c").arg(dir.join("knot.conf"));
        let knot = Self {
            _process: Process::start("knotd", &mut command, &dir.join("knot.log")),
            ip,
            port,
        };
        for zone in zones {
            knot.wait_for(zone.name, if zone.signed { "DNSKEY" } else { "SOA" });
        }
        knot
    }

    /// Lines of `kdig +short`, as soon as there are some.
    pub fn wait_for(&self, name: &str, rtype: &str) -> Vec<String> {
        wait_some("Knot answers", soon(), || {
            let asked = Command::new("kdig")
                .arg(format!("@{}", self.ip))
                .args([
                    "-p",
                    &self.port.to_string(),
                    &format!("{name}."),
                    rtype,
                    "+short",
                    "+tcp",
                ])
                .output();
            let text = String::from_utf8(asked.ok()?.stdout).ok()?;
            let lines: Vec<_> = text.lines().filter(|line| !line.starts_with(';')).collect();
            (!lines.is_empty()).then(|| lines.into_iter().map(str::to_owned).collect())
        })
    }

    /// The DS record of a zone it signs, for the zone above.
    pub fn ds(&self, name: &str) -> String {
        format!("{name}. DS {}\n", self.wait_for(name, "CDS")[0])
    }

    /// The root's key as a trust anchor.
    pub fn anchor(&self) -> String {
        let keys = self.wait_for("", "DNSKEY");
        let keys = keys.iter().filter(|line| line.starts_with("257 "));
        keys.map(|key| format!(". 3600 IN DNSKEY {key}\n")).collect()
    }
}
