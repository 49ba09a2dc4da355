//! A host with an operating system's services: folders of its own for what they write (`/run`, `/etc/systemd`, …) and a
//! message bus, so that NetworkManager, systemd-resolved and systemd-networkd run as on a real device.

use std::{
    fs,
    process::{Command, Output},
};

use crate::{
    netns::Host,
    process::Process,
    wait::{soon, wait_for, wait_some},
};

/// A running machine; everything on it ends with the LAN of its host.
pub struct Machine {
    pub host: Host,
    holder: Process,
}

/// Folders that are empty and writable on every machine.
const OWN: &[&str] = &[
    "/run",
    "/etc/systemd",
    "/etc/NetworkManager",
    "/var/lib/NetworkManager",
];

impl Machine {
    #[track_caller]
    pub fn start(host: &Host) -> Self {
        let ready = host.file("machine-ready");
        let mounts: String = OWN
            .iter()
            .map(|dir| format!("mkdir -p {dir} && mount -t tmpfs tmpfs {dir} && "))
            .collect();
        // /sys read-only keeps NetworkManager from waiting for udev; the sleep holds the mounts.
        let script = format!(
            "{mounts} chmod 755 /run && (mount -o remount,ro /sys || true) && mkdir -p /run/dbus && \
             dbus-daemon --system --fork --nopidfile && touch {} && exec sleep 900",
            ready.display()
        );
        let mut command = host.command("unshare");
        command.args(["-m", "--propagation", "private", "sh", "-c", &script]);
        let mut holder = host.start_command("machine", &mut command);
        wait_for("the machine's message bus", soon(), || {
            assert!(holder.ended().is_none(), "the machine ended: {}", holder.output());
            ready.exists()
        });
        Self {
            host: host.clone(),
            holder,
        }
    }

    /// The program with this machine's folders and network.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        let pid = self.holder.pid().to_string();
        command.args(["--target", &pid, "--mount", "--net", "--", program]);
        command
    }

    /// Runs a program to its end, bounded by a minute.
    pub fn output(&self, program: &str, args: &[&str]) -> Output {
        let mut command = self.command("timeout");
        command
            .args(["--foreground", "-k", "3", "60", program])
            .args(args);
        command.output().unwrap_or_else(|err| panic!("{program}: {err}"))
    }

    /// What a program prints, whether it ends well or not.
    pub fn text(&self, program: &str, args: &[&str]) -> String {
        String::from_utf8_lossy(&self.output(program, args).stdout).into_owned()
    }

    /// A long-running program, bounded by fifteen minutes.
    #[track_caller]
    pub fn start_program(&self, program: &str, args: &[&str]) -> Process {
        let mut command = self.command("timeout");
        command
            .args(["--foreground", "-k", "3", "900", program])
            .args(args);
        self.host.start_command(program, &mut command)
    }

    /// Writes a file that only this machine sees; its folder must be one of the machine's own.
    #[track_caller]
    pub fn write(&self, path: &str, text: &str) {
        let from = self.host.file("file-to-copy");
        fs::write(&from, text).expect("the test's own folder is writable");
        let mode = if path.starts_with("/etc/NetworkManager") {
            "600"
        } else {
            "644"
        };
        let output = self.output("install", &["-D", "-m", mode, &from.display().to_string(), path]);
        assert!(output.status.success(), "write {path}: {output:?}");
    }

    /// NetworkManager with its own DHCP client on `eth0`; returns when the interface is connected.
    #[track_caller]
    pub fn network_manager(&self) -> Process {
        self.write(
            "/etc/NetworkManager/NetworkManager.conf",
            "[main]\nplugins=keyfile\ndhcp=internal\nauth-polkit=false\nno-auto-default=*\ndns=default\n\
             rc-manager=file\n[logging]\nlevel=INFO\n",
        );
        self.write(
            "/etc/NetworkManager/system-connections/eth0.nmconnection",
            "[connection]\nid=eth0\ntype=ethernet\ninterface-name=eth0\nautoconnect=true\n\
             [ipv4]\nmethod=auto\n[ipv6]\nmethod=auto\naddr-gen-mode=eui64\n",
        );
        let manager = self.start_program("NetworkManager", &["--no-daemon"]);
        wait_for("NetworkManager to connect eth0", soon(), || {
            let state = self.text("nmcli", &["-t", "-g", "GENERAL.STATE", "dev", "show", "eth0"]);
            state.starts_with("100")
        });
        manager
    }

    /// An option of NetworkManager's DHCPv4 lease, such as `wpad` or `domain_name_servers`.
    #[track_caller]
    pub fn lease_option(&self, name: &str) -> Option<String> {
        let text = self.text("nmcli", &["-g", "DHCP4.OPTION", "dev", "show", "eth0"]);
        let mark = format!("{name} = ");
        // nmcli escapes colons with a backslash.
        text.split(['|', '\n'])
            .find_map(|option| option.trim().strip_prefix(&mark))
            .map(|value| value.trim().replace('\\', ""))
    }

    /// systemd-resolved with these lines in its `[Resolve]` section; returns when it answers on 127.0.0.53.
    #[track_caller]
    pub fn resolved(&self, lines: &str) -> Process {
        self.write(
            "/etc/systemd/resolved.conf",
            &format!("[Resolve]\n{lines}\nLLMNR=no\nMulticastDNS=no\n"),
        );
        let owned = self.output(
            "install",
            // systemd-resolved refuses a folder that is not its own and its group's.
            &[
                "-d",
                "-o",
                "systemd-resolve",
                "-g",
                "systemd-resolve",
                "/run/systemd/resolve",
            ],
        );
        assert!(owned.status.success(), "{owned:?}");
        let resolved = self.start_program("/lib/systemd/systemd-resolved", &[]);
        wait_some("systemd-resolved to listen", soon(), || {
            let status = self.text("resolvectl", &["status"]);
            status.contains("resolv.conf mode").then_some(())
        });
        resolved
    }
}
