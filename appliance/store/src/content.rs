//! Whether the content folder is the one this state belongs to: an unplugged disk leaves an empty folder behind, and
//! nothing may be written there.

use std::collections::BTreeSet;

use crate::{
    Error,
    core::Core,
    disk::Place,
    state::{meta, set_meta},
    tables::SEGMENTS,
};

/// Holds the number that `meta` knows as `content_id`.
const MARKER: &str = "granary-content";

impl Core {
    /// Takes the content folder into use, or says why not.
    pub fn attach(&self) -> Result<(), Error> {
        let known = self.state.read(|txn| meta(txn, "content_id"))?;
        // Only a store that never had content makes its folder: a missing one may be an unplugged disk.
        if known.is_none() {
            self.disk.make_folder(Place::Content)?;
        }
        let here = match (self.marker(), known) {
            (Ok(Some(found)), Some(known)) if found == known => self.disk.lock(Place::Content),
            (Ok(Some(_)), Some(_)) => self.detach("another Granary's content lies in the folder"),
            (Ok(None), Some(_)) => self.detach("the folder is there, but not the content of this Granary"),
            (Ok(found), None) => self.adopt_folder(found),
            (Err(err), _) => {
                self.segments.shut_all();
                Err(err)
            }
        };
        here.and_then(|()| self.take_in())
    }

    /// Notices that the disk was pulled out although nobody reads or writes.
    pub fn still_there(&self) -> Result<(), Error> {
        if self.disk.read_file(Place::Content, MARKER).is_ok() {
            Ok(())
        } else {
            self.attach()
        }
    }

    fn detach(&self, text: &str) -> Result<(), Error> {
        self.segments.shut_all();
        Err(Error::Gone(format!(
            "{text}: {}",
            self.config.content_dir.display()
        )))
    }

    /// A state that never had content: take the folder, with the number it already has or a new one.
    fn adopt_folder(&self, found: Option<u64>) -> Result<(), Error> {
        self.disk.lock(Place::Content)?;
        let id = match found {
            Some(id) => {
                self.disk.sync_folder(Place::Content)?;
                id
            }
            None => {
                let mut seed = [0; 8];
                aws_lc_rs::rand::fill(&mut seed).map_err(|_| Error::Io("no random numbers".into()))?;
                let id = u64::from_le_bytes(seed) | 1;
                self.disk
                    .write_file(Place::Content, MARKER, format!("{id:016x}\n").as_bytes())?;
                id
            }
        };
        self.state.write(|txn| set_meta(txn, "content_id", id))
    }

    fn marker(&self) -> Result<Option<u64>, Error> {
        let names = self
            .disk
            .list(Place::Content)
            .map_err(|err| match Error::from(err) {
                Error::Io(text) => Error::Gone(text),
                other => other,
            })?;
        if !names.iter().any(|name| name == MARKER) {
            return Ok(None);
        }
        let text = self.disk.read_file(Place::Content, MARKER)?;
        let id = std::str::from_utf8(&text)
            .ok()
            .and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
        id.map(Some)
            .ok_or_else(|| Error::Damaged(format!("{MARKER} holds no number")))
    }

    /// Segments that may hold pieces the state does not know.
    pub fn unsure_segments(&self) -> Result<BTreeSet<u32>, Error> {
        self.state.read(|txn| {
            let mut unsure = BTreeSet::new();
            for entry in txn.open_table(SEGMENTS)?.range::<u32>(..)? {
                let (no, row) = entry?;
                if row.value().2 == 1 {
                    unsure.insert(no.value());
                }
            }
            Ok(unsure)
        })
    }

    /// Below the free floor only deletions go through.
    pub fn has_room(&self) -> Result<(), Error> {
        let floor = self.config.free_floor_bytes;
        for place in [Place::Content, Place::State] {
            let (free, _) = self.disk.space(place)?;
            // The state is small: on a disk of its own it needs no more than a sixteenth of the floor.
            let least = if place == Place::State && !self.disk.one_disk() {
                floor / 16
            } else {
                floor
            };
            if free < least {
                let at = if place == Place::State {
                    &self.config.state_dir
                } else {
                    &self.config.content_dir
                };
                return Err(Error::Full(format!(
                    "{free} bytes free, {least} are kept free: {}",
                    at.display()
                )));
            }
        }
        Ok(())
    }
}
