//! What upstreams said, as it goes out again: an answer is copied, its TTLs are aged, the asker's id and letters put in.
//!
//! What is too old is kept for days: it is better than nothing when no upstream answers (RFC 8767). When the place ends,
//! what nobody asked for lately goes (the clock algorithm).

use std::{
    collections::HashMap,
    hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState},
    time::Duration,
};

use super::{
    Rcode, Why,
    digest::Digest,
    query::{HEADER_LEN, Query, bits},
    reply::{self, Way},
};

/// An answer that is too old counts so long more (RFC 8767 §5), and is given out with this TTL.
pub const STALE_MAX: Duration = Duration::from_secs(3 * 86_400);
pub const STALE_TTL_SECS: u32 = 30;
/// After an upstream did not answer, it is not asked the same again for so long while there is an old answer (RFC 8767 §5).
const RECHECK: Duration = Duration::from_secs(30);
/// "It does not work" counts so long, the shortest that RFC 9520 §3.2 allows: the line comes back any moment.
pub const FAILED: Duration = Duration::from_secs(1);
/// Answers asked for as often as this, and in the last tenth of their time, are renewed before they end.
const POPULAR: u8 = 3;
const LAST_PART: u32 = 10;
/// Shorter-lived ones are not worth it.
const PREFETCH_TTL_SECS_MIN: u32 = 10;
/// A larger answer is not kept.
const IMAGE_MAX: usize = 16 << 10;
/// Kept bytes per place, on the average.
const BYTES_PER_ENTRY: usize = 512;
/// What a place costs besides its bytes.
const PLACE_BYTES: usize = 120;

/// Which question: those with equal keys are one.
#[derive(Debug, Clone, Copy)]
pub struct Key<'a> {
    /// Wire form, lower case.
    pub name: &'a [u8],
    pub qtype: u16,
    pub qclass: u16,
    pub dnssec_ok: bool,
    pub checking_disabled: bool,
}

impl<'a> Key<'a> {
    pub fn of(query: &'a Query<'_>) -> Self {
        Self {
            name: query.name.wire(),
            qtype: query.qtype,
            qclass: query.qclass,
            dnssec_ok: query.dnssec_ok(),
            checking_disabled: query.checking_disabled(),
        }
    }

    fn marks(&self) -> u8 {
        u8::from(self.dnssec_ok) | u8::from(self.checking_disabled) << 1
    }
}

/// The hash is one already.
#[derive(Default)]
struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0 << 8 | u64::from(*byte);
        }
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

struct Place {
    hash: u64,
    /// Question, answer, and where its TTLs stand.
    image: Box<[u8]>,
    ttls: Box<[u16]>,
    stored: Duration,
    ttl_secs: u32,
    /// Not before then is an upstream asked again.
    recheck: Duration,
    why: Option<Why>,
    marks: u8,
    /// Times asked for, counted down as the hand passes.
    uses: u8,
    renewing: bool,
    failed: bool,
}

/// What is known about a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    Fresh(At),
    /// It counts, and should be asked for again in the background.
    Renew(At),
    /// Too old. `ask`: an upstream should be asked first.
    Stale {
        at: At,
        ask: bool,
    },
    Nothing,
}

/// A place in the cache, good until the next insertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At(u32);

pub struct Cache {
    index: HashMap<u64, u32, BuildHasherDefault<Same>>,
    places: Vec<Place>,
    hand: usize,
    bytes: usize,
    entries_max: usize,
    seed: RandomState,
}

