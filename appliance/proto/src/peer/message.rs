//! Messages after the handshake (BEP 3, BEP 5 `port`, BEP 6, BEP 10 `extended`): a decoder over a buffer that refuses a
//! length before its bytes arrive, and the encoder.

use thiserror::Error;

/// Usual length of a block, bytes.
pub const BLOCK: u32 = 16 << 10;

/// The longest request we answer, bytes; BEP 3 clients ask for 16 KiB, the largest seen in the wild is 128 KiB.
pub const REQUEST_MAX: u32 = 128 << 10;

/// Longest extended message, bytes: a metadata block with its dictionary, or PEX with 200 peers, with room to spare.
pub const EXTENDED_MAX: usize = 64 << 10;

/// Longest message of a kind we do not know, bytes; it is skipped.
pub const UNKNOWN_MAX: usize = 4 << 10;

/// Why a peer has to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Error {
    #[error("message {id} of {length} bytes")]
    Length { id: u8, length: usize },
    #[error("bitfield with bits past the last piece")]
    SpareBits,
}

/// Part of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Block {
    pub piece: u32,
    /// Offset within the piece, bytes.
    pub begin: u32,
    /// Bytes.
    pub length: u32,
}

/// One message; payloads borrow from the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    KeepAlive,
    Choke,
    Unchoke,
    Interested,
    NotInterested,
    Have(u32),
    Bitfield(&'a [u8]),
    Request(Block),
    Piece {
        piece: u32,
        begin: u32,
        data: &'a [u8],
    },
    Cancel(Block),
    /// BEP 5: the sender's DHT node listens on this UDP port.
    Port(u16),
    /// BEP 6.
    Suggest(u32),
    HaveAll,
    HaveNone,
    Reject(Block),
    AllowedFast(u32),
    /// BEP 10.
    Extended {
        id: u8,
        payload: &'a [u8],
    },
    /// A kind we do not know; skipped.
    Unknown(u8),
}

/// What this connection may be sent; everything longer is an error at the fifth byte.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Pieces of the torrent; `None` while only the infohash is known: then a bitfield may be as long as the metadata
    /// limit allows.
    pub pieces: Option<u32>,
    /// Longest block we have asked for; 0 for an upload-only peer, which is never sent blocks.
    pub block_max: u32,
}

/// Bitfield bytes of the largest torrent whose metadata fits 4 MiB: 20 bytes of hash per piece.
const BITFIELD_MAX: usize = (4 << 20) / 20 / 8 + 1;

impl Bounds {
    fn bitfield_max(&self) -> usize {
        self.pieces.map_or(BITFIELD_MAX, |n| (n as usize).div_ceil(8))
    }

    /// Longest body (after the length prefix) a peer may make us hold, bytes: size a read buffer by it.
    pub fn message_max(&self) -> usize {
        (1 + self.bitfield_max())
            .max(9 + self.block_max as usize)
            .max(2 + EXTENDED_MAX)
    }

    fn check(&self, id: u8, length: usize) -> Result<(), Error> {
        let fits = match id {
            0..=3 | 14 | 15 => length == 1,
            4 | 13 | 17 => length == 5,
            5 => match self.pieces {
                Some(_) => length == 1 + self.bitfield_max(),
                None => length <= 1 + BITFIELD_MAX,
            },
            6 | 8 | 16 => length == 13,
            7 => self.block_max > 0 && (9..=9 + self.block_max as usize).contains(&length),
            9 => length == 3,
            20 => (2..=2 + EXTENDED_MAX).contains(&length),
            _ => length <= UNKNOWN_MAX,
        };
        if fits {
            Ok(())
        } else {
            Err(Error::Length { id, length })
        }
    }
}

/// The first message in `buffer` and how many bytes it took. `None`: more bytes are needed.
pub fn decode<'a>(buffer: &'a [u8], bounds: &Bounds) -> Result<Option<(Message<'a>, usize)>, Error> {
    let Some(prefix) = buffer.first_chunk::<4>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*prefix) as usize;
    if length == 0 {
        return Ok(Some((Message::KeepAlive, 4)));
    }
    // A hopeless length is refused before the kind is here: nothing is gained by waiting for its fifth byte.
    if length > bounds.message_max() {
        return Err(Error::Length { id: 0xff, length });
    }
    let Some(&id) = buffer.get(4) else {
        return Ok(None);
    };
    bounds.check(id, length)?;
    let Some(body) = buffer.get(5..4 + length) else {
        return Ok(None);
    };
    Ok(Some((body_of(id, body, bounds)?, 4 + length)))
}

