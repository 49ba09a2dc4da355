//! The router of the home, played by dnsmasq: DHCP, DNS, or both, as its configuration says.

use std::fs;

use crate::{
    netns::Host,
    process::Process,
    wait::{soon, wait_for},
};

/// A running dnsmasq; ended when dropped.
pub struct Router {
    pub host: Host,
    pub process: Process,
}

impl Router {
    /// Starts it with these lines and waits until it serves. Every query and lease is logged.
    #[track_caller]
    pub fn start(host: &Host, config: &str) -> Self {
        let file = host.file("dnsmasq.conf");
        let leases = host.file("dnsmasq.leases");
        let always = format!(
            "keep-in-foreground\nuser=root\npid-file=\nlog-facility=-\nlog-queries\nlog-dhcp\nno-hosts\nno-resolv\n\
             dhcp-leasefile={}\n",
            leases.display()
        );
        fs::write(&file, always + config).expect("the test's own folder is writable");
        let mut process = host.start("dnsmasq", &["-C", &file.display().to_string()]);
        wait_for("the router's dnsmasq to start", soon(), || {
            assert!(process.ended().is_none(), "dnsmasq ended: {}", process.output());
            process.output().contains("started, version")
        });
        Self {
            host: host.clone(),
            process,
        }
    }

    pub fn log(&self) -> String {
        self.process.output()
    }

    /// The lines of its lease file.
    pub fn leases(&self) -> Vec<String> {
        let text = fs::read_to_string(self.host.file("dnsmasq.leases")).unwrap_or_default();
        text.lines()
            .filter(|line| !line.starts_with("duid"))
            .map(Into::into)
            .collect()
    }
}
