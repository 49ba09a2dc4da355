//! From the texts of lists to the compiled file: read in pieces, written whole beside its place, renamed into it.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use proto::dns::blocklist::{Compiler, Counts, List};

/// How much of a text is read at a time.
const PIECE_BYTES: usize = 64 << 10;

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// Different names that are blocked, and exceptions.
    pub names: u64,
    pub exceptions: u64,
    /// Per text, in the order given.
    pub counts: Vec<Counts>,
    /// Size of the file.
    pub bytes: u64,
}

/// Compiles `texts` to `out`. Blocking: half a second of work for a million names. After an error `out` is what it was.
pub fn compile(texts: &[PathBuf], out: &Path) -> Result<Outcome, String> {
    let names_max = (lan::BLOCKLIST_BYTES_MAX as usize - 4096) / size_of::<u64>();
    let mut compiler = Compiler::new(rand::random(), names_max);
    let mut counts = Vec::with_capacity(texts.len());
    let mut piece = vec![0; PIECE_BYTES];
    for path in texts {
        let told = |err: io::Error| format!("read {}: {err}", path.display());
        let mut file = File::open(path).map_err(told)?;
        loop {
            match file.read(&mut piece).map_err(told)? {
                0 => break,
                len => compiler.read(&piece[..len]),
            }
        }
        counts.push(compiler.end());
    }
    let bytes = compiler.finish();
    write_whole(out, &bytes).map_err(|err| format!("write {}: {err}", out.display()))?;
    let list = List::open(&bytes).map_err(|damage| format!("the list just made: {damage}"))?;
    Ok(Outcome {
        names: list.blocked(),
        exceptions: list.excepted(),
        counts,
        bytes: bytes.len() as u64,
    })
}

/// Who has mapped the file that is replaced keeps its bytes; a power cut leaves the old one or the new one.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = path.with_extension("part");
    let written = File::create(&part)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&part, path));
    if written.is_err() {
        let _ = fs::remove_file(&part);
    }
    written?;
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
