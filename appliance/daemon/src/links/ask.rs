//! One question to the DNS, with its DNSSEC proof. hickory does the work; here it is told what we want of it.
//!
//! Two resolvers over the same servers: one validates. Many home routers strip what validation needs, and then every signed
//! domain would look forged. So when validation says no, the root's own keys are asked for: who has those does DNSSEC,
//! and the refusal stands; who has not cannot be judged by it, and its plain answer counts as unsigned.

use std::{net::IpAddr, sync::Arc, time::Duration};

use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts},
    lookup::Lookup,
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::{
        dnssec::Proof,
        rr::{RData, RecordType},
    },
};
use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer, pki_types::pem::PemObject};

use super::{Config, ConfigError};

/// A resolver that is silent for so long is asked again, or another one.
const TIMEOUT: Duration = Duration::from_secs(2);
const ATTEMPTS: usize = 2;
/// Records of one answer that are looked at.
const RECORDS_MAX: usize = 64;

/// TXT records of a name; none is an answer too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// The character strings of each record joined.
    pub records: Vec<Vec<u8>>,
    pub ttl_secs: u32,
    pub signed: bool,
}

pub(super) struct Resolver {
    validating: TokioResolver,
    plain: TokioResolver,
}

impl Resolver {
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        let servers = servers(config)?;
        let tls = config.doh_ca.as_ref().map(trust).transpose()?;
        let build = |validate| {
            let mut builder =
                TokioResolver::builder_with_config(servers.clone(), TokioRuntimeProvider::default())
                    .with_options(options(validate));
            if validate && let Some(path) = &config.trust_anchor {
                builder.options_mut().trust_anchor = Some(path.clone());
                let anchors =
                    hickory_resolver::proto::dnssec::TrustAnchors::from_file(path).map_err(|err| {
                        ConfigError(format!("read the trust anchors {}: {err}", path.display()))
                    })?;
                builder = builder.with_trust_anchor(Arc::new(anchors));
            }
            if let Some(tls) = &tls {
                builder = builder.with_tls_config(tls.clone());
            }
            builder
                .build()
                .map_err(|err| ConfigError(format!("prepare the DNS resolver: {err}")))
        };
        Ok(Self {
            validating: build(true)?,
            plain: build(false)?,
        })
    }

    /// The error is a sentence.
    pub async fn txt(&self, name: String) -> Result<Answer, String> {
        // A final dot: the system's search domains are not tried.
        let name = format!("{name}.");
        let refused = match self.validating.lookup(name.as_str(), RecordType::TXT).await {
            Ok(lookup) => match proof(&lookup) {
                Proof::Bogus => "its DNSSEC signature is wrong".to_owned(),
                proof => return Ok(answer(&lookup, proof == Proof::Secure)),
            },
            Err(err) if is_none(&err) => return Ok(Answer::default()),
            Err(err) => err.to_string(),
        };
        let plain = match self.plain.lookup(name.as_str(), RecordType::TXT).await {
            Ok(lookup) => answer(&lookup, false),
            Err(err) if is_none(&err) => Answer::default(),
            Err(err) => return Err(err.to_string()),
        };
        let keys = self.validating.lookup(".", RecordType::DNSKEY).await;
        match keys {
            Ok(keys) if proof(&keys) == Proof::Secure => Err(refused),
            _ => Ok(plain),
        }
    }
}

fn servers(config: &Config) -> Result<ResolverConfig, ConfigError> {
    if let Some(url) = &config.doh {
        return Ok(ResolverConfig::from_name_servers(vec![doh(url)?]));
    }
    if !config.upstream.is_empty() {
        let servers = config.upstream.iter().map(|addr| {
            let mut server = NameServerConfig::udp_and_tcp(addr.ip());
            for connection in &mut server.connections {
                connection.port = addr.port();
            }
            server
        });
        return Ok(ResolverConfig::from_name_servers(servers.collect()));
    }
    // Without a usable file there is nobody to ask; each look-up will say so.
    let system = hickory_resolver::system_conf::read_system_conf();
    Ok(system.map_or_else(
        |_| ResolverConfig::from_name_servers(Vec::new()),
        |(config, _)| ResolverConfig::from_name_servers(config.name_servers().to_vec()),
    ))
}

/// `https://ADDRESS[:PORT]/PATH`.
fn doh(url: &str) -> Result<NameServerConfig, ConfigError> {
    let wrong = || {
        ConfigError(format!(
            "{url:?} is no DoH resolver: write https://ADDRESS/dns-query with an address in digits"
        ))
    };
    let rest = url.strip_prefix("https://").ok_or_else(wrong)?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, "dns-query"));
    let (ip, port) = match host.parse::<std::net::SocketAddr>() {
        Ok(addr) => (addr.ip(), addr.port()),
        Err(_) => {
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            (bare.parse::<IpAddr>().map_err(|_| wrong())?, 443)
        }
    };
    let mut connection =
        ConnectionConfig::https(Arc::from(ip.to_string()), Some(Arc::from(format!("/{path}"))));
    connection.port = port;
    Ok(NameServerConfig::new(ip, true, vec![connection]))
}

fn trust(path: &std::path::PathBuf) -> Result<ClientConfig, ConfigError> {
    let wrong = |reason: String| ConfigError(format!("read the certificates {}: {reason}", path.display()));
    let mut roots = RootCertStore::empty();
    for cert in CertificateDer::pem_file_iter(path).map_err(|err| wrong(err.to_string()))? {
        let cert = cert.map_err(|err| wrong(err.to_string()))?;
        roots.add(cert).map_err(|err| wrong(err.to_string()))?;
    }
    Ok(ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth())
}

fn options(validate: bool) -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.timeout = TIMEOUT;
    options.attempts = ATTEMPTS;
    options.validate = validate;
    options.edns0 = true;
    options.case_randomization = true;
    options.use_hosts_file = ResolveHosts::Never;
    // `memory` remembers; here only keys of zones are worth a place.
    options.cache_size = 64;
    options
}

/// The weakest proof of the TXT records.
fn proof(lookup: &Lookup) -> Proof {
    let proofs = lookup.answers().iter().map(|record| record.proof);
    proofs.min().unwrap_or(Proof::Indeterminate)
}

fn answer(lookup: &Lookup, signed: bool) -> Answer {
    let texts = lookup.answers().iter().take(RECORDS_MAX);
    let texts: Vec<_> = texts
        .filter_map(|record| match &record.data {
            RData::TXT(text) => Some((record.ttl, text.txt_data.concat())),
            _ => None,
        })
        .collect();
    Answer {
        ttl_secs: texts.iter().map(|(ttl, _)| *ttl).min().unwrap_or(0),
        records: texts.into_iter().map(|(_, text)| text).collect(),
        signed,
    }
}

/// "There is none" is an answer, unless its proof is wrong.
fn is_none(err: &NetError) -> bool {
    use hickory_resolver::net::DnsError;
    match err {
        NetError::Dns(DnsError::Nsec { proof, .. }) => *proof != Proof::Bogus,
        err => err.is_no_records_found(),
    }
}
