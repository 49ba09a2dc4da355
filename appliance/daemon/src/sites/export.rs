//! A site as files in a folder: `granary fetch`.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{fs, io::AsyncWriteExt, time::Instant};

use super::{Error, Site, Sites};

/// A read asks for this much; the store answers up to a piece border.
const READ_BYTES: usize = 1 << 20;
/// A piece may take this long when no deadline is nearer.
const PIECE_PATIENCE: Duration = Duration::from_secs(600);

/// How far an export is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub done: u64,
    pub total: u64,
}

impl Sites {
    /// Writes every file of the site below `out`, each under a temporary name until it is whole. Returns where the site
    /// lies: `out/NAME`. `told` is called after each part.
    pub async fn export(
        &self,
        site: &Site,
        out: &Path,
        deadline: Option<Instant>,
        mut told: impl FnMut(Step) + Send,
    ) -> Result<PathBuf, Error> {
        let info = &site.torrent.info;
        let total = info.content_bytes();
        let mut step = Step { done: 0, total };
        told(step);
        for (index, file) in info.files.iter().enumerate().filter(|(_, file)| !file.pad) {
            let path = match info.disk_path(index) {
                Some(Ok(path)) => out.join(path),
                Some(Err(fault)) => return Err(Error::NotASite(format!("file {index}: {fault}"))),
                None => continue,
            };
            self.export_file(site, index, file.length, &path, deadline, |bytes| {
                step.done += bytes;
                told(step);
            })
            .await?;
        }
        Ok(out.join(&info.name))
    }

    async fn export_file(
        &self,
        site: &Site,
        index: usize,
        length: u64,
        path: &Path,
        deadline: Option<Instant>,
        mut told: impl FnMut(u64) + Send,
    ) -> Result<(), Error> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)
                .await
                .map_err(|err| no_write(folder, &err))?;
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        let part = path.with_file_name(name);
        let mut out = fs::File::create(&part)
            .await
            .map_err(|err| no_write(&part, &err))?;
        let mut at = 0;
        while at < length {
            let until = deadline.unwrap_or_else(|| Instant::now() + PIECE_PATIENCE);
            let bytes = self.read(site, index, at, READ_BYTES, until).await?;
            out.write_all(&bytes).await.map_err(|err| no_write(&part, &err))?;
            at += bytes.len() as u64;
            told(bytes.len() as u64);
        }
        out.sync_all().await.map_err(|err| no_write(&part, &err))?;
        fs::rename(&part, path).await.map_err(|err| no_write(path, &err))
    }
}

fn no_write(path: &Path, err: &io::Error) -> Error {
    Error::Unavailable(format!("write {}: {err}", path.display()))
}
