//! The certificate of the encrypted doors: made anew at each start, signed by nobody. Devices that encrypt when they can
//! (Android's automatic Private DNS, systemd-resolved's `opportunistic`) take any; what they gain is that nobody who only
//! listens on the LAN reads along.

use std::sync::Arc;

use rcgen::{CertificateParams, DnType, KeyPair};
use tokio_rustls::rustls::{
    self, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

use crate::House;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("use the certificate: {0}")]
    Tls(#[from] rustls::Error),
}

pub(super) struct Configs {
    pub dot: Arc<ServerConfig>,
    pub doh: Arc<ServerConfig>,
}

pub(super) fn configs(house: &House) -> Result<Configs, Error> {
    let names = &house.settings().names;
    let whole = format!("{}.{}", names.host, names.domain);
    let local = format!("{}.local", names.host);
    let mut params = CertificateParams::new(vec![whole, local])?;
    params
        .distinguished_name
        .push(DnType::CommonName, names.host.as_str());
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?.der().clone();
    let with = |protocols: &[&[u8]]| -> Result<Arc<ServerConfig>, Error> {
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)?;
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(Arc::new(config))
    };
    Ok(Configs {
        // RFC 7858 came before the name `dot`; who names nothing is served too.
        dot: with(&[b"dot"])?,
        doh: with(&[b"h2", b"http/1.1"])?,
    })
}
