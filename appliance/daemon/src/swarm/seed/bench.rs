//! What `granary bench seed` runs: one torrent from a folder into a store of its own, and the door in front of it. The
//! same listener, seeder and store as the appliance's, without the rest of the house.

use std::{
    fs::File,
    io::{self, Read},
    net::SocketAddr,
    path::Path,
    sync::Arc,
};

use proto::{
    id::InfoHash,
    metainfo::{Info, parse_torrent},
};
use store::{Keep, Store};

use crate::{
    db::Db,
    swarm::{
        limits::{Caps, Limits, Settings},
        listen::{self, Handover, Listener},
    },
    tasks::Tasks,
};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("read {0}: {1}")]
    Read(String, io::Error),
    #[error("not a torrent: {0}")]
    Torrent(String),
    #[error("piece {0} of the folder does not have its hash")]
    Content(u32),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Listen(#[from] listen::Error),
}

/// Nothing is fetched in a benchmark.
struct Nobody;

impl Handover for Nobody {
    fn fetching(&self, _infohash: &InfoHash) -> Option<SocketAddr> {
        None
    }
    fn announced(&self, _infohash: &InfoHash, _peer: SocketAddr) {}
}

/// Imports `torrent` from the folder `data` into a store in `state`, unless it is there already, then serves it at `addr`
/// until `tasks` is cancelled.
pub async fn stand(
    torrent: &Path,
    data: &Path,
    state: &Path,
    addr: SocketAddr,
    tasks: &Tasks,
) -> Result<Listener, Error> {
    let raw = read(torrent)?;
    let torrent = parse_torrent(&raw).map_err(|err| Error::Torrent(err.to_string()))?;
    let config = store::Config {
        state_dir: state.join("state"),
        content_dir: state.join("content"),
        segment_bytes_max: 4 << 30,
        pending_bytes_max: 16 << 20,
        visited_bytes_max: u64::MAX,
        free_floor_bytes: 0,
    };
    for folder in [&config.state_dir, &config.content_dir] {
        std::fs::create_dir_all(folder).map_err(|err| Error::Read(folder.display().to_string(), err))?;
    }
    let store = Store::open(config, 1)?;
    let whole = |store: &Store| {
        store
            .site(&torrent.info.infohash)
            .map(|row| row.is_some_and(|row| row.complete()))
    };
    if !whole(&store)? {
        store.add_site(&torrent.info, &torrent.raw_info, &[], Keep::Kept, 1)?;
        import(&store, &torrent.info, data)?;
        store.flush()?;
    }
    let limits = Limits::new(Settings {
        caps: Caps {
            per_source: 50,
            ..Caps::default()
        },
        ..Settings::default()
    });
    let config = listen::Config {
        addr,
        ..listen::Config::default()
    };
    Ok(Listener::start(
        config,
        Db::new(store),
        limits,
        tasks,
        Arc::new(Nobody),
    )?)
}

/// Reads the files in torrent order, a piece at a time.
fn import(store: &Store, info: &Info, data: &Path) -> Result<(), Error> {
    let pieces = store.pieces(&info.infohash)?;
    let root = if info.multi_file {
        data.join(&info.name)
    } else {
        data.to_path_buf()
    };
    let mut piece = Vec::with_capacity(info.piece_length as usize);
    let mut index = 0;
    for file in &info.files {
        let path = file.path.iter().fold(root.clone(), |path, part| path.join(part));
        let mut source: Box<dyn Read> = match file.pad {
            true => Box::new(io::repeat(0)),
            false => Box::new(File::open(&path).map_err(|err| Error::Read(path.display().to_string(), err))?),
        };
        let mut left = file.length;
        while left > 0 {
            let wanted = u64::from(info.piece_length) - piece.len() as u64;
            let part = wanted.min(left);
            let read = source.by_ref().take(part).read_to_end(&mut piece);
            let read = read.map_err(|err| Error::Read(path.display().to_string(), err))? as u64;
            if read < part {
                return Err(Error::Read(
                    path.display().to_string(),
                    io::ErrorKind::UnexpectedEof.into(),
                ));
            }
            left -= part;
            let whole = info
                .piece_len(index)
                .is_some_and(|length| piece.len() == length as usize);
            if whole {
                if !pieces.put(index, std::mem::take(&mut piece).into())? {
                    return Err(Error::Content(index));
                }
                index += 1;
            }
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|err| Error::Read(path.display().to_string(), err))
}
