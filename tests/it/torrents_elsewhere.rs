//! Torrents we make mean the same to other programs, and theirs to us.

use std::{path::Path, process::Command};

use harness::sample;
use proto::{
    create::{Builder, Extras, Options, encode_torrent},
    metainfo::{Torrent, parse_torrent},
};

/// The files below `root` with their bytes.
fn files(root: &Path) -> Vec<(Vec<String>, Vec<u8>)> {
    let (mut found, mut folders) = (Vec::new(), vec![Vec::<String>::new()]);
    while let Some(folder) = folders.pop() {
        let dir = folder.iter().fold(root.to_path_buf(), |dir, part| dir.join(part));
        for entry in std::fs::read_dir(dir).expect("a folder") {
            let entry = entry.expect("an entry");
            let mut path = folder.clone();
            path.push(entry.file_name().into_string().expect("UTF-8"));
            if entry.path().is_dir() {
                folders.push(path);
            } else {
                found.push((path, std::fs::read(entry.path()).expect("a file")));
            }
        }
    }
    found
}

fn make(root: &Path, pad: bool) -> Vec<u8> {
    let files = files(root);
    let list: Vec<_> = files
        .iter()
        .map(|(path, bytes)| (path.clone(), bytes.len() as u64))
        .collect();
    let options = Options {
        pad,
        ..Options::default()
    };
    let mut builder = Builder::folder("site", &list, options).expect("safe names");
    while let Some((file, _)) = builder.expects() {
        let mut rest = &files[file].1[..];
        while builder.feed(&mut rest).expect("as long as promised").is_some() {}
    }
    let made = builder.finish().expect("complete");
    encode_torrent(&made.raw_info, &Extras::default())
}

/// libtorrent's reading: infohash, piece length, and each file's path, length, offset and pad flag; then how many pieces
/// of the folder verify.
fn libtorrent(torrent: &Path, content: &Path) -> String {
    let script = "import sys, hashlib, libtorrent as lt\n\
        t = lt.torrent_info(sys.argv[1]); f = t.files()\n\
        print(t.info_hash(), t.piece_length())\n\
        for i in range(f.num_files()):\n\
        \x20   print(f.file_path(i), f.file_size(i), f.file_offset(i), bool(f.file_flags(i) & 1))\n\
        data = b''.join(bytes(f.file_size(i)) if f.file_flags(i) & 1 else open(sys.argv[2] + '/' + f.file_path(i), 'rb').read() for i in range(f.num_files()))\n\
        n = t.piece_length()\n\
        print(all(hashlib.sha1(data[i*n:(i+1)*n]).digest() == t.hash_for_piece(i) for i in range(t.num_pieces())))\n";
    let output = Command::new("/usr/bin/python3")
        .args(["-c", script])
        .args([torrent, content])
        .output()
        .expect("python starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The same in our reading.
fn ours(torrent: &Torrent) -> String {
    let info = &torrent.info;
    let mut text = format!("{} {}\n", info.infohash, info.piece_length);
    for file in &info.files {
        let pad = if file.pad { "True" } else { "False" };
        text.push_str(&format!(
            "{}/{} {} {} {pad}\n",
            info.name,
            file.path.join("/"),
            file.length,
            file.offset
        ));
    }
    text + "True\n"
}

#[test]
fn torrents_we_make_are_read_alike_by_libtorrent() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    sample::site(&dir.path().join("site"), 3, 200_000);
    for pad in [false, true] {
        let raw = make(&dir.path().join("site"), pad);
        assert_eq!(
            raw,
            make(&dir.path().join("site"), pad),
            "the same folder gives the same torrent"
        );
        let file = dir.path().join(format!("{pad}.torrent"));
        std::fs::write(&file, &raw).expect("written");
        let torrent = parse_torrent(&raw).expect("ours");
        assert_eq!(torrent.info.files.iter().any(|f| f.pad), pad);
        assert_eq!(libtorrent(&file, dir.path()), ours(&torrent));
    }
}

#[test]
fn torrents_of_other_makers_open_and_name_the_same_files() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let content = dir.path().join("site");
    sample::site(&content, 4, 200_000);
    let made = dir.path().join("transmission.torrent");
    let status = Command::new("transmission-create")
        .args([
            "-o".as_ref(),
            made.as_path(),
            "-t".as_ref(),
            "http://127.0.0.1:1/announce".as_ref(),
        ])
        .arg(&content)
        .output()
        .expect("transmission-create starts");
    assert!(
        status.status.success(),
        "{}",
        String::from_utf8_lossy(&status.stderr)
    );
    let torrent = parse_torrent(&std::fs::read(&made).expect("made")).expect("it opens");
    assert_eq!(torrent.trackers, ["http://127.0.0.1:1/announce"]);
    assert_eq!(libtorrent(&made, dir.path()), ours(&torrent));
    for (path, bytes) in files(&content) {
        let index = torrent.info.file_at(&path).expect("every file is found");
        assert_eq!(torrent.info.files[index].length, bytes.len() as u64);
    }
}
