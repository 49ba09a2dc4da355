//! A steady stream of ordinary questions, and what became of each.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crate::{
    netns::Host,
    wire::{self, Message},
};

/// What kind of name a question was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One of fifty names that are asked all the time; two of four questions.
    Kept,
    /// One of twenty names whose answers are old after a second; one of four.
    Short,
    /// A name that nobody asked for before; one of four.
    Fresh,
}

/// Questions per second.
pub const RATE: u32 = 200;
/// Devices wait at least this long; an old answer comes after 1.8 s (RFC 8767 section 5).
const PATIENCE: Duration = Duration::from_millis(2_500);

struct One {
    kind: Kind,
    sent: Instant,
    /// When an address came.
    good: Option<Duration>,
}

/// The stream; ended when dropped.
pub struct Load {
    all: Arc<Mutex<Vec<One>>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// What became of the questions of one kind that were asked in a stretch of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub sent: usize,
    /// No address within the patience of a device.
    pub lost: usize,
    /// Longest time in which every question of that kind was lost.
    pub gap: Duration,
    /// Slowest answer.
    pub slowest: Duration,
}

impl Load {
    /// From this host to that server, until dropped.
    #[track_caller]
    pub fn start(host: &Host, server: SocketAddr) -> Self {
        let socket = host.within(|| UdpSocket::bind("0.0.0.0:0").expect("a free port"));
        socket
            .set_read_timeout(Some(Duration::from_millis(200)))
            .expect("not zero");
        let all = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let threads = vec![
            {
                let (socket, all, stop) = (socket.try_clone().expect("doubled"), all.clone(), stop.clone());
                std::thread::spawn(move || send(&socket, server, &all, &stop))
            },
            {
                let (all, stop) = (all.clone(), stop.clone());
                std::thread::spawn(move || receive(&socket, &all, &stop))
            },
        ];
        Self { all, stop, threads }
    }

    /// Waits until the fate of all questions of this stretch is known, then counts them.
    pub fn tally(&self, kind: Kind, from: Instant, to: Instant) -> Tally {
        std::thread::sleep((to + PATIENCE).saturating_duration_since(Instant::now()));
        let all = self.all.lock().expect("no thread panics holding it");
        let asked = all
            .iter()
            .filter(|one| one.kind == kind && one.sent >= from && one.sent < to);
        let mut tally = Tally::default();
        let mut gap_start = None;
        for one in asked {
            tally.sent += 1;
            match one.good {
                Some(took) if took <= PATIENCE => {
                    tally.slowest = tally.slowest.max(took);
                    if let Some(start) = gap_start.take() {
                        tally.gap = tally.gap.max(one.sent - start);
                    }
                }
                _ => {
                    tally.lost += 1;
                    gap_start.get_or_insert(one.sent);
                }
            }
        }
        if let Some(start) = gap_start {
            tally.gap = tally.gap.max(to - start);
        }
        tally
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// The name of question `number`.
fn name(number: usize) -> (Kind, String) {
    match number % 4 {
        0 | 2 => (Kind::Kept, format!("kept{}.example.com", number / 2 % 50)),
        1 => (Kind::Short, format!("short{}.example.com", number / 4 % 20)),
        _ => (Kind::Fresh, format!("fresh{number}.example.com")),
    }
}

fn send(socket: &UdpSocket, server: SocketAddr, all: &Mutex<Vec<One>>, stop: &AtomicBool) {
    let start = Instant::now();
    for number in 0.. {
        // A pace, not a wait for something: late questions are sent at once.
        let due = start + Duration::from_secs(1) * number as u32 / RATE;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let (kind, name) = name(number);
        let mut query = Message::query(&name, "A");
        query.id = number as u16;
        let sent = Instant::now();
        all.lock().expect("no thread panics holding it").push(One {
            kind,
            sent,
            good: None,
        });
        // Without a route it is lost, as it is for a device.
        let _ = socket.send_to(&query.bytes(), server);
    }
}

fn receive(socket: &UdpSocket, all: &Mutex<Vec<One>>, stop: &AtomicBool) {
    let mut buffer = [0; 4096];
    while !stop.load(Ordering::SeqCst) {
        let Ok((length, _)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        let now = Instant::now();
        let Ok(answer) = Message::parse(&buffer[..length]) else {
            continue;
        };
        let mut all = all.lock().expect("no thread panics holding it");
        // Numbers repeat after 65,536 questions, which is minutes after the last chance of an answer.
        let Some(last) = all.len().checked_sub(1) else {
            continue;
        };
        let back = usize::from((last as u16).wrapping_sub(answer.id));
        let Some(number) = last.checked_sub(back) else {
            continue;
        };
        let good = answer.name() == name(number).1 && !answer.data("A").is_empty();
        if good && answer.has(wire::QR) && all[number].good.is_none() {
            all[number].good = Some(now - all[number].sent);
        }
    }
}
