//! File types. The table is by extension, because a site's author chose the name; unknown names are looked at, and what
//! is not plainly harmless is downloaded instead of shown. `nosniff` always accompanies it.

/// For files that are neither in the table nor recognised: saved, not shown.
pub const UNKNOWN: &str = "application/octet-stream";

/// Extension, type; sorted by extension.
const TABLE: &[(&str, &str)] = &[
    ("3gp", "video/3gpp"),
    ("7z", "application/x-7z-compressed"),
    ("aac", "audio/aac"),
    ("apng", "image/apng"),
    ("atom", "application/atom+xml; charset=utf-8"),
    ("avi", "video/x-msvideo"),
    ("avif", "image/avif"),
    ("bmp", "image/bmp"),
    ("bz2", "application/x-bzip2"),
    ("cbz", "application/vnd.comicbook+zip"),
    ("css", "text/css; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("djvu", "image/vnd.djvu"),
    ("eot", "application/vnd.ms-fontobject"),
    ("epub", "application/epub+zip"),
    ("flac", "audio/flac"),
    ("gif", "image/gif"),
    ("gpx", "application/gpx+xml"),
    ("gz", "application/gzip"),
    ("htm", "text/html; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("ico", "image/x-icon"),
    ("ics", "text/calendar; charset=utf-8"),
    ("iso", "application/x-iso9660-image"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("jsonld", "application/ld+json"),
    ("jxl", "image/jxl"),
    ("log", "text/plain; charset=utf-8"),
    ("m3u8", "application/vnd.apple.mpegurl"),
    ("m4a", "audio/mp4"),
    ("m4v", "video/mp4"),
    ("map", "application/json"),
    ("md", "text/markdown; charset=utf-8"),
    ("mid", "audio/midi"),
    ("mjs", "text/javascript; charset=utf-8"),
    // Chromium plays Matroska only under WebM's name.
    ("mkv", "video/webm"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("mpd", "application/dash+xml"),
    ("mpeg", "video/mpeg"),
    ("mpg", "video/mpeg"),
    ("nfo", "text/plain; charset=utf-8"),
    ("odp", "application/vnd.oasis.opendocument.presentation"),
    ("ods", "application/vnd.oasis.opendocument.spreadsheet"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("oga", "audio/ogg"),
    ("ogg", "audio/ogg"),
    ("ogv", "video/ogg"),
    ("opml", "text/x-opml; charset=utf-8"),
    ("opus", "audio/ogg"),
    ("otf", "font/otf"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("rss", "application/rss+xml; charset=utf-8"),
    ("rtf", "application/rtf"),
    ("srt", "text/plain; charset=utf-8"),
    ("svg", "image/svg+xml"),
    ("tar", "application/x-tar"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("toml", "text/plain; charset=utf-8"),
    ("torrent", "application/x-bittorrent"),
    ("ts", "video/mp2t"),
    ("ttf", "font/ttf"),
    ("txt", "text/plain; charset=utf-8"),
    ("vtt", "text/vtt; charset=utf-8"),
    ("wasm", "application/wasm"),
    ("wav", "audio/wav"),
    ("weba", "audio/webm"),
    ("webm", "video/webm"),
    ("webmanifest", "application/manifest+json"),
    ("webp", "image/webp"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("xhtml", "application/xhtml+xml; charset=utf-8"),
    ("xml", "text/xml; charset=utf-8"),
    ("xz", "application/x-xz"),
    ("yaml", "text/plain; charset=utf-8"),
    ("yml", "text/plain; charset=utf-8"),
    ("zip", "application/zip"),
    ("zst", "application/zstd"),
];

/// The type of a file by the end of its name, any case; `None` when the name says nothing.
pub fn by_name(name: &str) -> Option<&'static str> {
    let (stem, extension) = name.rsplit_once('.')?;
    if stem.is_empty() || extension.len() > 11 {
        return None;
    }
    let lower = extension.to_ascii_lowercase();
    let at = TABLE
        .binary_search_by(|(known, _)| (*known).cmp(lower.as_str()))
        .ok()?;
    Some(TABLE[at].1)
}

/// Bytes of a file's beginning that [`by_content`] wants to see.
pub const LOOK: usize = 512;

/// First bytes, offset, type. Nothing that can run a script is here.
const MAGIC: &[(usize, &[u8], &str)] = &[
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftypM4A", "audio/mp4"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1a\x45\xdf\xa3", "video/webm"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"wOF2", "font/woff2"),
    (0, b"wOFF", "font/woff"),
    (0, b"%PDF-", "application/pdf"),
];

/// The type of a file whose name says nothing, by its first [`LOOK`] bytes. Text is shown as plain text, whatever markup
/// it holds.
pub fn by_content(head: &[u8]) -> &'static str {
    for (offset, magic, kind) in MAGIC {
        if head.get(*offset..).is_some_and(|rest| rest.starts_with(magic)) {
            return kind;
        }
    }
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // The cut at LOOK bytes may have split the last character.
        Err(err) if err.error_len().is_none() => {
            std::str::from_utf8(&head[..err.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return UNKNOWN,
    };
    let odd = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{c}' | '\u{1b}');
    if text.is_empty() || text.contains(odd) {
        UNKNOWN
    } else {
        "text/plain; charset=utf-8"
    }
}

/// True for what a browser opens as a page of its own and in which script could run.
pub fn is_page(kind: &str) -> bool {
    kind.starts_with("text/html") || kind.starts_with("application/xhtml") || kind.starts_with("image/svg")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_every_text_names_its_charset() {
        assert!(TABLE.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for (_, kind) in TABLE.iter().filter(|(_, kind)| kind.starts_with("text/")) {
            assert!(kind.ends_with("; charset=utf-8"), "{kind}");
        }
    }

    #[test]
    fn a_name_decides_in_any_case() {
        assert_eq!(by_name("INDEX.HTML"), Some("text/html; charset=utf-8"));
        assert_eq!(by_name("a.tar.gz"), Some("application/gzip"));
        assert_eq!(by_name("README"), None);
        assert_eq!(by_name(".html"), None);
        assert_eq!(by_name("x.exe"), None);
        assert_eq!(by_name("x."), None);
    }

    #[test]
    fn unknown_content_is_shown_only_when_it_cannot_do_anything() {
        assert_eq!(by_content(b"\x89PNG\r\n\x1a\n...."), "image/png");
        assert_eq!(by_content(b"Licence text\n"), "text/plain; charset=utf-8");
        assert_eq!(
            by_content(b"<script>alert(1)</script>"),
            "text/plain; charset=utf-8"
        );
        assert_eq!(
            by_content("caf\u{e9}".as_bytes().split_at(4).0),
            "text/plain; charset=utf-8"
        );
        assert_eq!(by_content(b"MZ\x90\0\x03"), UNKNOWN);
        assert_eq!(by_content(b"\xff\xfe\xfd"), UNKNOWN);
        assert_eq!(by_content(b""), UNKNOWN);
    }
}
