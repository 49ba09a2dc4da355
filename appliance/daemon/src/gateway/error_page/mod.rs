//! The one place that turns troubles into status codes and words. Each text says what happened, what we did, what you can
//! do: a page for people, one line for programs, the same line in `X-Reason`.

mod site;

use hyper::{StatusCode, header};
use maud::{Markup, html};
use proto::name::TLD;

pub use site::{Known, of_site};

use super::{
    page,
    reply::{self, Ask, Reply},
    route::Refusal,
};

const START: &str = "Open the box's start page";
/// On a link to the very page: an empty address.
const AGAIN: &str = "Try again";

/// The box by the name that everybody has who came by a name of ours, or by proxy.
fn start_page() -> String {
    format!("http://box.{TLD}/")
}

/// A trouble in words.
pub struct Trouble {
    status: StatusCode,
    title: &'static str,
    happened: String,
    did: &'static str,
    can: &'static str,
    retry_secs: Option<u32>,
    /// A way on: address and words.
    link: Option<(String, &'static str)>,
    /// What a page shows below the words.
    more: Option<Markup>,
}

impl Trouble {
    fn new(
        status: u16,
        title: &'static str,
        happened: impl Into<String>,
        did: &'static str,
        can: &'static str,
    ) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST),
            title,
            happened: happened.into(),
            did,
            can,
            retry_secs: None,
            link: None,
            more: None,
        }
    }

    fn retry(mut self, secs: u32) -> Self {
        self.retry_secs = Some(secs);
        self
    }

    pub fn link(mut self, to: impl Into<String>, words: &'static str) -> Self {
        self.link = Some((to.into(), words));
        self
    }

    pub fn with(mut self, more: Markup) -> Self {
        self.more = Some(more);
        self
    }

    /// The answer for this request.
    pub fn reply(self, ask: &Ask<'_>) -> Reply {
        self.reply_as(ask.page)
    }

    pub fn reply_as(self, as_page: bool) -> Reply {
        let line = format!("{} {} {}", self.happened, self.did, self.can);
        let mut reply = if as_page {
            reply::page(self.status, page::CSP, self.draw())
        } else {
            reply::text(self.status, format!("{line}\n"))
        };
        let headers = reply.headers_mut();
        // A header holds ASCII; a peer's or file's words may not.
        let ascii: String = line
            .chars()
            .map(|c| if (' '..='~').contains(&c) { c } else { '?' })
            .collect();
        headers.insert(reply::X_REASON, reply::value(&ascii));
        if let Some(secs) = self.retry_secs {
            headers.insert(header::RETRY_AFTER, reply::value(&secs.to_string()));
        }
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(header::ALLOW, reply::value("GET, HEAD, OPTIONS"));
        }
        reply
    }

    fn draw(&self) -> String {
        page::page(
            self.title,
            html! {
                h1 { (self.title) }
                p { (self.happened) }
                p { (self.did) }
                p { (self.can) }
                @if let Some((to, words)) = &self.link {
                    p { a.button href=(to) { (words) } }
                }
                @if let Some(more) = &self.more { (more) }
                footer.soft { "Granary" @if self.status != StatusCode::OK { " · " (self.status.as_str()) } }
            },
        )
    }
}

/// A request that `route` turned away.
pub fn refused(refusal: Refusal) -> Trouble {
    match refusal {
        Refusal::Host => Trouble::new(
            400,
            "This address is not well formed",
            "The host name of this address breaks a rule.",
            "Nothing was looked up.",
            "Check the address: it ends in -ih, -pk, -44 or -dl and our top-level domain, or is a name of this home.",
        ),
        Refusal::Target => Trouble::new(
            400,
            "This request is not well formed",
            "The request names no path that could be opened.",
            "Nothing was looked up.",
            "Use an address that begins with http:// and ends in a path.",
        ),
        Refusal::NotOurs => Trouble::new(
            403,
            "This proxy only opens BitTorrent sites",
            "Your browser asked this proxy for an ordinary site.",
            "The request was not passed on.",
            "Use the automatic proxy address (/proxy.pac) instead of a fixed proxy: it sends only BitTorrent sites here.",
        )
        .link(start_page(), START),
        Refusal::Tunnel => Trouble::new(
            403,
            "This proxy only opens BitTorrent sites",
            "A tunnel to somewhere else was asked for.",
            "No connection was made.",
            "Use the automatic proxy address (/proxy.pac) instead of a fixed proxy: it sends only BitTorrent sites here.",
        ),
        Refusal::NoTls => Trouble::new(
            501,
            "No encrypted door yet",
            "This release opens BitTorrent sites by http only.",
            "No tunnel was opened.",
            "Use http:// instead of https:// in the address.",
        ),
        Refusal::NoSuchName => Trouble::new(
            404,
            "Nobody has this name",
            "No site is known under this name.",
            "Nothing was asked outside this home.",
            "Check the spelling, or paste the site's magnet link on the box's start page.",
        )
        .link(start_page(), START),
        Refusal::Method => Trouble::new(
            405,
            "Sites can only be read",
            "The request wanted to change something.",
            "Nothing was changed.",
            "Use GET or HEAD.",
        ),
        Refusal::Stranger => Trouble::new(
            421,
            "This is not the box's name",
            "A name that is neither the box's nor a BitTorrent site's led here.",
            "The request was not answered, so that no stranger's page can reach the box under a name of its own.",
            "Open the box by its address, or by a name listed in its configuration.",
        ),
    }
}

