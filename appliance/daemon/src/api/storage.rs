//! How full the disks are, with what, and what is wrong with them.

use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Handles,
    operation::{Call, Nothing},
    refusal::Refusal,
    reply::Usage,
};

/// Facts of the page Storage.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Storage {
    /// One, or two when the content lies on a disk of its own.
    pub disks: Vec<Disk>,
    pub usage: Usage,
    /// Visited sites give way to newer ones above this.
    pub visited_bytes_max: u64,
    /// Why nothing new can be stored, in a sentence; not there: it can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Disk {
    pub holds: Holds,
    /// 0: the disk is not there.
    pub size_bytes: u64,
    /// What we may still use of it, the floor included.
    pub free_bytes: u64,
    /// Below so many free bytes only deletions go through.
    pub floor_bytes: u64,
}

#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Holds {
    Everything,
    /// What is followed, settings, people.
    State,
    /// The sites.
    Content,
}

impl Storage {
    pub async fn of(handles: &Handles) -> Result<Self, store::Error> {
        let shelves = handles.shelves.clone();
        let (usage, disks) = handles
            .db
            .run(move |store| Ok((store.usage()?, disks(&shelves))))
            .await?;
        let troubles = handles.health.troubles();
        Ok(Self {
            disks,
            usage: usage.into(),
            visited_bytes_max: handles.shelves.visited_bytes_max,
            trouble: troubles
                .into_iter()
                .find(|(room, _)| *room == "store")
                .map(|(_, words)| words),
        })
    }
}

fn disks(shelves: &store::Config) -> Vec<Disk> {
    let floor = shelves.free_floor_bytes;
    let device = |path: &Path| rustix::fs::stat(path).ok().map(|stat| stat.st_dev);
    let (state, content) = (&shelves.state_dir, &shelves.content_dir);
    match device(state) == device(content) {
        true => vec![disk(Holds::Everything, content, floor)],
        false => vec![
            disk(Holds::State, state, floor),
            disk(Holds::Content, content, floor),
        ],
    }
}

fn disk(holds: Holds, path: &Path, floor_bytes: u64) -> Disk {
    let found = rustix::fs::statvfs(path).ok();
    let bytes = |blocks: u64, of: u64| blocks.saturating_mul(of);
    Disk {
        holds,
        size_bytes: found
            .as_ref()
            .map_or(0, |disk| bytes(disk.f_blocks, disk.f_frsize)),
        free_bytes: found
            .as_ref()
            .map_or(0, |disk| bytes(disk.f_bavail, disk.f_frsize)),
        floor_bytes,
    }
}

pub async fn show(call: Call, _: Nothing, _: Nothing) -> Result<Storage, Refusal> {
    Ok(Storage::of(&call.handles).await?)
}
