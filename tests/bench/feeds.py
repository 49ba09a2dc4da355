"""What one refresh round of many subscriptions costs: CPU, packets and wall time of a Granary on a loopback DHT.

All publishers' records lie on a few other Granarys. Packets are those of the loopback interface, so the figure is only right
in a network of its own: `unshare -rn sh -c 'ip link set lo up; run.py --only feeds …'`.
"""

import http.client
import json
import pathlib
import socket
import time

from measure import Process, table, until

# Enough that no node is asked more often than a node of the real network allows one address.
NODES = 30


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("granary", timeout=60)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def ask(control, method, target, body=None):
    connection = Unix(control)
    text = json.dumps(body) if body is not None else None
    connection.request(method, "/api/v1/" + target, text, {"Content-Type": "application/json"} if text else {})
    reply = connection.getresponse()
    raw = reply.read()
    connection.close()
    if reply.status != 200:
        raise RuntimeError(f"{method} {target}: {reply.status} {raw[:300]}")
    return json.loads(raw)


def node(granary, work, number, bootstrap):
    ready, control = work / f"ready-{number}.json", work / f"control-{number}.sock"
    argv = [granary.binary, "run", "--data", work / f"data-{number}", "--ready-file", ready, "--control", control, "--no-lsd",
            "--no-upnp", "--log", "warn", "--dht-bootstrap", bootstrap]
    # Nodes limit what one address may ask, so each has one of its own; peers are found where its DHT node is.
    for door in ("http", "proxy", "bt", "dht", "dns"):
        argv += [f"--listen-{door}", f"127.0.0.{number + 1}:0"]
    process = Process(f"granary {number}", argv)
    until(ready.exists, 120, "the ready file", process)
    # What is looked for by a node that knows nobody yet is looked for again a minute later.
    known = min(number, 8)
    until(lambda: ask(control, "GET", "status")["dht_nodes"] >= known, 120, "the other nodes", process, 0.2)
    return process, control, json.loads(ready.read_text())


def loopback_packets():
    line = next(line for line in pathlib.Path("/proc/net/dev").read_text().splitlines() if line.strip().startswith("lo:"))
    return int(line.split(":")[1].split()[9])


def run(granary, work, count, results):
    nodes = [node(granary, work, 0, "none")]
    nodes += [node(granary, work, number, nodes[0][2]["dht"]) for number in range(1, NODES)]
    publisher = nodes[1][1]
    site = work / "site"
    site.mkdir()
    (site / "index.html").write_text("<!doctype html><title>one</title>")
    infohash = granary.command("seed", site, "--print", "infohash", "--control", publisher)
    magnets = []
    for number in range(count):
        key = work / f"key-{number}"
        magnets.append(json.loads(granary.command("keygen", "--out", key, "--json"))["magnet"])
        granary.command("put", "--key", key, infohash, "--control", nodes[number % NODES][1])
    reader, control, _ = node(granary, work, NODES, nodes[0][2]["dht"])
    ids = [ask(control, "POST", "subscriptions", {"paste": magnet})["id"] for magnet in magnets]
    views = lambda: ask(control, "GET", "subscriptions")  # noqa: E731
    until(lambda: all(view["state"] == "up-to-date" for view in views()), 900, "every site", reader, 2)

    before = reader.run_nanoseconds()
    for _ in range(20):
        views()
    listing = (reader.run_nanoseconds() - before) / 20 / 1e6
    begun = max(view["last_checked"] for view in views())
    until(lambda: int(time.time()) > begun, 10, "the next second", reader)
    cpu, packets = reader.run_nanoseconds(), loopback_packets()
    for id in ids:
        ask(control, "POST", f"subscriptions/{id}/check")
    asked = (reader.run_nanoseconds() - cpu) / 1e9
    looked = lambda: all(v["last_checked"] > begun and v["next_look"] > 0 and not v["looking"] for v in views())  # noqa: E731
    wall = until(looked, 900, "a look at each", reader, 2)
    row = {
        "subscriptions": count, "wall s": wall, "cpu s": (reader.run_nanoseconds() - cpu) / 1e9, "of it asking s": asked,
        "packets": loopback_packets() - packets, "list ms cpu": listing,
    }
    row["packets per look"] = row["packets"] / count
    table(f"one refresh round of {count} subscriptions", [row], results)
    for process, _, _ in nodes:
        process.stop()
    reader.stop()
