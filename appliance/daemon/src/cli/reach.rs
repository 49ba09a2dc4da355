//! Which Granary a command works with: the one that runs, or one that the command starts for itself on the same folder.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use hyper::Method;
use proto::{id::InfoHash, metainfo::Info};
use serde_json::Value;
use tokio::time::Instant;

use super::{Place, network};
use crate::{
    api,
    config::Config,
    control::client::{self, Client},
    daemon::Daemon,
    fault::Fault,
    sites::{self, Site},
    swarm::Hints,
    tasks::Tasks,
};

/// Bytes per read of a file.
const READ_BYTES: usize = 1 << 20;

pub enum Reach {
    Running(Client),
    Alone(Box<Daemon>),
}

/// An opened site, with what reads it.
pub struct Opened {
    pub info: Arc<Info>,
    /// Only when we work alone.
    site: Option<Site>,
}

impl Reach {
    /// The running Granary of `place`; `None` when there is none.
    pub async fn running(place: &Place, tasks: &Tasks) -> Result<Option<Client>, Fault> {
        let socket = match &place.control {
            Some(socket) => socket.clone(),
            None => config(place)?.control_socket(),
        };
        match Client::connect(&socket, tasks).await {
            None if place.control.is_some() => Err(Fault::refused(format!(
                "no Granary answers on {}. Nothing was done. Start one with `granary run`.",
                socket.display()
            ))),
            found => Ok(found),
        }
    }

    /// The running Granary, else one of our own on the same folder: without doors, and with peer ports of the system's
    /// choice unless `flags` say otherwise, so that it disturbs nobody.
    pub async fn find(place: &Place, flags: &network::Flags, tasks: &Tasks) -> Result<Self, Fault> {
        if let Some(client) = Self::running(place, tasks).await? {
            return Ok(Self::Running(client));
        }
        let mut config = config(place)?;
        config.bt.set_port(0);
        config.dht.iter_mut().for_each(|addr| addr.set_port(0));
        config.upnp = false;
        flags.apply(&mut config);
        Ok(Self::Alone(Box::new(Daemon::alone(config).await?)))
    }

    /// One request of the JSON API, whichever Granary answers it.
    pub async fn ask(&self, method: Method, target: &str, body: Option<&Value>) -> Result<Value, Fault> {
        match self {
            Self::Running(client) => Ok(client.ask(method, target, body).await?),
            Self::Alone(daemon) => api::ask(daemon.handles().clone(), &method, target, body)
                .await
                .map_err(Fault::refused),
        }
    }

    /// Metadata of a site, from the store or from peers.
    pub async fn open(&self, ih: InfoHash, hints: &Hints, deadline: Duration) -> Result<Opened, Fault> {
        match self {
            Self::Alone(daemon) => {
                let sites = &daemon.handles().sites;
                let site = sites
                    .open(ih, hints, false, Instant::now() + deadline)
                    .await
                    .map_err(explain)?;
                Ok(Opened {
                    info: Arc::new(site.torrent.info.clone()),
                    site: Some(site),
                })
            }
            Self::Running(client) => {
                let mut target = format!("/api/v1/sites/{ih}/info?deadline={}", deadline.as_secs());
                for peer in &hints.peers {
                    target += &format!("&peer={peer}");
                }
                let mut raw = Vec::new();
                client
                    .stream(Method::GET, &target, None, |part| raw.extend_from_slice(part))
                    .await?;
                let info = proto::metainfo::parse_info(&raw)
                    .map_err(|err| Fault::refused(format!("the metadata of {ih} is refused: {err}")))?;
                Ok(Opened {
                    info: Arc::new(info),
                    site: None,
                })
            }
        }
    }

    /// The raw info dictionary of a site that is stored.
    pub async fn raw_info(&self, ih: InfoHash) -> Result<Bytes, Fault> {
        match self {
            Self::Alone(daemon) => {
                let raw = daemon.handles().db.run(move |store| store.raw_info(&ih)).await?;
                raw.ok_or_else(|| Fault::refused(format!("{ih} is not stored")))
            }
            Self::Running(client) => {
                let mut raw = Vec::new();
                let target = format!("/api/v1/sites/{ih}/info");
                client
                    .stream(Method::GET, &target, None, |part| raw.extend_from_slice(part))
                    .await?;
                Ok(raw.into())
            }
        }
    }

    /// Fetches all of a site in the background.
    pub async fn keep(&self, ih: InfoHash) -> Result<(), Fault> {
        match self {
            Self::Alone(daemon) => daemon
                .handles()
                .swarm
                .keep(ih)
                .await
                .map_err(|err| Fault::refused(err.to_string())),
            Self::Running(client) => {
                client
                    .ask(Method::POST, &format!("/api/v1/sites/{ih}/keep"), None)
                    .await?;
                Ok(())
            }
        }
    }

    /// All bytes of one file from `offset` on, in order, verified. `each` gets them as they come.
    pub async fn read(
        &self,
        opened: &Opened,
        file: usize,
        offset: u64,
        deadline: Instant,
        mut each: impl FnMut(&[u8]) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        match (self, &opened.site) {
            (Self::Alone(daemon), Some(site)) => {
                let (mut at, end) = (offset, opened.info.files[file].length);
                while at < end {
                    let part: Bytes = daemon
                        .handles()
                        .sites
                        .read(site, file, at, READ_BYTES, deadline)
                        .await
                        .map_err(explain)?;
                    if part.is_empty() {
                        return Err(Fault::refused("the site ended before its file did"));
                    }
                    at += part.len() as u64;
                    each(&part)?;
                }
                Ok(())
            }
            (Self::Running(client), _) => {
                let left = deadline
                    .saturating_duration_since(Instant::now())
                    .as_secs()
                    .max(1);
                let ih = opened.info.infohash;
                let target = format!("/api/v1/sites/{ih}/bytes?file={file}&offset={offset}&deadline={left}");
                let (mut got, mut fault) = (offset, None);
                client
                    .stream(Method::GET, &target, None, |part| {
                        got += part.len() as u64;
                        if fault.is_none() {
                            fault = each(part).err();
                        }
                    })
                    .await?;
                match fault {
                    Some(fault) => Err(fault),
                    None if got < opened.info.files[file].length => Err(Fault::refused(format!(
                        "the pieces of {ih} did not arrive in time. What is here stays stored; run the command again."
                    ))),
                    None => Ok(()),
                }
            }
            (Self::Alone(_), None) => Err(Fault::refused("the site was opened elsewhere")),
        }
    }

    /// Ends what this command started; the running Granary goes on.
    pub async fn close(self) {
        if let Self::Alone(daemon) = self {
            daemon.stop().await;
        }
    }
}

/// The folder of `place` with everything else at its default.
pub fn config(place: &Place) -> Result<Config, Fault> {
    Ok(Config {
        data: match &place.data {
            Some(dir) => dir.clone(),
            None => super::default_data()?,
        },
        control: place.control.clone(),
        ..Config::default()
    })
}

fn explain(err: sites::Error) -> Fault {
    let advice = match &err {
        sites::Error::Silent(_) => {
            "Nothing was written. Try again later, or name a peer with --peer HOST:PORT."
        }
        sites::Error::Incomplete(_) => {
            "What is here stays stored. Try again later, or name a peer with --peer HOST:PORT."
        }
        sites::Error::NotASite(_) => "Nothing was written. Ask whoever gave you the address.",
        _ => "`granary doctor` looks for the cause.",
    };
    Fault::refused(format!("{err}. {advice}"))
}

impl From<client::Error> for Fault {
    fn from(err: client::Error) -> Self {
        Fault::refused(err.to_string())
    }
}
