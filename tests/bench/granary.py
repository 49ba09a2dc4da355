"""Granary under measurement: the release binary, driven by its stable flags like any other program."""

import contextlib
import json
import os
import shutil
import subprocess
import types

from measure import Process, free_port, until

ALONE = ["--dht-bootstrap", "none", "--no-lsd", "--no-upnp", "--log", "warn"]


class Granary:
    def __init__(self, binary, work):
        self.binary, self.work = binary, work

    def command(self, *args):
        """Runs one command to its end; its standard output."""
        done = subprocess.run([self.binary, *map(str, args)], capture_output=True, text=True, timeout=900)
        if done.returncode != 0:
            raise RuntimeError(f"granary {' '.join(map(str, args))}: {done.stderr[-2000:]}")
        return done.stdout.strip()

    def start(self, data, bt_port=0, cpu=None, peer=None):
        """`granary run`, not yet ready: the process and its ready file."""
        ready = self.work / f"ready-{os.urandom(4).hex()}.json"
        argv = [self.binary, "run", "--data", data, "--ready-file", ready, "--listen-bt", f"127.0.0.1:{bt_port}", *ALONE]
        for door in ("http", "proxy", "dht", "dns"):
            argv += [f"--listen-{door}", "127.0.0.1:0"]
        if peer:
            argv += ["--peer", peer]
        return Process("granary", argv, cpu), ready

    @contextlib.contextmanager
    def site(self, folder, cpu):
        """A running Granary that serves `folder` as a site from its store."""
        data = self.work / f"data-{os.urandom(4).hex()}"
        infohash = self.command("seed", folder, "--data", data, "--print", "infohash", "--no-wait")
        process, ready = self.start(data, cpu=cpu)
        until(ready.exists, 60, "the ready file", process)
        doors = json.loads(ready.read_text())
        try:
            yield types.SimpleNamespace(process=process, http=doors["http"], proxy=doors["proxy"], host=f"{infohash}-ih.btlink")
        finally:
            process.stop()
            shutil.rmtree(data, ignore_errors=True)

    def torrent_client(self, torrent, folder, work, peer=None, cpu=1):
        return (Leech if peer else Seed)(self, torrent, folder, peer, cpu)

    def many_client(self, torrents, folder, state):
        return Many(self, torrents, folder, state)


class Leech:
    """`granary fetch`: ends when everything is verified, durable and written to the folder."""

    name = "granary"

    def __init__(self, granary, torrent, folder, peer, cpu):
        self.port = free_port()
        data = folder / ".granary"
        self.process = Process("granary", [
            granary.binary, "fetch", torrent, "-o", folder, "--data", data, "--peer", peer, "--listen-bt",
            f"127.0.0.1:{self.port}", *ALONE], cpu)

    def done(self):
        if self.process.alive():
            return False
        if self.process.child.returncode != 0:
            raise RuntimeError(f"granary fetch: {self.process.output()[-2000:]}")
        return True


class Seed:
    """`granary run` with one torrent in its store."""

    name = "granary"

    def __init__(self, granary, torrent, folder, peer, cpu):
        self.port = free_port()
        data = granary.work / f"data-{os.urandom(4).hex()}"
        granary.command("seed", folder, "--torrent", torrent, "--data", data, "--no-wait")
        self.process, self.ready = granary.start(data, self.port, cpu)

    def done(self):
        return self.ready.exists()


class Many:
    """`granary run` over a folder of torrents, added once."""

    name = "granary"

    def __init__(self, granary, torrents, folder, state):
        if not state.exists():
            granary.command("seed", folder, *[a for t in torrents for a in ("--torrent", t)], "--data", state, "--no-wait")
        self.process, self.ready = granary.start(state)

    def done(self):
        return self.ready.exists()
