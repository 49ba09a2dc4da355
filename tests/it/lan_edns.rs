//! The resolver answers as RFC 8906 asks of every server: whatever version, option, flag or type a question carries.

use std::{
    io::Write,
    net::{SocketAddr, TcpStream},
    process::Command,
    time::Duration,
};

use harness::{
    Granary, Setup,
    upstream::{Upstream, Way, any_answer},
    wire::{self, AA, AD, CD, Edns, Message, QR, RA, RD, Record, TC},
};

struct Resolver {
    granary: Granary,
    upstream: Upstream,
}

impl Resolver {
    /// Names that begin with `big` have 2,000 bytes of text.
    fn start() -> Self {
        let upstream = Upstream::start(([127, 0, 0, 1], 0).into(), |query, way| {
            let mut reply = any_answer(query, "93.184.216.34", 300);
            if query.name().starts_with("big") {
                reply = query.reply();
                reply.flags |= if way == Way::Udp { TC } else { 0 };
                if way == Way::Tcp {
                    let text = "x".repeat(200);
                    let texts =
                        (0..10).map(|n| Record::new(&query.name(), "TXT", 300, &format!("{n}{text}")));
                    reply.answers.extend(texts);
                }
            }
            vec![reply.bytes()]
        });
        let granary = Setup::default()
            .verb("lan")
            .arg("--upstream-dns")
            .arg(upstream.addr.to_string())
            .start();
        Self { granary, upstream }
    }

    fn addr(&self) -> SocketAddr {
        self.granary.addr("dns")
    }

    #[track_caller]
    fn ask(&self, query: &Message) -> Message {
        wire::ask(self.addr(), query, harness::soon()).unwrap_or_else(|err| panic!("{query:?}: {err:#}"))
    }
}

fn edns(change: impl FnOnce(&mut Edns)) -> Message {
    let mut query = Message::query("www.example.com", "A");
    change(query.edns.as_mut().expect("queries have it"));
    query
}

#[test]
fn a_question_without_edns_gets_an_answer_without_it() {
    let resolver = Resolver::start();
    let mut query = Message::query("www.example.com", "A");
    query.edns = None;
    let answer = resolver.ask(&query);
    assert_eq!(
        (answer.rcode().as_str(), answer.edns.is_some()),
        ("NOERROR", false)
    );
    assert!(answer.has(QR) && answer.has(RA) && answer.has(RD) && !answer.has(AA));
    assert_eq!(answer.data("A"), ["93.184.216.34"]);
    for kind in ["TYPE1000", "SRV", "TXT"] {
        let mut query = Message::query("www.example.com", kind);
        query.edns = None;
        assert_eq!(resolver.ask(&query).rcode(), "NOERROR", "{kind}");
    }
}

#[test]
fn edns_of_any_version_option_and_flag_is_answered_as_prescribed() {
    let resolver = Resolver::start();
    let plain = resolver.ask(&edns(|_| {}));
    let own = plain.edns.clone().expect("EDNS is answered with EDNS");
    assert_eq!(
        (plain.rcode().as_str(), own.version, own.flags),
        ("NOERROR", 0, 0)
    );
    assert!((512..=1232).contains(&own.size), "{}", own.size);

    for options in [vec![], vec![(100, vec![1, 2, 3])]] {
        let newer = resolver.ask(&edns(|edns| {
            edns.version = 1;
            edns.options = options;
        }));
        let own = newer.edns.clone().expect("version 0 is offered");
        assert_eq!(
            (newer.rcode().as_str(), own.version, own.options.len()),
            ("BADVERS", 0, 0)
        );
        assert_eq!(newer.answers, []);
    }

    let option = resolver.ask(&edns(|edns| edns.options = vec![(100, vec![1, 2, 3])]));
    assert_eq!(
        (option.rcode().as_str(), option.edns.expect("EDNS").options.len()),
        ("NOERROR", 0)
    );
    let flag = resolver.ask(&edns(|edns| edns.flags = 0x0040));
    assert_eq!(
        (flag.rcode().as_str(), flag.edns.expect("EDNS").flags),
        ("NOERROR", 0)
    );
    let secure = resolver.ask(&edns(|edns| edns.flags = 0x8000));
    assert_eq!(
        (secure.rcode().as_str(), secure.edns.expect("EDNS").flags),
        ("NOERROR", 0x8000)
    );
}

