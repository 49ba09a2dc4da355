//! Which blocked names are frequent: counted in memory while the owner asks for it, never on disk.

use std::collections::HashMap;

use proto::dns::name;

use crate::api;

/// Names counted, and told.
const COUNTED_MAX: usize = 1024;
const TOLD_MAX: usize = 100;

/// Empty, and free, while nobody asks for it.
#[derive(Default)]
pub(super) struct Counts(Option<HashMap<Box<[u8]>, u64>>);

impl Counts {
    /// What was counted is forgotten when it is switched off.
    pub fn set(&mut self, counting: bool) {
        match (counting, &self.0) {
            (true, None) => self.0 = Some(HashMap::new()),
            (false, _) => self.0 = None,
            _ => {}
        }
    }

    /// When the place ends, a new name takes that of the rarest one with its count, so that names that are frequent from now
    /// on still rise (the space-saving algorithm).
    pub fn count(&mut self, name: &[u8]) {
        let Some(counts) = &mut self.0 else { return };
        if let Some(count) = counts.get_mut(name) {
            *count += 1;
            return;
        }
        let mut start = 0;
        if counts.len() >= COUNTED_MAX {
            let rarest = counts.iter().min_by_key(|(_, count)| **count);
            if let Some(rarest) = rarest.map(|(name, _)| name.clone()) {
                start = counts.remove(&rarest).unwrap_or(0);
            }
        }
        counts.insert(name.into(), start + 1);
    }

    pub fn top(&self) -> api::Top {
        let counts = self.0.iter().flatten();
        let mut names: Vec<_> = counts
            .map(|(wire, count)| (name::to_text(wire), *count))
            .collect();
        names.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        names.truncate(TOLD_MAX);
        api::Top {
            counting: self.0.is_some(),
            names,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(text: &str) -> Box<[u8]> {
        name::from_text(text).expect("a name")
    }

    #[test]
    fn names_are_counted_only_while_the_owner_asks_for_it() {
        let mut counts = Counts::default();
        counts.count(&wire("a.ads"));
        assert_eq!(counts.top(), api::Top::default());
        counts.set(true);
        for n in 0..5_000 {
            counts.count(&wire(&format!("{n}.ads")));
            counts.count(&wire("often.ads"));
        }
        counts.set(true);
        let top = counts.top();
        assert_eq!(top.names[0], ("often.ads".to_string(), 5_000));
        assert_eq!(top.names.len(), TOLD_MAX);
        counts.set(false);
        assert!(counts.top().names.is_empty());
    }
}
