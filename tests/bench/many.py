"""1,000 kept sites with nobody connected: time until ready after a restart, memory, idle CPU; beside transmission."""

import json
import os
import time
import urllib.error

from measure import Process, fetch, free_port, listening, table, until
from torrent import torrent_of

IDLE_SECONDS = 10


class Transmission:
    name = "transmission"

    def __init__(self, torrents, folder, state):
        self.rpc_port, self.count = free_port(), len(torrents)
        fresh = not (state / "settings.json").exists()
        state.mkdir(exist_ok=True)
        (state / "settings.json").write_text(json.dumps({
            "rpc-port": self.rpc_port, "rpc-bind-address": "127.0.0.1", "rpc-whitelist-enabled": False,
            "rpc-host-whitelist-enabled": False, "rpc-authentication-required": False, "download-dir": str(folder),
            "peer-port": free_port(), "bind-address-ipv4": "127.0.0.1", "dht-enabled": False, "lpd-enabled": False,
            "pex-enabled": False, "utp-enabled": False, "port-forwarding-enabled": False, "ratio-limit-enabled": False,
            "download-queue-enabled": False, "seed-queue-enabled": False, "idle-seeding-limit-enabled": False,
            "incomplete-dir-enabled": False, "message-level": 1}))
        self.process = Process("transmission", ["transmission-daemon", "-f", "-g", state])
        until(listening(self.rpc_port), 30, "transmission", self.process)
        if fresh:
            for torrent in torrents:
                self.rpc("torrent-add", {"filename": str(torrent), "download-dir": str(folder)})

    def rpc(self, method, arguments):
        body = json.dumps({"method": method, "arguments": arguments}).encode()
        url = f"http://127.0.0.1:{self.rpc_port}/transmission/rpc"
        try:
            return json.loads(fetch(url, body, timeout=60))
        except urllib.error.HTTPError as error:
            if error.code != 409:
                raise
            return json.loads(fetch(url, body, {"X-Transmission-Session-Id": error.headers["X-Transmission-Session-Id"]}, 60))

    def done(self):
        fields = {"fields": ["status", "leftUntilDone"]}
        rows = self.rpc("torrent-get", fields)["arguments"]["torrents"]
        return len(rows) == self.count and all(r["leftUntilDone"] == 0 and r["status"] == 6 for r in rows)


def measured(make, torrents, folder, state):
    begin = time.monotonic()
    client = make(torrents, folder, state)
    until(client.done, 600, f"{client.name} to hold all", client.process, 0.25)
    added = time.monotonic() - begin
    client.process.stop()
    begin = time.monotonic()
    client = make(torrents, folder, state)
    until(client.done, 120, f"{client.name} to be ready again", client.process, 0.005)
    resumed, cpu = time.monotonic() - begin, client.process.cpu_seconds()
    time.sleep(3)
    before = client.process.run_nanoseconds()
    time.sleep(IDLE_SECONDS)
    idle, memory = (client.process.run_nanoseconds() - before) / 1e9, client.process.memory()
    client.process.stop()
    return {"client": client.name, "sites": len(torrents), "add s": added, "resume s": resumed, "resume cpu s": cpu,
            "idle cpu %": idle / IDLE_SECONDS * 100, "rss MiB": memory["rss"], "anon MiB": memory["anon"]}


def run(granary, work, count, results):
    folder, torrents = work / "many", []
    folder.mkdir(parents=True)
    for i in range(count):
        path = folder / f"site-{i:05}.bin"
        path.write_bytes(os.urandom(1 << 16))
        torrents.append(folder / f"site-{i:05}.torrent")
        torrent_of(path, torrents[-1], 1 << 14)
    rows = [measured(granary.many_client, torrents[:1], folder, work / "one")]
    rows.append(measured(granary.many_client, torrents, folder, work / "granary"))
    rows[-1]["anon KiB per site"] = (rows[-1]["anon MiB"] - rows[0]["anon MiB"]) * 1024 / (count - 1)
    if count <= 1000:
        rows.append(measured(Transmission, torrents, folder, work / "transmission"))
    table(f"{count} kept sites, idle", rows, results)
