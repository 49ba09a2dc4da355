//! Which key of the config file sets what.

use super::{Config, reader::Reader, schedule};

/// Applies the TOML `text` to `config`. On a fault nothing is applied and all faults are returned.
pub fn parse(text: &str, config: &Config) -> Result<Config, Vec<String>> {
    let table = match text.parse::<toml::Table>() {
        Ok(table) => table,
        Err(err) => return Err(vec![err.to_string().trim().replace('\n', " ")]),
    };
    let mut config = config.clone();
    let mut faults = Vec::new();
    let mut reader = Reader::new("", table, &mut faults);
    reader.path("content", &mut config.content);
    reader.path("control", &mut config.control);
    reader.path("lan_control", &mut config.lan_control);
    reader.text("log", &mut config.log);
    reader.parsed("advertise", &mut config.advertise, "an IPv4 address", |t| {
        t.parse().ok()
    });
    reader.table("listen", |listen| {
        listen.addrs("http", &mut config.http);
        listen.addrs("proxy", &mut config.proxy);
        listen.addr("bt", &mut config.bt);
        listen.addrs("dht", &mut config.dht);
    });
    reader.table("swarm", |swarm| {
        swarm.texts("dht_bootstrap", &mut config.dht_bootstrap);
        swarm.parsed("interface", &mut config.interface, "an interface name", |t| {
            Some(t.to_string())
        });
        swarm.flag("lsd", &mut config.lsd);
        swarm.flag("upnp", &mut config.upnp);
        swarm.addrs("peers", &mut config.peers);
        swarm.flag("upload", &mut config.upload);
        swarm.lines(
            "schedule",
            &mut config.schedule,
            "hours and rates, such as mon-fri 7-23 up=100000",
            schedule::parse,
        );
        swarm.bytes("upload_bytes_per_sec", &mut config.upload_bytes_per_sec);
        swarm.bytes("upload_bytes_per_month", &mut config.upload_bytes_per_month);
        swarm.bytes("download_bytes_per_sec", &mut config.download_bytes_per_sec);
    });
    reader.table("dns", |dns| {
        dns.addrs("upstream", &mut config.dns_upstream);
        dns.parsed("doh", &mut config.dns_doh, "an https address", |t| {
            t.starts_with("https://").then(|| t.to_string())
        });
        dns.path("doh_ca", &mut config.dns_doh_ca);
        dns.path("trust_anchor", &mut config.dns_trust_anchor);
    });
    reader.table("store", |store| {
        store.bytes("visited_bytes_max", &mut config.visited_bytes_max);
        store.bytes("free_floor_bytes", &mut config.free_floor_bytes);
        store.bytes("pending_bytes_max", &mut config.pending_bytes_max);
    });
    reader.finish();
    faults.extend(config.faults());
    if faults.is_empty() {
        Ok(config)
    } else {
        Err(faults)
    }
}
