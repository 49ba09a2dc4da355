//! Without upstreams: from the root downwards, by choice. hickory's recursor does the work: it asks each zone for no more of
//! the name than it must know (QNAME minimisation, RFC 9156), in random case, takes from each zone only what belongs to it,
//! and asks no private address.
//!
//! Its bounds for one question: 5 of the name servers without addresses are followed up (NXNS), 200 questions all in all
//! (TsuNAME), a zone never twice on the way (circles), 64 aliases, 8 signatures and 2 keys of one tag per set (KeyTrap). Ours:
//! shallower recursion, a small memory, and the deadline of every question.

use std::{
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    pin::Pin,
    sync::OnceLock,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use hickory_net::{
    NetError,
    runtime::{DnsUdpSocket, RuntimeProvider, TokioRuntimeProvider, TokioTime},
};
use hickory_resolver::recursor::{DnssecConfig, DnssecPolicy, Recursor, RecursorError, RecursorOptions};
use tokio::net::UdpSocket;

use super::{Error, Query, Sources, validate};

/// Zones and answers on the way that are remembered; whole answers are the cache's business.
const ZONES_MAX: usize = 512;
const ANSWERS_MAX: u64 = 4096;
const DEPTH_MAX: u8 = 12;
const PORT: u16 = 53;

/// The root servers (IANA, "Root Servers"), as they stand since the renumbering of b.root in November 2023.
const ROOT: [&str; 26] = [
    "198.41.0.4",
    "170.247.170.2",
    "192.33.4.12",
    "199.7.91.13",
    "192.203.230.10",
    "192.5.5.241",
    "192.112.36.4",
    "198.97.190.53",
    "192.36.148.17",
    "192.58.128.30",
    "193.0.14.129",
    "199.7.83.42",
    "202.12.27.33",
    "2001:503:ba3e::2:30",
    "2801:1b8:10::b",
    "2001:500:2::c",
    "2001:500:2d::d",
    "2001:500:a8::e",
    "2001:500:2f::f",
    "2001:500:12::d0d",
    "2001:500:1::53",
    "2001:7fe::53",
    "2001:503:c27::2:30",
    "2001:7fd::1",
    "2001:500:9f::42",
    "2001:dc3::35",
];

/// Made when first needed, because its memory is not small.
pub(super) struct Recursion {
    roots: Vec<IpAddr>,
    port: u16,
    /// Servers in private networks are asked: only where the root is one of ours.
    private: bool,
    anchor: Option<PathBuf>,
    plain: OnceLock<Option<Recursor<Provider>>>,
    validating: OnceLock<Option<Recursor<Provider>>>,
}

impl Recursion {
    pub fn new(sources: &Sources) -> Self {
        let known = || ROOT.iter().filter_map(|text| text.parse().ok()).collect();
        let (roots, port) = sources.root.clone().unwrap_or_else(|| (known(), PORT));
        Self {
            private: sources.root.is_some(),
            roots,
            port,
            anchor: sources.trust_anchor.clone(),
            plain: OnceLock::new(),
            validating: OnceLock::new(),
        }
    }

    pub async fn ask(&self, query: &Query, validate: bool) -> Result<Vec<u8>, Error> {
        let place = if validate { &self.validating } else { &self.plain };
        let recursor = place.get_or_init(|| self.build(validate));
        let recursor = recursor.as_ref().ok_or(Error::Nobody)?;
        let asked = validate::asked(query)?;
        match recursor
            .resolve(asked.clone(), Instant::now(), query.dnssec_ok)
            .await
        {
            Ok(mut message) => {
                if message.queries.is_empty() {
                    message.add_query(asked);
                }
                validate::finish(message.into_response(), query)
            }
            Err(RecursorError::Negative(none)) => {
                validate::refused(RecursorError::Negative(none).into(), query)
            }
            Err(RecursorError::Net(NetError::Timeout)) => Err(Error::Silent),
            Err(RecursorError::Net(err)) => validate::refused(err, query),
            Err(_) => Err(Error::Silent),
        }
    }

    fn build(&self, validate: bool) -> Option<Recursor<Provider>> {
        let mut options = RecursorOptions {
            ns_cache_size: ZONES_MAX,
            response_cache_size: ANSWERS_MAX,
            recursion_limit: DEPTH_MAX,
            ns_recursion_limit: DEPTH_MAX,
            case_randomization: true,
            ..RecursorOptions::default()
        };
        if self.private {
            options.deny_server.clear();
        }
        let policy = if validate {
            let mut config = DnssecConfig::default();
            config.trust_anchor = Some(validate::anchors(self.anchor.as_ref())?);
            DnssecPolicy::ValidateWithStaticKey(config)
        } else {
            DnssecPolicy::ValidationDisabled
        };
        let provider = Provider {
            inner: TokioRuntimeProvider::default(),
            port: self.port,
        };
        Recursor::new(&self.roots, policy, None, options, provider)
            .inspect_err(|err| tracing::warn!(%err, "recursion is not possible"))
            .ok()
    }
}

/// The system's sockets; where the port of DNS is another one, only they know.
#[derive(Clone)]
struct Provider {
    inner: TokioRuntimeProvider,
    port: u16,
}

impl Provider {
    fn to(&self, mut addr: SocketAddr) -> SocketAddr {
        if addr.port() == PORT {
            addr.set_port(self.port);
        }
        addr
    }
}

impl RuntimeProvider for Provider {
    type Handle = <TokioRuntimeProvider as RuntimeProvider>::Handle;
    type Timer = TokioTime;
    type Udp = Port;
    type Tcp = <TokioRuntimeProvider as RuntimeProvider>::Tcp;

    fn create_handle(&self) -> Self::Handle {
        self.inner.create_handle()
    }

    fn connect_tcp(
        &self,
        server: SocketAddr,
        bind: Option<SocketAddr>,
        wait: Option<Duration>,
    ) -> Pin<Box<dyn Send + Future<Output = Result<Self::Tcp, io::Error>>>> {
        self.inner.connect_tcp(self.to(server), bind, wait)
    }

    fn bind_udp(
        &self,
        local: SocketAddr,
        _: SocketAddr,
    ) -> Pin<Box<dyn Send + Future<Output = Result<Self::Udp, io::Error>>>> {
        let provider = self.clone();
        Box::pin(async move {
            Ok(Port {
                socket: UdpSocket::bind(local).await?,
                provider,
            })
        })
    }
}

struct Port {
    socket: UdpSocket,
    provider: Provider,
}

impl DnsUdpSocket for Port {
    type Time = TokioTime;

    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        let (length, mut from) = ready!(DnsUdpSocket::poll_recv_from(&self.socket, cx, buffer))?;
        if from.port() == self.provider.port {
            from.set_port(PORT);
        }
        Poll::Ready(Ok((length, from)))
    }

    fn poll_send_to(&self, cx: &mut Context<'_>, message: &[u8], to: SocketAddr) -> Poll<io::Result<usize>> {
        DnsUdpSocket::poll_send_to(&self.socket, cx, message, self.provider.to(to))
    }
}