fn body_of<'a>(id: u8, body: &'a [u8], bounds: &Bounds) -> Result<Message<'a>, Error> {
    Ok(match id {
        0 => Message::Choke,
        1 => Message::Unchoke,
        2 => Message::Interested,
        3 => Message::NotInterested,
        4 => Message::Have(word(body, 0)),
        5 => {
            spare_bits_are_zero(body, bounds.pieces)?;
            Message::Bitfield(body)
        }
        6 => Message::Request(block(body)),
        7 => Message::Piece {
            piece: word(body, 0),
            begin: word(body, 4),
            data: &body[8..],
        },
        8 => Message::Cancel(block(body)),
        9 => Message::Port(u16::from_be_bytes([body[0], body[1]])),
        13 => Message::Suggest(word(body, 0)),
        14 => Message::HaveAll,
        15 => Message::HaveNone,
        16 => Message::Reject(block(body)),
        17 => Message::AllowedFast(word(body, 0)),
        20 => Message::Extended {
            id: body[0],
            payload: &body[1..],
        },
        other => Message::Unknown(other),
    })
}

/// BEP 3: "Spare bits at the end are set to zero."
fn spare_bits_are_zero(bits: &[u8], pieces: Option<u32>) -> Result<(), Error> {
    let used = pieces.map_or(0, |n| n % 8);
    match bits.last() {
        Some(last) if used != 0 && last & (0xff >> used) != 0 => Err(Error::SpareBits),
        _ => Ok(()),
    }
}

/// Lengths were checked by [`Bounds::check`]; a short slice reads as 0 all the same instead of panicking.
fn word(body: &[u8], at: usize) -> u32 {
    body.get(at..)
        .and_then(|b| b.first_chunk::<4>())
        .map_or(0, |b| u32::from_be_bytes(*b))
}

fn block(body: &[u8]) -> Block {
    Block {
        piece: word(body, 0),
        begin: word(body, 4),
        length: word(body, 8),
    }
}

impl Message<'_> {
    /// Appends the message with its length prefix.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Message::KeepAlive => out.extend_from_slice(&[0; 4]),
            Message::Choke => head(out, 0, 0),
            Message::Unchoke => head(out, 1, 0),
            Message::Interested => head(out, 2, 0),
            Message::NotInterested => head(out, 3, 0),
            Message::Have(piece) => words(out, 4, &[piece]),
            Message::Bitfield(bits) => {
                head(out, 5, bits.len());
                out.extend_from_slice(bits);
            }
            Message::Request(b) => words(out, 6, &[b.piece, b.begin, b.length]),
            Message::Piece { piece, begin, data } => {
                out.extend_from_slice(&piece_head(piece, begin, data.len()));
                out.extend_from_slice(data);
            }
            Message::Cancel(b) => words(out, 8, &[b.piece, b.begin, b.length]),
            Message::Port(port) => {
                head(out, 9, 2);
                out.extend_from_slice(&port.to_be_bytes());
            }
            Message::Suggest(piece) => words(out, 13, &[piece]),
            Message::HaveAll => head(out, 14, 0),
            Message::HaveNone => head(out, 15, 0),
            Message::Reject(b) => words(out, 16, &[b.piece, b.begin, b.length]),
            Message::AllowedFast(piece) => words(out, 17, &[piece]),
            Message::Extended { id, payload } => {
                head(out, 20, 1 + payload.len());
                out.push(id);
                out.extend_from_slice(payload);
            }
            Message::Unknown(id) => head(out, id, 0),
        }
    }
}

/// The 13 bytes before the data of a `piece` message, so that a seeder can write the data from where it lies.
pub fn piece_head(piece: u32, begin: u32, data_len: usize) -> [u8; 13] {
    let mut out = [0; 13];
    out[..4].copy_from_slice(&(9 + data_len as u32).to_be_bytes());
    out[4] = 7;
    out[5..9].copy_from_slice(&piece.to_be_bytes());
    out[9..].copy_from_slice(&begin.to_be_bytes());
    out
}

fn head(out: &mut Vec<u8>, id: u8, payload: usize) {
    out.extend_from_slice(&(1 + payload as u32).to_be_bytes());
    out.push(id);
}

fn words(out: &mut Vec<u8>, id: u8, values: &[u32]) {
    head(out, id, 4 * values.len());
    for value in values {
        out.extend_from_slice(&value.to_be_bytes());
    }
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
