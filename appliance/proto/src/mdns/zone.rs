//! The records of the box on one interface, and which of them answer a question.

use std::net::IpAddr;

use super::wire::{
    A, AAAA, ANY, CLASS_IN, NSEC, Name, PTR, Question, Record, SRV, TXT, data_of_addr, data_of_name,
};

/// RFC 6762 10: records with the host's name or address, and all others.
const HOST_TTL: u32 = 120;
const OTHER_TTL: u32 = 4500;

/// What the box is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Zone {
    pub host: Name,
    pub instance: Name,
    service: Name,
    types: Name,
    port: u16,
}

impl Zone {
    /// `host`: one label. `instance`: what people read in a list of services.
    pub fn new(host: &str, instance: &str, port: u16) -> Self {
        Self {
            host: Name::of(&[host, "local"]),
            instance: Name::of(&[instance, "_http", "_tcp", "local"]),
            service: Name::of(&["_http", "_tcp", "local"]),
            types: Name::of(&["_services", "_dns-sd", "_udp", "local"]),
            port,
        }
    }

    fn record(name: &Name, kind: u16, ttl: u32, data: Vec<u8>) -> Record {
        Record {
            name: name.clone(),
            kind,
            class: CLASS_IN,
            // Pointers to services are shared with other boxes, all else is ours alone.
            flush: kind != PTR,
            ttl,
            data,
        }
    }

    pub fn addresses<'a>(&'a self, addrs: &'a [IpAddr]) -> impl Iterator<Item = Record> + 'a {
        addrs.iter().map(|addr| {
            let (kind, data) = data_of_addr(*addr);
            Self::record(&self.host, kind, HOST_TTL, data)
        })
    }

    pub fn srv(&self) -> Record {
        let mut data = vec![0, 0, 0, 0];
        data.extend(self.port.to_be_bytes());
        data.extend(data_of_name(&self.host));
        Self::record(&self.instance, SRV, HOST_TTL, data)
    }

    fn txt(&self) -> Record {
        Self::record(&self.instance, TXT, OTHER_TTL, b"\x06path=/".to_vec())
    }

    pub fn pointer(&self) -> Record {
        Self::record(&self.service, PTR, OTHER_TTL, data_of_name(&self.instance))
    }

    fn pointer_to_type(&self) -> Record {
        Self::record(&self.types, PTR, OTHER_TTL, data_of_name(&self.service))
    }

    /// Everything; what is announced and taken back.
    pub fn all(&self, addrs: &[IpAddr]) -> Vec<Record> {
        let mut all: Vec<_> = self.addresses(addrs).collect();
        all.extend([self.srv(), self.txt(), self.pointer(), self.pointer_to_type()]);
        all
    }

    /// Those that nobody else may have, as a probe shows them (RFC 6762 8.2).
    pub fn unique(&self, addrs: &[IpAddr]) -> Vec<Record> {
        let mut unique = self.all(addrs);
        unique.retain(|record| record.flush);
        unique
    }

    /// "These types exist, no others" (RFC 6762 6.1).
    fn no_other(&self, name: &Name, kinds: &[u16]) -> Record {
        let most = kinds.iter().max().copied().unwrap_or(0);
        let mut bitmap = vec![0u8; usize::from(most) / 8 + 1];
        for kind in kinds {
            bitmap[usize::from(kind / 8)] |= 0x80 >> (kind % 8);
        }
        let mut data = data_of_name(name);
        data.extend([0, bitmap.len() as u8]);
        data.extend(bitmap);
        Self::record(name, NSEC, HOST_TTL, data)
    }

    fn no_other_address(&self, addrs: &[IpAddr]) -> Record {
        let mut kinds = Vec::new();
        if addrs.iter().any(IpAddr::is_ipv4) {
            kinds.push(A);
        }
        if addrs.iter().any(IpAddr::is_ipv6) {
            kinds.push(AAAA);
        }
        self.no_other(&self.host, &kinds)
    }

    /// The records that answer `question`; none when it is not about us.
    pub fn answers(&self, question: &Question, addrs: &[IpAddr]) -> Vec<Record> {
        let mut found = Vec::new();
        let about = &question.name;
        if *about == self.host {
            found.extend(self.addresses(addrs).filter(|record| question.wants(record.kind)));
            if found.is_empty() && question.wants(question.kind) {
                found.push(self.no_other_address(addrs));
            }
        } else if *about == self.instance {
            found.extend(
                [self.srv(), self.txt()]
                    .into_iter()
                    .filter(|record| question.wants(record.kind)),
            );
            if found.is_empty() && question.wants(question.kind) {
                found.push(self.no_other(&self.instance, &[SRV, TXT]));
            }
        } else if *about == self.service && question.wants(PTR) {
            found.push(self.pointer());
        } else if *about == self.types && question.wants(PTR) {
            found.push(self.pointer_to_type());
        }
        found
    }

    /// What whoever got `answers` will ask next (RFC 6763 12).
    pub fn additionals(&self, answers: &[Record], addrs: &[IpAddr]) -> Vec<Record> {
        let has = |kind, name: &Name| answers.iter().any(|one| one.kind == kind && one.name == *name);
        let mut found = Vec::new();
        if has(PTR, &self.service) {
            found.extend([self.srv(), self.txt()]);
        }
        let host = has(A, &self.host) || has(AAAA, &self.host);
        if host || has(PTR, &self.service) || has(SRV, &self.instance) {
            found.extend(self.addresses(addrs));
            let both = addrs.iter().any(IpAddr::is_ipv4) && addrs.iter().any(IpAddr::is_ipv6);
            if !both && !addrs.is_empty() {
                found.push(self.no_other_address(addrs));
            }
        }
        found.retain(|record| !answers.iter().any(|answer| answer.is_same(record)));
        found
    }

    /// Does `record` claim a name of ours with other content than ours? `own`: our addresses on all interfaces.
    pub fn is_conflict(&self, record: &Record, own: &[IpAddr]) -> Option<Claim> {
        if record.class != CLASS_IN || record.ttl == 0 {
            return None;
        }
        if record.name == self.host {
            // Any address that is not ours: two boxes of one name, also when one has only IPv6.
            return match record.addr() {
                Some(addr) => (!own.contains(&addr)).then_some(Claim::Host),
                None => None,
            };
        }
        if record.name == self.instance {
            let differs = match record.kind {
                SRV => !record.is_same(&self.srv()),
                TXT => !record.is_same(&self.txt()),
                _ => false,
            };
            return differs.then_some(Claim::Instance);
        }
        None
    }

    /// Asks all for answers to all, although RFC 6762 8.1 would have them come to us alone: other programs of this machine
    /// share the port, and an answer to one of them would be lost to us.
    pub fn probe_questions(&self) -> Vec<Question> {
        [&self.host, &self.instance]
            .map(|name| Question {
                name: name.clone(),
                kind: ANY,
                class: CLASS_IN,
                unicast: false,
            })
            .to_vec()
    }
}

/// Which name somebody else claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    Host,
    Instance,
}
