//! DNSSEC by choice: hickory proves or refutes what the upstreams say (RFC 4035 5). It asks through our own servers, and the
//! keys it needs are remembered here.

use std::{
    cell::Cell,
    collections::HashMap,
    path::PathBuf,
    pin::Pin,
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
    time::Duration,
};

use futures_util::{Stream, stream};
use hickory_net::{
    DnsError, NetError,
    dnssec::DnssecDnsHandle,
    runtime::TokioRuntimeProvider,
    xfer::{DnsHandle, FirstAnswer},
};
use hickory_proto::{
    dnssec::{Proof, TrustAnchors},
    op::{DnsRequest, DnsRequestOptions, DnsResponse, Message, Query as Asked},
    rr::{DNSClass, Name, Record, RecordType},
    serialize::binary::{BinDecodable, BinEncodable},
};
use proto::dns::name;
use tokio::time::Instant;

use super::{Error, Inner, Query, Upstreams, wildcard};

/// Questions for the proof of one answer. An honest chain of ten zones needs about twenty; who needs more makes us work
/// (KeyTrap, CVE-2023-50387).
const QUESTIONS_MAX: u32 = 32;
/// Proven signatures remembered.
const PROOFS_MAX: usize = 4096;
/// Answers about keys remembered, and how long.
const KEYS_MAX: usize = 256;
const KEYS_FOR: Duration = Duration::from_secs(600);
const NONE_FOR: Duration = Duration::from_secs(60);

/// Zones that the root's proof says do not exist, or that every home has its own of: no proof can be right for them
/// (RFC 8375 4, RFC 6303).
const LOCAL: &[&[u8]] = &[
    b"\x04home\x04arpa\x00",
    b"\x08internal\x00",
    b"\x05local\x00",
    b"\x0210\x07in-addr\x04arpa\x00",
    b"\x03168\x03192\x07in-addr\x04arpa\x00",
    b"\x03254\x03169\x07in-addr\x04arpa\x00",
    b"\x01d\x01f\x03ip6\x04arpa\x00",
    b"\x018\x01e\x01f\x03ip6\x04arpa\x00",
];

pub(super) fn is_local(wire: &[u8]) -> bool {
    LOCAL.iter().any(|zone| name::is_within(wire, zone))
}

tokio::task_local! {
    /// Questions that the proof under way may still ask.
    static LEFT: Cell<u32>;
}

/// Made when first needed.
pub(super) struct Validator {
    anchor: Option<PathBuf>,
    handle: OnceLock<Option<DnssecDnsHandle<Feed>>>,
}

impl Validator {
    pub fn new(anchor: Option<PathBuf>) -> Self {
        Self {
            anchor,
            handle: OnceLock::new(),
        }
    }

    /// An answer with AD only when all of it is proven; `Bogus` when it is refuted.
    pub async fn ask(&self, upstreams: &Upstreams, query: &Query) -> Result<Vec<u8>, Error> {
        let handle = self.handle.get_or_init(|| {
            let anchors = anchors(self.anchor.as_ref())?;
            let feed = Feed {
                inner: Arc::downgrade(&upstreams.inner),
                keys: Arc::default(),
            };
            Some(DnssecDnsHandle::with_trust_anchor(feed, anchors).validation_cache_size(PROOFS_MAX))
        });
        let handle = handle.as_ref().ok_or(Error::Bogus)?;
        let asked = asked(query)?;
        let mut options = DnsRequestOptions::default();
        options.use_edns = true;
        options.edns_set_dnssec_ok = true;
        let work = handle.lookup(asked, options).first_answer();
        match LEFT.scope(Cell::new(QUESTIONS_MAX), work).await {
            Ok(response) => finish(response.into_message(), query),
            Err(err) => refused(err, query),
        }
    }
}

/// The question as hickory writes it.
pub(super) fn asked(query: &Query) -> Result<Asked, Error> {
    let name = Name::from_bytes(&query.name).map_err(|_| Error::Malformed)?;
    let mut asked = Asked::query(name, RecordType::from(query.qtype));
    asked.set_query_class(DNSClass::from(query.qclass));
    Ok(asked)
}

/// What hickory says instead of an answer.
pub(super) fn refused(err: NetError, query: &Query) -> Result<Vec<u8>, Error> {
    match err {
        NetError::Dns(DnsError::Nsec { response, proof, .. }) if proof != Proof::Bogus => {
            write(response.into_message(), query, false)
        }
        NetError::Dns(DnsError::Nsec { response, .. }) if wildcard::is_proven(&response) => {
            finish(response.into_message(), query)
        }
        NetError::Dns(DnsError::Nsec { .. } | DnsError::DnssecBogus) => Err(Error::Bogus),
        NetError::Dns(DnsError::NoRecordsFound(none)) => {
            let mut message = Message::query();
            message.add_query(*none.query);
            message.metadata.response_code = none.response_code;
            let soa = none.soa.map(|soa| (*soa).into_record_of_rdata());
            message.add_authorities(soa);
            message.add_authorities(none.authorities.iter().flat_map(|all| all.iter().cloned()));
            finish(message.into_response(), query)
        }
        _ => Err(Error::Silent),
    }
}

