//! The side of DNS that asks: upstream resolvers by UDP.
//!
//! Must not know the cache, the block list or who asked: it gets a question and gives one whole answer.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use proto::dns::upstream::{
    answer,
    question::{Dress, Edns, Question, Sent},
};
use tokio::{net::UdpSocket, time::timeout};

use crate::{House, api};

/// A server that is silent for so long is asked again.
const PATIENCE: Duration = Duration::from_secs(1);
const ATTEMPTS: usize = 3;

/// Split by what the caller can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nobody answered in time, or nobody can be reached.
    #[error("no upstream answers")]
    Silent,
    /// No upstream is known.
    #[error("no upstream is known")]
    Nobody,
    /// Too many questions are under way.
    #[error("too many questions are under way")]
    Busy,
    /// The answer's DNSSEC proof is wrong (RFC 8914 4.7).
    #[error("the DNSSEC proof is wrong")]
    Bogus,
    /// The question cannot be asked.
    #[error("the name is no name")]
    Malformed,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Query {
    /// Wire form, lower case, with the root byte.
    pub name: Box<[u8]>,
    pub qtype: u16,
    pub qclass: u16,
    pub dnssec_ok: bool,
    pub checking_disabled: bool,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Upstreams {
    house: Arc<House>,
}

impl Upstreams {
    /// Asks nobody yet.
    pub fn start(house: &House) -> Self {
        Self {
            house: Arc::new(house.clone()),
        }
    }

    /// One whole message whose question is that of `query`, with id 0; within 5 s.
    pub async fn ask(&self, query: &Query) -> Result<Vec<u8>, Error> {
        let servers = self.servers();
        let server = servers.first().ok_or(Error::Nobody)?;
        for _ in 0..ATTEMPTS {
            if let Ok(Ok(answer)) = timeout(PATIENCE, exchange(*server, query)).await {
                return Ok(answer);
            }
        }
        Err(Error::Silent)
    }

    /// For the status page.
    pub fn facts(&self) -> Vec<api::Upstream> {
        Vec::new()
    }

    fn servers(&self) -> Vec<SocketAddr> {
        let settings = self.house.settings();
        let texts = match &self.house.config.upstreams[..] {
            [] => &settings.dns.upstreams,
            given => given,
        };
        let addr = |text: &String| {
            let ip = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53));
            ip.or_else(|_| text.parse()).ok()
        };
        texts.iter().filter_map(addr).collect()
    }
}

async fn exchange(server: SocketAddr, query: &Query) -> Result<Vec<u8>, Error> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let question = Question {
        name: &query.name,
        qtype: query.qtype,
        qclass: query.qclass,
        dnssec_ok: query.dnssec_ok,
        checking_disabled: query.checking_disabled,
    };
    let dress = Dress {
        id: rand::random(),
        case: Some(rand::random()),
        edns: Some(Edns { cookie: None }),
    };
    let sent = Sent::new(&question, &dress).ok_or(Error::Malformed)?;
    let socket = UdpSocket::bind((any, 0)).await.map_err(|_| Error::Silent)?;
    socket.connect(server).await.map_err(|_| Error::Silent)?;
    socket.send(sent.as_bytes()).await.map_err(|_| Error::Silent)?;
    let mut buffer = vec![0; 4096];
    loop {
        let length = socket.recv(&mut buffer).await.map_err(|_| Error::Silent)?;
        if let Ok(facts) = answer::judge(&buffer[..length], &sent) {
            buffer.truncate(length);
            answer::clean(&mut buffer, &facts, &sent);
            return Ok(buffer);
        }
    }
}
