//! systemd's watchdog is fed only after a real question, asked as a device asks it, was answered: a resolver that listens but
//! does not answer is started again.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use house::tasks::Tasks;
use proto::{dns::query::HEADER_LEN, name::TLD};
use sd_notify::NotifyState;
use tokio::{net::UdpSocket, time::timeout};
use tracing::warn;

/// An answer from memory takes a millisecond; a box under load may need more.
const PATIENCE: Duration = Duration::from_secs(2);

/// Feeds the watchdog, where systemd has set one. `resolver`: our own UDP door; without one, being alive is all that is shown.
pub fn start(resolver: Option<SocketAddr>, tasks: &Tasks) {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return;
    };
    tasks.spawn("watchdog", async move {
        loop {
            let fed = match resolver {
                None => true,
                Some(addr) => match ask(addr).await {
                    Ok(()) => true,
                    Err(err) => {
                        warn!(%addr, %err, "our own resolver does not answer");
                        false
                    }
                },
            };
            if fed {
                let _ = sd_notify::notify(&[NotifyState::Watchdog]);
            }
            tokio::time::sleep(limit / 3).await;
        }
    });
}

/// One question about a name of ours.
pub async fn ask(resolver: SocketAddr) -> io::Result<()> {
    let any: SocketAddr = match resolver {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(resolver).await?;
    let id: [u8; 2] = rand::random();
    let mut question = [&id[..], b"\x01\0\0\x01\0\0\0\0\0\0"].concat();
    // `box`, which is a reserved name.
    question.extend(b"\x03box");
    question.push(TLD.len() as u8);
    question.extend(TLD.as_bytes());
    question.extend(b"\0\0\x01\0\x01");
    socket.send(&question).await?;
    let mut answer = [0; 512];
    let len = timeout(PATIENCE, socket.recv(&mut answer))
        .await
        .map_err(|_| io::ErrorKind::TimedOut)??;
    let good = len > HEADER_LEN && answer[..2] == id && answer[2] & 0x80 != 0 && answer[3] & 0xf == 0;
    match good {
        true => Ok(()),
        false => Err(io::ErrorKind::InvalidData.into()),
    }
}
