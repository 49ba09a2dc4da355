//! From bytes to an [`Info`] or a [`Torrent`].

use aws_lc_rs::digest;

use super::{
    Error, FILES_MAX, Fault, File, Info, METADATA_MAX, PIECE_LENGTH_MAX, PIECE_LENGTH_MIN, TORRENT_MAX,
    TRACKERS_MAX, Torrent, hint, path, table,
};
use crate::{
    bencode::scan::{Raw, scan},
    id::InfoHash,
};

/// Longest tracker or web seed address and longest comment taken, bytes.
const TEXT_MAX: usize = 2_048;

/// Reads a raw info dictionary, as it comes from peers (BEP 9) or stands in a `.torrent` file. The infohash is computed
/// from the bytes given; comparing it with the one that was asked for is the caller's part.
pub fn parse_info(raw: &[u8]) -> Result<Info, Error> {
    bounded(raw, METADATA_MAX)?;
    let keys = [
        "name",
        "name.utf-8",
        "piece length",
        "pieces",
        "length",
        "files",
        "private",
    ];
    let more = ["meta version", "file tree", "attr", "symlink path", "sha1"];
    let root = scan(raw)?;
    let [name, name_utf8, piece_length, pieces, length, files, private] =
        root.fields(keys)?.ok_or(Error::NotADictionary)?;
    let [version, tree, attr, symlink, sha1] = root.fields(more)?.ok_or(Error::NotADictionary)?;
    let v2 = version.and_then(Raw::int).is_some_and(|v| v >= 2) && tree.is_some();
    if v2 && pieces.is_none() && files.is_none() && length.is_none() {
        return Err(Error::V2Only);
    }
    let infohash = InfoHash(hash(&digest::SHA1_FOR_LEGACY_USE_ONLY, raw));
    let (name, name_replaced) = read_name(name_utf8.or(name), infohash, length.is_some())?;
    let piece_length = read_piece_length(piece_length.ok_or(Error::Missing("piece length"))?)?;
    let (mut files, mut renamed) = match (length, files) {
        (Some(_), Some(_)) => return Err(Error::BothKinds),
        (None, None) => return Err(Error::Missing("length or files")),
        (Some(length), None) => {
            let mut file = read_attributes(0, attr, symlink)?;
            file.length = read_length(0, length)?;
            file.path = vec![name.clone()];
            file.hint = hint::sha1(sha1);
            (vec![file], if name_replaced { vec![0] } else { vec![] })
        }
        (None, Some(files)) => read_files(files)?,
    };
    let total = lay_out(&mut files)?;
    if let Some(tree) = tree.filter(|_| v2) {
        hint::from_tree(tree, &mut files);
    }
    let pieces = read_pieces(pieces.ok_or(Error::Missing("pieces"))?, total, piece_length)?;
    let mut by_path = table::by_path(&files);
    if by_path
        .windows(2)
        .any(|pair| files[pair[0] as usize].path == files[pair[1] as usize].path)
    {
        renamed.extend(path::tell_apart(&mut files));
        renamed.sort_unstable();
        renamed.dedup();
        by_path = table::by_path(&files);
    }
    check_folders(&files, &by_path)?;
    Ok(Info {
        infohash,
        infohash_v2: v2.then(|| hash(&digest::SHA256, raw)),
        name,
        piece_length,
        pieces,
        files,
        total,
        multi_file: length.is_none(),
        // BEP 27 says 1. Anything else but 0 was meant so too, and the cautious reading costs least.
        private: private.is_some_and(|value| value.int() != Some(0)),
        renamed,
        by_path,
    })
}

/// Reads a whole `.torrent` file.
pub fn parse_torrent(raw: &[u8]) -> Result<Torrent, Error> {
    bounded(raw, TORRENT_MAX)?;
    let keys = [
        "info",
        "announce",
        "announce-list",
        "url-list",
        "comment",
        "created by",
    ];
    let [info, announce, tiers, url_list, comment, created_by] =
        scan(raw)?.fields(keys)?.ok_or(Error::NotADictionary)?;
    let raw_info = info.ok_or(Error::Missing("info dictionary"))?.raw();
    let listed = tiers
        .and_then(Raw::items)
        .into_iter()
        .flatten()
        .flat_map(|tier| tier.items().into_iter().flatten());
    let seeds = url_list.and_then(Raw::items).into_iter().flatten();
    Ok(Torrent {
        info: parse_info(raw_info)?,
        raw_info: raw_info.to_vec(),
        trackers: addresses(
            announce.into_iter().chain(listed),
            &["http://", "https://", "udp://"],
        ),
        // A single web seed is written as a string, several as a list.
        web_seeds: addresses(url_list.into_iter().chain(seeds), &["http://", "https://"]),
        comment: comment.and_then(words),
        created_by: created_by.and_then(words),
    })
}

fn bounded(raw: &[u8], max: usize) -> Result<(), Error> {
    let bytes = raw.len();
    if bytes > max {
        Err(Error::Large { bytes, max })
    } else {
        Ok(())
    }
}

fn hash<const N: usize>(algorithm: &'static digest::Algorithm, raw: &[u8]) -> [u8; N] {
    let digest = digest::digest(algorithm, raw);
    digest
        .as_ref()
        .try_into()
        .expect("each algorithm is asked for with the length of its digest")
}

/// The name, and whether it had to be made UTF-8. A folder without a name gets its infohash: only its own files'
/// paths are ever part of an address, so nothing depends on it.
fn read_name(name: Option<Raw<'_>>, infohash: InfoHash, needed: bool) -> Result<(String, bool), Error> {
    match name.map(|n| n.bytes().ok_or(Error::Kind("name"))).transpose()? {
        Some(bytes) if needed || !bytes.is_empty() => path::component(bytes).map_err(Error::Name),
        None if needed => Err(Error::Missing("name")),
        _ => Ok((infohash.to_string(), false)),
    }
}