#[test]
fn header_bits_and_kinds_of_questions_nobody_uses_are_answered_too() {
    let resolver = Resolver::start();
    let mut query = Message::query("www.example.com", "A");
    query.flags |= AD | CD | 0x0040;
    let answer = resolver.ask(&query);
    assert_eq!(
        (answer.rcode().as_str(), answer.has(CD), answer.has(0x0040)),
        ("NOERROR", true, false)
    );

    let mut query = Message::query("www.example.com", "A");
    query.flags |= 15 << 11;
    assert_eq!(resolver.ask(&query).rcode(), "NOTIMP");

    let mut query = Message::query("www.example.com", "A");
    query.questions.push(query.questions[0].clone());
    assert_eq!(resolver.ask(&query).rcode(), "FORMERR");

    // An answer is no question: two servers would talk for ever.
    let mut query = Message::query("www.example.com", "A");
    query.flags |= QR;
    assert!(wire::ask(resolver.addr(), &query, Duration::from_millis(300)).is_err());
    assert_eq!(
        resolver.ask(&Message::query("www.example.com", "A")).rcode(),
        "NOERROR"
    );
}

#[test]
fn what_does_not_fit_is_cut_and_comes_whole_by_tcp() {
    let resolver = Resolver::start();
    for (size, most) in [
        (None, 512),
        (Some(100), 512),
        (Some(1232), 1232),
        (Some(65535), 1232),
    ] {
        let mut query = Message::query("big.example.com", "TXT");
        query.edns = size.map(|size| Edns {
            size,
            ..Edns::default()
        });
        let answer = resolver.ask(&query);
        assert!(answer.has(TC), "{size:?}: it must say that it was cut");
        assert!(
            answer.bytes().len() <= most,
            "{size:?}: {} bytes",
            answer.bytes().len()
        );
        let whole = wire::ask_tcp(resolver.addr(), &query, harness::soon()).expect("TCP has room");
        assert!(!whole.has(TC));
        assert_eq!(whole.data("TXT").len(), 10);
    }
}

#[test]
fn several_questions_may_share_one_tcp_connection() {
    let resolver = Resolver::start();
    let mut stream = TcpStream::connect(resolver.addr()).expect("it listens");
    stream.set_read_timeout(Some(harness::soon())).expect("not zero");
    let mut open: Vec<u16> = Vec::new();
    for number in 0..5 {
        let query = Message::query(&format!("n{number}.example.com"), "A");
        let bytes = query.bytes();
        // Also in pieces, as a slow line brings it.
        for part in [
            &(bytes.len() as u16).to_be_bytes()[..1],
            &(bytes.len() as u16).to_be_bytes()[1..],
            &bytes,
        ] {
            stream.write_all(part).expect("it reads on");
        }
        open.push(query.id);
    }
    while !open.is_empty() {
        let answer = Message::parse(&wire::read_framed(&mut stream).expect("it answers")).expect("a message");
        assert_eq!(answer.rcode(), "NOERROR");
        open.retain(|id| *id != answer.id);
    }
}

#[test]
fn where_a_device_is_and_what_it_is_called_never_goes_upstream() {
    let resolver = Resolver::start();
    // Client subnet (RFC 7871), cookie (RFC 7873), and a name for the device that some routers add.
    let options = vec![
        (8, vec![0, 1, 24, 0, 192, 168, 7]),
        (10, vec![7; 8]),
        (65001, b"kitchen".to_vec()),
    ];
    let answer = resolver.ask(&edns(|edns| edns.options = options));
    assert_eq!(answer.rcode(), "NOERROR");
    let cookie = answer.edns.expect("EDNS").options;
    let ours = cookie
        .iter()
        .find(|(code, _)| *code == 10)
        .map(|(_, data)| data.len());
    assert!(
        ours.is_none_or(|length| (16..=40).contains(&length)),
        "{cookie:?}"
    );
    for heard in resolver.upstream.heard() {
        let options = heard.query.edns.map(|edns| edns.options).unwrap_or_default();
        assert!(
            options
                .iter()
                .all(|(code, data)| !matches!(code, 8 | 65001) && data[..] != [7; 8]),
            "{options:?}"
        );
    }
}

#[test]
fn dig_sees_nothing_wrong() {
    let resolver = Resolver::start();
    let addr = resolver.addr();
    for (args, wanted) in [
        ("+noedns www.example.com A", "status: NOERROR"),
        ("+edns=1 +noednsnegotiation www.example.com A", "status: BADVERS"),
        ("+ednsopt=100:abcd www.example.com A", "status: NOERROR"),
        ("+ednsflags=0x40 www.example.com A", "status: NOERROR"),
        ("+dnssec +cookie www.example.com A", "status: NOERROR"),
        ("+tcp www.example.com A", "93.184.216.34"),
        ("big.example.com TXT", "status: NOERROR"),
        ("+opcode=15 +noedns www.example.com A", "status: NOTIMP"),
        ("x.btlink HTTPS", "status: NOERROR"),
    ] {
        let output = Command::new("dig")
            .arg(format!("@{}", addr.ip()))
            .args(["-p", &addr.port().to_string(), "+time=10", "+tries=1"])
            .args(args.split(' '))
            .output()
            .expect("tests/setup.sh installs dig");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(wanted), "{args}: {text}");
        assert!(!text.to_lowercase().contains("warning"), "{args}: {text}");
    }
}
