//! Which names are safe. A torrent's paths become URLs here and file names elsewhere, so a component that could leave
//! its folder, hide in a terminal or be cut off by a file system is refused, not repaired: a repaired name could be
//! made to collide with another.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use thiserror::Error;

use super::{File, Info};

/// Longest component, bytes: what ext4, NTFS and exFAT can store.
pub const COMPONENT_MAX: usize = 255;

/// Most components of one path.
pub const COMPONENTS_MAX: usize = 64;

/// Longest path with its separators, bytes: Linux's PATH_MAX without the room for the folder it is put into.
pub const PATH_MAX: usize = 3_072;

/// What is wrong with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Fault {
    #[error("the path has no components")]
    NoPath,
    #[error("a component of the path is empty")]
    Empty,
    #[error("the path climbs with \".\" or \"..\"")]
    Dots,
    #[error("a component of the path holds a slash or backslash")]
    Separator,
    #[error("a component of the path holds a control character")]
    Control,
    #[error("a component of the path is longer than {COMPONENT_MAX} bytes")]
    Long,
    #[error("the path has more than {COMPONENTS_MAX} components or {PATH_MAX} bytes")]
    Deep,
}

/// Checks one component. Bytes that are not UTF-8 each become `_` (same length, so a limit that held still holds); the
/// second value says whether that happened. Names that only Windows reserves (`CON`, `C:`) are ordinary and stay: the
/// house stores content by number, and `granary fetch` writes on Linux, where byte-exact names matter more.
pub fn component(bytes: &[u8]) -> Result<(String, bool), Fault> {
    if bytes.is_empty() {
        return Err(Fault::Empty);
    }
    if bytes.len() > COMPONENT_MAX {
        return Err(Fault::Long);
    }
    let mut text = String::with_capacity(bytes.len());
    let mut replaced = false;
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        replaced |= !chunk.invalid().is_empty();
        text.extend(chunk.invalid().iter().map(|_| '_'));
    }
    check(&text)?;
    Ok((text, replaced))
}

/// The rules on a component that is text already.
fn check(text: &str) -> Result<(), Fault> {
    match text {
        "" => Err(Fault::Empty),
        "." | ".." => Err(Fault::Dots),
        _ if text.len() > COMPONENT_MAX => Err(Fault::Long),
        _ if text.contains(['/', '\\']) => Err(Fault::Separator),
        // C0, DEL and C1: NUL ends names early, the others move a terminal's cursor.
        _ if text.chars().any(char::is_control) => Err(Fault::Control),
        _ => Ok(()),
    }
}

/// The rules on a whole path whose components are known to be safe.
pub(super) fn check_whole(path: &[String]) -> Result<(), Fault> {
    if path.is_empty() {
        return Err(Fault::NoPath);
    }
    let bytes: usize = path.iter().map(|part| part.len() + 1).sum();
    if path.len() > COMPONENTS_MAX || bytes > PATH_MAX {
        return Err(Fault::Deep);
    }
    Ok(())
}

/// Renames every file but the first of those that share a path and returns their indices. The new name holds the
/// file's index, so it is found at once whatever a hostile torrent has put in the way.
pub(super) fn tell_apart(files: &mut [File]) -> Vec<u32> {
    let mut taken: HashSet<Vec<String>> = HashSet::new();
    let mut twice = Vec::new();
    for (index, file) in files.iter().enumerate().filter(|(_, file)| !file.pad) {
        if !taken.insert(file.path.clone()) {
            twice.push(index);
        }
    }
    for &index in &twice {
        let mut path = files[index].path.clone();
        let Some(own) = path.pop() else { continue };
        let mut mark = format!("~{index}");
        loop {
            path.push(marked(&own, &mark));
            if taken.insert(path.clone()) {
                break;
            }
            path.pop();
            mark.push('~');
        }
        files[index].path = path;
    }
    twice.into_iter().map(|index| index as u32).collect()
}

/// `name.html` marked `~7` is `name~7.html`: the ending decides how a file is shown. Cut to fit [`COMPONENT_MAX`].
fn marked(name: &str, mark: &str) -> String {
    let (stem, ending) = match name.rfind('.') {
        Some(dot) if dot > 0 && name.len() - dot <= 16 => name.split_at(dot),
        _ => (name, ""),
    };
    let room = COMPONENT_MAX.saturating_sub(mark.len() + ending.len());
    let mut end = stem.len().min(room);
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{mark}{ending}", &stem[..end])
}

impl File {
    /// The path below the folder the torrent is written to, for a file system. The rules are checked again although
    /// every parsed file keeps them: this is the last line before a name reaches a disk.
    pub fn disk_path(&self) -> Result<PathBuf, Fault> {
        check_whole(&self.path)?;
        let mut path = PathBuf::new();
        for part in &self.path {
            check(part)?;
            path.push(part);
        }
        Ok(path)
    }
}

impl Info {
    /// Where file `file` belongs below the folder a person chose: single files directly in it, folders under their
    /// name. `None` for pad files and indices past the end.
    pub fn disk_path(&self, file: usize) -> Option<Result<PathBuf, Fault>> {
        let file = self.files.get(file).filter(|file| !file.pad)?;
        let below = file.disk_path();
        Some(match (self.multi_file, check(&self.name)) {
            (false, _) => below,
            (true, Err(fault)) => Err(fault),
            (true, Ok(())) => below.map(|below| Path::new(&self.name).join(below)),
        })
    }
}
