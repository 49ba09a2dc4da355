//! Starting a card in QEMU. Software emulation only: a `/dev/kvm` that exists may still run no guest.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{board::Board, build::Results, grub};

const QEMU: &str = "qemu-system-aarch64";
/// UEFI for the emulated machine (package qemu-efi-aarch64).
const FIRMWARE: &str = "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd";
/// Port here, port of the card, protocol.
const FORWARDS: &[(u16, u16, &str)] = &[
    (42180, 80, "tcp"),
    (42128, 3128, "tcp"),
    (42153, 53, "udp"),
    (42153, 53, "tcp"),
];

pub struct Machine {
    /// Past firmware and GRUB, which take half of the time.
    pub direct: bool,
    /// A network device of this machine instead of forwarded ports.
    pub tap: Option<String>,
    /// Another file than the one that was built, written to.
    pub card: Option<PathBuf>,
    pub memory_mib: u64,
    pub slot: char,
}

/// Becomes QEMU.
pub fn start(machine: &Machine, board: &Board, results: &Results) -> Result<()> {
    let card = machine.card.as_deref().unwrap_or(&results.card);
    if !card.exists() {
        bail!(
            "{} is not there: build it with `cargo image build`",
            card.display()
        );
    }
    if !machine.direct && fs::metadata(FIRMWARE).is_err() {
        bail!(
            "{FIRMWARE} is not there: `tests/setup.sh image` installs it. `--direct` starts the kernel without it"
        );
    }
    if machine.tap.is_none() {
        for (here, there, protocol) in FORWARDS {
            eprintln!("image: 127.0.0.1:{here} is the card's port {there} ({protocol})");
        }
    }
    let err = Command::new(QEMU)
        .args(arguments(machine, board, results, card))
        .exec();
    Err(err).with_context(|| format!("start {QEMU} (tests/setup.sh image installs it)"))
}

fn arguments(machine: &Machine, board: &Board, results: &Results, card: &Path) -> Vec<String> {
    let memory = machine.memory_mib.to_string();
    let mut words: Vec<String> = [
        "-M",
        "virt",
        "-cpu",
        "cortex-a72",
        "-smp",
        "2",
        "-m",
        &memory,
        "-nographic",
        "-no-reboot",
    ]
    .map(String::from)
    .into();
    let mut add = |pair: &[String]| words.extend_from_slice(pair);
    if machine.direct {
        let slot = machine.slot;
        let line = grub::command_line(board, &slot.to_string(), &slot.to_ascii_uppercase().to_string());
        let path = |path: &Path| path.display().to_string();
        add(&[
            "-kernel".into(),
            path(&results.kernel),
            "-initrd".into(),
            path(&results.initrd),
        ]);
        add(&["-append".into(), line]);
    } else {
        add(&["-bios".into(), FIRMWARE.into()]);
    }
    // Without a card of one's own, what is written is forgotten.
    let snapshot = if machine.card.is_some() { "off" } else { "on" };
    add(&[
        "-drive".into(),
        format!(
            "if=none,id=card,file={},format=raw,cache=writeback,snapshot={snapshot}",
            card.display()
        ),
        "-device".into(),
        "virtio-blk-pci,drive=card".into(),
        "-device".into(),
        "virtio-rng-pci".into(),
        "-device".into(),
        "i6300esb".into(),
    ]);
    let net = match &machine.tap {
        Some(tap) => format!("tap,id=net,ifname={tap},script=no,downscript=no"),
        None => {
            let forward = |(here, there, protocol): &(u16, u16, &str)| {
                format!(",hostfwd={protocol}:127.0.0.1:{here}-:{there}")
            };
            format!("user,id=net{}", FORWARDS.iter().map(forward).collect::<String>())
        }
    };
    add(&["-netdev".into(), net]);
    // No boot from the network: its file is another package.
    add(&["-device".into(), "virtio-net-pci,netdev=net,romfile=".into()]);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(machine: &Machine) -> String {
        let board = Board::parse(include_str!("../../hw/qemu-arm64/board.toml")).expect("it is ours");
        let results = Results::of(Path::new("/c"), "qemu-arm64");
        let card = machine.card.clone().unwrap_or(results.card.clone());
        arguments(machine, &board, &results, &card).join(" ")
    }

    #[test]
    fn a_card_that_was_built_is_never_written_to() {
        let machine = Machine {
            direct: false,
            tap: None,
            card: None,
            memory_mib: 512,
            slot: 'a',
        };
        let text = words(&machine);
        assert!(
            text.contains("granary-qemu-arm64.img,format=raw,cache=writeback,snapshot=on"),
            "{text}"
        );
        assert!(text.contains("hostfwd=tcp:127.0.0.1:42180-:80"), "{text}");
    }

    #[test]
    fn the_kernel_started_directly_is_told_what_grub_would_tell_it() {
        let machine = Machine {
            direct: true,
            tap: Some("tap0".into()),
            card: Some("/tmp/x".into()),
            memory_mib: 512,
            slot: 'b',
        };
        let text = words(&machine);
        assert!(
            text.contains("granary.slot=b rauc.slot=B console=ttyAMA0"),
            "{text}"
        );
        assert!(
            text.contains("ifname=tap0") && text.contains("snapshot=off"),
            "{text}"
        );
    }
}
