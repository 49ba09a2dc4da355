//! Writing answers: header and question as they came, our records behind them, the OPT record at the end, never longer than
//! the asker takes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    CLASS_IN, Rcode, Why,
    edns::Ours,
    query::{HEADER_LEN, Query, bits},
    rtype,
};

/// How long what we say ourselves is remembered.
pub const TTL_SECS: u32 = 60;

/// How an answer travels.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    /// Most bytes.
    pub limit: usize,
    /// Client and server cookie to send.
    pub cookie: Option<[u8; 24]>,
    /// The connection is encrypted: padding has a sense.
    pub encrypted: bool,
    /// Seconds a connection of this kind may idle, told when asked for.
    pub idle_secs: Option<u8>,
}

impl Way {
    pub fn udp(query: &Query<'_>) -> Self {
        Self {
            limit: query.udp_limit(),
            cookie: None,
            encrypted: false,
            idle_secs: None,
        }
    }

    /// TCP, with or without TLS.
    pub fn stream(encrypted: bool, idle_secs: Option<u8>) -> Self {
        Self {
            limit: usize::from(u16::MAX),
            cookie: None,
            encrypted,
            idle_secs,
        }
    }

    /// The OPT record of the answer; none for a question without one (RFC 6891 §6.1.1).
    pub(super) fn opt(&self, query: &Query<'_>, rcode: u16, why: Option<Why>) -> Option<Ours> {
        let edns = query.edns.as_ref()?;
        Some(Ours {
            extended_rcode: (rcode >> 4) as u8,
            dnssec_ok: edns.dnssec_ok,
            cookie: self.cookie,
            why,
            keepalive: self.idle_secs.filter(|_| edns.keepalive),
            pad: self.encrypted && edns.padding,
        })
    }
}

/// An answer being written.
pub struct Reply<'o> {
    out: &'o mut Vec<u8>,
    question_end: usize,
    answers: u16,
    authorities: u16,
}

/// A pointer to a name that stands in the question `at` bytes after its beginning (RFC 1035 §4.1.4).
fn pointer(at: usize) -> [u8; 2] {
    (0xc000 | (HEADER_LEN + at) as u16).to_be_bytes()
}

impl<'o> Reply<'o> {
    /// `own`: what we say is authoritative.
    pub fn begin(query: &Query<'_>, rcode: Rcode, own: bool, out: &'o mut Vec<u8>) -> Self {
        let flags = bits::QR
            | bits::RA
            | query.flags & (bits::RD | bits::CD)
            | if own { bits::AA } else { 0 }
            | rcode as u16 & 0xf;
        out.clear();
        out.extend(query.id.to_be_bytes());
        out.extend(flags.to_be_bytes());
        out.extend([0, 1, 0, 0, 0, 0, 0, 0]);
        out.extend_from_slice(query.question);
        Reply {
            question_end: out.len(),
            out,
            answers: 0,
            authorities: 0,
        }
    }

    fn record(&mut self, owner: usize, rtype: u16, ttl_secs: u32, data: &[u8]) {
        self.out.extend(pointer(owner));
        self.out.extend(rtype.to_be_bytes());
        self.out.extend(CLASS_IN.to_be_bytes());
        self.out.extend(ttl_secs.to_be_bytes());
        self.out.extend((data.len() as u16).to_be_bytes());
        self.out.extend_from_slice(data);
    }

    /// A record of the name that was asked for.
    pub fn answer(&mut self, rtype: u16, ttl_secs: u32, data: &[u8]) {
        self.record(0, rtype, ttl_secs, data);
        self.answers += 1;
    }

    pub fn a(&mut self, ttl_secs: u32, addr: Ipv4Addr) {
        self.answer(rtype::A, ttl_secs, &addr.octets());
    }

    pub fn aaaa(&mut self, ttl_secs: u32, addr: Ipv6Addr) {
        self.answer(rtype::AAAA, ttl_secs, &addr.octets());
    }

    pub fn addr(&mut self, ttl_secs: u32, addr: IpAddr) {
        match addr {
            IpAddr::V4(addr) => self.a(ttl_secs, addr),
            IpAddr::V6(addr) => self.aaaa(ttl_secs, addr),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.answers == 0
    }

    /// The SOA record that says how long "there is none" counts (RFC 2308 §5). `apex`: where the zone's name begins in the
    /// question's.
    pub fn soa(&mut self, apex: usize) {
        const REFRESH: [u32; 4] = [3600, 1200, 604_800, TTL_SECS];
        let mut data = Vec::with_capacity(40);
        data.extend(pointer(apex));
        data.extend(b"\x06nobody\x07invalid\0");
        data.extend(1u32.to_be_bytes());
        data.extend(REFRESH.iter().flat_map(|secs| secs.to_be_bytes()));
        self.record(apex, rtype::SOA, TTL_SECS, &data);
        self.authorities += 1;
    }

    /// Counts, the OPT record, and the cut when it is too long.
    pub fn finish(self, query: &Query<'_>, rcode: Rcode, why: Option<Why>, way: &Way) {
        let counts = [self.answers, self.authorities];
        for (at, count) in [6, 8].into_iter().zip(counts) {
            self.out[at..at + 2].copy_from_slice(&count.to_be_bytes());
        }
        close(self.out, self.question_end, query, rcode as u16, why, way);
    }
}

/// Adds the OPT record to a message whose records end here, or cuts it behind the question when it does not fit.
pub(super) fn close(
    out: &mut Vec<u8>,
    question_end: usize,
    query: &Query<'_>,
    rcode: u16,
    why: Option<Why>,
    way: &Way,
) {
    let opt = way.opt(query, rcode, why);
    if out.len() + opt.as_ref().map_or(0, Ours::len) > way.limit {
        out.truncate(question_end);
        out[2] |= (bits::TC >> 8) as u8;
        out[6..12].fill(0);
    }
    if let Some(opt) = opt {
        opt.write(out, way.limit);
        out[11] = 1;
    }
}
