//! Questions by UDP. Each question under way has a socket of its own on a port that the kernel chose; a socket is used a few
//! times in quick succession and then closed, so that under load not every question pays for a new one.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use proto::dns::upstream::{
    answer::{self, Facts, Mismatch},
    manners::{MISMATCHES_MAX, Miss},
    question::Sent,
};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{io::Interest, net::UdpSocket, time::Instant};

/// Questions per port, and how long a port may wait for the next. More: less work per question under load. Fewer: who wants
/// to guess has less time.
const USES_MAX: u8 = 16;
/// The same while so many ports are open at once that a guesser has to choose among them: opening one costs more than asking.
const USES_MAX_BUSY: u8 = 64;
const BUSY: usize = 8;
const AGE_MAX: Duration = Duration::from_millis(500);
/// Ports kept open between questions.
const IDLE_MAX: usize = 128;
/// Whatever we ask for, some servers send more.
const DATAGRAM_MAX: usize = 4096;

struct Port {
    socket: UdpSocket,
    opened: Instant,
    uses: u8,
}

/// The way to one server.
pub(super) struct Door {
    addr: SocketAddr,
    idle: Mutex<Vec<Port>>,
    ignored: AtomicU64,
}

impl Door {
    pub fn new(addr: SocketAddr) -> Self {
        Self {
            addr,
            idle: Mutex::default(),
            ignored: AtomicU64::new(0),
        }
    }

    /// Datagrams that were no answer to what was asked.
    pub fn ignored(&self) -> u64 {
        self.ignored.load(Ordering::Relaxed)
    }

    /// Closes what is open: after a change of our own address, and when nothing was asked for a while.
    pub fn close(&self) {
        self.idle().clear();
    }

    /// Waits without end; the caller has the deadline.
    pub async fn exchange(&self, sent: &Sent) -> Result<(Vec<u8>, Facts), Miss> {
        let mut port = self.send(sent).await.map_err(|err| miss(&err))?;
        let (mut wrong, mut cased) = (0, false);
        loop {
            wait(&port.socket).await.map_err(|err| miss(&err))?;
            match self.receive(&port.socket, sent) {
                Ok(Ok(answer)) => {
                    // Only a port on which nothing odd was heard is worth a second question.
                    if wrong == 0 {
                        self.keep(port);
                    }
                    return Ok(answer);
                }
                Ok(Err(Mismatch::Garbage)) => return Err(Miss::Garbage),
                Ok(Err(mismatch)) => {
                    wrong += 1;
                    cased |= mismatch == Mismatch::Case;
                    self.ignored.fetch_add(1, Ordering::Relaxed);
                    if cased {
                        return Err(Miss::Case);
                    }
                    if wrong >= MISMATCHES_MAX {
                        return Err(Miss::Guessed);
                    }
                }
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => {}
                Err(err) => return Err(miss(&err)),
            }
            port.uses = USES_MAX_BUSY;
        }
    }

    fn receive(&self, socket: &UdpSocket, sent: &Sent) -> io::Result<Result<(Vec<u8>, Facts), Mismatch>> {
        let mut buffer = [0; DATAGRAM_MAX];
        let length = socket.try_recv(&mut buffer)?;
        let message = &buffer[..length];
        Ok(answer::judge(message, sent).map(|facts| (message.to_vec(), facts)))
    }

    async fn send(&self, sent: &Sent) -> io::Result<Port> {
        let now = Instant::now();
        while let Some(mut port) = self.take(now) {
            port.uses += 1;
            match port.socket.try_send(sent.as_bytes()) {
                Ok(_) => return Ok(port),
                // An error of the question before, or a full buffer: another port.
                Err(_) => continue,
            }
        }
        let socket = Socket::new(
            Domain::for_address(self.addr),
            Type::DGRAM.nonblocking().cloexec(),
            Some(Protocol::UDP),
        )?;
        // The kernel then chooses a random port, lets only this server's datagrams in, and tells when nobody is there.
        socket.connect(&self.addr.into())?;
        let sent_now = socket.send(sent.as_bytes());
        let socket = UdpSocket::from_std(socket.into())?;
        match sent_now {
            Err(err) if err.kind() == io::ErrorKind::WouldBlock => {
                socket.send(sent.as_bytes()).await?;
            }
            sent => {
                sent?;
            }
        }
        Ok(Port {
            socket,
            opened: now,
            uses: 1,
        })
    }

    fn take(&self, now: Instant) -> Option<Port> {
        let mut idle = self.idle();
        while let Some(port) = idle.pop() {
            if now.duration_since(port.opened) < AGE_MAX {
                return Some(port);
            }
            // The ones below may be younger, but rarely are; they are looked at next.
        }
        None
    }

    fn keep(&self, port: Port) {
        if port.opened.elapsed() >= AGE_MAX {
            return;
        }
        let mut idle = self.idle();
        let uses_max = if idle.len() >= BUSY {
            USES_MAX_BUSY
        } else {
            USES_MAX
        };
        if port.uses < uses_max && idle.len() < IDLE_MAX {
            idle.push(port);
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Port>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Until something can be read, or the kernel says why nothing will come. Waiting for data alone would not hear the latter.
async fn wait(socket: &UdpSocket) -> io::Result<()> {
    let ready = socket.ready(Interest::READABLE | Interest::ERROR).await?;
    if ready.is_error() {
        if let Some(err) = socket.take_error()? {
            return Err(err);
        }
        // It was read already: only a new one may wake us again.
        let nothing = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
        let _ = socket.try_io(Interest::ERROR, nothing);
    }
    Ok(())
}

/// Only what the kernel is sure of counts as "nobody there": a full buffer or a missing route of ours is no fault of the
/// server's, but nobody can be reached all the same.
fn miss(err: &io::Error) -> Miss {
    match err.kind() {
        io::ErrorKind::ConnectionRefused
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::AddrNotAvailable
        | io::ErrorKind::NetworkDown => Miss::Unreachable,
        _ => Miss::Silent,
    }
}
