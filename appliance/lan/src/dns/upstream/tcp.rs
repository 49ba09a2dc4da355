//! Questions by TCP (RFC 7766): one at a time per connection, connections kept open for the next.

use std::{
    io,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use proto::dns::upstream::{
    answer::{self, Facts, Mismatch},
    manners::Miss,
    question::Sent,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
    time::Instant,
};

/// A connection waits so long for the next question. Longer: servers close it first (RFC 7766 6.2.3). Shorter: more are
/// opened.
const IDLE: Duration = Duration::from_secs(8);
const IDLE_MAX: usize = 4;
/// Connections to one server at once; more wait.
const OPEN_MAX: usize = 32;
/// Messages on one connection that are no answer before it is closed.
const WRONG_MAX: usize = 3;

pub(super) struct Door {
    addr: SocketAddr,
    idle: Mutex<Vec<(TcpStream, Instant)>>,
    places: Semaphore,
}

impl Door {
    pub fn new(addr: SocketAddr) -> Self {
        Self {
            addr,
            idle: Mutex::default(),
            places: Semaphore::new(OPEN_MAX),
        }
    }

    pub fn close(&self) {
        self.idle().clear();
    }

    /// Closes connections that nobody used for a while.
    pub fn tidy(&self, now: Instant) {
        self.idle().retain(|(_, since)| now.duration_since(*since) < IDLE);
    }

    /// Waits without end; the caller has the deadline.
    pub async fn exchange(&self, sent: &Sent) -> Result<(Vec<u8>, Facts), Miss> {
        // Closed never: the semaphore lives as long as we do.
        let _place = self.places.acquire().await;
        let kept = {
            let mut idle = self.idle();
            idle.retain(|(_, since)| since.elapsed() < IDLE);
            idle.pop()
        };
        if let Some((stream, _)) = kept
            && let Ok(answer) = self.use_once(stream, sent).await
        {
            return answer;
        }
        // The server may have closed the kept one; a new one tells the truth.
        let stream = TcpStream::connect(self.addr).await.map_err(|err| miss(&err))?;
        let _ = stream.set_nodelay(true);
        self.use_once(stream, sent)
            .await
            .unwrap_or_else(|err| Err(miss(&err)))
    }

    /// The outer error is the connection's.
    async fn use_once(
        &self,
        mut stream: TcpStream,
        sent: &Sent,
    ) -> io::Result<Result<(Vec<u8>, Facts), Miss>> {
        let question = sent.as_bytes();
        // In one segment, because some servers read no further.
        let framed = [&(question.len() as u16).to_be_bytes()[..], question].concat();
        stream.write_all(&framed).await?;
        for _ in 0..WRONG_MAX {
            let length = usize::from(stream.read_u16().await?);
            let mut message = vec![0; length];
            stream.read_exact(&mut message).await?;
            match answer::judge(&message, sent) {
                Ok(facts) => {
                    let mut idle = self.idle();
                    if idle.len() < IDLE_MAX {
                        idle.push((stream, Instant::now()));
                    }
                    return Ok(Ok((message, facts)));
                }
                Err(Mismatch::Case) => return Ok(Err(Miss::Case)),
                Err(Mismatch::Garbage) => return Ok(Err(Miss::Garbage)),
                Err(_) => {}
            }
        }
        Ok(Err(Miss::Garbage))
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<(TcpStream, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn miss(err: &io::Error) -> Miss {
    match err.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            Miss::Garbage
        }
        _ => Miss::Unreachable,
    }
}
