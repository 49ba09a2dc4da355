"""BitTorrent: CPU seconds per GiB as leech and as seed, beside rqbit and aria2; the other end is always libtorrent.

Everything is on loopback over TCP, with no DHT, tracker or LSD. The client under test runs on core 1, libtorrent on core 0.
"""

import hashlib
import json
import os
import pathlib
import shutil
import urllib.error

from measure import Process, fetch, free_port, listening, medians, table, until

HERE = pathlib.Path(__file__).parent
PIECE = 1 << 20


def bencode(value):
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return b"%d:" % len(value) + value
    return b"d" + b"".join(bencode(k) + bencode(value[k]) for k in sorted(value)) + b"e"


def torrent_of(path, out, piece=PIECE):
    pieces = b""
    with open(path, "rb") as source:
        while chunk := source.read(piece):
            pieces += hashlib.sha1(chunk).digest()
    info = {"name": path.name, "length": path.stat().st_size, "piece length": piece, "pieces": pieces}
    out.write_bytes(bencode({"info": info}))
    return hashlib.sha1(bencode(info)).hexdigest()


class Libtorrent:
    """The reference at the other end."""

    def __init__(self, torrent, folder, work, peer=None, cpu=0):
        self.port, self.ready = free_port(), work / f"lt-{os.urandom(4).hex()}"
        argv = ["/usr/bin/python3", HERE / "libtorrent_client.py", self.port, folder, self.ready, torrent] + ([peer] if peer else [])
        self.process = Process("libtorrent", argv, cpu)

    def done(self):
        return self.ready.exists()


class Aria2:
    name = "aria2"

    def __init__(self, torrent, folder, work, peer=None, cpu=1):
        self.port, rpc = free_port(), free_port()
        self.url = f"http://127.0.0.1:{rpc}/jsonrpc"
        self.process = Process("aria2", [
            "aria2c", "--no-conf=true", "--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false",
            "--enable-peer-exchange=false", f"--listen-port={self.port}", f"--dir={folder}", "--check-integrity=true",
            "--seed-ratio=0.0", "--file-allocation=none", "--enable-rpc=true", f"--rpc-listen-port={rpc}", "--disable-ipv6=true",
            "--summary-interval=0", "--console-log-level=warn", torrent], cpu)
        until(listening(rpc), 20, "aria2", self.process)

    def done(self):
        fields = ["completedLength", "totalLength", "verifiedLength", "verifyIntegrityPending"]
        call = json.dumps({"jsonrpc": "2.0", "id": "x", "method": "aria2.tellActive", "params": [fields]})
        rows = json.loads(fetch(self.url, call.encode()))["result"]
        return bool(rows) and all(r["completedLength"] == r["totalLength"] != "0" and "verifiedLength" not in r for r in rows)


class Rqbit:
    name = "rqbit"

    def __init__(self, torrent, folder, work, peer=None, cpu=1):
        self.port, rpc = free_port(), free_port()
        self.api = f"http://127.0.0.1:{rpc}"
        self.process = Process("rqbit", [
            "rqbit", "--http-api-listen-addr", f"127.0.0.1:{rpc}", "--disable-dht", "--disable-dht-persistence", "--listen-port",
            self.port, "--listen-ip", "127.0.0.1", "--disable-upnp-port-forward", "server", "start", "--disable-persistence", folder],
            cpu, env={"HOME": str(work)})
        until(listening(rpc), 20, "rqbit", self.process)
        query = f"?overwrite=true&output_folder={folder}" + (f"&initial_peers={peer}" if peer else "")
        fetch(f"{self.api}/torrents{query}", pathlib.Path(torrent).read_bytes(), {"Content-Type": "application/x-bittorrent"}, 60)

    def done(self):
        try:
            stats = json.loads(fetch(f"{self.api}/torrents/0/stats/v1"))
        except urllib.error.HTTPError:
            return False
        return stats["finished"] and stats["state"] != "initializing"


def leech(make, torrent, seed_folder, work, mib):
    """One client fetches everything from libtorrent."""
    seed = Libtorrent(torrent, seed_folder, work)
    until(seed.done, 120, "seed", seed.process)
    out = work / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    client = make(torrent, out, work, f"127.0.0.1:{seed.port}")
    # libtorrent connects too: aria2 has no option to name a peer.
    seed.ready.with_suffix(".peer").write_text(f"127.0.0.1:{client.port}")
    seconds = until(client.done, 300, f"{client.name} to finish", client.process)
    row = outcome("leech", client, mib, seconds, client.process.cpu_seconds())
    client.process.stop()
    seed.process.stop()
    return row


def upload(make, torrent, seed_folder, work, mib):
    """One client gives everything to libtorrent, twice: Granary hashes each piece on its first read after a start, the others
    before they begin to serve."""
    client = make(torrent, seed_folder, work)
    until(client.done, 300, f"{client.name} to be ready", client.process)
    first, _ = give(client, torrent, work)
    warm, seconds = give(client, torrent, work)
    row = outcome("seed", client, mib, seconds, warm)
    row["first time"] = first * 1024 / mib
    client.process.stop()
    return row


def give(client, torrent, work):
    """CPU seconds of the seed, and wall seconds, for one whole transfer."""
    before, out = client.process.cpu_seconds(), work / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    taker = Libtorrent(torrent, out, work, f"127.0.0.1:{client.port}")
    seconds = until(taker.done, 300, f"libtorrent to fetch from {client.name}", taker.process)
    used = client.process.cpu_seconds() - before
    taker.process.stop()
    return used, seconds


def outcome(role, client, mib, seconds, used):
    memory = client.process.memory()
    return {"role": role, "client": client.name, "cpu s/GiB": used * 1024 / mib, "MB/s": mib * 1.048576 / seconds,
            "peak rss MiB": memory["peak"], "anon MiB": memory["anon"], "first time": None}


def run(granary, work, repetitions, mib, results):
    source = work / "source"
    source.mkdir()
    big = source / "big.bin"
    with big.open("wb") as out:
        for _ in range(mib):
            out.write(os.urandom(1 << 20))
    torrent = work / "big.torrent"
    torrent_of(big, torrent)
    peers = [Aria2] + ([Rqbit] if shutil.which("rqbit") else [])
    rows = []
    for _ in range(repetitions):
        for make in peers + [granary.torrent_client]:
            rows.append(leech(make, torrent, source, work, mib))
            rows.append(upload(make, torrent, source, work, mib))
    rows = medians(rows, ["role", "client"])
    for row in rows:
        named = "aria2" if row["role"] == "leech" else "rqbit"
        peer = next((r["cpu s/GiB"] for r in rows if r["role"] == row["role"] and r["client"] == named), None)
        row["ours / named peer"] = row["cpu s/GiB"] / peer if row["client"] == "granary" and peer else None
    table("BitTorrent transfer", sorted(rows, key=lambda r: r["role"]), results)
