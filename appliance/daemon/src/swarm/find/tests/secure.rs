//! HTTPS: whom the system trusts decides, not the tracker. The key in `testdata` signs nothing outside these tests.

use std::{process::Command, sync::Arc, time::Duration};

use proto::tracker::http;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use super::world::*;
use crate::swarm::find::trackers::{Moment, Trackers};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/find");

/// An HTTPS tracker for the name `localhost`; returns its port.
async fn https_tracker(world: &World) -> u16 {
    let certs = CertificateDer::pem_file_iter(format!("{FOLDER}/server.pem")).expect("a file");
    let certs = certs.collect::<Result<Vec<_>, _>>().expect("certificates");
    let key = PrivateKeyDer::from_pem_file(format!("{FOLDER}/server.key")).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(certs, key)
        .expect("they belong together");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    world.tasks.spawn("test.https", async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(tcp).await else {
                continue;
            };
            let mut head = [0; 2048];
            let _ = stream.read(&mut head).await;
            let _ = stream
                .write_all(&ok(&http::encode_reply(
                    Duration::from_secs(90),
                    None,
                    &[peer(1)],
                )))
                .await;
            let _ = stream.shutdown().await;
        }
    });
    port
}

/// Runs twice: as itself, where nobody trusts the test authority, and as a child process that does.
#[tokio::test]
async fn an_https_tracker_needs_a_certificate_the_system_trusts() {
    #[allow(clippy::disallowed_methods)] // The child learns from its environment that it is the child.
    let trusting =
        std::env::var_os("SSL_CERT_FILE").is_some_and(|file| *file == *format!("{FOLDER}/authority.pem"));
    let world = World::new();
    let port = https_tracker(&world).await;
    let moment = Moment::unknown(hash(1), 6881);
    for (host, named) in [("localhost", true), ("127.0.0.1", true), ("127.0.0.9", false)] {
        let url = format!("https://{host}:{port}/announce");
        let outcome = Trackers::new().announce(&url, &moment, &loopback()).await;
        assert_eq!(!outcome.peers.is_empty(), trusting && named, "{host}");
    }
    if !trusting {
        let name = "swarm::find::tests::secure::an_https_tracker_needs_a_certificate_the_system_trusts";
        let child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", name])
            .env("SSL_CERT_FILE", format!("{FOLDER}/authority.pem"))
            .output();
        let child = child.expect("it runs");
        let said = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success() && said.contains("1 passed"), "{said}");
    }
}
