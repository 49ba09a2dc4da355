//! What devices that look for a proxy are told: one script, the same for whatever Host they ask.

use std::{future::Future, net::IpAddr, pin::Pin, sync::Arc};

use hyper::header::{self, HeaderValue};
use proto::{
    name::TLD,
    pac::{self, Kind, Linked},
};
use tokio::sync::watch;

use super::{
    Seen, SiteSource,
    answer::{Came, Shared, special_path},
    reply::{self, Reply},
};

/// What the script says, and what of the ordinary web the proxy opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Off: the script still comes, and says that nothing needs a proxy.
    pub enabled: bool,
    /// Devices whose resolver we are get the script that asks it about every domain.
    pub markers: bool,
    pub linked: Linked,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            enabled: true,
            markers: false,
            linked: Linked::default(),
        }
    }
}

impl Rules {
    /// Does the proxy open this name of the ordinary web?
    pub fn opens(&self, host: &str) -> bool {
        self.linked.contains(host) || self.markers && pac::is_domain(host)
    }
}

/// Who knows whose resolver we are. Asked only while there are markers.
pub trait Resolver: Send + Sync + 'static {
    fn asked_by(&self, device: IpAddr) -> Pin<Box<dyn Future<Output = bool> + Send + '_>>;
}

/// The home's network as far as it decides what is answered; given by `daemon.rs`. Cheap to clone.
#[derive(Clone)]
pub struct Network {
    /// The last ones count when their sender is gone.
    pub rules: watch::Receiver<Arc<Rules>>,
    pub resolver: Arc<dyn Resolver>,
    pub seen: Seen,
}

pub async fn serve<S: SiteSource>(shared: &Shared<S>, came: Came, path: &str) -> Reply {
    let rules = shared.network.rules.borrow().clone();
    let kind = match (rules.enabled, rules.markers) {
        (false, _) => Kind::Direct,
        (true, true) if shared.network.resolver.asked_by(came.peer.ip()).await => Kind::Marker,
        _ => Kind::Lite,
    };
    let script = pac::script(kind, shared.proxy(came.local.ip()), &rules.linked);
    let mut reply = reply::data(
        HeaderValue::from_static(pac::CONTENT_TYPE),
        pac::CACHE_CONTROL,
        script,
    );
    if special_path(path).is_some() {
        let name = reply::value(&format!("inline; filename={TLD}.pac"));
        reply.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    }
    reply
}
