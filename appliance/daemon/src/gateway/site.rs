//! A path of a site: file, folder, redirect, the site's own 404, or the page that shows how far the swarm is.

use std::{sync::Arc, time::Duration};

use hyper::{StatusCode, header};
use proto::{
    id::InfoHash,
    site::{
        path,
        path::SitePath,
        redirects::{self, Answer},
        tree::Found,
    },
};
use tokio::time::Instant;

use super::{
    SiteSource,
    answer::{Shared, special_path},
    error_page, listing_page,
    opened::{NotOpen, Opened},
    progress_page,
    reply::{self, Ask, Reply, Wall},
    shown::{Shown, version_link},
    special,
};
use crate::sites::{Error, Held};

/// A person gets the progress page after this.
const PATIENCE_PAGE: Duration = Duration::from_secs(2);
/// A program or a part of a page gets a 504 after this; browsers themselves give up later.
const PATIENCE_PART: Duration = Duration::from_secs(25);
/// One request for something of a site.
pub struct Visit<'a, S: SiteSource> {
    pub shared: &'a Arc<Shared<S>>,
    pub ask: &'a Ask<'a>,
    pub ih: InfoHash,
    pub wall: Wall,
    /// The URL path before the site's own: empty on hosts, `/btih/<hex>` on the path gateway.
    pub base: String,
    /// Until when the reader is kept waiting.
    pub until: Instant,
    /// How the reader came to this version, when not by its infohash.
    pub shown: Option<&'a Shown>,
}

impl<'a, S: SiteSource> Visit<'a, S> {
    pub fn new(shared: &'a Arc<Shared<S>>, ask: &'a Ask<'a>, ih: InfoHash, wall: Wall, base: String) -> Self {
        let patience = if ask.top { PATIENCE_PAGE } else { PATIENCE_PART };
        Self {
            shared,
            ask,
            ih,
            wall,
            base,
            until: Instant::now() + patience,
            shown: None,
        }
    }

    /// Answers for `raw`, the path within the site, the special ones included.
    pub async fn serve_any(&self, raw: &str) -> Reply {
        match special_path(raw) {
            Some(rest) => special::serve(self, rest).await,
            None => self.serve(raw).await,
        }
    }

    /// Answers for `raw`, the path within the site.
    pub async fn serve(&self, raw: &str) -> Reply {
        let path = match SitePath::parse(raw) {
            Ok(path) => path,
            Err(why) => return error_page::bad_path(why, &self.base).reply(self.ask),
        };
        if self.wall == Wall::Path && self.ask.parts.headers.contains_key("service-worker") {
            return error_page::no_workers().reply(self.ask);
        }
        let opened = match self.open().await {
            Ok(opened) => opened,
            Err(reply) => return *reply,
        };
        let autoindex = self.ask.query_value("btlink-no-autoindex").is_none();
        match opened.tree.find(opened.info(), &path, autoindex) {
            Found::File(file) => self.file(&opened, file, StatusCode::OK).await,
            Found::Listing => self.listing(&opened, &path),
            Found::Redirect(to) => self.moved(&to),
            Found::Missing => self.missing(&opened, &path).await,
        }
    }

    /// The site, or the reply that stands for it.
    pub async fn open(&self) -> Result<Arc<Opened<S>>, Box<Reply>> {
        let shelf = &self.shared.shelf;
        if let Some(opened) = shelf.now(&self.ih) {
            return Ok(opened);
        }
        if self.ask.only_if_cached() {
            let local = shelf.open_local(self.ih).await;
            return local.ok_or_else(|| Box::new(error_page::not_stored().reply(self.ask)));
        }
        if self.ask.query_value("btlink-stop").is_some() {
            return Err(Box::new(error_page::stopped(self.ask.path()).reply(self.ask)));
        }
        shelf
            .open(self.ih, self.until, self.ask.top)
            .await
            .map_err(|why| {
                Box::new(match why {
                    NotOpen::Busy => error_page::busy().reply(self.ask),
                    NotOpen::Site(err) => self.trouble(&err, false),
                    NotOpen::Waiting if self.ask.top => self.progress(None),
                    NotOpen::Waiting => self.trouble(&Error::Silent(self.ih), false),
                })
            })
    }

    pub fn progress(&self, opened: Option<&Opened<S>>) -> Reply {
        let progress = self.shared.shelf.source().progress(self.ih);
        let known = progress_page::Known {
            info: opened.map(Opened::info),
            progress: progress.as_ref(),
            shown: self.shown,
            earlier: self.earlier(),
        };
        progress_page::reply(self.ask, &self.ih, &known)
    }

