//! Listening sockets: opened once at start, by us or by systemd (socket activation), with errors that name the option to
//! change.

use std::{
    io,
    net::{SocketAddr, TcpListener as StdListener, UdpSocket as StdUdp},
};

use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tracing::warn;

/// Connections the kernel queues while we are busy. Larger: bursts survive. Smaller: an overload shows sooner.
const BACKLOG: i32 = 1024;

/// What a person can do about a socket that does not open.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "{addr} is taken by another program. Nothing was started. Choose another address with {option} ADDR."
    )]
    Taken { addr: SocketAddr, option: &'static str },
    #[error(
        "no permission to listen on {addr}. Nothing was started. Choose a port above 1023 with {option} ADDR, or grant \
         CAP_NET_BIND_SERVICE."
    )]
    Denied { addr: SocketAddr, option: &'static str },
    #[error(
        "{addr} is no address of this machine. Nothing was started. Choose another one with {option} ADDR."
    )]
    NotOurs { addr: SocketAddr, option: &'static str },
    #[error("listen on {addr}: {reason}. Nothing was started. Choose another address with {option} ADDR.")]
    Other {
        addr: SocketAddr,
        option: &'static str,
        reason: io::Error,
    },
}

/// Opens a TCP listener. `option` is the flag that set `addr`. An IPv6 address serves IPv6 only, so that `0.0.0.0` and
/// `[::]` can be given side by side.
pub fn listen_tcp(addr: SocketAddr, option: &'static str) -> Result<TcpListener, Error> {
    let open = || -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
        // A restart must not wait for the minute in which closed connections linger.
        socket.set_reuse_address(true)?;
        if addr.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&addr.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    open().map_err(|reason| explain(addr, option, reason))
}

/// Names the cause of a socket that did not open in words a person can act on.
pub fn explain(addr: SocketAddr, option: &'static str, reason: io::Error) -> Error {
    match reason.kind() {
        io::ErrorKind::AddrInUse => Error::Taken { addr, option },
        io::ErrorKind::PermissionDenied => Error::Denied { addr, option },
        io::ErrorKind::AddrNotAvailable => Error::NotOurs { addr, option },
        _ => Error::Other { addr, option, reason },
    }
}

/// Opens a UDP socket; the rules are those of [`listen_tcp`].
pub fn listen_udp(addr: SocketAddr, option: &'static str) -> Result<StdUdp, Error> {
    let open = || -> io::Result<StdUdp> {
        let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
        if addr.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&addr.into())?;
        Ok(socket.into())
    };
    open().map_err(|reason| explain(addr, option, reason))
}

/// Hands an inherited listener to the runtime.
pub fn adopt_tcp(listener: StdListener) -> Result<TcpListener, Error> {
    let addr = listener
        .local_addr()
        .unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)));
    TcpListener::from_std(listener).map_err(|reason| explain(addr, "systemd's socket unit and", reason))
}

/// A socket that systemd opened for us.
pub enum Inherited {
    Tcp(StdListener),
    Udp(StdUdp),
}

/// Sockets that systemd opened for us, with their names (`FileDescriptorName=http`, `proxy`, `dns`, `dot`). They do not
/// block. A process can ask once.
pub fn inherited() -> Vec<(String, Inherited)> {
    let fds = match sd_notify::listen_fds_with_names() {
        Ok(fds) => fds.collect::<Vec<_>>(),
        Err(err) => {
            warn!(%err, "sockets of systemd are not understood");
            return Vec::new();
        }
    };
    fds.into_iter()
        .filter_map(|(fd, name)| match adopt(fd) {
            Ok(socket) => Some((name, socket)),
            Err(err) => {
                warn!(listen = name, %err, "socket of systemd is not usable");
                None
            }
        })
        .collect()
}

/// A handle of our own for an inherited descriptor. Through a pidfd of ourselves, because turning a bare number into an
/// owned descriptor would need `unsafe`.
fn adopt(fd: i32) -> io::Result<Inherited> {
    let me = pidfd_open(getpid(), PidfdFlags::empty())?;
    let socket = Socket::from(pidfd_getfd(me, fd, PidfdGetfdFlags::empty())?);
    socket.set_nonblocking(true)?;
    match socket.r#type()? {
        Type::STREAM => Ok(Inherited::Tcp(socket.into())),
        Type::DGRAM => Ok(Inherited::Udp(socket.into())),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_names_the_option_to_change() {
        let first = listen_tcp(SocketAddr::from(([127, 0, 0, 1], 0)), "--listen-http").expect("a free port");
        let addr = first.local_addr().expect("bound");
        let err = listen_tcp(addr, "--listen-http").expect_err("it is taken");
        assert!(matches!(err, Error::Taken { .. }));
        assert!(err.to_string().contains("--listen-http"), "{err}");
    }

    #[tokio::test]
    async fn an_address_of_another_machine_is_told_apart() {
        let err =
            listen_tcp(SocketAddr::from(([203, 0, 113, 7], 0)), "--listen-proxy").expect_err("not ours");
        assert!(matches!(err, Error::NotOurs { .. }), "{err}");
    }
}