/// The weakest proof counts; what is refuted never leaves.
pub(super) fn finish(mut message: Message, query: &Query) -> Result<Vec<u8>, Error> {
    let section = if message.answers.is_empty() {
        &message.authorities
    } else {
        &message.answers
    };
    let proven = |record: &&Record| record.record_type() != RecordType::RRSIG;
    let weakest = section.iter().filter(proven).map(|record| record.proof).min();
    if weakest == Some(Proof::Bogus) {
        return Err(Error::Bogus);
    }
    message.authorities.retain(|record| record.proof != Proof::Bogus);
    message.additionals.retain(|record| record.proof != Proof::Bogus);
    write(message, query, weakest == Some(Proof::Secure))
}

fn write(message: Message, query: &Query, proven: bool) -> Result<Vec<u8>, Error> {
    let mut message = message.maybe_strip_dnssec_records(query.dnssec_ok);
    message.metadata.id = 0;
    message.metadata.authentic_data = proven;
    message.metadata.checking_disabled = query.checking_disabled;
    message.metadata.recursion_available = true;
    message.metadata.authoritative = false;
    // The random letters of the question come back in the names of records.
    for record in message.answers.iter_mut().chain(&mut message.authorities) {
        record.name = record.name.to_lowercase();
    }
    if let Some(edns) = &mut message.edns {
        // What an upstream and we said to each other is nobody else's.
        *edns.options_mut() = Default::default();
    }
    message.to_vec().map_err(|_| Error::Silent)
}

/// `None`: the file cannot be used. Then nothing can be proven.
pub(super) fn anchors(path: Option<&PathBuf>) -> Option<Arc<TrustAnchors>> {
    match path {
        None => Some(Arc::default()),
        Some(path) => TrustAnchors::from_file(path).ok().map(Arc::new),
    }
}

type Keys = HashMap<(Name, RecordType), (Vec<u8>, Instant)>;

/// Questions of the proof go to our servers.
#[derive(Clone)]
struct Feed {
    inner: Weak<Inner>,
    keys: Arc<Mutex<Keys>>,
}

impl DnsHandle for Feed {
    type Response = Pin<Box<dyn Stream<Item = Result<DnsResponse, NetError>> + Send>>;
    type Runtime = TokioRuntimeProvider;

    fn send(&self, request: DnsRequest) -> Self::Response {
        let feed = self.clone();
        Box::pin(stream::once(async move { feed.ask(request).await }))
    }
}

impl Feed {
    async fn ask(&self, request: DnsRequest) -> Result<DnsResponse, NetError> {
        let asked = request.queries.first().ok_or("no question")?.clone();
        let about_keys = matches!(asked.query_type(), RecordType::DNSKEY | RecordType::DS);
        let key = (asked.name().to_lowercase(), asked.query_type());
        if about_keys && let Some(known) = self.known(&key) {
            return Ok(DnsResponse::from_buffer(known)?);
        }
        let left = LEFT.try_with(|left| left.replace(left.get().saturating_sub(1)));
        if left.unwrap_or(0) == 0 {
            return Err("the proof of this answer asks too much".into());
        }
        let query = Query {
            name: key.0.to_bytes()?.into(),
            qtype: asked.query_type().into(),
            qclass: asked.query_class().into(),
            dnssec_ok: true,
            // We judge ourselves, so we want to see what others would hide (RFC 6840 5.9).
            checking_disabled: true,
        };
        let inner = self.inner.upgrade().ok_or("the end")?;
        let upstreams = Upstreams { inner };
        let set = upstreams.set();
        let answer = upstreams.forward(&set, &query).await;
        let message = answer.map_err(|err| NetError::from(err.to_string()))?;
        let response = DnsResponse::from_buffer(message)?;
        if response.response_code.low() > 3 || u16::from(response.response_code) == 2 {
            return Err("no upstream could answer".into());
        }
        if about_keys {
            self.remember(key, &response);
        }
        Ok(response)
    }

    fn known(&self, key: &(Name, RecordType)) -> Option<Vec<u8>> {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let (message, until) = keys.get(key)?;
        (Instant::now() < *until).then(|| message.clone())
    }

    fn remember(&self, key: (Name, RecordType), response: &DnsResponse) {
        let ttl = response.answers.iter().map(|record| record.ttl).min();
        let lasts = ttl.map_or(NONE_FOR, |secs| Duration::from_secs(secs.into()).min(KEYS_FOR));
        let now = Instant::now();
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= KEYS_MAX {
            keys.retain(|_, (_, until)| *until > now);
        }
        if keys.len() >= KEYS_MAX {
            keys.clear();
        }
        keys.insert(key, (response.as_buffer().to_vec(), now + lasts));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_every_home_has_its_own_of_are_never_proven() {
        let wire = |text| name::from_text(text).expect("a name");
        for local in [
            "home.arpa",
            "box.home.arpa",
            "1.168.192.in-addr.arpa",
            "printer.local",
        ] {
            assert!(is_local(&wire(local)), "{local}");
        }
        for public in ["arpa", "example.com", "8.8.8.8.in-addr.arpa", "nothome.arpa"] {
            assert!(!is_local(&wire(public)), "{public}");
        }
    }
}