/// A head that `wire` refused: `/<status>/<reason>`.
pub fn refused_head(path: &str) -> Reply {
    let mut words = path.split('/').skip(1);
    let status = words.next().and_then(|text| text.parse().ok()).unwrap_or(400);
    let happened = match words.next().unwrap_or_default() {
        "slow" => "The request did not arrive whole in ten seconds.",
        "target" => "The address is longer than 8 KiB.",
        "head" => "The request's header is longer than 16 KiB.",
        "fields" => "The request has more than 100 header fields.",
        "body" => "The request's body is longer than 1 MiB.",
        "coding" => "The request has a body of unknown length.",
        "method" => "This method is not known.",
        "version" => "This version of HTTP is not spoken here.",
        "expect" => "The request expects something that is not known.",
        "host" => "The request does not name exactly one host.",
        "length" => "The length of the request's body can be read in two ways.",
        "field" => "A header field of the request is not well formed.",
        "line-ends" => "A line of the request does not end in CR LF.",
        _ => "The first line of the request is not well formed.",
    };
    let mut reply = Trouble::new(
        status,
        "This request was refused",
        happened,
        "The connection is closed.",
        "Use a browser or another program that speaks HTTP/1.1 strictly.",
    )
    .reply_as(false);
    let close = reply::value("close");
    reply.headers_mut().insert(header::CONNECTION, close);
    reply
}

/// The path part of an address breaks a rule.
pub fn bad_path(why: proto::site::path::Malformed, base: &str) -> Trouble {
    Trouble::new(
        400,
        "This address is not well formed",
        format!("The address cannot name a file: {why}."),
        "Nothing was looked up.",
        "Check the address, or open the site's first page.",
    )
    .link(format!("{base}/"), "Open the first page")
}

pub fn no_such_file(parent: String) -> Trouble {
    Trouble::new(
        404,
        "No such file in this site",
        "The site has no file of this name.",
        "The site's own list of files was searched.",
        "Check the address, or look into the folder.",
    )
    .link(parent, "Show the folder")
}

/// A special path that has nothing to show for this kind of site.
pub fn nothing_special(happened: &'static str, base: &str) -> Trouble {
    Trouble::new(
        404,
        "Nothing here for this site",
        happened,
        "Nothing was looked up.",
        "Open the site's first page.",
    )
    .link(format!("{base}/"), "Open the first page")
}

/// `?btlink-version=` names none of this address's versions.
pub fn no_such_version(base: &str) -> Trouble {
    Trouble::new(
        404,
        "No such version of this site",
        "The publisher's history as this box knows it has no version of this number or infohash.",
        "Nothing was looked up.",
        "Choose another version, or open the newest one.",
    )
    .link(format!("{base}/"), "Open the newest version")
}

pub fn no_item() -> Trouble {
    Trouble::new(
        504,
        "Nobody has this item",
        "Nobody in the BitTorrent network answered with this item.",
        "The network was asked.",
        "Try again later: items vanish two hours after somebody last put them.",
    )
    .link("", AGAIN)
    .retry(30)
}

/// `Cache-Control: only-if-cached` and not all of it is held. 412, as Kubo answers; RFC 9111 would say 504, which here
/// always means that the swarm was asked.
pub fn not_stored() -> Trouble {
    Trouble::new(
        412,
        "Not stored here",
        "Not all of this is stored, and the request allowed no looking elsewhere.",
        "Nobody was asked.",
        "Ask again without only-if-cached.",
    )
}

pub fn unsatisfiable() -> Trouble {
    Trouble::new(
        416,
        "Past the end",
        "The part asked for lies past the end of the file.",
        "Nothing was sent.",
        "See Content-Range for the length.",
    )
}

pub fn no_workers() -> Trouble {
    Trouble::new(
        400,
        "No service workers here",
        "The page wanted to install a service worker.",
        "It was not handed out: pages of different sites share this origin.",
        "Open the site on its own host.",
    )
}

pub fn bad_redirects(why: String) -> Trouble {
    Trouble::new(
        500,
        "The site's _redirects file is not well formed",
        why,
        "No rule of the file was applied.",
        "The site's author has to correct the file.",
    )
}

/// The site's own rule says 404, 410 or 451 but the page it names is missing too.
pub fn by_rule(status: u16) -> Trouble {
    Trouble::new(
        status,
        "Not available",
        "The site's own rules say that this is not available.",
        "Nothing else was tried.",
        "Open the site's first page.",
    )
    .link("/", "Open the first page")
}

/// What was pasted opens nothing; `why` is the reader's own sentence.
pub fn not_understood(why: &str) -> Trouble {
    Trouble::new(
        400,
        "This cannot be opened",
        format!("What was pasted opens no site: {why}."),
        "Nothing was looked up.",
        "Paste a magnet link, an infohash, a publisher's key, or a site's address.",
    )
    .link("/", "Try again")
}

pub fn stopped(path: &str) -> Trouble {
    Trouble::new(
        200,
        "You stopped waiting",
        "The page was not here yet.",
        "The box stops looking for it by itself within a minute.",
        "Try again at any time.",
    )
    .link(path, "Try again")
}

pub fn busy() -> Trouble {
    Trouble::new(
        503,
        "Too much at once",
        "Too many sites are being looked for at this moment.",
        "This one was not started.",
        "Try again in a few seconds.",
    )
    .link("", AGAIN)
    .retry(5)
}
