//! Small trials of the home's network, each over within three seconds.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use hickory_resolver::proto::{
    op::{Message, MessageType, OpCode, Query, ResponseCode},
    rr::{Name, RData, RecordType},
    serialize::binary::{BinDecodable, BinEncodable},
};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, StatusCode, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpStream, UdpSocket},
    time::timeout,
};

use crate::home::Home;

const DEADLINE: Duration = Duration::from_secs(3);
/// A lost datagram is asked again.
const TRIES: u32 = 2;
/// The name that RFC 2606 keeps for examples: whoever answers ordinary names knows it.
const ORDINARY: &str = "example.com.";
const PAC_BYTES_MAX: usize = 1 << 20;

/// One trial and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// What was tried, as a question.
    pub question: String,
    pub verdict: Verdict,
    /// What came of it, in a sentence, and what to do.
    pub words: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Good,
    Bad,
    /// It could not be tried, or need not be so.
    Open,
}

/// What a resolver said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Addresses; none: the name exists without any of this kind.
    Addresses(Vec<IpAddr>),
    /// NXDOMAIN.
    NoSuchName,
    /// REFUSED, SERVFAIL and the like.
    Refused(String),
    Silent,
}

/// All of them at once. `router`: as the last look at the LAN found it.
pub async fn all(home: &Home, router: Option<Ipv4Addr>, pages: SocketAddr) -> Vec<Trial> {
    let own = home
        .status()
        .await
        .ok()
        .and_then(|status| status.listen.dns.first().copied());
    let name = format!("box.{}.", proto::name::TLD);
    let ask_own = |name: String| async move {
        match own {
            Some(addr) => Some(ask_name(reachable(addr), &name).await),
            None => None,
        }
    };
    let ask_router = async {
        match router {
            Some(addr) => Some(ask_name((addr, 53).into(), &name).await),
            None => None,
        }
    };
    let (ordinary, btlink, through_router, pac) = tokio::join!(
        ask_own(ORDINARY.into()),
        ask_own(name.clone()),
        ask_router,
        load_pac(reachable(pages))
    );
    vec![
        ordinary_name(ordinary),
        box_name(btlink),
        router_name(router, through_router),
        pac_file(pac),
    ]
}

fn ordinary_name(answer: Option<Answer>) -> Trial {
    let (verdict, words) = match answer {
        None => (Verdict::Open, "The box does not answer names now, so it could not be tried.".into()),
        Some(Answer::Addresses(found)) if !found.is_empty() => (Verdict::Good, "It answered.".into()),
        Some(Answer::Silent) => (Verdict::Bad, "No answer within three seconds. Is the Internet connected?".into()),
        Some(Answer::Refused(code)) => (
            Verdict::Bad,
            format!("Nobody outside could be asked ({code}). Is the Internet connected? Look at the resolvers on the page Names."),
        ),
        Some(_) => (Verdict::Bad, "The resolver outside says that example.com does not exist: it does not tell the truth. Choose another one on the page Names.".into()),
    };
    Trial {
        question: "Does the box find ordinary names?".into(),
        verdict,
        words,
    }
}

fn box_name(answer: Option<Answer>) -> Trial {
    let (verdict, words) = match answer {
        None => (
            Verdict::Open,
            "The box does not answer names now, so it could not be tried.".into(),
        ),
        Some(Answer::Addresses(found)) if !found.is_empty() => {
            (Verdict::Good, format!("Yes: it is at {}.", list(&found)))
        }
        Some(Answer::Silent) => (Verdict::Bad, "No answer within three seconds.".into()),
        Some(_) => (
            Verdict::Bad,
            "The box does not know its own address in this home. Is a network cable plugged in?".into(),
        ),
    };
    Trial {
        question: format!("Does the box answer .{} names?", proto::name::TLD),
        verdict,
        words,
    }
}

