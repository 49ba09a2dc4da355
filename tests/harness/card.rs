//! A card that was built (`make image`), started in QEMU as a machine of a test LAN. Whoever looks at it sees what a home sees:
//! its cable and, for the report, its console.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use crate::{netns::Host, process::Process};

/// What QEMU gives its first network device.
pub const MAC: &str = "52:54:00:12:34:56";
/// In the first line of a Linux kernel.
const FIRST_LINE: &str = "Linux version";

/// The workshop, which lies beside the program that asks.
pub fn workshop() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let folder = program.parent().context("a program lies in a folder")?;
    let found = [folder, folder.parent().unwrap_or(folder)]
        .map(|folder| folder.join("granary-image"))
        .into_iter()
        .find(|path| path.exists());
    found.context("granary-image is not built: cargo build -p granary-image")
}

/// How the machine starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// UEFI and GRUB, as a real board does.
    Firmware,
    /// The kernel at once.
    Direct,
}

/// A running machine; its power is cut when dropped.
pub struct Card {
    qemu: Process,
    since: Instant,
    kernel_at: Option<Instant>,
}

impl Card {
    /// Gives the host's cable to a new machine with this card, which is written to.
    pub fn start(host: &Host, card: &Path, start: Start) -> Result<Self> {
        if host.run("ip", &["-o", "link", "show"]).contains(" tap0:") {
            // The machine was started here before.
        } else {
            host.run("ip", &["tuntap", "add", "dev", "tap0", "mode", "tap"]);
            host.ip("link add br0 type bridge forward_delay 0 mcast_snooping 0");
            for link in ["eth0", "tap0"] {
                host.ip(&format!("link set {link} master br0 up"));
            }
            host.ip("link set br0 up");
        }
        let workshop = workshop()?.display().to_string();
        let mut command = Command::new("ip");
        command.args([
            "netns",
            "exec",
            host.namespace(),
            &workshop,
            "qemu",
            "--tap",
            "tap0",
        ]);
        command.arg("--card").arg(card);
        if start == Start::Direct {
            command.arg("--direct");
        }
        Ok(Self {
            qemu: host.start_command("qemu", &mut command),
            since: Instant::now(),
            kernel_at: None,
        })
    }

    /// Must be asked often: what the machine printed is only seen when somebody looks.
    pub fn look(&mut self) -> Result<()> {
        if self.kernel_at.is_none() && self.console().contains(FIRST_LINE) {
            self.kernel_at = Some(Instant::now());
        }
        if let Some(status) = self.qemu.ended() {
            anyhow::bail!("qemu ended with {status}; its last words:\n{}", self.last_words());
        }
        Ok(())
    }

    /// Everything on its console so far.
    pub fn console(&self) -> String {
        self.qemu.output()
    }

    pub fn last_words(&self) -> String {
        let console = self.console();
        let lines: Vec<_> = console.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    /// The guest's own time since its kernel began: without a real processor behind it, its clock is ours.
    pub fn guest_time(&self) -> Option<Duration> {
        self.kernel_at.map(|at| at.elapsed())
    }

    pub fn since_power(&self) -> Duration {
        self.since.elapsed()
    }

    /// Processor time that emulating it took, which says more than the clock on a busy machine.
    pub fn cpu_secs(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.qemu.pid())).unwrap_or_default();
        let after = stat.rsplit(')').next().unwrap_or_default();
        let ticks = |at: usize| -> f64 {
            let word = after.split_whitespace().nth(at);
            word.and_then(|word| word.parse().ok()).unwrap_or_default()
        };
        // Fields 14 and 15 of proc(5), which counts from before the parenthesis; 100 per second on every Linux.
        (ticks(11) + ticks(12)) / 100.0
    }

    /// Not even a chance to write what is in memory.
    pub fn cut_power(&mut self) {
        self.qemu.kill();
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        self.cut_power();
    }
}
