//! Reads that go straight to the file and those through redb give the same bytes, whatever is committed meanwhile.

mod world;

use granary_store::{Keep, Pieces, Store};
use world::{Dice, Torrent, open};

fn hold(store: &Store, torrent: &Torrent) -> Pieces {
    store
        .add_site(&torrent.info, &torrent.raw, &[], Keep::Kept, 10)
        .expect("added");
    let pieces = store.pieces(&torrent.ih()).expect("handle");
    for (i, data) in (0..).zip(&torrent.data) {
        assert!(pieces.put(i, data.clone()).expect("put"));
    }
    store.flush().expect("commits");
    pieces
}

/// Ranges of all sizes; some read at once, all read right.
fn compare(dice: &mut Dice, pieces: &Pieces, torrent: &Torrent) {
    for _ in 0..300 {
        let piece = dice.roll(torrent.data.len() as u64) as usize;
        let data = &torrent.data[piece];
        let from = dice.roll(data.len() as u64) as usize;
        let to = data.len().min(from + 1 + dice.roll(300_000) as usize);
        let wanted = data.slice(from..to);
        let (index, offset, len) = (piece as u32, from as u32, (to - from) as u32);
        if let Some(now) = pieces.read_now(index, offset, len) {
            assert_eq!(now, wanted, "piece {piece} at {from}, at once");
        }
        let read = pieces.read(index, offset, len).expect("reads");
        assert_eq!(read, Some(wanted), "piece {piece} at {from}");
    }
}

#[test]
fn every_way_to_read_gives_the_same_bytes_across_commits_and_removals() {
    let dir = tempfile::tempdir().expect("folder");
    let store = open(dir.path());
    let mut dice = Dice(5);
    // Tails, exact cells, a piece smaller than a page.
    let torrents: Vec<Torrent> = [(1 << 20, 5, 999), (262_144, 9, 65_504), (16_384, 6, 3)]
        .into_iter()
        .zip(1..)
        .map(|((length, count, last), seed)| Torrent::random(seed, length, count, last))
        .collect();
    let held: Vec<Pieces> = torrents.iter().map(|torrent| hold(&store, torrent)).collect();
    assert_eq!(held[0].read_now(0, 0, 10), None, "nothing is given away unhashed");
    for round in 10..14 {
        for (pieces, torrent) in held.iter().zip(&torrents) {
            compare(&mut dice, pieces, torrent);
        }
        // The same segment is written to and pages of it become free.
        let passing = Torrent::random(round, 262_144, 6, 4096);
        hold(&store, &passing);
        compare(&mut dice, &held[0], &torrents[0]);
        store.remove_site(&passing.ih()).expect("removed");
        for i in 1..5 {
            store.tick(10 + round * 100 + i).expect("ticks");
        }
    }
    let gone = torrents[1].ih();
    store.remove_site(&gone).expect("removed");
    assert_eq!(held[1].read_now(0, 0, 100), None);
}