fn router_name(router: Option<Ipv4Addr>, answer: Option<Answer>) -> Trial {
    let tld = proto::name::TLD;
    let (verdict, words) = match (router, answer) {
        (None, _) | (_, None) => (
            Verdict::Open,
            "No router is known yet: press “Look again” first.".into(),
        ),
        (Some(_), Some(Answer::Addresses(found))) if !found.is_empty() => (
            Verdict::Good,
            format!(
                "Yes, it leads to {}. Every device that uses the router’s resolver opens .{tld} sites.",
                list(&found)
            ),
        ),
        (Some(router), Some(Answer::Addresses(_))) => (
            Verdict::Bad,
            format!(
                "{router} knows the name but leaves its address out: it protects the home from names that lead inside. Allow it for .{tld}; the guide for your router says how."
            ),
        ),
        (Some(router), Some(Answer::Silent)) => {
            (Verdict::Open, format!("{router} does not answer names at all."))
        }
        (Some(router), Some(Answer::NoSuchName | Answer::Refused(_))) => (
            Verdict::Open,
            format!("No: {router} does not ask this box. That is needed only for the way “Tell the router”."),
        ),
    };
    Trial {
        question: format!("Does the router send .{tld} names to the box?"),
        verdict,
        words,
    }
}

fn pac_file(outcome: Result<(), String>) -> Trial {
    let (verdict, words) = match outcome {
        Ok(()) => (Verdict::Good, "Yes, and it is a proxy file.".into()),
        Err(reason) => (Verdict::Bad, format!("No: {reason}.")),
    };
    Trial {
        question: "Does the file for automatic proxies load?".into(),
        verdict,
        words,
    }
}

