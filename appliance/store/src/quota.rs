//! Who gives way when space runs low: visited sites, least recently used first; kept ones never.

use crate::{Error, Keep, TickReport, Usage, core::Core, disk::Place, locks::Lock};

/// All rows are looked at this seldom while the disk has room.
const LOOK_SECS: u64 = 10;

impl Core {
    /// Removes visited sites while they use too much or the disk is below its floor.
    pub fn make_room(&self, report: &mut TickReport) -> Result<(), Error> {
        let now = self.now.load(std::sync::atomic::Ordering::Acquire);
        let free = match self.disk.space(Place::Content) {
            Ok((free, _)) => free,
            Err(_) => return Ok(()),
        };
        let missing = self.config.free_floor_bytes.saturating_sub(free);
        let mut looked = self.looked.held();
        if missing == 0 && !self.is_full() && now.saturating_sub(*looked) < LOOK_SECS {
            return Ok(());
        }
        *looked = now;
        drop(looked);
        let mut visited = Vec::new();
        self.each_site(None, |site| {
            if site.row.keep == Keep::Visited && site.held_bytes > 0 {
                visited.push((site.row.used, site.held_bytes, site.row.infohash));
            }
            true
        })?;
        let used: u64 = visited.iter().map(|(_, bytes, _)| bytes).sum();
        let mut excess = used.saturating_sub(self.config.visited_bytes_max).max(missing);
        if excess == 0 {
            return Ok(());
        }
        for row in &mut visited {
            row.0 = self.site(&row.2)?.map_or(row.0, |site| site.used);
        }
        visited.sort_unstable();
        for (_, bytes, infohash) in visited {
            if excess == 0 {
                break;
            }
            tracing::info!(site = %infohash.short(), bytes, "a visited site gives way");
            self.remove_site(&infohash)?;
            report.evicted.push(infohash);
            excess = excess.saturating_sub(bytes);
        }
        Ok(())
    }

    pub fn usage(&self) -> Result<Usage, Error> {
        self.alive()?;
        let mut usage = Usage::default();
        self.each_site(None, |site| {
            usage.sites += 1;
            match site.row.keep {
                Keep::Kept => usage.kept_bytes += site.held_bytes,
                Keep::Visited => usage.visited_bytes += site.held_bytes,
            }
            true
        })?;
        for (_, live, pieces) in self.segment_rows()? {
            usage.live_bytes += live;
            usage.pieces += pieces;
        }
        for place in [Place::State, Place::Content] {
            for name in self.disk.list(place).unwrap_or_default() {
                if name.ends_with(".redb")
                    && name.starts_with(if place == Place::State { "state" } else { "seg-" })
                {
                    usage.disk_bytes += self.disk.used(place, &name).unwrap_or(0);
                }
            }
        }
        usage.free_bytes = self.disk.space(Place::Content).map_or(0, |space| space.0);
        Ok(usage)
    }
}
