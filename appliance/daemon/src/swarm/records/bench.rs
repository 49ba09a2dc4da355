//! What keeping records alive costs, measured: what `granary bench records` prints. One node of ours in a net of ours on
//! loopback, the same calls as the keeper makes, only as fast as they go and without a store.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use proto::{
    id::InfoHash,
    record::{Mutable, torrent_value},
    secret::SecretKey,
};
use serde::Serialize;
use tokio::time::Instant;

use crate::{
    swarm::dht::{
        self, Dht, Error, Item,
        bench::{Net, cpu_ms},
    },
    tasks::Tasks,
};

/// As the keeper has.
const AT_ONCE: usize = 8;

/// One round over all records.
#[derive(Debug, Clone, Serialize)]
pub struct Round {
    pub seconds: f64,
    /// Questions our node sent, and answers it got: the packets a home's line carries.
    pub packets_out: u64,
    pub packets_in: u64,
    /// Of the whole process, so of all nodes together.
    pub cpu_ms_per_record_allnodes: f64,
    /// Nodes that took a record, or held it.
    pub nodes_mean: f64,
}

#[derive(Debug, Clone, Serialize)]
pub struct Report {
    #[serde(rename = "impl")]
    pub implementation: &'static str,
    pub nodes: usize,
    pub records: usize,
    /// After a start: every record is put.
    pub put: Round,
    /// Every hour: a survey of how well others keep it. When they do not, a put follows.
    pub survey: Round,
    /// A look by somebody who knows the newest number: what feeds do every 15 minutes to 6 hours.
    pub look: Round,
}

pub async fn run(nodes: usize, records: usize) -> Result<Report, Error> {
    let tasks = Tasks::new();
    let net = Net::start(nodes, &tasks).await?;
    let first = net
        .nodes
        .first()
        .and_then(|(dht, _)| dht.local_addrs().first().copied());
    let ours = Dht::start_with(dht::bench::config(first), None, &tasks).await?;
    let until = Instant::now() + Duration::from_secs(10);
    while ours.stats().good_v4 < proto::dht::K.min(nodes) && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let items: Vec<Mutable> = (0..records).filter_map(|n| record(n as u64)).collect();
    let put = round(&ours, &items, |dht, item| async move {
        dht.put_item(Item::Mutable(item), None).await.stored
    });
    let put = put.await;
    let survey = round(&ours, &items, |dht, item| async move {
        dht.survey_item(item.target(), &item.salt).await.copies
    });
    let survey = survey.await;
    let look = round(&ours, &items, |dht, item| async move {
        dht.get_item(item.target(), &item.salt, Some(item.seq))
            .await
            .copies
    });
    let look = look.await;
    tasks.stop(Duration::from_secs(5)).await;
    Ok(Report {
        implementation: "granary",
        nodes,
        records,
        put,
        survey,
        look,
    })
}

fn record(n: u64) -> Option<Mutable> {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&n.to_be_bytes());
    let value = torrent_value(&InfoHash([n as u8; 20]));
    Mutable::sign(&SecretKey::from_seed(seed), b"", 1, &value).ok()
}

async fn round<F: Future<Output = usize>>(
    dht: &Dht,
    items: &[Mutable],
    job: impl Fn(Dht, Mutable) -> F,
) -> Round {
    let (cpu, before, begun) = (cpu_ms(), dht.stats(), Instant::now());
    let jobs = items.iter().map(|item| job(dht.clone(), item.clone()));
    let found: Vec<usize> = stream::iter(jobs).buffer_unordered(AT_ONCE).collect().await;
    let (after, count) = (dht.stats(), items.len().max(1) as f64);
    Round {
        seconds: begun.elapsed().as_secs_f64(),
        packets_out: after.queries_out.total() - before.queries_out.total(),
        packets_in: after.replies_in - before.replies_in,
        cpu_ms_per_record_allnodes: (cpu_ms() - cpu) / count,
        nodes_mean: found.iter().sum::<usize>() as f64 / count,
    }
}
