//! One announce to one tracker, over HTTP, HTTPS or UDP. Knows nothing of schedules: it asks, and says what came back.

use std::{net::SocketAddr, time::Duration};

use proto::{
    guard::{self, Policy, Scheme, Url},
    tracker::{self, Announce, Reply, http, udp},
};
use tokio::{net::UdpSocket, time::timeout};

use crate::web::{self, Ask};

/// Longest answer of an HTTP tracker that is read, bytes.
const ANSWER_BYTES_MAX: usize = 256 << 10;

/// For one announce, name lookup and redirects included.
const DEADLINE: Duration = Duration::from_secs(15);

/// Waits for a UDP answer. BEP 15 asks for 15 s and doubling; a fetch with a person waiting cannot.
const UDP_WAITS: [Duration; 3] = [
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

/// Marks our announces for trackers that also serve `.btlink` homes.
const MARK: (&str, &str) = ("Btlink", "1");

/// Split by what the caller can do: drop the tracker, or come back later.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("refused: {0}")]
    Forbidden(guard::Reason),
    #[error(transparent)]
    Answer(#[from] tracker::Error),
    #[error("{0}")]
    Unreachable(String),
}

impl From<web::Error> for Error {
    fn from(err: web::Error) -> Self {
        match err {
            web::Error::Refused(reason) => Self::Forbidden(reason),
            other => Self::Unreachable(other.to_string()),
        }
    }
}

/// Announces once. At most [`DEADLINE`] long.
pub async fn announce(tracker: &str, announce: &Announce, policy: &Policy) -> Result<Reply, Error> {
    let url = guard::allowed_url(tracker, policy).map_err(Error::Forbidden)?;
    match url.scheme {
        Scheme::Udp => timeout(DEADLINE, over_udp(&url, announce, policy))
            .await
            .unwrap_or_else(|_| Err(Error::Unreachable("no answer in time".into()))),
        Scheme::Http | Scheme::Https => over_http(url, announce, policy).await,
    }
}

async fn over_http(mut url: Url, announce: &Announce, policy: &Policy) -> Result<Reply, Error> {
    url.target = http::target(&url.target, announce);
    let ask = Ask {
        body: None,
        extra: &[MARK],
        answer_bytes_max: ANSWER_BYTES_MAX,
        deadline: DEADLINE,
    };
    let body = web::fetch(url, policy, &ask).await?;
    Ok(http::parse_reply(&body)?)
}

async fn over_udp(url: &Url, announce: &Announce, policy: &Policy) -> Result<Reply, Error> {
    let mut last = Error::Unreachable("no address".into());
    for addr in web::resolve(url, policy).await? {
        match ask_udp(addr, url, announce).await {
            Err(Error::Unreachable(err)) => last = Error::Unreachable(err),
            answered => return answered,
        }
    }
    Err(last)
}

async fn ask_udp(addr: SocketAddr, url: &Url, announce: &Announce) -> Result<Reply, Error> {
    let broken = |err: std::io::Error| Error::Unreachable(format!("ask {addr}: {err}"));
    let local: SocketAddr = if addr.is_ipv4() {
        ([0; 4], 0).into()
    } else {
        ([0u16; 8], 0).into()
    };
    // A socket per call: a fresh random port, and answers of anybody else are dropped by the system.
    let socket = UdpSocket::bind(local).await.map_err(broken)?;
    socket.connect(addr).await.map_err(broken)?;
    let family = if addr.is_ipv4() {
        udp::Family::V4
    } else {
        udp::Family::V6
    };
    for wait in UDP_WAITS {
        let tid = rand::random();
        let id = match question(&socket, &udp::connect(tid), wait, |p| udp::parse_connect(p, tid)).await? {
            Some(id) => id,
            None => continue,
        };
        let tid = rand::random();
        let packet = udp::announce(id, tid, announce, &url.target);
        if let Some(reply) = question(&socket, &packet, wait, |p| udp::parse_announce(p, tid, family)).await?
        {
            return Ok(reply);
        }
    }
    Err(Error::Unreachable(format!("{addr} does not answer")))
}

/// Sends one packet and waits for the answer that belongs to it; `None` when the time is over.
async fn question<T>(
    socket: &UdpSocket,
    packet: &[u8],
    wait: Duration,
    parse: impl Fn(&[u8]) -> Result<T, tracker::Error>,
) -> Result<Option<T>, Error> {
    let broken = |err: std::io::Error| Error::Unreachable(format!("udp tracker: {err}"));
    socket.send(packet).await.map_err(broken)?;
    let mut buf = vec![0; udp::DATAGRAM_BYTES_MAX];
    let answer = async {
        loop {
            let len = socket.recv(&mut buf).await.map_err(broken)?;
            match parse(&buf[..len]) {
                // Somebody may be guessing transaction numbers: the true answer can still come.
                Err(tracker::Error::Malformed("transaction")) => {}
                other => return other.map_err(Error::Answer),
            }
        }
    };
    timeout(wait, answer).await.ok().transpose()
}
