//! The way of a request: head -> route -> room. Holds what all connections share.

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use hyper::{
    Method, Request, StatusCode, Version,
    body::Incoming,
    header::{self, HeaderValue},
    http::request::Parts,
};
use proto::{
    name::{Address, Domains, TLD},
    site::head::REFUSED,
};

use super::{
    Config, Doors, Network, OwnPages, OwnRequest, SiteSource, StartError,
    body::Body,
    box_pages, error_page,
    mutable::{self, Fallbacks},
    opened::Shelf,
    pac,
    reply::{self, Ask, Reply, Wall, Walls},
    route::{self, Head, Names, Refusal, Route},
    seen::Way,
    site::Visit,
    wire::Answering,
};
use crate::tasks::Tasks;

/// What every request needs. One per gateway.
pub struct Shared<S: SiteSource> {
    pub shelf: Shelf<S>,
    pub fallbacks: Fallbacks,
    pub names: Names,
    pub walls: Walls,
    pub network: Network,
    pages: Arc<dyn OwnPages>,
    proxy_port: u16,
}

/// Where a request came in.
#[derive(Debug, Clone, Copy)]
pub struct Came {
    pub local: SocketAddr,
    pub peer: SocketAddr,
}

impl<S: SiteSource> Shared<S> {
    pub fn new(
        config: &Config,
        doors: &Doors,
        source: Arc<S>,
        (pages, network): (Arc<dyn OwnPages>, Network),
        tasks: Tasks,
    ) -> Result<Arc<Self>, StartError> {
        let address = config.advertise;
        // A box without a proxy door (tests, DNS-only homes) has both on one port.
        let door = doors.proxy.first().or(doors.http.first());
        let proxy_port = door.map_or(0, SocketAddr::port);
        let names = config
            .box_names
            .iter()
            .map(|name| name.to_ascii_lowercase())
            .collect();
        Ok(Arc::new(Self {
            shelf: Shelf::new(source, tasks),
            fallbacks: Fallbacks::default(),
            names: Names {
                domains: Domains::new(&config.gateway_domains)?,
                names,
                address,
            },
            walls: Walls::new(),
            network,
            pages,
            proxy_port,
        }))
    }

    /// Where the PAC sends a client that reached us on `local`.
    pub fn proxy(&self, local: IpAddr) -> SocketAddr {
        SocketAddr::new(
            self.names.address.unwrap_or(local.to_canonical()),
            self.proxy_port,
        )
    }
}

/// Answers one request; never fails, so that every trouble has words.
pub async fn answer<S: SiteSource>(
    shared: Arc<Shared<S>>,
    came: Came,
    answering: Answering,
    request: Request<Incoming>,
) -> Result<Reply, Infallible> {
    let (parts, body) = request.into_parts();
    let head = parts.method == Method::HEAD;
    let mut reply = if parts.method.as_str() == REFUSED {
        error_page::refused_head(parts.uri.path())
    } else {
        let route = route_of(&shared, came, &parts);
        note(&shared, came, &parts, &route);
        match route {
            Route::Own { named, .. } if !box_pages::ours(parts.uri.path()) => {
                let request = Request::from_parts(parts, body);
                own(&shared, came, named, request).await
            }
            route => decide(&shared, came, route, &parts).await,
        }
    };
    if head {
        empty(&mut reply);
    }
    Ok(reply.map(|body| body.hold(answering)))
}

/// Remembers the way this device came by.
fn note<S: SiteSource>(shared: &Shared<S>, came: Came, parts: &Parts, route: &Route) {
    let way = match route {
        Route::Pac => Way::Pac,
        Route::Site(_) | Route::Own { named: true } if by_proxy(parts) => Way::Proxy,
        Route::Site(_) | Route::Own { named: true } => Way::Host,
        _ => return,
    };
    shared.network.seen.note(came.peer.ip(), way);
}

/// HTTP/2 always names an authority.
fn by_proxy(parts: &Parts) -> bool {
    parts.uri.authority().is_some() && parts.version != Version::HTTP_2
}

async fn own<S: SiteSource>(
    shared: &Shared<S>,
    came: Came,
    named: bool,
    request: Request<Incoming>,
) -> Reply {
    let request = OwnRequest {
        request,
        peer: came.peer,
        named,
        proxy: shared.proxy(came.local.ip()),
    };
    shared.pages.answer(request).await.map(Body::boxed)
}

/// HEAD: the headers of the GET, its length (when it is known) included, without the bytes.
fn empty(reply: &mut Reply) {
    if let Some(length) = reply.body().len() {
        reply
            .headers_mut()
            .entry(header::CONTENT_LENGTH)
            .or_insert(HeaderValue::from(length));
    }
    *reply.body_mut() = Body::empty();
}

async fn decide<S: SiteSource>(shared: &Arc<Shared<S>>, came: Came, route: Route, parts: &Parts) -> Reply {
    let ask = Ask::new(parts);
    match route {
        Route::Site(address) if parts.method == Method::OPTIONS => mutable::options(shared, &ask, &address),
        Route::Server => reply::options(),
        Route::Pac => pac::serve(shared, came, ask.path()).await,
        Route::Site(Address::Torrent(ih)) => {
            let visit = Visit::new(shared, &ask, ih, Wall::Host, String::new());
            visit.serve_any(ask.path()).await
        }
        Route::Site(address) => {
            mutable::serve(shared, &ask, address, Wall::Host, String::new(), ask.path()).await
        }
        Route::Own { named } => box_pages::serve(shared, &ask, named).await,
        Route::Moved(host) => elsewhere(StatusCode::TEMPORARY_REDIRECT, &host, parts),
        Route::Respelled(host) => elsewhere(StatusCode::PERMANENT_REDIRECT, &host, parts),
        Route::Refuse(refusal) => {
            let mut reply = error_page::refused(refusal).reply(&ask);
            // A body that came along is not read.
            if matches!(
                refusal,
                Refusal::Method | Refusal::NotOurs | Refusal::Tunnel | Refusal::NoTls
            ) && parts.version < Version::HTTP_2
            {
                reply
                    .headers_mut()
                    .insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            reply
        }
    }
}

fn route_of<S: SiteSource>(shared: &Shared<S>, came: Came, parts: &Parts) -> Route {
    let host = parts.headers.get(header::HOST);
    let Ok(host) = host.map(HeaderValue::to_str).transpose() else {
        return Route::Refuse(Refusal::Host);
    };
    let head = Head {
        method: parts.method.as_str(),
        scheme: parts.uri.scheme_str(),
        authority: parts.uri.authority().map(|authority| authority.as_str()),
        host,
        path: parts.uri.path(),
        http2: parts.version == Version::HTTP_2,
        local: came.local.ip(),
    };
    route::route(&head, &shared.names, &shared.network.rules.borrow())
}

/// The rest of `/.<tld>/…`; on every host of ours.
pub fn special_path(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("/.")?.strip_prefix(TLD)?;
    rest.strip_prefix('/').or(rest.is_empty().then_some(""))
}

fn elsewhere(status: StatusCode, host: &str, parts: &Parts) -> Reply {
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    reply::redirect(status, &format!("http://{host}{path}"))
}
