use proto::{
    bencode::Value,
    peer::{
        extension::{self, Metadata},
        handshake::Handshake,
        message::{self, Bounds, Message},
        metadata::block_of,
    },
};
use tokio::net::TcpListener;

use super::*;
use crate::{
    swarm::listen::wire::{self, Keys, Wire},
    tasks::Tasks,
};

/// How a scripted peer behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    Honest,
    /// Right sizes, wrong bytes.
    Forges,
    /// Claims 5 MiB.
    Boasts,
    /// Claims a size one byte too large.
    Misjudges,
    /// Shakes hands and falls silent.
    Silent,
    /// Hangs up on plaintext.
    OnlyEncrypted,
    /// Sends blocks nobody asked for.
    Pushes,
    Refuses,
    /// Answers for another torrent.
    Stranger,
    /// Says something endless and useless.
    Babbles,
}

struct OnlyOne(InfoHash);

impl Keys for OnlyOne {
    async fn find(&self, hash: [u8; 20]) -> Option<InfoHash> {
        (proto::peer::mse::key_hash(&self.0) == hash).then_some(self.0)
    }
}

fn dictionary() -> (Vec<u8>, InfoHash) {
    let raw = Value::dict([("pieces", Value::Bytes(harness::sample::bytes(5, 100_000)))]).encode();
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &raw);
    let infohash = InfoHash(hash.as_ref().try_into().expect("20 bytes"));
    (raw, infohash)
}

async fn peer(tasks: &Tasks, manner: Manner) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("bound");
    let all = tasks.clone();
    tasks.spawn("test.peer", async move {
        while let Ok((stream, _)) = listener.accept().await {
            all.spawn("test.peer.connection", async move {
                let _ = talk(Wire::tcp(stream), manner).await;
            });
        }
    });
    addr
}

async fn talk(mut wire: Wire, manner: Manner) -> std::io::Result<()> {
    let (raw, infohash) = dictionary();
    if manner == Manner::OnlyEncrypted {
        wire.fill(1).await?;
        if wire.early[0] == 0x13 {
            return Ok(());
        }
    }
    wire::answer(&mut wire, &OnlyOne(infohash)).await?;
    let named = if manner == Manner::Stranger {
        InfoHash([1; 20])
    } else {
        infohash
    };
    wire.send(Handshake::ours(named, wire::peer_id(), false).encode().to_vec())
        .await?;
    if manner == Manner::Silent {
        return std::future::pending().await;
    }
    if manner == Manner::Babbles {
        loop {
            let mut bytes = Vec::new();
            (0..100).for_each(|_| Message::KeepAlive.encode(&mut bytes));
            wire.send(bytes).await?;
        }
    }
    let size = match manner {
        Manner::Boasts => 5 << 20,
        Manner::Misjudges => raw.len() as u64 + 1,
        _ => raw.len() as u64,
    };
    let introduction = extension::Handshake {
        ut_metadata: Some(9),
        metadata_size: Some(size),
        ..extension::Handshake::default()
    };
    say(&mut wire, extension::HANDSHAKE, &introduction.encode()).await?;
    if manner == Manner::Pushes {
        let data = Metadata::Data {
            block: 0,
            total_size: None,
            data: &raw[..16384],
        };
        return say(&mut wire, extension::OUR_METADATA, &data.encode()).await;
    }
    answer(wire, manner, raw, size as usize).await
}

async fn answer(mut wire: Wire, manner: Manner, mut raw: Vec<u8>, size: usize) -> std::io::Result<()> {
    raw.resize(size, b'e');
    if manner == Manner::Forges {
        raw.iter_mut().for_each(|b| *b ^= 1);
    }
    let bounds = Bounds {
        pieces: None,
        block_max: 0,
    };
    loop {
        let mut replies = Vec::new();
        while let Some((message, used)) =
            message::decode(&wire.early, &bounds).map_err(std::io::Error::other)?
        {
            if let Message::Extended { id: 9, payload } = message
                && let Ok(Metadata::Request(block)) = Metadata::decode(payload)
            {
                replies.push(match (manner, block_of(&raw, block)) {
                    (Manner::Refuses, _) | (_, None) => Metadata::Reject(block).encode(),
                    (_, Some(data)) => Metadata::Data {
                        block,
                        total_size: Some(raw.len() as u64),
                        data,
                    }
                    .encode(),
                });
            }
            wire.early.drain(..used);
        }
        for reply in replies {
            say(&mut wire, extension::OUR_METADATA, &reply).await?;
        }
        wire.fill(1 << 20).await?;
    }
}

async fn say(wire: &mut Wire, id: u8, payload: &[u8]) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    Message::Extended { id, payload }.encode(&mut bytes);
    wire.send(bytes).await
}

async fn fetch_from(manners: &[Manner], patience: Duration) -> Result<Bytes, Error> {
    let tasks = Tasks::new();
    let mut addrs = Vec::new();
    for manner in manners {
        addrs.push(peer(&tasks, *manner).await);
    }
    let (sender, peers) = mpsc::channel(1);
    sender.send(addrs).await.expect("room");
    let (_, infohash) = dictionary();
    let fetched = fetch(infohash, peers, Instant::now() + patience).await;
    assert!(tasks.stop(Duration::from_secs(5)).await.is_empty());
    fetched
}

const LONG: Duration = Duration::from_secs(40);

#[tokio::test]
async fn honest_peers_give_the_dictionary_plain_or_encrypted() {
    let (raw, _) = dictionary();
    assert_eq!(fetch_from(&[Manner::Honest], LONG).await.as_deref(), Ok(&raw[..]));
    assert_eq!(
        fetch_from(&[Manner::OnlyEncrypted], LONG).await.as_deref(),
        Ok(&raw[..])
    );
    assert_eq!(
        fetch_from(&[Manner::Honest; 20], LONG).await.as_deref(),
        Ok(&raw[..])
    );
}

#[tokio::test]
async fn one_honest_peer_is_enough_among_liars() {
    let (raw, _) = dictionary();
    let liars = [
        Manner::Forges,
        Manner::Boasts,
        Manner::Misjudges,
        Manner::Silent,
        Manner::Pushes,
        Manner::Refuses,
        Manner::Stranger,
        Manner::Babbles,
    ];
    for liar in liars {
        let fetched = fetch_from(&[liar, Manner::Honest, liar], LONG).await;
        assert_eq!(fetched.as_deref(), Ok(&raw[..]));
    }
    let mut all = liars.to_vec();
    all.push(Manner::Honest);
    assert_eq!(fetch_from(&all, LONG).await.as_deref(), Ok(&raw[..]));
}

#[tokio::test]
async fn liars_alone_give_nothing_and_the_caller_learns_why() {
    let (_, infohash) = dictionary();
    let short = Duration::from_secs(3);
    for liar in [Manner::Forges, Manner::Boasts, Manner::Misjudges, Manner::Refuses] {
        assert_eq!(fetch_from(&[liar], short).await, Err(Error::Refused(infohash)));
    }
    assert_eq!(fetch_from(&[], short).await, Err(Error::Silent(infohash)));
    assert_eq!(
        fetch_from(&[Manner::Stranger], short).await,
        Err(Error::Silent(infohash))
    );
}
