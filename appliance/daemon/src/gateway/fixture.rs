//! A site source in memory and a client that sees raw bytes: what the gateway's tests are made of.

use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    future::Future,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::BodyExt;
use proto::{
    id::{InfoHash, Target},
    metainfo::parse_info,
    name::Address,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep_until, timeout},
};

use super::{Config, OwnPages, OwnReply, OwnRequest, SiteSource};
use crate::{
    sites::{Current, Error, Held, Item, Version},
    swarm::{Hints, Progress, Torrent},
    tasks::Tasks,
};

pub const IH: &str = "951ead31d09e4049fc1f21f137e233dd0589fcbd";
const PIECE: usize = 16 << 10;

#[derive(Default)]
pub struct Fixture {
    sites: HashMap<InfoHash, (Arc<Torrent>, Vec<Bytes>)>,
    /// True infohash to the one tests use.
    known_as: HashMap<InfoHash, InfoHash>,
    /// Files that nobody has.
    pub missing: Mutex<HashSet<(InfoHash, usize)>>,
    pub peers: Mutex<u32>,
    pub known: super::fixture_records::Known,
}

impl Fixture {
    pub fn with(mut self, ih: &str, name: &str, files: &[(&str, &[u8])]) -> Self {
        let ih = InfoHash::from_hex(ih).unwrap();
        let raw_info = Bytes::from(raw_info(name, files));
        let info = parse_info(&raw_info).unwrap();
        self.known_as.insert(info.infohash, ih);
        let torrent = Arc::new(Torrent { info, raw_info });
        let bytes = files
            .iter()
            .map(|(_, bytes)| Bytes::copy_from_slice(bytes))
            .collect();
        self.sites.insert(ih, (torrent, bytes));
        self
    }
}

/// A multi-file info dictionary; the piece hashes are not looked at here.
fn raw_info(name: &str, files: &[(&str, &[u8])]) -> Vec<u8> {
    let text = |text: &str| format!("{}:{text}", text.len());
    let mut out = "d5:filesl".to_owned();
    let mut total = 0;
    for (path, bytes) in files {
        let parts: String = path.split('/').map(text).collect();
        out += &format!("d6:lengthi{}e4:pathl{parts}ee", bytes.len());
        total += bytes.len();
    }
    let pieces = "h".repeat(20 * total.div_ceil(PIECE));
    out += &format!(
        "e4:name{}12:piece lengthi{PIECE}e6:pieces{}e",
        text(name),
        text(&pieces)
    );
    out.into_bytes()
}

impl SiteSource for Fixture {
    type Site = Arc<Torrent>;

    fn torrent(site: &Arc<Torrent>) -> &Arc<Torrent> {
        site
    }

    async fn open(
        &self,
        ih: InfoHash,
        _: &Hints,
        local_only: bool,
        deadline: Instant,
    ) -> Result<Arc<Torrent>, Error> {
        match self.sites.get(&ih) {
            Some((site, _)) => Ok(site.clone()),
            None if local_only => Err(Error::Silent(ih)),
            None => {
                sleep_until(deadline).await;
                Err(Error::Silent(ih))
            }
        }
    }

    async fn read(
        &self,
        site: &Arc<Torrent>,
        file: usize,
        offset: u64,
        len: usize,
        deadline: Instant,
    ) -> Result<Bytes, Error> {
        let ih = self.known_as[&site.info.infohash];
        let missing = self.missing.lock().unwrap().contains(&(ih, file));
        if missing {
            sleep_until(deadline).await;
            return Err(Error::Incomplete(ih));
        }
        let bytes = &self.sites[&ih].1[file];
        let border = (offset as usize / PIECE + 1) * PIECE;
        let end = bytes.len().min(offset as usize + len).min(border);
        Ok(bytes.slice(offset as usize..end))
    }

    fn held_bytes(&self, site: &Arc<Torrent>, file: usize) -> u64 {
        let ih = self.known_as[&site.info.infohash];
        let missing = self.missing.lock().unwrap().contains(&(ih, file));
        if missing { 0 } else { site.info.files[file].length }
    }

    fn progress(&self, ih: InfoHash) -> Option<Progress> {
        let pieces = self
            .sites
            .get(&ih)
            .map_or(0, |(site, _)| site.info.pieces.len() as u32);
        Some(Progress {
            pieces,
            held: pieces / 3,
            peers: *self.peers.lock().unwrap(),
            down_bps: 120_000,
            ..Progress::default()
        })
    }

    async fn current(
        &self,
        address: &Address,
        local_only: bool,
        deadline: Instant,
    ) -> Result<Current, Error> {
        self.known.current(address, local_only, deadline).await
    }

    async fn look_again(&self, _: &Address, _: Instant) {
        self.known.looked_again();
    }

    async fn versions(&self, current: &Current) -> Result<Vec<Version>, Error> {
        Ok(self.known.versions(current, |ih| self.held(ih)))
    }

    fn held(&self, ih: &InfoHash) -> Held {
        match self.sites.get(ih) {
            Some(_) => Held::Whole,
            None => Held::Nothing,
        }
    }

    async fn item(&self, target: Target, local_only: bool, deadline: Instant) -> Result<Item, Error> {
        self.known.item(target, local_only, deadline).await
    }
}

