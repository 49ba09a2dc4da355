//! Port 53 and its encrypted doors: what devices ask is answered from memory, or asked of the upstreams once for all who
//! wait.
//!
//! Must not know sites, the swarm, the other rooms of the LAN, or how a block list is stored. A `.btlink` answer never waits
//! for anything.
//!
//! Reading order: this file (the room's door), `sockets` (which doors there are), `state` (everything a question is compared
//! with, and the way of a question through it), `clients`, `blocked` (what was), `flight` (questions under way to the upstreams), then the
//! doors: `udp`, `stream` (TCP and TLS), `doh`, `seats` and `tls`; `upstream` asks.

mod blocked;
mod clients;
mod doh;
mod flight;
mod seats;
mod sockets;
mod state;
mod stream;
mod tls;
mod udp;
pub mod upstream;

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use house::net::{Error, Inherited};
use tokio::time::Instant;

pub use clients::Seen;
use sockets::Sockets;
use state::State;
use upstream::Upstreams;

use crate::{House, api};

/// Which names the household does not want to see.
pub trait Blocking: Send + Sync {
    /// `name`: wire form, lower case. What stands above the name counts too.
    fn is_blocked(&self, name: &[u8]) -> bool;

    /// A verdict that is kept counts as long as this number stays the same.
    fn generation(&self) -> u64 {
        0
    }

    /// Names in the list, for the status.
    fn names(&self) -> u64;
}

/// The lock is never held across an await, nor while a socket is used by anything but the UDP door's own batch.
type Locked<'a> = MutexGuard<'a, State>;

/// What all doors share.
struct Shared {
    house: House,
    state: Mutex<State>,
    upstreams: Upstreams,
    /// Times in this room are since then.
    born: Instant,
}

impl Shared {
    fn now(&self) -> Duration {
        self.born.elapsed()
    }

    /// A panic while a question was answered must not end all later ones.
    fn lock(&self) -> Locked<'_> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The running room. Cheap to clone.
#[derive(Clone)]
pub struct Dns {
    shared: Arc<Shared>,
    listening: Arc<api::Listening>,
}

impl Dns {
    /// Opens what was not inherited, then answers. `inherited` loses the sockets that are ours: `dns`, `dot`, `doh`.
    pub fn start(
        house: &House,
        blocking: Arc<dyn Blocking>,
        inherited: &mut Vec<(String, Inherited)>,
    ) -> Result<Self, Error> {
        let sockets = Sockets::open(house, inherited)?;
        let listening = Arc::new(sockets.listening());
        let shared = Arc::new(Shared {
            house: house.clone(),
            state: Mutex::new(State::new(house, blocking)),
            upstreams: Upstreams::start(house),
            born: Instant::now(),
        });
        sockets.serve(&shared);
        let (mut settings, mut interfaces) = (house.watch_settings(), house.interfaces.clone());
        let watching = shared.clone();
        house.tasks.spawn("dns.changes", async move {
            loop {
                tokio::select! {
                    changed = settings.changed() => if changed.is_err() { return },
                    () = interfaces.changed() => {}
                }
                watching.lock().refresh(&watching.house);
            }
        });
        Ok(Self { shared, listening })
    }

    pub fn listening(&self) -> api::Listening {
        (*self.listening).clone()
    }

    /// Where our own UDP door can be asked from this machine.
    pub fn probe_addr(&self) -> Option<SocketAddr> {
        let mut addr = *self.listening.dns.first()?;
        if addr.ip().is_unspecified() {
            addr.set_ip(match addr.ip() {
                IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        Some(addr)
    }

    pub fn facts(&self) -> api::DnsFacts {
        let mut facts = self.shared.lock().facts();
        facts.upstreams = self.shared.upstreams.facts();
        facts
    }

    /// Who asked lately.
    pub fn seen(&self) -> Vec<(IpAddr, Seen)> {
        let now = self.shared.now();
        self.shared.lock().clients.seen(now)
    }

    pub fn top(&self) -> api::Top {
        self.shared.lock().blocked.top()
    }

    /// Domains of the ordinary web that are known to live in BitTorrent too.
    pub fn set_linked(&self, domains: &[String]) {
        self.shared.lock().set_linked(domains);
    }

    /// Names that devices have, one label each, with their addresses: leases.
    pub fn set_names(&self, names: Vec<(String, IpAddr)>) {
        self.shared.lock().set_names(names);
    }

    /// Addresses of devices that are left alone.
    pub fn set_bypass(&self, addrs: Vec<IpAddr>) {
        self.shared.lock().clients.set_bypass(addrs);
    }
}