    pub fn trouble(&self, err: &Error, known: bool) -> Reply {
        let progress = self.shared.shelf.source().progress(self.ih);
        let known = error_page::Known {
            metadata: known,
            progress: progress.as_ref(),
            record: self.shown.and_then(|shown| shown.current.record.as_deref()),
        };
        let trouble = error_page::of_site(err, known);
        match self.earlier() {
            Some(link) => trouble.link(link, "Open an earlier version").reply(self.ask),
            None => trouble.reply(self.ask),
        }
    }

    /// The way to the newest other version of this address of which something is here.
    fn earlier(&self) -> Option<String> {
        let row = self.shown?.current.record.as_ref()?;
        let source = self.shared.shelf.source();
        let mut others = row.history.iter().filter_map(|one| one.infohash);
        let here =
            |ih: &InfoHash| *ih != self.ih && !matches!(source.held(ih), Held::Nothing | Held::Part(0));
        let earlier = others.find(here)?;
        Some(version_link(self.ask.path(), &earlier))
    }

    fn moved(&self, to: &str) -> Reply {
        let query = self
            .ask
            .parts
            .uri
            .query()
            .map(|query| format!("?{query}"))
            .unwrap_or_default();
        reply::redirect(
            StatusCode::PERMANENT_REDIRECT,
            &format!("{}{to}{query}", self.base),
        )
    }

    fn listing(&self, opened: &Arc<Opened<S>>, path: &SitePath) -> Reply {
        let mut reply = listing_page::reply(self.ask, opened, path, &self.base, |file| {
            self.shared.shelf.source().held_bytes(&opened.site, file)
        });
        let csp = reply.headers().get(header::CONTENT_SECURITY_POLICY).cloned();
        reply::site_headers(reply.headers_mut(), &self.shared.walls, self.wall);
        // The listing is ours and needs less than a site may.
        if let Some(csp) = csp {
            reply.headers_mut().insert(header::CONTENT_SECURITY_POLICY, csp);
        }
        reply
    }

    /// Nothing has this path: the site's own rules, then its own 404 page, then ours.
    async fn missing(&self, opened: &Arc<Opened<S>>, path: &SitePath) -> Reply {
        if self.wall == Wall::Host {
            match self.rules(opened).await {
                Err(reply) => return *reply,
                Ok(Some(answer)) => return self.by_rule(opened, answer).await,
                Ok(None) => {}
            }
        }
        if let Some(file) = opened.tree.file(opened.info(), &["404.html"]) {
            return self.file(opened, file, StatusCode::NOT_FOUND).await;
        }
        let parent = &path.components[..path.components.len().saturating_sub(1)];
        let shown = parent.len();
        let exists = (0..=shown).rev().find(|&n| {
            let parts: Vec<&str> = parent[..n].iter().map(String::as_str).collect();
            opened.tree.folder(opened.info(), &parts).is_some()
        });
        let folder = path::join(&parent[..exists.unwrap_or(0)]);
        let mut reply = error_page::no_such_file(format!("{}{folder}/", self.base)).reply(self.ask);
        reply
            .headers_mut()
            .insert(reply::X_BT_ROOTS, reply::value(&self.ih.to_string()));
        reply
    }

    async fn rules(&self, opened: &Arc<Opened<S>>) -> Result<Option<Answer>, Box<Reply>> {
        let info = opened.info();
        let Some(file) = opened.tree.file(info, &["_redirects"]) else {
            return Ok(None);
        };
        let length = info.files[file].length;
        if length > redirects::FILE_MAX {
            let why = format!("_redirects has {length} bytes; at most 65536 are read.");
            return Err(Box::new(error_page::bad_redirects(why).reply(self.ask)));
        }
        let rules = opened.rules.get_or_try_init(|| async {
            let bytes = self.whole(opened, file).await?;
            Ok::<_, Error>(redirects::Rules::parse(&String::from_utf8_lossy(&bytes)))
        });
        match rules.await {
            Ok(Ok(rules)) => Ok(rules.answer(self.ask.path())),
            Ok(Err(bad)) => Err(Box::new(
                error_page::bad_redirects(format!("{bad}.")).reply(self.ask),
            )),
            Err(err) => Err(Box::new(self.unread(opened, &err, file, 0))),
        }
    }

    async fn by_rule(&self, opened: &Arc<Opened<S>>, answer: Answer) -> Reply {
        match answer {
            Answer::Redirect { to, status } => {
                reply::redirect(StatusCode::from_u16(status).unwrap_or(StatusCode::FOUND), &to)
            }
            Answer::Rewrite { path, status } => {
                let bare = path.split(['?', '#']).next().unwrap_or_default();
                let found = SitePath::parse(bare).map(|path| opened.tree.find(opened.info(), &path, true));
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
                match found {
                    Ok(Found::File(file)) => self.file(opened, file, status).await,
                    _ if status == StatusCode::OK => error_page::no_such_file("/".into()).reply(self.ask),
                    _ => error_page::by_rule(status.as_u16()).reply(self.ask),
                }
            }
        }
    }
}
