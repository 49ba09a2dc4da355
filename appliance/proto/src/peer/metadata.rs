//! The info dictionary in 16 KiB blocks (BEP 9): putting it together and handing it out.

use aws_lc_rs::digest;
use thiserror::Error;

use crate::id::InfoHash;

/// Bytes per block; only the last may be shorter.
pub const BLOCK: usize = 16 << 10;

/// Largest info dictionary accepted, bytes. libtorrent allows 30 MiB for general use; a site never needs it.
pub const SIZE_MAX: u64 = 4 << 20;

/// Why a block or a size is refused: its sender lies or is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Error {
    #[error("metadata of {0} bytes")]
    Size(u64),
    #[error("no metadata block {0}")]
    Index(u32),
    #[error("metadata block {0} has the wrong length")]
    Length(u32),
    #[error("the metadata does not have the infohash")]
    Hash,
}

/// An info dictionary that is being put together. Memory: at most its size, allocated as blocks arrive.
#[derive(Debug)]
pub struct Assembly {
    infohash: InfoHash,
    size: usize,
    blocks: Vec<Option<Box<[u8]>>>,
    missing: usize,
}

impl Assembly {
    pub fn new(infohash: InfoHash, size: u64) -> Result<Self, Error> {
        if size == 0 || size > SIZE_MAX {
            return Err(Error::Size(size));
        }
        let count = (size as usize).div_ceil(BLOCK);
        Ok(Self {
            infohash,
            size: size as usize,
            blocks: vec![None; count],
            missing: count,
        })
    }

    /// Bytes of the whole dictionary.
    pub fn size(&self) -> u64 {
        self.size as u64
    }

    /// Number of blocks, at most 256.
    pub fn count(&self) -> u32 {
        self.blocks.len() as u32
    }

    pub fn has(&self, block: u32) -> bool {
        self.blocks.get(block as usize).is_some_and(Option::is_some)
    }

    pub fn is_whole(&self) -> bool {
        self.missing == 0
    }

    /// Takes one block; a second copy of a block is ignored.
    pub fn put(&mut self, block: u32, data: &[u8]) -> Result<(), Error> {
        let slot = self.blocks.get_mut(block as usize).ok_or(Error::Index(block))?;
        let expected = BLOCK.min(self.size - block as usize * BLOCK);
        if data.len() != expected {
            return Err(Error::Length(block));
        }
        if slot.is_none() {
            *slot = Some(data.into());
            self.missing -= 1;
        }
        Ok(())
    }

    /// The whole dictionary, when its SHA-1 is the infohash. `Error::Hash` drops all blocks: who sent them is the caller's
    /// to judge.
    pub fn finish(&mut self) -> Result<Option<Vec<u8>>, Error> {
        if !self.is_whole() {
            return Ok(None);
        }
        let raw =
            self.blocks
                .iter()
                .flatten()
                .fold(Vec::with_capacity(self.size), |mut raw: Vec<u8>, block| {
                    raw.extend_from_slice(block);
                    raw
                });
        if digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &raw).as_ref() == self.infohash.0 {
            return Ok(Some(raw));
        }
        self.blocks.iter_mut().for_each(|block| *block = None);
        self.missing = self.blocks.len();
        Err(Error::Hash)
    }
}

/// Block `block` of a raw info dictionary, to serve; `None` past the end.
pub fn block_of(raw: &[u8], block: u32) -> Option<&[u8]> {
    let start = (block as usize).checked_mul(BLOCK)?;
    let end = raw.len().min(start.checked_add(BLOCK)?);
    (start < end).then(|| &raw[start..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(len: usize) -> (Vec<u8>, InfoHash) {
        let raw: Vec<u8> = (0..len).map(|i| (i * 7) as u8).collect();
        let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &raw);
        (raw, InfoHash(hash.as_ref().try_into().expect("20 bytes")))
    }

    #[test]
    fn blocks_in_any_order_make_the_dictionary() {
        for len in [1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5] {
            let (raw, hash) = sample(len);
            let mut assembly = Assembly::new(hash, len as u64).expect("size");
            for block in (0..assembly.count()).rev() {
                assert_eq!(assembly.finish(), Ok(None));
                assembly
                    .put(block, block_of(&raw, block).expect("block"))
                    .expect("fits");
            }
            assert_eq!(assembly.finish(), Ok(Some(raw)));
        }
    }

    #[test]
    fn lies_are_refused() {
        let (raw, hash) = sample(BLOCK + 5);
        assert_eq!(Assembly::new(hash, 0).map(|_| ()), Err(Error::Size(0)));
        let large = SIZE_MAX + 1;
        assert_eq!(Assembly::new(hash, large).map(|_| ()), Err(Error::Size(large)));
        let mut assembly = Assembly::new(hash, raw.len() as u64).expect("size");
        assert_eq!(assembly.put(2, b"x"), Err(Error::Index(2)));
        assert_eq!(assembly.put(1, b"x"), Err(Error::Length(1)));
        assembly.put(0, &raw[..BLOCK]).expect("right");
        assembly.put(1, b"wrong").expect("right length");
        assert_eq!(assembly.finish(), Err(Error::Hash));
        assert!(!assembly.has(0) && !assembly.is_whole());
        assert_eq!(block_of(&raw, 2), None);
        assert_eq!(block_of(&raw, u32::MAX), None);
    }
}