fn read_piece_length(value: Raw<'_>) -> Result<u32, Error> {
    let length = value.int().ok_or(Error::Kind("piece length"))?;
    u32::try_from(length)
        .ok()
        .filter(|l| (PIECE_LENGTH_MIN..=PIECE_LENGTH_MAX).contains(l))
        .ok_or(Error::PieceLength(length))
}

fn read_length(file: usize, value: Raw<'_>) -> Result<u64, Error> {
    let length = value.int().ok_or(Error::Kind("length"))?;
    u64::try_from(length).map_err(|_| Error::Length { file, length })
}

fn read_files(list: Raw<'_>) -> Result<(Vec<File>, Vec<u32>), Error> {
    let (mut files, mut renamed) = (Vec::new(), Vec::new());
    for (index, entry) in list.items().ok_or(Error::Kind("files"))?.enumerate() {
        if index == FILES_MAX {
            return Err(Error::Files);
        }
        let keys = ["length", "path", "path.utf-8", "attr", "symlink path", "sha1"];
        let [length, path, path_utf8, attr, symlink, sha1] =
            entry.fields(keys)?.ok_or(Error::Kind("files"))?;
        let mut file = read_attributes(index, attr, symlink)?;
        file.length = read_length(index, length.ok_or(Error::Missing("length of a file"))?)?;
        let (path, replaced) = read_path(index, path_utf8.or(path).ok_or(Error::Missing("path of a file"))?)?;
        file.path = path;
        file.hint = hint::sha1(sha1);
        if replaced {
            renamed.push(index as u32);
        }
        files.push(file);
    }
    files.shrink_to_fit();
    Ok((files, renamed))
}

fn read_path(file: usize, list: Raw<'_>) -> Result<(Vec<String>, bool), Error> {
    let at = |fault: Fault| Error::Path { file, fault };
    let (mut parts, mut replaced) = (Vec::with_capacity(1), false);
    for part in list.items().ok_or(Error::Kind("path"))? {
        let bytes = part.bytes().ok_or(Error::Kind("path"))?;
        let (text, changed) = path::component(bytes).map_err(at)?;
        parts.push(text);
        replaced |= changed;
        if parts.len() > path::COMPONENTS_MAX {
            break;
        }
    }
    path::check_whole(&parts).map_err(at)?;
    Ok((parts, replaced))
}

/// BEP 47: a string of letters, unknown ones ignored.
fn read_attributes(file: usize, attr: Option<Raw<'_>>, symlink: Option<Raw<'_>>) -> Result<File, Error> {
    let letters = match attr {
        Some(attr) => attr.bytes().ok_or(Error::Kind("attr"))?,
        None => b"",
    };
    if symlink.is_some() || letters.contains(&b'l') {
        return Err(Error::Symlink(file));
    }
    Ok(File {
        pad: letters.contains(&b'p'),
        executable: letters.contains(&b'x'),
        hidden: letters.contains(&b'h'),
        ..File::default()
    })
}

/// Gives every file its offset and returns the sum of the lengths.
fn lay_out(files: &mut [File]) -> Result<u64, Error> {
    let mut total = 0u64;
    for file in files.iter_mut() {
        file.offset = total;
        // Below 2^62, so that sums of an offset and a piece cannot overflow anywhere later.
        total = total
            .checked_add(file.length)
            .filter(|sum| *sum < 1 << 62)
            .ok_or(Error::Total)?;
    }
    if files.iter().all(|file| file.pad || file.length == 0) {
        return Err(Error::Empty);
    }
    Ok(total)
}

fn read_pieces(value: Raw<'_>, total: u64, piece_length: u32) -> Result<Vec<[u8; 20]>, Error> {
    let bytes = value.bytes().ok_or(Error::Kind("pieces"))?;
    let (hashes, rest) = bytes.as_chunks::<20>();
    if !rest.is_empty() {
        return Err(Error::PieceHashes(bytes.len()));
    }
    let needs = total.div_ceil(u64::from(piece_length));
    if needs != hashes.len() as u64 {
        return Err(Error::PieceCount {
            has: hashes.len(),
            needs,
        });
    }
    Ok(hashes.to_vec())
}

/// No path may be both a file and a folder. In path order a file is directly followed by what lies below it.
fn check_folders(files: &[File], by_path: &[u32]) -> Result<(), Error> {
    let clash = by_path
        .windows(2)
        .map(|pair| (pair[0] as usize, pair[1] as usize))
        .find(|(file, below)| files[*below].path.starts_with(&files[*file].path));
    match clash {
        Some((file, below)) => Err(Error::FileAndFolder { file, below }),
        None => Ok(()),
    }
}

fn addresses<'a>(values: impl Iterator<Item = Raw<'a>>, schemes: &[&str]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    // The bound on values looked at keeps a list of a million bad addresses cheap.
    for text in values.take(1_000).filter_map(Raw::text) {
        let lower = text.get(..8).unwrap_or(text).to_ascii_lowercase();
        let fits = text.len() <= TEXT_MAX && !text.chars().any(|c| c.is_control() || c == ' ');
        if fits && schemes.iter().any(|s| lower.starts_with(s)) && !found.iter().any(|f| f == text) {
            found.push(text.to_owned());
        }
        if found.len() == TRACKERS_MAX {
            break;
        }
    }
    found
}

/// A line people read: control characters and what is too long are dropped.
fn words(value: Raw<'_>) -> Option<String> {
    let bytes = value.bytes()?;
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(TEXT_MAX)]);
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    (!text.is_empty()).then_some(text)
}
