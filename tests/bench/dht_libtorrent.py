#!/usr/bin/python3
"""A net of libtorrent's DHT nodes in one process on loopback: `dht_libtorrent.py NODES OPS DEAD_PERCENT`, one JSON line.

Needs python3-libtorrent (Debian). The same keys as `granary bench dht`.
"""
import json
import os
import random
import resource
import sys
import time

import libtorrent as lt

# The key of BEP 44's own vectors, in the expanded form libtorrent signs with.
PUBLIC = bytes.fromhex("77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548")
SECRET = bytes.fromhex("e06d3183d14159228433ed599221b80bd0a5ce8352e4bdf0262f76786ef1c74d"
                       "b7e7a9fea2c0eb269d61e3b38e450a22e754941ac78479d6c54e1faf6037881d")
DEADLINE = 20
SERIES_SECONDS = 60


def node(alerts):
    return lt.session({
        "listen_interfaces": "127.0.0.1:0", "enable_dht": True, "enable_lsd": False, "enable_upnp": False,
        "enable_natpmp": False, "dht_bootstrap_nodes": "", "dht_restrict_routing_ips": False,
        "dht_restrict_search_ips": False, "dht_enforce_node_id": False, "dht_prefer_verified_node_ids": False,
        "dht_extended_routing_table": True, "dht_ignore_dark_internet": False, "dht_block_ratelimit": 100000,
        "dht_upload_rate_limit": 10000000, "dht_max_dht_items": 5000, "alert_queue_size": 10000,
        "alert_mask": lt.alert.category_t.dht_notification if alerts else 0})


def rss_mib():
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


def cpu_ms():
    return sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) * 1e3


def wait(session, kind):
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        session.wait_for_alert(200)
        for alert in session.pop_alerts():
            if isinstance(alert, kind):
                return alert
    return None


def value_of(alert):
    item = getattr(alert, "item", None)
    return item.get("value", item) if isinstance(item, dict) else item


class Series:
    def __init__(self, writer, reader):
        self.writer, self.reader = writer, reader
        self.times, self.found, self.ops = {}, 0, 0

    def timed(self, kind, deed):
        begun = time.monotonic()
        result = deed()
        self.times.setdefault(kind, []).append((time.monotonic() - begun) * 1e3)
        return result

    def immutable(self, n):
        text = f"value {n} {os.getpid()}"

        def put():
            target = self.writer.dht_put_immutable_item(text)
            wait(self.writer, lt.dht_put_alert)
            return target

        target = self.timed("put_imm", put)

        def get():
            self.reader.dht_get_immutable_item(target)
            return wait(self.reader, lt.dht_immutable_item_alert)

        self.found += bool(value_of(self.timed("get_imm", get)))
        self.ops += 1

    def mutable(self, n):
        salt = f"salt {n}".encode()

        def put():
            self.writer.dht_put_mutable_item(SECRET, PUBLIC, b"value", salt)
            return wait(self.writer, lt.dht_put_alert)

        self.timed("put_mut", put)

        def get():
            self.reader.dht_get_mutable_item(PUBLIC, salt)
            return wait(self.reader, lt.dht_mutable_item_alert)

        self.found += self.timed("get_mut", get) is not None
        self.ops += 1


def quantile(times, part):
    return round(sorted(times)[int((len(times) - 1) * part)], 3)


def main():
    count, ops, dead = (int(word) for word in sys.argv[1:4])
    rss, begun = rss_mib(), time.monotonic()
    sessions = [node(n >= count) for n in range(count + 2)]
    ports = [session.listen_port() for session in sessions]
    for session in sessions:
        for port in random.sample(ports[:count], min(6, count)):
            session.add_dht_node(("127.0.0.1", port))
    time.sleep(12)
    up, per_node = time.monotonic() - begun, (rss_mib() - rss) / (count + 2)
    for session in sessions[:count * dead // 100]:
        # The port stays open, and nobody answers there.
        session.apply_settings({"enable_dht": False})
    series = Series(sessions[count], sessions[count + 1])
    cpu = [cpu_ms()]
    for kind in (series.immutable, series.mutable):
        end = time.monotonic() + SERIES_SECONDS
        for n in range(ops):
            if time.monotonic() < end:
                kind(n)
        cpu.append(cpu_ms())
    done = {kind: len(times) for kind, times in series.times.items()}
    report = {
        "impl": f"libtorrent {lt.__version__}", "nodes": count, "ops": ops, "dead_percent": dead,
        "testnet_up_s": round(up, 2), "rss_per_node_MiB": round(per_node, 3), "ok_frac": round(series.found / series.ops, 3),
        "cpu_ms_per_op_allnodes": round((cpu[2] - cpu[0]) / sum(done.values()), 3),
        "cpu_ms_per_imm_op": round((cpu[1] - cpu[0]) / (2 * done["put_imm"]), 3),
        "cpu_ms_per_mut_op": round((cpu[2] - cpu[1]) / (2 * done["put_mut"]), 3)}
    for kind, times in series.times.items():
        report[f"{kind}_p50"], report[f"{kind}_p99"] = quantile(times, 0.5), quantile(times, 0.99)
    print(json.dumps(report), flush=True)
    # Waiting for 66 sessions to end takes longer than the measurement.
    os._exit(0)


main()