/// Says what was asked of the box itself, with the body's length.
struct Pages;

impl OwnPages for Pages {
    fn answer(&self, request: OwnRequest) -> Pin<Box<dyn Future<Output = OwnReply> + Send + '_>> {
        Box::pin(async move {
            let (parts, body) = request.request.into_parts();
            let read = body.collect().await.map_or(0, |body| body.to_bytes().len());
            let line = format!(
                "own {} {} named={} body={read}",
                parts.method,
                parts.uri.path(),
                request.named
            );
            let body: http_body_util::Full<Bytes> = line.into();
            hyper::Response::new(body.map_err(|never: Infallible| match never {}).boxed_unsync())
        })
    }
}

/// In the home of the tests, devices on 127.0.0.1 use our resolver.
struct Household;

impl super::Resolver for Household {
    fn asked_by(&self, device: IpAddr) -> Pin<Box<dyn Future<Output = bool> + Send + '_>> {
        Box::pin(async move { device == IpAddr::from([127, 0, 0, 1]) })
    }
}

/// A running gateway.
pub struct House {
    pub http: SocketAddr,
    pub proxy: SocketAddr,
    pub source: Arc<Fixture>,
    pub rules: tokio::sync::watch::Sender<Arc<super::Rules>>,
    pub seen: super::Seen,
    pub tasks: Tasks,
}

impl House {
    pub async fn start(fixture: Fixture) -> Self {
        Self::start_with(fixture, |_| {}).await
    }

    pub async fn start_with(fixture: Fixture, change: impl FnOnce(&mut Config)) -> Self {
        let tasks = Tasks::new();
        let mut config = Config::default();
        change(&mut config);
        let source = Arc::new(fixture);
        let (rules, heard) = tokio::sync::watch::channel(Arc::default());
        let network = super::Network {
            rules: heard,
            resolver: Arc::new(Household),
            seen: super::Seen::default(),
        };
        let seen = network.seen.clone();
        let sockets = super::Sockets {
            http: vec![tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap()],
            proxy: vec![tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap()],
        };
        let doors = super::start(&config, sockets, source.clone(), Arc::new(Pages), network, &tasks).unwrap();
        Self {
            http: doors.http[0],
            proxy: doors.proxy[0],
            source,
            rules,
            seen,
            tasks,
        }
    }

    /// One request to the site [`IH`] on its own host, HTTP/1.1, with further header lines.
    pub async fn get(&self, path: &str, lines: &[&str]) -> Answer {
        self.ask("GET", path, &format!("{IH}-ih.btlink"), lines).await
    }

    pub async fn ask(&self, method: &str, target: &str, host: &str, lines: &[&str]) -> Answer {
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
        for line in lines {
            head.push_str(line);
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        raw(self.http, head.as_bytes()).await
    }
}

/// Everything that came back on one connection.
#[derive(Debug, Clone)]
pub struct Answer {
    /// 0: closed without a word.
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends bytes, ends the writing side only when the answer is here, reads to the end.
pub async fn raw(addr: SocketAddr, bytes: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    // A refusal may close the connection while we still write.
    let _ = stream.write_all(bytes).await;
    let mut all = Vec::new();
    let ended = timeout(Duration::from_secs(40), async {
        let mut chunk = vec![0; 64 << 10];
        while let Ok(count) = stream.read(&mut chunk).await {
            if count == 0 {
                break;
            }
            all.extend_from_slice(&chunk[..count]);
        }
    })
    .await;
    assert!(ended.is_ok(), "no end after {:?}", String::from_utf8_lossy(bytes));
    parse(&all)
}

pub fn parse(all: &[u8]) -> Answer {
    let Some(end) = all.windows(4).position(|four| four == b"\r\n\r\n") else {
        assert!(all.is_empty(), "half a head: {:?}", String::from_utf8_lossy(all));
        return Answer {
            status: 0,
            head: String::new(),
            body: Vec::new(),
        };
    };
    let head = String::from_utf8(all[..end].to_vec()).unwrap();
    Answer {
        status: head[9..12].parse().unwrap(),
        head,
        body: all[end + 4..].to_vec(),
    }
}

/// The site most tests look at.
pub fn sample() -> Fixture {
    let big: Vec<u8> = (0..100_000u32).map(|i| (i % 251) as u8).collect();
    Fixture::default().with(
        IH,
        "sample",
        &[
            ("site/index.html", b"<!doctype html><title>hi</title><p>hi\n"),
            ("site/css/s.css", b"p{color:red}\n"),
            ("site/about.html", b"about"),
            ("site/big.bin", &big),
            ("site/README", b"plain words\n"),
            ("site/tool", b"\x7fELF\0\0\0"),
            ("site/empty.txt", b""),
            ("site/files/a b.txt", b"a"),
            ("site/files/10.txt", b"ten"),
            ("site/files/2.txt", b"two!"),
            ("site/files/deep/x.txt", b"x"),
            ("site/404.html", b"<p>not in this site"),
            (
                "site/_redirects",
                b"/old /about.html 301\n/rw /about.html 200\n/gone/* /410.html 410\n",
            ),
        ],
    )
}
