//! What each message of a peer makes us do.

use std::{io, net::SocketAddr};

use proto::peer::{
    extension::{self, Metadata},
    message::{Block, Message, REQUEST_MAX},
    metadata,
};

use super::peer::Peer;

impl Peer {
    /// An error ends the connection.
    pub(super) fn message(&mut self, message: Message<'_>) -> io::Result<()> {
        match message {
            Message::Request(block) => return self.request(block),
            Message::Cancel(block) => self.cancel(block),
            Message::Interested => self.wants(true),
            Message::NotInterested => self.wants(false),
            Message::Have(piece) => return self.have(piece),
            Message::Bitfield(bits) => {
                self.has = bits.iter().map(|b| b.count_ones()).sum();
                self.judge_seed();
                self.nuisance += 50;
            }
            Message::HaveAll => {
                self.has = self.room.row.pieces;
                self.judge_seed();
                self.nuisance += 50;
            }
            Message::Port(port) => {
                self.nuisance += 50;
                if port != 0 && !self.room.row.private {
                    self.inner
                        .handover
                        .dht_node(SocketAddr::new(self.addr.ip(), port));
                }
            }
            Message::Extended { id, payload } => self.extended(id, payload),
            Message::Piece { .. } => return Err(io::Error::other("sent a block nobody asked for")),
            Message::KeepAlive
            | Message::Choke
            | Message::Unchoke
            | Message::HaveNone
            | Message::Suggest(_)
            | Message::Reject(_)
            | Message::AllowedFast(_)
            | Message::Unknown(_) => self.nuisance += 1,
        }
        Ok(())
    }

    fn request(&mut self, block: Block) -> io::Result<()> {
        if block.length > REQUEST_MAX || !self.room.contains(&block) {
            return Err(io::Error::other("asked for bytes that do not exist"));
        }
        if self.choked || !self.room.have.has(block.piece) {
            // Right after a choke a few requests still arrive; a peer that keeps asking is a nuisance.
            self.nuisance += 1;
            self.refuse(block);
            return Ok(());
        }
        self.requests.push_back(block);
        Ok(())
    }

    /// BEP 6 peers are told; others time out by themselves (BEP 3 has no word for it).
    pub(super) fn refuse(&mut self, block: Block) {
        if self.handshake.fast() {
            self.outbox.message(Message::Reject(block));
        }
    }

    fn cancel(&mut self, block: Block) {
        match self.requests.iter().position(|waiting| *waiting == block) {
            Some(at) => {
                self.requests.remove(at);
                self.refuse(block);
            }
            // It was sent already; cancels cross blocks on the way.
            None => self.nuisance += 1,
        }
    }

    fn wants(&mut self, interested: bool) {
        self.nuisance += 1;
        self.interested = interested;
        if interested {
            self.ask();
        } else if !self.choked {
            self.inner.slots.release(self.id);
            self.choke();
        }
    }

    /// A slot at once when one is free; otherwise again at the next tick.
    pub(super) fn ask(&mut self) {
        if self.choked && self.inner.slots.ask(self.id, &self.turn) {
            self.choked = false;
            self.outbox.message(Message::Unchoke);
        }
    }

    pub(super) fn turn_over(&mut self) {
        if self.turn.take_over() && !self.choked {
            self.choke();
        }
    }

    fn choke(&mut self) {
        self.choked = true;
        self.outbox.message(Message::Choke);
        for block in std::mem::take(&mut self.requests) {
            self.refuse(block);
        }
        self.near.clear();
        self.run = None;
    }

    fn have(&mut self, piece: u32) -> io::Result<()> {
        if piece >= self.room.row.pieces {
            return Err(io::Error::other("has a piece that does not exist"));
        }
        self.has = self.has.saturating_add(1);
        // One per piece is its right; more is noise.
        if self.has > self.room.row.pieces {
            self.nuisance += 1;
        }
        self.judge_seed();
        Ok(())
    }

    fn judge_seed(&mut self) {
        self.seed = self.has >= self.room.row.pieces || self.ids.upload_only;
    }

    fn extended(&mut self, id: u8, payload: &[u8]) {
        match id {
            extension::HANDSHAKE => self.introduced(payload),
            extension::OUR_METADATA => self.metadata(payload),
            // We seed: peers of peers are of no use to us.
            _ => self.nuisance += 1,
        }
    }

    fn introduced(&mut self, payload: &[u8]) {
        self.nuisance += 50;
        // What cannot be read counts as not sent: old clients send odd dictionaries.
        let Ok(theirs) = extension::Handshake::decode(payload) else {
            return;
        };
        if let Some(port) = theirs.port {
            let addr = SocketAddr::new(self.addr.ip(), port);
            self.room.enter(self.id, addr, theirs.upload_only);
            self.inner.handover.announced(&self.room.row.infohash, addr);
        }
        self.ids = theirs;
        self.judge_seed();
    }

    fn metadata(&mut self, payload: &[u8]) {
        let (Ok(Metadata::Request(block)), Some(id)) = (Metadata::decode(payload), self.ids.ut_metadata)
        else {
            self.nuisance += 10;
            return;
        };
        let room = self.room.clone();
        let reply = match metadata::block_of(&room.raw_info, block) {
            Some(data) => Metadata::Data {
                block,
                total_size: Some(room.raw_info.len() as u64),
                data,
            },
            None => Metadata::Reject(block),
        };
        // 4 MiB are 256 blocks: the whole once, and then some, before it counts as a flood.
        self.nuisance += 5;
        let payload = reply.encode();
        self.outbox.message(Message::Extended {
            id,
            payload: &payload,
        });
    }
}
