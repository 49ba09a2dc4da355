//! The rest of the world, as far as a browser can tell: any name has an address, and there is a page at it.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use rustix::net::Shutdown;

use crate::{netns::Host, upstream::Upstream};

/// Where every ordinary name points.
pub const PAGE: &str = "93.184.216.34";
/// Where its resolver listens.
pub const RESOLVER: &str = "9.9.9.9";

/// A host that is the Internet; ended when dropped.
pub struct Internet {
    pub dns: Upstream,
    http: TcpListener,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Internet {
    /// On a host of the LAN that gets the addresses above; other hosts need a route to them.
    #[track_caller]
    pub fn start(host: &Host) -> Self {
        for addr in [PAGE, RESOLVER] {
            host.add_addr("lo", &format!("{addr}/32"));
        }
        let stop = Arc::new(AtomicBool::new(false));
        let flag = stop.clone();
        host.within(|| {
            let dns = Upstream::any(socket(RESOLVER, 53), PAGE, 300);
            let http = TcpListener::bind(socket(PAGE, 80)).expect("a host of its own has every port");
            let door = http.try_clone().expect("a socket can be doubled");
            let thread = std::thread::spawn(move || {
                while let Ok((stream, _)) = door.accept() {
                    if flag.load(Ordering::SeqCst) {
                        return;
                    }
                    std::thread::spawn(move || answer(stream));
                }
            });
            Self {
                dns,
                http,
                stop,
                thread: Some(thread),
            }
        })
    }
}

impl Drop for Internet {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = rustix::net::shutdown(&self.http, Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn socket(ip: &str, port: u16) -> SocketAddr {
    SocketAddr::new(ip.parse().expect("an address"), port)
}

/// One request, one page that names the host asked for.
fn answer(mut stream: TcpStream) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < 65536 {
        match stream.read(&mut buffer) {
            Ok(length) if length > 0 => head.extend(&buffer[..length]),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    let host = head
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap_or("nobody");
    let body = format!("<!doctype html><title>Internet {host}</title><p>a page of {host}\n");
    let _ = write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
}
