//! Sample content: the same bytes on every run, different for every seed.

use std::{fs, path::Path};

/// `len` bytes that do not compress and depend only on `seed`.
pub fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        // xorshift64*: small, fast, and good enough that no two samples are alike.
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        out.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    out.truncate(len);
    out
}

/// Writes a small site into `dir`: a page, a style sheet, a sub-folder, and `big.bin` of `big_len` bytes.
pub fn site(dir: &Path, seed: u64, big_len: usize) {
    let page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Sample {seed}</title>\
         <link rel=stylesheet href=style.css><h1>Sample {seed}</h1><p><a href=more/>more</a></p></html>\n"
    );
    let files: [(&str, Vec<u8>); 5] = [
        ("index.html", page.into_bytes()),
        ("style.css", b"body { font: 18px serif; margin: 2em }\n".to_vec()),
        (
            "more/index.html",
            b"<!doctype html><title>more</title><p>more\n".to_vec(),
        ),
        ("more/note.txt", bytes_as_text(seed)),
        ("big.bin", bytes(seed, big_len)),
    ];
    for (path, data) in files {
        let path = dir.join(path);
        let parent = path.parent().expect("every sample file lies in a folder");
        fs::create_dir_all(parent).expect("the test's own folder is writable");
        fs::write(&path, data).expect("the test's own folder is writable");
    }
}

fn bytes_as_text(seed: u64) -> Vec<u8> {
    format!("note of sample {seed}\n").into_bytes()
}
