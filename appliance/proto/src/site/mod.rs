//! What a torrent's files mean over HTTP: which file a path names, its type, what may be cached, which part was asked for.
//!
//! Reading order: `head` (is this a request at all), `path` (URL path -> components), `tree` (components -> file or folder), `redirects` (the torrent's own
//! `_redirects`), `mime`, `listing` (one page of a folder), `cache` (ETag, If-…, Range arithmetic), `date`.

pub mod cache;
pub mod date;
pub mod head;
pub mod listing;
pub mod mime;
pub mod path;
pub mod redirects;
pub mod tree;
