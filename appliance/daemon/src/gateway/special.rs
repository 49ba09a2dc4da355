//! `/.<tld>/…` on a site's own host: what is known about it, its metadata, its raw tree, archives.

use hyper::{
    StatusCode,
    header::{self, HeaderValue},
};
use proto::site::{cache, path::SitePath};
use serde_json::json;

use super::{
    SiteSource, archive, error_page,
    listing_page::SUMMED_MAX,
    opened::Opened,
    reply::{self, Reply},
    site::Visit,
};

/// Answers for what follows `/.<tld>/`.
pub async fn serve<S: SiteSource>(visit: &Visit<'_, S>, rest: &str) -> Reply {
    let (first, below) = rest.split_once('/').unwrap_or((rest, ""));
    let nothing = |words| error_page::nothing_special(words, &visit.base).reply(visit.ask);
    match first {
        "record" => return nothing("An address by infohash has no signed record: it can never change."),
        "rootca.pem" | "rootca.crt" => {
            return nothing("This release has no certificates: everything is http.");
        }
        "info" | "metainfo" | "versions" | "zip" | "tar" if below.is_empty() => {}
        "raw" => {}
        _ => return nothing("The box has nothing under this special path."),
    }
    let opened = match visit.open().await {
        Ok(opened) => opened,
        Err(reply) => return *reply,
    };
    match first {
        "info" => info(visit, &opened),
        "metainfo" => metainfo(visit, &opened),
        "versions" => versions(visit),
        "raw" => raw(visit, &opened, below).await,
        _ => archive::serve(visit, opened, first == "tar"),
    }
}

fn json<S: SiteSource>(visit: &Visit<'_, S>, value: &serde_json::Value) -> Reply {
    let mut reply = reply::data(reply::JSON, "no-cache", format!("{value}\n"));
    let headers = reply.headers_mut();
    reply::site_headers(headers, &visit.shared.walls, visit.wall);
    // What the household holds and when it looked is not for pages of other sites.
    headers.remove(header::ACCESS_CONTROL_ALLOW_ORIGIN);
    reply
}

fn info<S: SiteSource>(visit: &Visit<'_, S>, opened: &Opened<S>) -> Reply {
    let info = opened.info();
    let source = visit.shared.shelf.source();
    let progress = source.progress(visit.ih).unwrap_or_default();
    // A torrent of very many files would make one small question a long one.
    let held = (opened.tree.len() <= SUMMED_MAX).then(|| {
        let files = opened.tree.files((0, opened.tree.len()));
        files
            .map(|file| source.held_bytes(&opened.site, file))
            .sum::<u64>()
    });
    let mut value = json!({
        "infohash": visit.ih.to_string(),
        "infohash_v2": info.infohash_v2.map(|hash| data_encoding::HEXLOWER.encode(&hash)),
        "name": info.name,
        "size": info.total,
        "files": opened.tree.len(),
        "pieces": info.pieces.len(),
        "piece_length": info.piece_length,
        "private": info.private,
        "held_bytes": held,
        "peers": progress.peers,
        // An address by infohash has neither a sequence number nor anything to check again.
        "seq": null,
        "first_seen": null,
        "last_checked": null,
        "copies": null,
    });
    if let Some(shown) = visit.shown {
        shown.tell(&mut value);
    }
    json(visit, &value)
}

fn versions<S: SiteSource>(visit: &Visit<'_, S>) -> Reply {
    json(
        visit,
        &json!([{ "infohash": visit.ih.to_string(), "seq": null, "seen": null }]),
    )
}

/// The `.torrent`: the info dictionary byte for byte, so that its hash is the address.
fn metainfo<S: SiteSource>(visit: &Visit<'_, S>, opened: &Opened<S>) -> Reply {
    let raw = &opened.torrent().raw_info;
    let mut bytes = Vec::with_capacity(raw.len() + 8);
    bytes.extend_from_slice(b"d4:info");
    bytes.extend_from_slice(raw);
    bytes.push(b'e');
    let kind = HeaderValue::from_static("application/x-bittorrent");
    let mut reply = reply::data(kind, cache::IMMUTABLE, bytes);
    reply::site_headers(reply.headers_mut(), &visit.shared.walls, visit.wall);
    let name = reply::value(&format!("attachment; filename=\"{}.torrent\"", visit.ih));
    reply.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    reply
}

/// `raw/<name>/<path>`: the tree as the torrent has it, for web seeding (BEP 19) and for a torrent's own special folder.
async fn raw<S: SiteSource>(visit: &Visit<'_, S>, opened: &std::sync::Arc<Opened<S>>, below: &str) -> Reply {
    let path = match SitePath::parse(&format!("/{below}")) {
        Ok(path) => path,
        Err(why) => return error_page::bad_path(why, &visit.base).reply(visit.ask),
    };
    let info = opened.info();
    let found = path.components.split_first().and_then(|(name, rest)| {
        let wanted = if info.multi_file {
            rest
        } else {
            &path.components[..]
        };
        let here = *name == info.name && !path.folder;
        let fits = |file: &proto::metainfo::File| !file.pad && file.path == wanted;
        here.then(|| info.files.iter().position(fits)).flatten()
    });
    match found {
        Some(file) => visit.file(opened, file, StatusCode::OK).await,
        None => error_page::no_such_file(format!("{}/", visit.base)).reply(visit.ask),
    }
}
