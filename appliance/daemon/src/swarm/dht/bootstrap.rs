//! Names of bootstrap nodes to addresses.

use std::{net::SocketAddr, time::Duration};

use proto::dht::K;
use tracing::debug;

use super::Dht;

const RESOLVE_DEADLINE: Duration = Duration::from_secs(5);
/// While nobody is known: how soon names are looked up again. Shorter: a home without Internet asks its resolver oftener.
const AGAIN: Duration = Duration::from_secs(60);
/// Addresses used of all names together.
const ADDRS_MAX: usize = 16;

/// Looks the names up at once, and again while the node knows too few others.
pub async fn keep_resolved(names: Vec<String>, dht: Dht) {
    loop {
        let addrs = resolve(&names).await;
        if !addrs.is_empty() {
            dht.set_routers(addrs).await;
        }
        loop {
            tokio::time::sleep(AGAIN).await;
            let stats = dht.stats();
            if stats.nodes_v4 + stats.nodes_v6 < K {
                break;
            }
        }
    }
}

async fn resolve(names: &[String]) -> Vec<SocketAddr> {
    let mut addrs = Vec::new();
    for name in names {
        match tokio::time::timeout(RESOLVE_DEADLINE, tokio::net::lookup_host(name)).await {
            Ok(Ok(found)) => addrs.extend(found),
            Ok(Err(err)) => debug!(addr = %name, %err, "bootstrap node not resolved"),
            Err(_) => debug!(addr = %name, "bootstrap node not resolved in time"),
        }
    }
    addrs.truncate(ADDRS_MAX);
    addrs
}
