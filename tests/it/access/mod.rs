//! Who may manage the box: the real process, its pages over real sockets, as browsers, text browsers, programs and attackers
//! ask them.

mod chromium;
mod claim;
mod csrf;
mod escaping;
mod forms;
mod login;
mod strangers;

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use harness::{
    granary::{Granary, Setup},
    http::Response,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
};

const NAME: &str = "anna";
const PASSWORD: &str = "vier Worte und ein Baum";

/// A browser without a window: keeps cookies, finds the token of a form, asks from an address of its choice.
struct Browser {
    door: SocketAddr,
    from: IpAddr,
    cookies: BTreeMap<String, String>,
    /// Sent with everything, in place of those a browser would send.
    headers: Vec<(String, String)>,
}

impl Browser {
    fn new(granary: &Granary) -> Self {
        Self::at(granary.addr("http"), Ipv4Addr::LOCALHOST.into())
    }

    fn at(door: SocketAddr, from: IpAddr) -> Self {
        Self {
            door,
            from,
            cookies: BTreeMap::new(),
            headers: Vec::new(),
        }
    }

    /// Logs in; panics unless that works.
    #[track_caller]
    fn owner(granary: &Granary) -> Self {
        let mut browser = Self::new(granary);
        let answer = browser.log_in(NAME, PASSWORD);
        assert_eq!(answer.status, 303, "{}", answer.text());
        browser
    }

    #[track_caller]
    fn get(&mut self, path: &str) -> Response {
        self.ask("GET", path, &[], "")
    }

    /// Sends a form as a browser sends the one on `page`, with its token.
    #[track_caller]
    fn submit(&mut self, page: &str, path: &str, fields: &[(&str, &str)]) -> Response {
        let token = self.token(page);
        let mut all = vec![("token", token.as_str())];
        all.extend_from_slice(fields);
        self.post(path, &all)
    }

    #[track_caller]
    fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Response {
        let kind = ("content-type", "application/x-www-form-urlencoded");
        self.ask("POST", path, &[kind], &encode(fields))
    }

    #[track_caller]
    fn token(&mut self, page: &str) -> String {
        let text = self.get(page).text();
        let after = text.split("name=\"token\" value=\"").nth(1);
        let token = after.and_then(|rest| rest.split('"').next());
        token
            .unwrap_or_else(|| panic!("no form on {page}: {text}"))
            .to_owned()
    }

    #[track_caller]
    fn log_in(&mut self, name: &str, password: &str) -> Response {
        self.submit("/login", "/login", &[("name", name), ("password", password)])
    }

    #[track_caller]
    fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
        let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
        let given = |name: &str| {
            let own = self.headers.iter().any(|(n, _)| n == name);
            own || headers.iter().any(|(n, _)| *n == name)
        };
        if !given("host") {
            head += &format!("host: {}\r\n", self.door);
        }
        if !given("origin") && method == "POST" {
            head += &format!("origin: http://{}\r\n", self.door);
        }
        let cookies: Vec<String> = self.cookies.iter().map(|(n, v)| format!("{n}={v}")).collect();
        if !cookies.is_empty() && !given("cookie") {
            head += &format!("cookie: {}\r\n", cookies.join("; "));
        }
        let own = self.headers.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        for (name, value) in own.chain(headers.iter().copied()) {
            // An empty value stands for a header that is left out.
            if !value.is_empty() {
                head += &format!("{name}: {value}\r\n");
            }
        }
        if method == "POST" && !given("content-length") {
            head += &format!("content-length: {}\r\n", body.len());
        }
        head += "\r\n";
        let answer = exchange(self.door, self.from, &[head.as_bytes(), body.as_bytes()].concat());
        for (_, cookie) in answer.headers.iter().filter(|(n, _)| n == "set-cookie") {
            let pair = cookie.split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                if value.is_empty() {
                    self.cookies.remove(name);
                } else {
                    self.cookies.insert(name.into(), value.into());
                }
            }
        }
        answer
    }
}

/// One request from an address of this machine; status 0: closed without a word.
#[track_caller]
fn exchange(door: SocketAddr, from: IpAddr, bytes: &[u8]) -> Response {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let all = runtime.block_on(async {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind((from, 0).into()).expect("an address of this machine");
        let mut stream = socket.connect(door).await.expect("the door is open");
        let _ = stream.write_all(bytes).await;
        let mut all = Vec::new();
        let mut chunk = vec![0; 64 << 10];
        let read = async {
            while let Ok(count @ 1..) = stream.read(&mut chunk).await {
                all.extend_from_slice(&chunk[..count]);
            }
        };
        let ended = tokio::time::timeout(Duration::from_secs(60), read).await;
        assert!(ended.is_ok(), "it hangs after {}", String::from_utf8_lossy(bytes));
        all
    });
    parse(&all)
}

fn parse(all: &[u8]) -> Response {
    let end = all
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap_or(all.len());
    let head = String::from_utf8_lossy(&all[..end]).into_owned();
    let fields = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    Response {
        status: head.get(9..12).and_then(|text| text.parse().ok()).unwrap_or(0),
        headers: fields.map(|(n, v)| (n.to_lowercase(), v.to_owned())).collect(),
        body: all[(end + 4).min(all.len())..].to_vec(),
    }
}

fn encode(fields: &[(&str, &str)]) -> String {
    let escape = |text: &str| -> String {
        let plain = |b: u8| b.is_ascii_alphanumeric();
        text.bytes()
            .map(|b| {
                if plain(b) {
                    char::from(b).to_string()
                } else {
                    format!("%{b:02X}")
                }
            })
            .collect()
    };
    let pairs = fields
        .iter()
        .map(|(name, value)| format!("{}={}", escape(name), escape(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// A box that anna owns.
#[track_caller]
fn owned() -> Granary {
    claimed(Setup::default())
}

#[track_caller]
fn claimed(setup: Setup) -> Granary {
    let granary = setup.start();
    let pin = pin(&granary);
    let answer = claim(&mut Browser::new(&granary), &pin);
    assert_eq!(answer.status, 303, "{}", answer.text());
    granary
}

#[track_caller]
fn pin(granary: &Granary) -> String {
    let pin = granary.ready()["claim_pin"].as_str();
    pin.expect("an unclaimed box tells its PIN").to_owned()
}

#[track_caller]
fn claim(browser: &mut Browser, pin: &str) -> Response {
    let fields = [
        ("pin", pin),
        ("name", NAME),
        ("password", PASSWORD),
        ("again", PASSWORD),
    ];
    browser.submit("/claim", "/claim", &fields)
}

/// Everybody who may enter, as the owner's page tells.
#[track_caller]
fn people(owner: &mut Browser) -> Vec<String> {
    let text = owner.get("/people").text();
    let table = text
        .split("<tbody>")
        .nth(1)
        .and_then(|rest| rest.split("</tbody>").next());
    let rows = table
        .expect("a table of people")
        .split("<th scope=\"row\">")
        .skip(1);
    rows.map(|row| row.split('<').next().unwrap_or_default().replace(" (you)", ""))
        .collect()
}
