//! A backend that never writes: what redb writes on opening (its recovery flag, a repair) stays in memory. So a file
//! can be read on a disk that is full or read-only, and reading a segment costs no write at all.

use std::{collections::BTreeMap, io, sync::RwLock};

use redb::StorageBackend;

use crate::{direct, locks::Shared};

const PAGE: u64 = 4096;
/// More: a larger repair fits in memory. Less: a repair on a read-only disk is refused sooner.
const PAGES_MAX: usize = 4096;

#[derive(Debug)]
pub(crate) struct Frozen {
    base: Box<dyn StorageBackend>,
    base_len: u64,
    over: RwLock<Over>,
}

#[derive(Debug)]
struct Over {
    len: u64,
    pages: BTreeMap<u64, Box<[u8]>>,
}

impl Frozen {
    pub fn new(base: Box<dyn StorageBackend>) -> io::Result<Self> {
        let base_len = base.len()?;
        Ok(Self {
            base,
            base_len,
            over: RwLock::new(Over {
                len: base_len,
                pages: BTreeMap::new(),
            }),
        })
    }

    /// Reads from the file; zeros past its end.
    fn read_base(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let there = self.base_len.saturating_sub(offset).min(out.len() as u64) as usize;
        let (held, past) = out.split_at_mut(there);
        past.fill(0);
        if held.is_empty() {
            Ok(())
        } else {
            self.base.read(offset, held)
        }
    }
}

impl StorageBackend for Frozen {
    fn len(&self) -> io::Result<u64> {
        Ok(self.over.shared().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let over = self.over.shared();
        let end = offset + out.len() as u64;
        if end > over.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.read_base(offset, out)?;
        let mut changed = end > self.base_len;
        for (no, page) in over.pages.range(offset / PAGE..end.div_ceil(PAGE)) {
            let start = no * PAGE;
            let (from, to) = (start.max(offset), (start + PAGE).min(end));
            out[(from - offset) as usize..(to - offset) as usize]
                .copy_from_slice(&page[(from - start) as usize..(to - start) as usize]);
            changed = true;
        }
        if !changed {
            direct::note(offset, out);
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut over = self.over.alone();
        over.pages.retain(|no, _| no * PAGE < len);
        over.len = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut over = self.over.alone();
        let end = offset + data.len() as u64;
        for no in offset / PAGE..end.div_ceil(PAGE) {
            if !over.pages.contains_key(&no) {
                if over.pages.len() >= PAGES_MAX {
                    return Err(io::ErrorKind::ReadOnlyFilesystem.into());
                }
                let mut page = vec![0; PAGE as usize].into_boxed_slice();
                self.read_base(no * PAGE, &mut page)?;
                over.pages.insert(no, page);
            }
            let start = no * PAGE;
            let (from, to) = (start.max(offset), (start + PAGE).min(end));
            if let Some(page) = over.pages.get_mut(&no) {
                page[(from - start) as usize..(to - start) as usize]
                    .copy_from_slice(&data[(from - offset) as usize..(to - offset) as usize]);
            }
        }
        Ok(())
    }
}
