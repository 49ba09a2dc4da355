//! GRUB: which slot is started. It follows the contract of RAUC's grub backend (ORDER, x_OK, x_TRY), so that updates and boots
//! speak of the same thing.

use crate::{board::Board, layout::Layout};

/// GRUB overwrites the block in place. All that counts is in its first sector, which a disk writes whole or not at all.
const BLOCK: usize = 1024;
const SIGNATURE: &str = "# GRUB Environment Block\n";

/// Both slots hold the same on a fresh card, and none was tried.
pub fn environment() -> Vec<u8> {
    let mut block = format!("{SIGNATURE}ORDER=A B\nA_OK=1\nA_TRY=0\nB_OK=1\nB_TRY=0\n").into_bytes();
    block.resize(BLOCK, b'#');
    block
}

/// A slot that was started and never said that it is well is not started again, unless the other one did no better. A block
/// that cannot be read counts as a fresh one: a damaged file must not keep the box from starting.
pub fn config(layout: &Layout, board: &Board) -> String {
    let part = |slot: &str| layout.number(&format!("boot-{slot}")).unwrap_or_default();
    let (a, b) = (part("a"), part("b"));
    let line = command_line(board, "$slot", "$name");
    format!(
        r#"set timeout=0
set env=$prefix/grubenv
regexp --set=1:disk '^(.*),gpt' $root
load_env --file $env ORDER A_OK A_TRY B_OK B_TRY
if [ -z "$ORDER" ]; then
    set ORDER="A B"
    set A_OK=1
    set A_TRY=0
    set B_OK=1
    set B_TRY=0
fi
set name=
for one in $ORDER; do
    if [ -z "$name" -a "$one" = "A" -a "$A_OK" = "1" -a "$A_TRY" = "0" ]; then set name=A; fi
    if [ -z "$name" -a "$one" = "B" -a "$B_OK" = "1" -a "$B_TRY" = "0" ]; then set name=B; fi
done
if [ -z "$name" ]; then
    set A_TRY=0
    set B_TRY=0
    for one in $ORDER; do
        if [ -z "$name" ]; then set name=$one; fi
    done
fi
if [ "$name" = "B" ]; then
    set B_TRY=1
    set slot=b
    set part={b}
else
    set A_TRY=1
    set slot=a
    set part={a}
fi
save_env --file $env ORDER A_OK A_TRY B_OK B_TRY
linux ($disk,gpt$part)/vmlinuz {line}
initrd ($disk,gpt$part)/initrd
boot
"#
    )
}

/// What the kernel is told. `net.ifnames=0`: the one network socket is `eth0` on every board.
pub fn command_line(board: &Board, slot: &str, name: &str) -> String {
    format!(
        "granary.slot={slot} rauc.slot={name} console={} net.ifnames=0 panic=10 ro loglevel=6 systemd.show_status=error",
        board.console
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_block_has_its_size_and_its_words_in_the_first_sector() {
        let block = environment();
        assert_eq!(block.len(), BLOCK);
        let text = String::from_utf8(block).expect("plain");
        assert!(text.starts_with(SIGNATURE));
        assert!(text.find("B_TRY=0\n").is_some_and(|at| at < 512));
    }

    #[test]
    fn each_slot_starts_its_own_partitions() {
        let layout = Layout::parse(include_str!("../layout/partitions.toml")).expect("it is ours");
        let board = Board::parse(include_str!("../../hw/qemu-arm64/board.toml")).expect("it is ours");
        let text = config(&layout, &board);
        assert!(text.contains("set slot=b\n    set part=4"), "{text}");
        assert!(text.contains("set slot=a\n    set part=2"), "{text}");
        assert!(text.contains("console=ttyAMA0"), "{text}");
    }
}
