//! Raspberry Pi: what its firmware reads. The first partition says which slot is started; each slot has firmware, settings,
//! kernel and device tree of its own, so that an update never touches what runs.

use crate::{board::Board, grub, layout::Layout};

/// Where the kernel lies on a slot. Not compressed, which every firmware understands.
pub const KERNEL: &str = "kernel8.img";

/// `tryboot`: a reboot that asks for it starts the other slot once, and the next power-on starts the old one again.
pub fn autoboot(layout: &Layout) -> String {
    let part = |slot: &str| layout.number(&format!("boot-{slot}")).unwrap_or_default();
    format!(
        "[all]\ntryboot_a_b=1\nboot_partition={}\n[tryboot]\nboot_partition={}\n",
        part("a"),
        part("b")
    )
}

pub fn config(board: &Board) -> String {
    let tree = tree_file(board);
    let mut text = format!(
        "# Written by `cargo image build`; an update replaces the whole slot.\narm_64bit=1\nkernel={KERNEL}\n\
         initramfs initrd followkernel\nupstream_kernel=1\ndevice_tree={tree}\n"
    );
    for line in &board.config {
        text += line;
        text.push('\n');
    }
    text
}

/// One line, as the firmware wants it.
pub fn command_line(board: &Board, slot: &str) -> String {
    let name = slot.to_ascii_uppercase();
    format!("{}\n", grub::command_line(board, slot, &name))
}

/// The device tree's name without its folder.
pub fn tree_file(board: &Board) -> &str {
    board.device_tree.rsplit('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOARDS: &[&str] = &[
        include_str!("../../hw/rpi3/board.toml"),
        include_str!("../../hw/rpi4/board.toml"),
        include_str!("../../hw/rpi5/board.toml"),
        include_str!("../../hw/zero2w/board.toml"),
    ];

    #[test]
    fn the_first_partition_points_at_the_slots_of_the_layout() {
        let layout = Layout::parse(include_str!("../layout/partitions.toml")).expect("it is ours");
        let text = autoboot(&layout);
        assert_eq!(
            text,
            "[all]\ntryboot_a_b=1\nboot_partition=2\n[tryboot]\nboot_partition=4\n"
        );
        // The firmware reads no more than a sector of it.
        assert!(text.len() <= 512);
    }

    #[test]
    fn every_pi_is_told_its_kernel_and_its_device_tree() {
        for text in BOARDS {
            let board = Board::parse(text).expect("it is ours");
            let config = config(&board);
            assert!(config.contains("kernel=kernel8.img\n"), "{config}");
            assert!(
                config.contains("device_tree=bcm27") || config.contains("device_tree=bcm28"),
                "{config}"
            );
            // Longer lines are cut by the firmware.
            assert!(config.lines().all(|line| line.len() < 98), "{config}");
        }
    }

    #[test]
    fn each_slot_is_told_its_own_name() {
        let board = Board::parse(BOARDS[1]).expect("it is ours");
        assert!(command_line(&board, "b").starts_with("granary.slot=b rauc.slot=B console="));
        assert_eq!(command_line(&board, "a").lines().count(), 1);
    }
}
