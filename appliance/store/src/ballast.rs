//! A file of nothing, given up when a full disk would not even let a deletion commit, and made again later.

use crate::{Error, core::Core, disk::Place, locks::Lock};

const BALLAST: &str = "ballast";
/// More: deletions go through for longer on a full disk. Less: more room for content.
const BYTES_MAX: u64 = 64 << 20;

impl Core {
    /// A small disk gets a small ballast; a store without a free floor wants none.
    fn ballast_bytes(&self, place: Place) -> u64 {
        let total = self.disk.space(place).map_or(0, |space| space.1);
        BYTES_MAX.min(total / 50).min(self.config.free_floor_bytes / 4)
    }

    fn ballast_places(&self) -> &'static [Place] {
        if self.disk.one_disk() {
            &[Place::State]
        } else {
            &[Place::State, Place::Content]
        }
    }

    /// Makes the ballast when there is ample room.
    pub fn keep_ballast(&self) -> Result<(), Error> {
        for place in self.ballast_places() {
            let want = self.ballast_bytes(*place);
            let there = self.disk.used(*place, BALLAST).unwrap_or(0);
            // A file of this size may use a little less on some file systems.
            if want == 0 || there >= want / 10 * 9 {
                continue;
            }
            let (free, _) = self.disk.space(*place)?;
            if free > self.config.free_floor_bytes + 2 * want {
                self.disk.fill(*place, BALLAST, want)?;
            }
        }
        Ok(())
    }

    /// Gives the ballast up. False: there was none.
    pub fn drop_ballast(&self) -> bool {
        let mut dropped = false;
        for place in self.ballast_places() {
            dropped |= self.disk.remove(*place, BALLAST).is_ok();
        }
        if dropped {
            tracing::warn!("the disk is full: the ballast is given up so that deletions go through");
        }
        dropped
    }

    /// Whether something said that the disk is full.
    pub fn is_full(&self) -> bool {
        matches!(*self.trouble.held(), Some(Error::Full(_)))
    }
}
