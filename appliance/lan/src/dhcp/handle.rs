//! What other rooms and the pages may ask: state, leases, names, who else serves.

use std::{
    collections::{BTreeMap, HashSet},
    net::Ipv4Addr,
    sync::{Arc, PoisonError},
    time::Duration,
};

use proto::dhcp::{Kept, Mac, Table, label};

use super::{Shared, ask};
use crate::{
    api::{DhcpFacts, DhcpServer, DhcpState, Lease, spelled},
    settings::{self, DhcpMode},
};

/// Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl Handle {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    pub fn facts(&self) -> DhcpFacts {
        let settings = self.shared.house.settings();
        let mode = self.shared.house.config.dhcp.unwrap_or(settings.dhcp.mode);
        let pool = self.shared.tables().values().next().map(|table| {
            let pool = table.pool();
            settings::Pool {
                first: pool.first,
                last: pool.last,
            }
        });
        let leases = self.leases();
        let doing = self.shared.doing();
        // What works counts; what does not is told in the reason.
        let order = [
            DhcpState::Serving,
            DhcpState::Looking,
            DhcpState::Silent,
            DhcpState::Broken,
        ];
        let state = order
            .into_iter()
            .find(|state| doing.values().any(|one| one.state == *state));
        let reasons: Vec<_> = doing
            .values()
            .flat_map(|one| [one.reason.clone(), one.told.clone()])
            .flatten()
            .collect();
        let nothing = mode != DhcpMode::Off && doing.is_empty();
        DhcpFacts {
            mode,
            state: match state {
                Some(state) => state,
                None if nothing => DhcpState::Broken,
                None => DhcpState::Off,
            },
            reason: match reasons.is_empty() {
                true if nothing => Some("no interface is up".into()),
                true => None,
                false => Some(reasons.join(" ")),
            },
            pool: pool.filter(|_| mode == DhcpMode::Lease),
            leases,
            rivals: doing
                .values()
                .flat_map(|one| &one.rivals)
                .map(|(server, heard)| DhcpServer {
                    heard_secs_ago: heard.elapsed().as_secs(),
                    ..server.clone()
                })
                .take(8)
                .collect(),
        }
    }

    /// By address; those that ended a while ago too.
    pub fn leases(&self) -> Vec<Lease> {
        let now = self.shared.now();
        let settings = self.shared.house.settings();
        let reserved: HashSet<_> = settings
            .dhcp
            .reservations
            .iter()
            .filter_map(|one| settings::parse_mac(&one.mac))
            .collect();
        let tables = self.shared.tables();
        let rows = tables
            .values()
            .flat_map(Table::rows)
            .filter(|row| row.kept == Kept::Bound);
        rows.map(|row| Lease {
            addr: row.addr,
            mac: spelled(row.mac),
            name: row.name.clone(),
            ends_in_secs: row.ends as i64 - now as i64,
            reserved: reserved.contains(&row.mac),
        })
        .collect()
    }

    /// Names of devices with a lease in force, as labels for the home's domain. Where two devices have one name it belongs to
    /// the one that has its lease for longer; no name that could mean a service is ever in it.
    pub fn names(&self) -> BTreeMap<String, Ipv4Addr> {
        let now = self.shared.now();
        let host = self.shared.house.settings().names.host.to_lowercase();
        let tables = self.shared.tables();
        let mut rows: Vec<_> = tables
            .values()
            .flat_map(Table::rows)
            .filter(|row| row.kept == Kept::Bound && row.ends > now)
            .filter_map(|row| Some((row.since, row.addr, label(row.name.as_deref()?)?)))
            .filter(|(.., label)| *label != host)
            .collect();
        rows.sort();
        let mut names = BTreeMap::new();
        for (_, addr, label) in rows {
            names.entry(label).or_insert(addr);
        }
        names
    }

    /// The address of one label of [`Handle::names`].
    pub fn addr_of(&self, label: &str) -> Option<Ipv4Addr> {
        self.names().get(&label.to_ascii_lowercase()).copied()
    }

    /// The label of an address, for PTR.
    pub fn name_of(&self, addr: Ipv4Addr) -> Option<String> {
        self.names()
            .into_iter()
            .find_map(|(name, its)| (its == addr).then_some(name))
    }

    /// This device asked for option 252.
    pub fn asked_wpad(&self, mac: Mac) -> bool {
        let asked = self
            .shared
            .asked_wpad
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        asked.contains(&mac)
    }

    /// All hardware addresses that asked for option 252.
    pub fn wpad_askers(&self) -> Vec<Mac> {
        let asked = self
            .shared
            .asked_wpad
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        asked.iter().copied().collect()
    }

    /// Every other server that offers an address on this interface until the deadline. `None` when nobody can be asked.
    pub async fn discover(&self, interface: &str, deadline: Duration) -> Option<Vec<DhcpServer>> {
        let found = ask(interface, deadline).await.ok()?;
        let others = found.into_iter().map(|found| found.server);
        Some(
            others
                .filter(|server| !server.server.is_some_and(|addr| self.shared.is_own(addr)))
                .collect(),
        )
    }
}
