//! Sites on the box's own names: what was pasted, and sites by path for devices without PAC and DNS.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use hyper::{
    Method, StatusCode,
    header::{self, HeaderValue},
};
use maud::{Markup, html};
use proto::{
    id::Target,
    magnet::{self, Magnet, Pasted},
    name::{Address, TLD},
};

use super::{
    SiteSource,
    answer::Shared,
    by_path, error_page, page,
    reply::{self, Ask, Reply},
};
use crate::swarm::Hints;

/// Is this path of the box's own names the gateway's?
pub fn ours(path: &str) -> bool {
    path == "/open" || path.starts_with("/magnet:") || by_path::is_path(path)
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
    match by_path::read(path) {
        Some(Ok(place)) => return by_path::serve(shared, ask, place, named).await,
        Some(Err(refusal)) => return private(by_path::malformed(refusal, ask)),
        None => {}
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

/// What was pasted or handed over by a link: to the site, by the way the client can go.
fn open<S: SiteSource>(shared: &Shared<S>, ask: &Ask<'_>, text: &str, named: bool) -> Reply {
    let pasted = match magnet::paste(text, &shared.names.domains) {
        Ok(pasted) => pasted,
        Err(why) => return error_page::not_understood(&why.to_string()).reply(ask),
    };
    let (address, path) = match pasted {
        Pasted::Magnet(magnet) => match of_magnet(shared, magnet) {
            Some(address) => (address, "/".to_owned()),
            None => return error_page::not_understood("the magnet link names nothing to open").reply(ask),
        },
        Pasted::Site { address, path } => (address, path),
    };
    let here = by_path::base(&address).map(|base| format!("{base}{path}"));
    let own = address.host(TLD).map(|host| format!("http://{host}{path}"));
    match (own, here) {
        (Some(own), _) if named && ask.page => onward(&address, &own),
        (Some(own), _) if named => reply::redirect(StatusCode::FOUND, &own),
        (_, Some(here)) if named || !ask.page => reply::redirect(StatusCode::FOUND, &here),
        (Some(own), None) if !ask.page => reply::redirect(StatusCode::FOUND, &own),
        (own, here) => choice(&address, own.as_deref(), here.as_deref()),
    }
}

/// The address a magnet leads to; its other parts are remembered. A key counts more than an infohash beside it, which is
/// shown while the network is silent about the key.
fn of_magnet<S: SiteSource>(shared: &Shared<S>, magnet: Magnet) -> Option<Address> {
    let hints = Hints {
        peers: magnet.peers,
        trackers: magnet.trackers,
    };
    if let Some(ih) = magnet.infohash {
        shared.shelf.hint(ih, hints);
    }
    match (magnet.key, magnet.infohash, magnet.infohash_v2) {
        (Some(key), infohash, _) => {
            let salt = magnet.salt;
            if let Some(ih) = infohash {
                shared.fallbacks.remember(Target(key.target(&salt)), ih);
            }
            Some(Address::Key { key, salt })
        }
        (None, Some(ih), _) => Some(Address::Torrent(ih)),
        (None, None, v2) => v2.map(Address::TorrentV2),
    }
}

/// A page that leads on: a form of ours may not be answered by a redirect to another origin (CSP form-action).
fn onward(address: &Address, own: &str) -> Reply {
    let html = page::page(
        "Open a site",
        html! {
            h1 { "Open a site" }
            (understood(address))
            p { a.button href=(own) { "Open it" } }
        },
    );
    let mut reply = reply::page(StatusCode::OK, page::CSP_BOX, html);
    let refresh = reply::value(&format!("0; url={own}"));
    reply.headers_mut().insert(header::REFRESH, refresh);
    reply
}

/// The client came by address: nobody can know whether its browser uses the PAC, so the person chooses.
fn choice(address: &Address, own: Option<&str>, here: Option<&str>) -> Reply {
    let html = page::page(
        "Open a site",
        html! {
            h1 { "Open a site" }
            (understood(address))
            @if let Some(own) = own {
                p { a.button href=(own) { "Open it on its own address" } }
                p.soft { "Everything works there. Needs the box's PAC address or DNS on this device." }
            }
            @if let Some(here) = here {
                p { a href=(here) { "Open it here, in Safe mode" } }
                p.soft { "Works on every device, without scripts." }
            }
        },
    );
    reply::page(StatusCode::OK, page::CSP_BOX, html)
}

fn understood(address: &Address) -> Markup {
    let (kind, text) = match address {
        Address::Torrent(ih) => ("the site with the infohash ", ih.to_string()),
        Address::TorrentV2(hash) => ("the site with the infohash ", HEXLOWER.encode(hash)),
        Address::Key { key, .. } => (
            "the newest site of the publisher with the key ",
            HEXLOWER.encode(&key.0),
        ),
        Address::Item(target) => ("the item of the DHT at ", HEXLOWER.encode(target)),
        Address::Domain(domain) => ("the site of the domain ", domain.clone()),
        Address::Petname(name) => ("the site this home calls ", name.clone()),
    };
    html! { p { "Understood: " (kind) code { (text) } "." } }
}
