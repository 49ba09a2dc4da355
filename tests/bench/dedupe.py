"""Bytes a new version of a 200 MB site costs when one file of 1 MB changed, beside clients that know nothing of older versions.

The old version is in the store, the new one at a libtorrent seed; what is counted is payload over the wire. Torrents are made by
us (every file begins at a piece) and by transmission-create (files lie end to end, so a longer file moves all that follow it).
"""

import json
import os
import pathlib
import random
import shutil
import subprocess

from measure import table, until
from torrent import Libtorrent

PIECE_KIB = 256
CHANGED = 1_000_000
FILES = 100
FILE = 1_990_000


def write_site(folder, changed):
    """A hundred files of odd lengths; the one in the middle is new."""
    folder.mkdir(parents=True)
    for number in range(FILES):
        data = os.urandom(changed) if number == FILES // 2 else noise(number, FILE + 97 * number)
        (folder / f"file{number:03}.bin").write_bytes(data)


def noise(number, length):
    """The same bytes in both versions."""
    return random.Random(number).randbytes(length)


def make(granary, maker, site, out):
    if maker == "ours":
        data = granary.work / f"data-{os.urandom(4).hex()}"
        argv = [granary.binary, "seed", site, "--data", data, "--print", "torrent", "--no-wait"]
        done = subprocess.run([str(a) for a in argv], capture_output=True, timeout=600, check=True)
        out.write_bytes(done.stdout)
        shutil.rmtree(data)
    else:
        argv = ["transmission-create", "-s", PIECE_KIB, "-o", out, site]
        subprocess.run([str(a) for a in argv], capture_output=True, timeout=600, check=True)


def one(granary, maker, length, work):
    old, new = work / "old" / "site", work / "new" / "site"
    write_site(old, CHANGED)
    write_site(new, length)
    make(granary, maker, old, work / "old.torrent")
    make(granary, maker, new, work / "new.torrent")
    data = work / "data"
    granary.command("seed", old, "--torrent", work / "old.torrent", "--data", data, "--no-wait")
    seed = Libtorrent(work / "new.torrent", work / "new", work)
    until(seed.done, 300, "libtorrent to check its files", seed.process)
    process, ready = granary.start(data, peer=f"127.0.0.1:{seed.port}")
    until(ready.exists, 60, "the ready file", process)
    begin = process.cpu_seconds()
    granary.command("keep", work / "new.torrent", "--data", data)

    def row():
        rows = json.loads(granary.command("status", "--json", "--data", data))["sites"]
        return next(r for r in rows if not r["complete"] or r["downloaded"] > 0)

    seconds = until(lambda: row()["complete"] and row()["downloaded"] > 0, 300, "the new version", process, 0.5)
    used, total = row()["downloaded"], row()["total"]
    cpu = process.cpu_seconds() - begin
    process.stop()
    seed.process.stop()
    return {"torrent by": maker, "changed file": "same length" if length == CHANGED else "longer", "site MB": total / 1e6,
            "downloaded MB": used / 1e6, "most allowed MB": (1_100_000 + PIECE_KIB * 1024) / 1e6, "CPU s": cpu, "seconds": seconds}


def run(granary, work, results):
    rows = []
    for maker in ("ours", "transmission"):
        for length in (CHANGED, CHANGED + 54_321):
            folder = pathlib.Path(work) / f"{maker}-{length}"
            rows.append(one(granary, maker, length, folder))
            shutil.rmtree(folder)
    table("A new version of a 200 MB site, one file of 1 MB changed", rows, results)
    if any(row["downloaded MB"] > row["most allowed MB"] for row in rows):
        raise RuntimeError("a new version cost more than its changed file and one piece")