fn list(found: &[IpAddr]) -> String {
    found
        .iter()
        .take(4)
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

/// Where a socket that listens everywhere can be asked from here.
pub fn reachable(addr: SocketAddr) -> SocketAddr {
    match addr.ip() {
        ip if !ip.is_unspecified() => addr,
        IpAddr::V4(_) => (Ipv4Addr::LOCALHOST, addr.port()).into(),
        IpAddr::V6(_) => (Ipv6Addr::LOCALHOST, addr.port()).into(),
    }
}

/// Asks a resolver for the IPv4 addresses of a name, by UDP. Never longer than three seconds.
pub async fn ask_name(resolver: SocketAddr, name: &str) -> Answer {
    let Ok(name) = Name::from_ascii(name) else {
        return Answer::NoSuchName;
    };
    for _ in 0..TRIES {
        match timeout(DEADLINE / TRIES, ask_once(resolver, &name)).await {
            Ok(Ok(answer)) => return answer,
            // Nobody listens: the kernel says so at once.
            Ok(Err(_)) => return Answer::Silent,
            Err(_) => {}
        }
    }
    Answer::Silent
}

async fn ask_once(resolver: SocketAddr, name: &Name) -> std::io::Result<Answer> {
    let own: SocketAddr = match resolver {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(own).await?;
    socket.connect(resolver).await?;
    let mut question = Message::new(rand::random(), MessageType::Query, OpCode::Query);
    question.metadata.recursion_desired = true;
    question.add_query(Query::query(name.clone(), RecordType::A));
    socket
        .send(&question.to_bytes().map_err(std::io::Error::other)?)
        .await?;
    let mut packet = [0; 4096];
    loop {
        let length = socket.recv(&mut packet).await?;
        let Ok(message) = Message::from_bytes(&packet[..length]) else {
            continue;
        };
        if message.metadata.id == question.metadata.id
            && message.metadata.message_type == MessageType::Response
        {
            return Ok(read(&message));
        }
    }
}

fn read(message: &Message) -> Answer {
    match message.metadata.response_code {
        ResponseCode::NoError => Answer::Addresses(
            message
                .answers
                .iter()
                .filter_map(|record| match &record.data {
                    RData::A(a) => Some(IpAddr::V4(a.0)),
                    _ => None,
                })
                .collect(),
        ),
        ResponseCode::NXDomain => Answer::NoSuchName,
        other => Answer::Refused(other.to_string()),
    }
}

/// As a browser that found us by DHCP or by name does.
pub async fn load_pac(pages: SocketAddr) -> Result<(), String> {
    match timeout(DEADLINE, fetch(pages)).await {
        Ok(outcome) => outcome,
        Err(_) => Err("no answer within three seconds".into()),
    }
}

async fn fetch(pages: SocketAddr) -> Result<(), String> {
    let stream = TcpStream::connect(pages)
        .await
        .map_err(|err| format!("{pages}: {err}"))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|err| err.to_string())?;
    let request = Request::get("/wpad.dat")
        .header("host", format!("wpad.{}", proto::name::TLD))
        .body(Empty::<bytes::Bytes>::new())
        .map_err(|err| err.to_string())?;
    let ask = async move {
        let reply = sender
            .send_request(request)
            .await
            .map_err(|err| err.to_string())?;
        if reply.status() != StatusCode::OK {
            return Err(format!("the box answered {}", reply.status()));
        }
        let body = Limited::new(reply.into_body(), PAC_BYTES_MAX)
            .collect()
            .await
            .map_err(|err| err.to_string())?;
        let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
        match text.contains("FindProxyForURL") {
            true => Ok(()),
            false => Err("what the box answered is no proxy file".into()),
        }
    };
    let mut ask = std::pin::pin!(ask);
    tokio::select! {
        answer = &mut ask => answer,
        _ = connection => ask.await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn resolver(answer: impl Fn(&Message) -> Message + Send + 'static) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("loopback");
        let addr = socket.local_addr().expect("bound");
        crate::tasks::Tasks::new().spawn("test.resolver", async move {
            let mut packet = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut packet).await {
                let question = Message::from_bytes(&packet[..length]).expect("a question");
                let reply = answer(&question).to_bytes().expect("it can be written");
                let _ = socket.send_to(&reply, from).await;
            }
        });
        addr
    }

    #[tokio::test]
    async fn what_a_resolver_says_is_told_apart() {
        let nobody = resolver(|question| {
            let mut reply = Message::response(question.metadata.id, OpCode::Query);
            reply.metadata.response_code = ResponseCode::NXDomain;
            reply
        });
        assert_eq!(ask_name(nobody.await, "box.example.").await, Answer::NoSuchName);
        let empty = resolver(|question| Message::response(question.metadata.id, OpCode::Query));
        assert_eq!(
            ask_name(empty.await, "box.example.").await,
            Answer::Addresses(Vec::new())
        );
        let other =
            resolver(|question| Message::response(question.metadata.id.wrapping_add(1), OpCode::Query));
        assert_eq!(
            ask_name(other.await, "box.example.").await,
            Answer::Silent,
            "an answer to something else"
        );
    }

    #[test]
    fn a_router_that_drops_private_answers_is_told_apart_from_one_that_does_not_ask_us() {
        let router = Some(Ipv4Addr::new(192, 168, 1, 1));
        let dropped = router_name(router, Some(Answer::Addresses(Vec::new())));
        assert_eq!(dropped.verdict, Verdict::Bad);
        assert!(dropped.words.contains("leaves its address out"));
        let unasked = router_name(router, Some(Answer::NoSuchName));
        assert_eq!(unasked.verdict, Verdict::Open);
        assert_eq!(router_name(None, None).verdict, Verdict::Open);
    }

    #[test]
    fn a_socket_that_listens_everywhere_is_asked_on_loopback() {
        assert_eq!(reachable(([0, 0, 0, 0], 53).into()), ([127, 0, 0, 1], 53).into());
        assert_eq!(
            reachable(([192, 168, 1, 2], 53).into()),
            ([192, 168, 1, 2], 53).into()
        );
    }
}
