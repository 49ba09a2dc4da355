"""The DHT: 64 nodes in one process put and get items, ours beside libtorrent and bittorrent-dht of npm, in one run."""

import json
import os
import pathlib
import subprocess

import measure

HERE = pathlib.Path(__file__).resolve().parent
SHOWN = (
    "impl", "dead_percent", "put_imm_p50", "put_imm_p99", "get_imm_p50", "get_imm_p99", "put_mut_p50", "put_mut_p99",
    "get_mut_p50", "get_mut_p99", "cpu_ms_per_imm_op", "cpu_ms_per_mut_op", "rss_per_node_MiB", "ok_frac")


def commands(ours, nodes, ops, dead):
    npm = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "granary/npm/node_modules"
    own = [ours.binary, "bench", "dht", "--nodes", nodes, "--ops", ops, "--dead", dead]
    yield "granary", own, {}
    yield "libtorrent", ["/usr/bin/python3", "-B", HERE / "dht_libtorrent.py", nodes, ops, dead], {}
    yield "npm", ["node", HERE / "dht_npm.mjs", nodes, min(ops, 30), dead], {"NODE_MODULES": str(npm)}


def once(argv, env):
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=300, env={**os.environ, **env})
    if done.returncode != 0:
        raise RuntimeError(done.stderr[-500:])
    return json.loads(done.stdout.strip().splitlines()[-1])


def median_of(reports):
    """Figure by figure; what is no figure comes from the first report."""
    return {key: measure.median([r[key] for r in reports if key in r]) if isinstance(value, float) else value
            for key, value in reports[0].items()}


def run(ours, repetitions, results, nodes=64, ops=200):
    rows = {}
    for _ in range(repetitions):
        for dead in (0, 10):
            for name, argv, env in commands(ours, nodes, ops, dead):
                try:
                    rows.setdefault((name, dead), []).append(once(argv, env))
                except (RuntimeError, subprocess.TimeoutExpired) as error:
                    print(f"{name} with {dead} % dead: no figures: {error}", flush=True)
    medians = [median_of(reports) for reports in rows.values()]
    print(f"\n## DHT: {nodes} nodes in one process, milliseconds, medians of {repetitions}; npm with 30 operations\n")
    print("| " + " | ".join(SHOWN) + " |\n|" + "---|" * len(SHOWN))
    for row in medians:
        print("| " + " | ".join(str(row.get(key, "-")) for key in SHOWN) + " |", flush=True)
    results["dht"] = medians
    records(ours, results)


def records(ours, results, nodes=64, count=500):
    """One node keeps so many records alive in a net of ours: a round after a start, the hourly survey, a look of feeds."""
    report = once([ours.binary, "bench", "records", "--nodes", nodes, "--records", count], {})
    print(f"\n## {count} records kept alive among {nodes} nodes, as fast as it goes; CPU of all nodes together\n")
    print("| round | seconds | packets out | packets in | CPU ms per record | nodes |\n|---|---|---|---|---|---|")
    for name in ("put", "survey", "look"):
        row = report[name]
        print(f"| {name} | {row['seconds']:.2f} | {row['packets_out']} | {row['packets_in']} | "
              f"{row['cpu_ms_per_record_allnodes']:.2f} | {row['nodes_mean']:.1f} |", flush=True)
    results["records"] = report
