#!/usr/bin/python3
"""Measures Granary beside its peers in one run and prints tables: `make bench`, or `run.py --only web,store`.

CPU seconds per unit of work and memory are the figures; wall-clock figures on a shared machine are not. Each is the median of
`--repetitions` runs, with the peer measured in the same run. `slots.json` beside this file has the same commands as templates,
for harnesses of others.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import dedupe  # noqa: E402
import dhcp  # noqa: E402
import dht  # noqa: E402
import dns  # noqa: E402
import feeds  # noqa: E402
import granary  # noqa: E402
import many  # noqa: E402
import measure  # noqa: E402
import pages  # noqa: E402
import torrent  # noqa: E402
import unplugged  # noqa: E402
import web  # noqa: E402

JOBS = ("store", "dht", "web", "torrent", "many", "feeds", "dedupe", "pages", "unplugged", "dns", "dhcp")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True, help="the release binary")
    parser.add_argument("--store-bench", help="the store's own bench program (an example of its crate)")
    parser.add_argument("--only", default=",".join(JOBS), help=f"some of: {', '.join(JOBS)}")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3, help="of load for each HTTP figure")
    parser.add_argument("--mib", type=int, default=512, help="size of the torrent that is transferred")
    parser.add_argument("--sites", default="1000", help="how many kept sites; several sizes with commas")
    parser.add_argument("--feeds", type=int, default=500, help="how many subscriptions")
    parser.add_argument("--names", type=int, default=1_000_000, help="in the block list")
    parser.add_argument("--out", default="", help="also write all rows to this JSON file")
    return parser.parse_args()


def own_program(argv, results):
    """A bench program of ours that prints its own table, peers included."""
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=1800)
    print(done.stdout, flush=True)
    if done.returncode != 0:
        raise RuntimeError(f"{argv[0]}: {done.stderr[-2000:]}")
    results[pathlib.Path(str(argv[0])).name] = done.stdout


def run_job(name, args, ours, work, results):
    if name == "store":
        own_program([args.store_bench, work], results)
    elif name == "dht":
        dht.run(ours, args.repetitions, results)
    elif name == "web":
        web.run(ours, work, args.repetitions, args.seconds, results)
    elif name == "torrent":
        torrent.run(ours, work, args.repetitions, args.mib, results)
    elif name == "pages":
        pages.run(ours, work, results)
    elif name == "unplugged":
        unplugged.run(ours, work, results)
    elif name == "dns":
        dns.run(ours, work, args.repetitions, args.seconds, results, args.names)
    elif name == "dhcp":
        dhcp.run(ours, work, args.repetitions, args.seconds, results)
    elif name == "dedupe":
        dedupe.run(ours, work, results)
    elif name == "feeds":
        feeds.run(ours, work, args.feeds, results)
    elif name == "many":
        for count in args.sites.split(","):
            many.run(ours, work / f"many-{count}", int(count), results)


def main():
    args = arguments()
    # rqbit, the named peer, is no Debian package: tests/bench/setup.sh builds it here.
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "granary"
    os.environ["PATH"] += f":{cache / 'rqbit' / 'bin'}"
    results, broken = {"load": os.getloadavg()}, []
    for name in args.only.split(","):
        if name not in JOBS:
            sys.exit(f"no bench is called {name}; there are: {', '.join(JOBS)}")
        work = measure.scratch()
        try:
            run_job(name, args, granary.Granary(pathlib.Path(args.binary).resolve(), work), work, results)
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            print(f"\n## {name}: no figures\n{error}", flush=True)
            broken.append(name)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    if args.out:
        measure.save(results, args.out)
    if broken:
        sys.exit(f"no figures for: {', '.join(broken)}")


if __name__ == "__main__":
    main()
