//! Content with a torrent that somebody else made: every piece is checked against it, nothing is hashed into a new one.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use proto::metainfo::{Info, Torrent};
use store::{Keep, Store};

use super::Error;

/// A torrent file larger than this is refused.
const TORRENT_BYTES_MAX: u64 = 16 << 20;

pub fn read_torrent(path: &Path) -> Result<Vec<u8>, Error> {
    let unreadable = |reason| Error::Unreadable {
        path: path.into(),
        reason,
    };
    let file = File::open(path).map_err(unreadable)?;
    let mut raw = Vec::new();
    file.take(TORRENT_BYTES_MAX + 1)
        .read_to_end(&mut raw)
        .map_err(unreadable)?;
    if raw.len() as u64 > TORRENT_BYTES_MAX {
        return Err(Error::Refused(format!(
            "{} is larger than 16 MiB",
            path.display()
        )));
    }
    Ok(raw)
}

/// Blocking. A piece that does not match ends the work: what was stored before it stays and can be completed by peers.
pub fn store_torrent(store: &Store, folder: &Path, given: &Torrent, now: u64) -> Result<(), Error> {
    let info = &given.info;
    store.add_site(info, &given.raw_info, &given.trackers, Keep::Kept, now)?;
    let pieces = store.pieces(&info.infohash)?;
    let mut piece = Vec::new();
    let mut index = 0;
    for file in 0..info.files.len() {
        let mut source = open(folder, info, file)?;
        let mut left = info.files[file].length;
        while left > 0 {
            let piece_len = info.piece_len(index).unwrap_or(0) as usize;
            let want = left.min((piece_len - piece.len()) as u64);
            let got = source
                .by_ref()
                .take(want)
                .read_to_end(&mut piece)
                .map_err(|reason| Error::Unreadable {
                    path: folder.into(),
                    reason,
                })?;
            if got as u64 != want {
                return Err(Error::Changed(folder.into()));
            }
            left -= want;
            if piece.len() == piece_len {
                let full = Bytes::from(std::mem::take(&mut piece));
                if !pieces.readable(index) && !pieces.put(index, full)? {
                    return Err(Error::Refused(format!(
                        "piece {index} of {} is not what the torrent says: {} holds other bytes",
                        info.name,
                        folder.display()
                    )));
                }
                index += 1;
            }
        }
    }
    store.flush()?;
    Ok(())
}

/// The bytes of one file; of pad files, zeros.
fn open(folder: &Path, info: &Info, file: usize) -> Result<Box<dyn Read>, Error> {
    let Some(below) = info.disk_path(file) else {
        return Ok(Box::new(std::io::repeat(0)));
    };
    let below = below.map_err(|err| Error::Refused(format!("a file name of {}: {err}", info.name)))?;
    // The folder that holds the torrent's folder, or that folder (or single file) itself.
    let inside = below
        .strip_prefix(&info.name)
        .map(PathBuf::from)
        .unwrap_or_default();
    let places = [folder.join(&below), folder.join(inside), folder.to_path_buf()];
    let place = places.iter().find(|place| place.is_file()).unwrap_or(&places[0]);
    match File::open(place) {
        Ok(file) => Ok(Box::new(file)),
        Err(reason) => Err(Error::Unreadable {
            path: place.clone(),
            reason,
        }),
    }
}
