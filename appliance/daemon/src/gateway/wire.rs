//! The bytes of a connection before hyper sees them: one strict reading of each HTTP/1 head, and deadlines.
//!
//! hyper accepts what RFC 9112 lets a lenient server accept (bare LF, repeated Content-Length, several Hosts). Two servers
//! that read such a head differently are how requests are smuggled, so here a head has one reading or none. A refused head
//! is replaced by a request of our own, `REFUSED /<status>/<reason>`, so that the answer comes in its turn, in our words,
//! and ends the connection. HTTP/2 passes through untouched.

use std::{
    future::Future,
    io,
    mem::MaybeUninit,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, BytesMut};
use proto::site::head::{self, REFUSED, Refused};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

/// Browsers keep connections for about a minute; longer only costs memory.
pub const IDLE_HTTP: Duration = Duration::from_secs(60);
/// Under the three seconds after which a browser should notice that the box is gone.
pub const IDLE_PROXY: Duration = Duration::from_millis(2_500);
/// Longer: slow phones get their requests out. Shorter: a slow-header attack holds connections for less time.
pub const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// A client that takes no byte for this long is gone.
pub const WRITE_STALL: Duration = Duration::from_secs(60);

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// What is read from the socket at once.
const READ: usize = 8 << 10;
/// Bytes of a refused request that are read and thrown away, so that closing does not destroy the answer.
const DRAIN_MAX: usize = 256 << 10;
/// The same for a body that nobody wanted, after the answer: until it is over, for so long at most.
const LINGER: Duration = Duration::from_secs(2);

/// How many requests of a connection are being answered. An open request is never idle.
#[derive(Clone, Default)]
pub struct Open(Arc<AtomicUsize>);

/// Lives as long as one answer.
pub struct Answering(Arc<AtomicUsize>);

impl Open {
    pub fn enter(&self) -> Answering {
        self.0.fetch_add(1, Ordering::Relaxed);
        Answering(self.0.clone())
    }

    fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Nothing read yet: HTTP/1 or the HTTP/2 preface.
    Fresh,
    /// Between or within HTTP/1 heads.
    Head,
    /// Bytes of an announced body still to come.
    Body(u64),
    /// HTTP/2.
    Through,
    /// A head was refused; nothing more is read for hyper. Counts the bytes thrown away.
    Refused(usize),
    Ended,
}

pub struct Wire<T> {
    inner: T,
    mode: Mode,
    /// Read, not yet understood.
    inbox: BytesMut,
    /// Understood, for hyper.
    ready: BytesMut,
    /// How far `inbox` was searched for the end of the head.
    searched: usize,
    open: Open,
    idle: Duration,
    last: Instant,
    head_since: Option<Instant>,
    timer: Pin<Box<Sleep>>,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<T> Wire<T> {
    pub fn new(inner: T, idle: Duration, open: Open) -> Self {
        let now = Instant::now();
        Self {
            inner,
            mode: Mode::Fresh,
            inbox: BytesMut::new(),
            ready: BytesMut::new(),
            searched: 0,
            open,
            idle,
            last: now,
            head_since: None,
            timer: Box::pin(sleep_until(now + idle.min(HEAD_DEADLINE))),
            stalled: None,
        }
    }

    /// Moves what is understood from `inbox` to `ready`.
    fn digest(&mut self) {
        if self.mode == Mode::Fresh {
            let seen = self.inbox.len().min(PREFACE.len());
            if self.inbox[..seen] == PREFACE[..seen] {
                if seen == PREFACE.len() {
                    self.mode = Mode::Through;
                    self.ready = self.inbox.split();
                    self.head_since = None;
                }
                return;
            }
            self.mode = Mode::Head;
        }
        if let Mode::Body(left) = self.mode {
            let take = left.min(self.inbox.len() as u64);
            self.ready.unsplit(self.inbox.split_to(take as usize));
            self.mode = if left > take {
                Mode::Body(left - take)
            } else {
                Mode::Head
            };
            return;
        }
        match head::end(&self.inbox, &mut self.searched) {
            Ok(None) => {}
            Ok(Some(end)) => match head::check(&self.inbox[..end]) {
                Ok(body) => {
                    self.ready.unsplit(self.inbox.split_to(end));
                    self.searched = 0;
                    self.head_since = None;
                    self.mode = if body > 0 { Mode::Body(body) } else { Mode::Head };
                }
                Err(why) => self.refuse(why),
            },
            Err(why) => self.refuse(why),
        }
    }

    fn refuse(&mut self, why: Refused) {
        let request = format!(
            "{REFUSED} /{}/{} HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n",
            why.status, why.reason
        );
        self.inbox = BytesMut::new();
        self.head_since = None;
        self.ready.extend_from_slice(request.as_bytes());
        self.mode = Mode::Refused(0);
    }

    /// Pending until the connection has waited too long; then closes it or refuses the head that never came.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let limit = match self.head_since {
                Some(since) => since + HEAD_DEADLINE,
                None if self.open.any() => Instant::now() + self.idle,
                None => self.last + self.idle,
            };
            if self.timer.deadline() > limit {
                self.timer.as_mut().reset(limit);
            }
            ready!(self.timer.as_mut().poll(cx));
            if Instant::now() < limit {
                self.timer.as_mut().reset(limit);
                continue;
            }
            if self.head_since.is_some() && self.mode == Mode::Head {
                self.refuse(head::SLOW);
            } else {
                self.mode = Mode::Ended;
            }
            return Poll::Ready(());
        }
    }
}

