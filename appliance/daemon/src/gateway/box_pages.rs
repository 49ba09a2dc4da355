//! Sites on the box's own names: what was pasted, and sites by path for devices without PAC and DNS.

use std::sync::Arc;

use hyper::{
    Method, StatusCode,
    header::{self, HeaderValue},
};
use maud::html;
use proto::{
    id::InfoHash,
    magnet::{self, Pasted},
    name::{Address, TLD},
};

use super::{
    SiteSource,
    answer::Shared,
    error_page, page,
    reply::{self, Ask, Reply, Wall},
    site::Visit,
    special,
};
use crate::swarm::Hints;

/// Is this path of the box's own names the gateway's?
pub fn ours(path: &str) -> bool {
    path == "/open" || path.starts_with("/btih/") || path.starts_with("/magnet:")
}

/// Answers the paths that are [`ours`]. `named`: the client reached us by a name that only PAC or DNS gives it, so it can
/// open sites on their own hosts.
pub async fn serve<S: SiteSource>(shared: &Arc<Shared<S>>, ask: &Ask<'_>, named: bool) -> Reply {
    let path = ask.path();
    match ask.parts.method {
        Method::GET | Method::HEAD => {}
        Method::OPTIONS => return private(reply::text(StatusCode::NO_CONTENT, String::new())),
        _ => return private(error_page::refused(super::route::Refusal::Method).reply(ask)),
    }
    if let Some(rest) = path.strip_prefix("/btih/") {
        return by_path(shared, ask, rest, named).await;
    }
    let asked = ask.query_value("uri").unwrap_or_default();
    let text = match path {
        "/open" => asked.as_str(),
        _ => ask.parts.uri.path_and_query().map_or(path, |all| all.as_str()),
    };
    private(open(shared, ask, text, named))
}

/// The box's own pages are for the person in front of them: no other origin may read them.
fn private(mut reply: Reply) -> Reply {
    let headers = reply.headers_mut();
    headers.remove(header::ACCESS_CONTROL_ALLOW_ORIGIN);
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    reply
}

/// `/btih/<hex>/…`: a redirect to the site's host for whoever can reach it, else the site in place, behind a wall,
/// because all sites share this origin.
async fn by_path<S: SiteSource>(shared: &Arc<Shared<S>>, ask: &Ask<'_>, rest: &str, named: bool) -> Reply {
    let (digits, below) = rest
        .split_once('/')
        .map_or((rest, None), |(digits, below)| (digits, Some(below)));
    let Some(ih) = InfoHash::from_hex(digits) else {
        return error_page::refused(super::route::Refusal::Host).reply(ask);
    };
    let query = ask
        .parts
        .uri
        .query()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    if named {
        let below = below.unwrap_or_default();
        return reply::redirect(
            StatusCode::MOVED_PERMANENTLY,
            &format!("http://{}/{below}{query}", host_of(ih)),
        );
    }
    let base = format!("/btih/{ih}");
    let Some(below) = below else {
        return reply::redirect(StatusCode::PERMANENT_REDIRECT, &format!("{base}/{query}"));
    };
    let visit = Visit::new(shared, ask, ih, Wall::Path, base);
    let inside = below.strip_prefix('.').and_then(|rest| rest.strip_prefix(TLD));
    match inside.and_then(|rest| rest.strip_prefix('/')) {
        Some(inside) => special::serve(&visit, inside).await,
        None => visit.serve(&format!("/{below}")).await,
    }
}

fn host_of(ih: InfoHash) -> String {
    Address::Torrent(ih).host(TLD).unwrap_or_default()
}

/// What was pasted or handed over by a link: to the site, by the way the client can go.
fn open<S: SiteSource>(shared: &Shared<S>, ask: &Ask<'_>, text: &str, named: bool) -> Reply {
    let pasted = match magnet::paste(text, &shared.names.domains) {
        Ok(pasted) => pasted,
        Err(why) => return error_page::not_understood(&why.to_string()).reply(ask),
    };
    let (ih, path) = match pasted {
        Pasted::Magnet(magnet) => {
            let Some(ih) = magnet.infohash else {
                return error_page::refused(super::route::Refusal::Later).reply(ask);
            };
            let hints = Hints {
                peers: magnet.peers,
                trackers: magnet.trackers,
            };
            shared.shelf.hint(ih, hints);
            (ih, "/".to_owned())
        }
        Pasted::Site {
            address: Address::Torrent(ih),
            path,
        } => (ih, path),
        Pasted::Site { .. } => return error_page::refused(super::route::Refusal::Later).reply(ask),
    };
    let own = format!("http://{}{path}", host_of(ih));
    if named && ask.page {
        return onward(ih, &own);
    }
    if named {
        return reply::redirect(StatusCode::FOUND, &own);
    }
    if !ask.page {
        return reply::redirect(StatusCode::FOUND, &format!("/btih/{ih}{path}"));
    }
    choice(ih, &own, &path)
}

/// A page that leads on: a form of ours may not be answered by a redirect to another origin (CSP form-action).
fn onward(ih: InfoHash, own: &str) -> Reply {
    let html = page::page(
        "Open a site",
        html! {
            h1 { "Open a site" }
            p { "Understood: the site with the infohash " code { (ih) } "." }
            p { a.button href=(own) { "Open it" } }
        },
    );
    let mut reply = reply::page(StatusCode::OK, page::CSP_BOX, html);
    let refresh = reply::value(&format!("0; url={own}"));
    reply.headers_mut().insert(header::REFRESH, refresh);
    reply
}

/// The client came by address: nobody can know whether its browser uses the PAC, so the person chooses.
fn choice(ih: InfoHash, own: &str, path: &str) -> Reply {
    let here = format!("/btih/{ih}{path}");
    let html = page::page(
        "Open a site",
        html! {
            h1 { "Open a site" }
            p { "Understood: the site with the infohash " code { (ih) } "." }
            p { a.button href=(own) { "Open it on its own address" } }
            p.soft { "Everything works there. Needs the box's PAC address or DNS on this device." }
            p { a href=(here) { "Open it here, in Safe mode" } }
            p.soft { "Works on every device, without scripts." }
        },
    );
    reply::page(StatusCode::OK, page::CSP_BOX, html)
}