impl Cache {
    /// Takes memory only as it fills.
    pub fn new(entries_max: usize) -> Self {
        Self {
            index: HashMap::default(),
            places: Vec::new(),
            hand: 0,
            bytes: 0,
            entries_max,
            seed: RandomState::new(),
        }
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Smaller: what is too much goes at once.
    pub fn resize(&mut self, entries_max: usize) {
        self.entries_max = entries_max;
        self.make_room(0);
    }

    pub fn clear(&mut self) {
        self.index.clear();
        self.places.clear();
        self.bytes = 0;
    }

    /// The same for equal keys, for as long as the cache lives.
    pub fn hash(&self, key: &Key<'_>) -> u64 {
        let mut hasher = self.seed.build_hasher();
        hasher.write(key.name);
        let tail = u64::from(key.qtype) | u64::from(key.qclass) << 16 | u64::from(key.marks()) << 32;
        hasher.write_u64(tail);
        hasher.finish()
    }

    pub fn find(&mut self, key: &Key<'_>, hash: u64, now: Duration) -> Found {
        let Some((at, place)) = self.place(key, hash) else {
            return Found::Nothing;
        };
        let age = now.saturating_sub(place.stored).as_secs();
        let ttl = u64::from(place.ttl_secs);
        if age < ttl {
            place.uses = place.uses.saturating_add(1);
            let late = (ttl - age) * u64::from(LAST_PART) <= ttl;
            if late && place.uses >= POPULAR && !place.renewing && place.ttl_secs >= PREFETCH_TTL_SECS_MIN {
                place.renewing = true;
                return Found::Renew(at);
            }
            return Found::Fresh(at);
        }
        if place.failed || age >= ttl + STALE_MAX.as_secs() {
            return Found::Nothing;
        }
        place.uses = place.uses.saturating_add(1);
        Found::Stale {
            at,
            ask: now >= place.recheck,
        }
    }

    fn place(&mut self, key: &Key<'_>, hash: u64) -> Option<(At, &mut Place)> {
        let at = *self.index.get(&hash)?;
        let place = self.places.get_mut(at as usize)?;
        let end = HEADER_LEN + key.name.len();
        let same = place.marks == key.marks()
            && place.image.get(HEADER_LEN..end) == Some(key.name)
            && place.image.get(end..end + 2) == Some(&key.qtype.to_be_bytes())
            && place.image.get(end + 2..end + 4) == Some(&key.qclass.to_be_bytes());
        same.then_some((At(at), place))
    }

    /// The answer that stands at `at`, as it was kept.
    pub fn image(&self, at: At) -> &[u8] {
        self.places.get(at.0 as usize).map_or(&[], |place| &place.image)
    }

    /// Writes what stands at `at` as answer.
    pub fn write(&self, at: At, query: &Query<'_>, now: Duration, way: &Way, out: &mut Vec<u8>) {
        let Some(place) = self.places.get(at.0 as usize) else {
            return;
        };
        let age = now.saturating_sub(place.stored).as_secs();
        let stale = age >= u64::from(place.ttl_secs);
        let age = age.min(u64::from(u32::MAX)) as u32;
        out.clear();
        out.extend_from_slice(&place.image);
        for at in &place.ttls {
            let at = usize::from(*at);
            if let Some(bytes) = out.get_mut(at..at + 4) {
                let ttl = match stale {
                    true => STALE_TTL_SECS,
                    false => bytes
                        .try_into()
                        .map_or(0, |ttl: [u8; 4]| u32::from_be_bytes(ttl))
                        .saturating_sub(age),
                };
                bytes.copy_from_slice(&ttl.to_be_bytes());
            }
        }
        let why = if stale { Some(Why::Stale) } else { place.why };
        dress(out, query, why, way);
    }

    /// Keeps an answer. What came with TTL 0 is worth something only when nothing else is left.
    pub fn insert(&mut self, key: &Key<'_>, digest: &Digest, now: Duration) {
        if digest.image.len() <= IMAGE_MAX {
            self.put(key, digest, now, false);
        }
    }

    /// No upstream answered ([`Why::Unreachable`]), or only with a wrong proof ([`Why::Bogus`]). An old answer stays and is not
    /// asked for again for a while; else, or where it may be a lie, the failure itself is kept.
    pub fn fail(&mut self, key: &Key<'_>, why: Why, now: Duration) {
        let hash = self.hash(key);
        if let Some((_, place)) = self.place(key, hash)
            && !place.failed
            && why != Why::Bogus
            && now < place.stored + Duration::from_secs(place.ttl_secs.into()) + STALE_MAX
        {
            place.recheck = now + RECHECK;
            place.renewing = false;
            return;
        }
        let mut image = vec![0, 0];
        let flags = bits::QR | bits::RA | Rcode::ServFail as u16;
        image.extend(flags.to_be_bytes());
        image.extend([0, 1, 0, 0, 0, 0, 0, 0]);
        image.extend_from_slice(key.name);
        image.extend(key.qtype.to_be_bytes());
        image.extend(key.qclass.to_be_bytes());
        let digest = Digest {
            image,
            ttls: Vec::new(),
            ttl_secs: FAILED.as_secs() as u32,
            why: Some(why),
        };
        self.put(key, &digest, now, true);
    }

    fn put(&mut self, key: &Key<'_>, digest: &Digest, now: Duration, failed: bool) {
        if self.entries_max == 0 {
            return;
        }
        let hash = self.hash(key);
        let place = Place {
            hash,
            image: digest.image.as_slice().into(),
            ttls: digest.ttls.as_slice().into(),
            stored: now,
            ttl_secs: digest.ttl_secs,
            recheck: Duration::ZERO,
            why: digest.why,
            marks: key.marks(),
            uses: 0,
            renewing: false,
            failed,
        };
        let cost = cost(&place);
        if let Some(at) = self.index.get(&hash) {
            let old = &mut self.places[*at as usize];
            self.bytes = self.bytes + cost - self::cost(old);
            *old = Place {
                uses: old.uses.min(POPULAR),
                ..place
            };
            self.make_room(0);
            return;
        }
        self.make_room(cost);
        self.index.insert(hash, self.places.len() as u32);
        self.places.push(place);
        self.bytes += cost;
    }

    /// Until another `more` bytes and one more entry fit.
    fn make_room(&mut self, more: usize) {
        let entries = self.entries_max - usize::from(more > 0).min(self.entries_max);
        let bytes_max = self.entries_max * BYTES_PER_ENTRY;
        while !self.places.is_empty() && (self.places.len() > entries || self.bytes + more > bytes_max) {
            self.hand = if self.hand < self.places.len() {
                self.hand
            } else {
                0
            };
            let place = &mut self.places[self.hand];
            // At most three more rounds, so that this ends soon.
            if place.uses > 0 && !place.failed {
                place.uses = place.uses.min(POPULAR) - 1;
                self.hand += 1;
                continue;
            }
            let gone = self.places.swap_remove(self.hand);
            self.bytes -= cost(&gone);
            self.index.remove(&gone.hash);
            if let Some(moved) = self.places.get(self.hand) {
                self.index.insert(moved.hash, self.hand as u32);
            }
        }
    }
}

fn cost(place: &Place) -> usize {
    place.image.len() + place.ttls.len() * 2 + PLACE_BYTES
}

/// Writes that no upstream answered.
pub fn write_failure(query: &Query<'_>, why: Why, way: &Way, out: &mut Vec<u8>) {
    let rcode = Rcode::ServFail;
    let reply = reply::Reply::begin(query, rcode, false, out);
    reply.finish(query, rcode, Some(why), way);
}

/// Writes an answer that was just digested.
pub fn write_new(digest: &Digest, query: &Query<'_>, way: &Way, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&digest.image);
    dress(out, query, digest.why, way);
}

/// Puts the asker's id, letters and wishes into an image.
fn dress(out: &mut Vec<u8>, query: &Query<'_>, why: Option<Why>, way: &Way) {
    let question_end = HEADER_LEN + query.question.len();
    let Some(&[_, _, f1, f2]) = out.first_chunk::<4>() else {
        return;
    };
    let mut flags = u16::from_be_bytes([f1, f2]) | query.flags & (bits::RD | bits::CD);
    if !query.wants_ad() {
        flags &= !bits::AD;
    }
    out[..2].copy_from_slice(&query.id.to_be_bytes());
    out[2..4].copy_from_slice(&flags.to_be_bytes());
    out[HEADER_LEN..question_end].copy_from_slice(query.question);
    reply::close(out, question_end, query, flags & 0xf, why, way);
}

#[cfg(test)]
#[path = "tests/cache.rs"]
mod tests;
