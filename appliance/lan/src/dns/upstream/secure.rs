//! Questions over TLS, HTTPS and QUIC: hickory has the connections, here they are made when first needed, kept, and made
//! anew.

use std::{path::PathBuf, sync::Arc, time::Duration};

use hickory_net::{
    h2::HttpsClientStream,
    quic::QuicClientStream,
    runtime::{RuntimeProvider, TokioRuntimeProvider},
    tls::tls_exchange,
    xfer::{DnsExchange, DnsHandle, FirstAnswer},
};
use hickory_proto::op::{DnsRequest, DnsRequestOptions, Message};
use proto::dns::upstream::{
    address::{Address, Transport},
    answer::{self, Facts},
    manners::Miss,
    question::Sent,
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::{
    sync::Mutex,
    time::{error::Elapsed, timeout},
};

/// A connection must stand within it. Longer: slow links connect. Shorter: the next server is asked sooner.
const CONNECT: Duration = Duration::from_secs(3);
const ANSWER: Duration = Duration::from_secs(4);
/// Questions under way on one connection.
const ACTIVE_MAX: usize = 256;

type Exchange = DnsExchange<TokioRuntimeProvider>;

pub(super) struct Door {
    address: Address,
    ca: Option<PathBuf>,
    /// Connections live as long as it does.
    provider: TokioRuntimeProvider,
    /// Held while connecting, so that a burst of questions makes one connection.
    exchange: Mutex<Option<Exchange>>,
}

impl Door {
    /// `ca`: certificates that may have signed the server's, instead of the system's.
    pub fn new(address: Address, ca: Option<PathBuf>) -> Self {
        Self {
            address,
            ca,
            provider: TokioRuntimeProvider::default(),
            exchange: Mutex::const_new(None),
        }
    }

    pub async fn close(&self) {
        *self.exchange.lock().await = None;
    }

    /// Waits at most for a connection and an answer; once more when a kept connection turns out to be dead.
    pub async fn exchange(&self, sent: &Sent) -> Result<(Vec<u8>, Facts), Miss> {
        for _ in 0..2 {
            let (exchange, fresh) = self.connection().await?;
            let message = Message::from_vec(sent.as_bytes()).map_err(|_| Miss::Garbage)?;
            let request = DnsRequest::new(message, DnsRequestOptions::default());
            let answered = timeout(ANSWER, exchange.send(request).first_answer()).await;
            match answered {
                Ok(Ok(response)) => return judge(response.into_buffer(), sent),
                _ => {
                    *self.exchange.lock().await = None;
                    if fresh {
                        return Err(Miss::Silent);
                    }
                }
            }
        }
        Err(Miss::Silent)
    }

    async fn connection(&self) -> Result<(Exchange, bool), Miss> {
        let mut kept = self.exchange.lock().await;
        if let Some(exchange) = &*kept {
            return Ok((exchange.clone(), false));
        }
        let made = timeout(CONNECT, self.connect()).await;
        let exchange = made
            .map_err(|_: Elapsed| Miss::Silent)?
            .ok_or(Miss::Unreachable)?;
        *kept = Some(exchange.clone());
        Ok((exchange, true))
    }

    async fn connect(&self) -> Option<Exchange> {
        let config = client_config(self.ca.as_ref())?;
        let (addr, name) = (self.address.addr, self.address.server_name());
        let provider = self.provider.clone();
        let made = match self.address.transport {
            Transport::Plain | Transport::Tcp => return None,
            Transport::Tls => {
                let name = ServerName::try_from(name).ok()?;
                tls_exchange(addr, name, config, ANSWER, Some(ACTIVE_MAX), provider).await
            }
            Transport::Https => {
                let mut builder = HttpsClientStream::builder(Arc::new(config), provider);
                builder.request_timeout(ANSWER);
                let path = self.address.path.as_deref().unwrap_or("/dns-query");
                builder.exchange(addr, name.into(), path.into()).await
            }
            Transport::Quic => {
                let local = if addr.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                let socket = provider
                    .quic_binder()?
                    .bind_quic(local.parse().ok()?, addr)
                    .ok()?;
                let builder = QuicClientStream::builder()
                    .crypto_config(config)
                    .request_timeout(ANSWER);
                builder.exchange(socket, addr, name.into(), provider).await
            }
        };
        made.inspect_err(|err| tracing::debug!(%addr, %err, "no connection to an upstream"))
            .ok()
    }
}

/// The id went another way; the rest must be an answer to what was asked.
fn judge(mut message: Vec<u8>, sent: &Sent) -> Result<(Vec<u8>, Facts), Miss> {
    if let Some(id) = message.first_chunk_mut::<2>() {
        *id = sent.id().to_be_bytes();
    }
    match answer::judge(&message, sent) {
        Ok(facts) => Ok((message, facts)),
        Err(answer::Mismatch::Case) => Err(Miss::Case),
        Err(_) => Err(Miss::Garbage),
    }
}

/// The system's certificate authorities, or those of `ca` alone.
fn client_config(ca: Option<&PathBuf>) -> Option<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .ok()?;
    let Some(path) = ca else {
        return Some(builder.with_platform_verifier().ok()?.with_no_client_auth());
    };
    let mut roots = RootCertStore::empty();
    for cert in CertificateDer::pem_file_iter(path).ok()?.flatten() {
        roots.add(cert).ok()?;
    }
    Some(builder.with_root_certificates(roots).with_no_client_auth())
}
