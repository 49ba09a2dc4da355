//! One peer that is asked for metadata: plaintext first, then encrypted, for those who insist.

use std::{io, net::SocketAddr, time::Duration};

use proto::peer::{
    extension::{self, Metadata},
    handshake::Handshake,
    message::{self, Bounds, Message},
    metadata::SIZE_MAX,
};
use tokio::{net::TcpStream, time::timeout};

use super::board::Board;
use crate::swarm::listen::wire::{self, Wire};

/// To connect, and to shake hands.
const STEP: Duration = Duration::from_secs(7);

/// A peer that promised metadata and sends nothing for this long goes.
const QUIET: Duration = Duration::from_secs(8);

/// Blocks asked for at once.
const PIPELINE: usize = 4;

/// While there is nothing to ask this peer for, look again this often.
const LOOK: Duration = Duration::from_millis(500);

/// While no metadata is known, a peer may send only its bitfield, haves and its extension handshake.
const BOUNDS: Bounds = Bounds {
    pieces: None,
    block_max: 0,
};

/// Runs until the peer has nothing more to give; an error says why it is of no use.
pub async fn ask(addr: SocketAddr, board: &Board) -> io::Result<()> {
    let hello = Handshake::ours(board.infohash(), wire::peer_id(), false);
    let (mut wire, theirs) = match open(addr, &hello, false).await {
        Ok(opened) => opened,
        // A dead address stays dead; one that hung up on plaintext may insist on encryption.
        Err(err) if refused(&err) => return Err(err),
        Err(_) => open(addr, &hello, true).await?,
    };
    if theirs.infohash != board.infohash() {
        return Err(io::Error::other("answers for another torrent"));
    }
    board.answered();
    if !theirs.extended() {
        return Err(io::Error::other("knows no extensions"));
    }
    let introduction = extension::Handshake {
        ut_metadata: Some(extension::OUR_METADATA),
        ..extension::Handshake::default()
    };
    let mut bytes = Vec::new();
    Message::Extended {
        id: extension::HANDSHAKE,
        payload: &introduction.encode(),
    }
    .encode(&mut bytes);
    wire.send(bytes).await?;
    Talk {
        addr,
        board,
        offer: None,
        asked: 0,
        strange: 0,
    }
    .run(wire)
    .await
}

fn refused(err: &io::Error) -> bool {
    matches!(
        err.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable
    )
}

/// Connects, says hello and hears the answer; `encrypted`: inside MSE.
pub async fn open(addr: SocketAddr, hello: &Handshake, encrypted: bool) -> io::Result<(Wire, Handshake)> {
    let stream = timeout(STEP, TcpStream::connect(addr)).await??;
    stream.set_nodelay(true)?;
    let mut wire = Wire::tcp(stream);
    let shaken = timeout(STEP, async {
        let bytes = hello.encode();
        match encrypted {
            true => wire::encrypt(&mut wire, hello.infohash, &bytes).await?,
            false => wire.send(bytes.to_vec()).await?,
        }
        wire.handshake().await
    })
    .await??;
    Ok((wire, shaken))
}

struct Talk<'a> {
    addr: SocketAddr,
    board: &'a Board,
    /// The peer's id for ut_metadata, and the size it claims.
    offer: Option<(u8, u64)>,
    /// Requests without an answer.
    asked: usize,
    /// Messages that are of no use here; a peer that only sends those goes.
    strange: u32,
}

/// A busy swarm sends a have per piece while we talk; nobody sends this many before four blocks.
const STRANGE_MAX: u32 = 10_000;

impl Talk<'_> {
    async fn run(mut self, mut wire: Wire) -> io::Result<()> {
        loop {
            let mut eaten = 0;
            let early = std::mem::take(&mut wire.early);
            while let Some((message, used)) =
                message::decode(&early[eaten..], &BOUNDS).map_err(io::Error::other)?
            {
                eaten += used;
                self.message(message)?;
            }
            wire.early = early;
            wire.early.drain(..eaten);
            if self.strange > STRANGE_MAX {
                return Err(io::Error::other("talks of other things"));
            }
            let requests = self.requests()?;
            if !requests.is_empty() {
                timeout(QUIET, wire.send(requests)).await??;
            }
            let patience = if self.offer.is_some() && self.asked == 0 {
                LOOK
            } else {
                QUIET
            };
            match timeout(patience, wire.fill(4 + BOUNDS.message_max())).await {
                Ok(filled) => filled?,
                Err(_) if patience == LOOK => {}
                Err(late) => return Err(late.into()),
            }
        }
    }

    fn requests(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let Some((id, size)) = self.offer else {
            return Ok(bytes);
        };
        while self.asked < PIPELINE
            && let Some(block) = self.board.next(self.addr, size).map_err(io::Error::other)?
        {
            let payload = Metadata::Request(block).encode();
            Message::Extended {
                id,
                payload: &payload,
            }
            .encode(&mut bytes);
            self.asked += 1;
        }
        Ok(bytes)
    }

    fn message(&mut self, message: Message<'_>) -> io::Result<()> {
        let Message::Extended { id, payload } = message else {
            self.strange += 1;
            return Ok(());
        };
        match id {
            extension::HANDSHAKE => self.introduced(payload),
            extension::OUR_METADATA => self.metadata(payload),
            _ => {
                self.strange += 1;
                Ok(())
            }
        }
    }

    fn introduced(&mut self, payload: &[u8]) -> io::Result<()> {
        let theirs = extension::Handshake::decode(payload).map_err(io::Error::other)?;
        self.strange += 100;
        // A peer that still fetches the metadata itself may say more later.
        if let (Some(id), Some(size)) = (theirs.ut_metadata, theirs.metadata_size.filter(|size| *size > 0)) {
            if size > SIZE_MAX {
                return Err(io::Error::other("claims metadata over 4 MiB"));
            }
            if self.offer.is_some_and(|(_, claimed)| claimed != size) {
                return Err(io::Error::other("claims two sizes"));
            }
            self.offer = Some((id, size));
        }
        Ok(())
    }

    fn metadata(&mut self, payload: &[u8]) -> io::Result<()> {
        match Metadata::decode(payload) {
            Ok(Metadata::Data {
                block,
                total_size,
                data,
            }) => {
                let Some((_, size)) = self.offer.filter(|_| self.asked > 0) else {
                    return Err(io::Error::other("sent metadata nobody asked for"));
                };
                if total_size.is_some_and(|total| total != size) {
                    return Err(io::Error::other("claims two sizes"));
                }
                self.asked -= 1;
                self.board
                    .put(self.addr, size, block, data)
                    .map_err(io::Error::other)
            }
            Ok(Metadata::Reject(_)) => Err(io::Error::other("refuses its metadata")),
            Ok(Metadata::Request(_)) | Ok(Metadata::Unknown) | Err(_) => {
                self.strange += 100;
                Ok(())
            }
        }
    }
}