impl<T: AsyncRead + Unpin> Wire<T> {
    /// Reads once from the socket into `inbox`. `Ok(0)`: the other side has ended.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [MaybeUninit::<u8>::uninit(); READ];
        let mut buf = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut buf))?;
        self.inbox.extend_from_slice(buf.filled());
        self.last = Instant::now();
        Poll::Ready(Ok(buf.filled().len()))
    }

    fn poll_through(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(done) = Pin::new(&mut self.inner).poll_read(cx, out) {
            self.last = Instant::now();
            return Poll::Ready(done);
        }
        self.poll_deadline(cx).map(Ok)
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>, drained: usize) -> Poll<io::Result<()>> {
        let count = ready!(self.poll_fill(cx))?;
        self.inbox.clear();
        self.mode = match drained + count {
            sum if count > 0 && sum < DRAIN_MAX => Mode::Refused(sum),
            _ => Mode::Ended,
        };
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Wire<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if !this.ready.is_empty() {
                let take = this.ready.len().min(out.remaining());
                out.put_slice(&this.ready[..take]);
                this.ready.advance(take);
                return Poll::Ready(Ok(()));
            }
            match this.mode {
                Mode::Ended => return Poll::Ready(Ok(())),
                Mode::Through => return this.poll_through(cx, out),
                Mode::Refused(drained) => {
                    // While the answer is on its way hyper must not see an end: it would drop the answer.
                    match this.poll_drain(cx, drained) {
                        Poll::Ready(Ok(())) if this.mode != Mode::Ended => continue,
                        Poll::Ready(Ok(())) if this.open.any() => {
                            this.mode = Mode::Refused(DRAIN_MAX);
                            ready!(this.poll_deadline(cx));
                            continue;
                        }
                        Poll::Ready(done) => return Poll::Ready(done),
                        Poll::Pending => {
                            ready!(this.poll_deadline(cx));
                            continue;
                        }
                    }
                }
                Mode::Fresh | Mode::Head | Mode::Body(_) => {}
            }
            if !this.inbox.is_empty() {
                let before = (this.inbox.len(), this.ready.len());
                this.digest();
                if (this.inbox.len(), this.ready.len()) != before {
                    continue;
                }
                this.head_since.get_or_insert_with(Instant::now);
            }
            match this.poll_fill(cx) {
                Poll::Ready(Ok(0)) => this.mode = Mode::Ended,
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(err)) => return Poll::Ready(Err(err)),
                Poll::Pending => ready!(this.poll_deadline(cx)),
            }
        }
    }
}

impl<T: AsyncWrite + Unpin> Wire<T> {
    fn watch_write(
        &mut self,
        cx: &mut Context<'_>,
        wrote: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match wrote {
            Poll::Ready(done) => {
                self.stalled = None;
                self.last = Instant::now();
                Poll::Ready(done)
            }
            Poll::Pending => {
                let stalled = self
                    .stalled
                    .get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + WRITE_STALL)));
                ready!(stalled.as_mut().poll(cx));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let wrote = Pin::new(&mut this.inner).poll_write(cx, buf);
        this.watch_write(cx, wrote)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let wrote = Pin::new(&mut this.inner).poll_write_vectored(cx, bufs);
        this.watch_write(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    /// A client that still sends its body reads the answer only afterwards: closing at once would reset the connection and
    /// destroy what it has not read yet.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.inner).poll_shutdown(cx))?;
        let Mode::Body(left) = this.mode else {
            return Poll::Ready(Ok(()));
        };
        let mut left = left.saturating_sub(std::mem::take(&mut this.inbox).len() as u64);
        let linger = this
            .stalled
            .get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + LINGER)));
        let mut space = [MaybeUninit::<u8>::uninit(); READ];
        while left > 0 && linger.as_mut().poll(cx).is_pending() {
            let mut buf = ReadBuf::uninit(&mut space);
            let read = ready!(Pin::new(&mut this.inner).poll_read(cx, &mut buf));
            left = match (read, buf.filled().len() as u64) {
                (Ok(()), count @ 1..) => left.saturating_sub(count),
                _ => 0,
            };
            this.mode = Mode::Body(left);
        }
        this.mode = Mode::Ended;
        Poll::Ready(Ok(()))
    }
}
