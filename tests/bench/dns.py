"""DNS: what one answer costs, and how soon it comes: ours beside unbound, dnsmasq, pdns-recursor and smartdns in one run.

Each server has one thread on core 1; dnsperf and the upstream (nsd) run on core 0. Latencies are taken at 3,000 queries per
second with all three above everything else on the machine (SCHED_FIFO, where that is allowed), so that other work does not
show. CPU is the scheduler's account of the server's threads.
"""

import pathlib
import random
import re
import shutil
import socket
import subprocess
import time

from measure import Process, median, medians, table, until

NAMES, LOCAL, BLOCKED = 1000, 250, 1_000_000
SCENARIOS = ("cached", "local", "miss")
# Of the best peer's figure (unbound where nothing else is said), as the product promises it.
TARGETS = (
    ("cached", "CPU us/query", "unbound", 1.0),
    ("local", "CPU us/query", "unbound", 1.0),
    ("miss", "CPU us/query", "smartdns", 0.8),
    ("miss", "p50 us", "pdns-recursor", 1.0),
    ("block 1M", "CPU us/query", "unbound", 0.66),
)


def free_udp_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Fixtures:
    """Names, zones and lists, each in the spelling of every server."""

    def __init__(self, folder, blocked):
        self.folder, self.blocked = folder, blocked
        folder.mkdir(parents=True, exist_ok=True)
        rnd = random.Random(7)
        tops = ["com", "net", "org", "io", "info", "de", "co.uk", "ru", "xyz", "top"]
        kinds = ["ads", "track", "cdn", "px", "stat", "metrics"]
        names = set()
        while len(names) < blocked:
            names.add(f"{rnd.choice(kinds)}{rnd.randrange(10**4)}.{rnd.getrandbits(36):x}.{rnd.choice(tops)}")
        names = sorted(names)
        rnd.shuffle(names)
        known = [f"c{i}.bench.org" for i in range(NAMES)]
        self.write("list.txt", (f"{n}\n" for n in names))
        self.write("list.dnsmasq", (f"local=/{n}/\n" for n in names))
        self.write("list.unbound", ("server:\n", *(f'local-zone: "{n}" always_nxdomain\n' for n in names)))
        self.write("list.smartdns", (f"address /{n}/#\n" for n in names))
        self.write("list.rpz", ("$TTL 300\n@ SOA localhost. root.localhost. 1 3600 600 86400 300\n  NS localhost.\n",
                                *(f"{n} CNAME .\n" for n in names)))
        self.write("q.block", (f"{rnd.choice(names) if i % 2 else rnd.choice(known)} A\n" for i in range(200_000)))
        self.write("q.cached", (f"{n} A\n" for n in rnd.sample(known, NAMES)))
        self.write("q.local", (f"h{i}.lan A\n" for i in range(LOCAL)))
        self.write("hosts", (f"10.0.0.{i + 1} h{i}.lan\n" for i in range(LOCAL)))
        self.write("bench.zone", (
            "$ORIGIN bench.org.\n$TTL 86400\n@ SOA ns.bench.org. r.bench.org. 1 3600 600 86400 300\n@ NS ns\n",
            "ns A 127.0.0.1\n* A 198.51.7.7\n", *(f"c{i} A 198.51.7.{i % 250 + 1}\n" for i in range(NAMES))))
        self.missed = 0

    def path(self, name):
        return self.folder / name

    def write(self, name, lines):
        with open(self.folder / name, "w") as file:
            file.writelines(lines)
        return self.folder / name

    def misses(self, count):
        """Names that nobody has asked for before."""
        first, self.missed = self.missed, self.missed + count
        return self.write("q.miss", (f"m{n:x}.bench.org A\n" for n in range(first, first + count)))


def nsd(fix, port):
    fix.write("nsd.conf", [f"""server:
 ip-address: 127.0.0.1@{port}
 username: ""
 chroot: ""
 zonesdir: "{fix.folder}"
 pidfile: "{fix.folder}/nsd.pid"
 database: ""
 xfrdfile: "{fix.folder}/xfrd.state"
 zonelistfile: "{fix.folder}/zone.list"
 server-count: 1
 rrl-ratelimit: 0
remote-control:
 control-enable: no
zone:
 name: "bench.org"
 zonefile: "bench.zone"
"""])
    return ["nsd", "-d", "-c", fix.path("nsd.conf")]


def unbound(fix, port, upstream, block):
    local = "".join(f' local-data: "h{i}.lan. A 10.0.0.{i + 1}"\n' for i in range(LOCAL))
    listed = f' include: "{fix.path("list.unbound")}"\n' if block else ""
    fix.write("unbound.conf", [f"""server:
 interface: 127.0.0.1
 port: {port}
 do-daemonize: no
 username: ""
 chroot: ""
 directory: "{fix.folder}"
 pidfile: "{fix.folder}/unbound.pid"
 use-syslog: no
 num-threads: 1
 do-not-query-localhost: no
 module-config: "iterator"
 outgoing-range: 4096
 num-queries-per-thread: 2048
 msg-cache-size: 32m
 rrset-cache-size: 64m
{local}{listed}remote-control:
 control-enable: no
forward-zone:
 name: "."
 forward-addr: 127.0.0.1@{upstream}
"""])
    return ["unbound", "-d", "-c", fix.path("unbound.conf")]


def dnsmasq(fix, port, upstream, block):
    argv = ["dnsmasq", "-k", "-C", "/dev/null", "-p", port, "--no-resolv", "--no-hosts", f"--addn-hosts={fix.path('hosts')}",
            f"--server=127.0.0.1#{upstream}", "--cache-size=10000", "--listen-address=127.0.0.1", "--bind-interfaces",
            "--user=root", "--dns-forward-max=2000", f"--pid-file={fix.folder}/dnsmasq.pid"]
    return argv + ([f"--conf-file={fix.path('list.dnsmasq')}"] if block else [])


def pdns(fix, port, upstream, block):
    folder = fix.folder / f"pdns{port}"
    folder.mkdir(exist_ok=True)
    (folder / "recursor.conf").write_text("")
    (folder / "l.lua").write_text(f'rpzFile("{fix.path("list.rpz")}", {{policyName="b"}})\n' if block else "")
    return ["pdns_recursor", f"--config-dir={folder}", f"--socket-dir={folder}", "--local-address=127.0.0.1",
            f"--local-port={port}", f"--forward-zones=.=127.0.0.1:{upstream}", "--dnssec=off", "--export-etc-hosts=yes",
            f"--etc-hosts-file={fix.path('hosts')}", "--threads=1", "--pdns-distributes-queries=no", "--daemon=no",
            "--dont-query=", "--qname-minimization=no", "--loglevel=3", f"--lua-config-file={folder}/l.lua",
            "--max-mthreads=4096", "--write-pid=no"]


def smartdns(fix, port, upstream, block):
    local = "".join(f"address /h{i}.lan/10.0.0.{i + 1}\n" for i in range(LOCAL))
    listed = f"conf-file {fix.path('list.smartdns')}\n" if block else ""
    fix.write("smartdns.conf", [
        f"bind 127.0.0.1:{port}\nserver 127.0.0.1:{upstream}\ncache-size 32768\ncache-persist no\nspeed-check-mode none\n"
        "response-mode fastest-response\nserve-expired no\nlog-level error\n"
        f"log-file {fix.folder}/smartdns.log\nprefetch-domain no\nmax-query-limit 0\n{local}{listed}"])
    return ["smartdns", "-f", "-c", fix.path("smartdns.conf"), "-p", fix.folder / "smartdns.pid"]


def granary(ours):
    """The LAN half alone, as the appliance runs it."""
    def command(fix, port, upstream, block):
        data = fix.folder / f"lan{port}"
        data.mkdir(exist_ok=True)
        hosts = "".join(f'[[names.hosts]]\nname = "h{i}.lan"\naddr = "10.0.0.{i + 1}"\n' for i in range(LOCAL))
        listed = '[block]\nenabled = true\nanswer = "nxdomain"\n' if block else ""
        # One client asks everything here; in a home that would be a device gone mad.
        (data / "lan.toml").write_text(f"[dns]\ndevice_queries_per_sec = 0\n[mdns]\nenabled = false\n{listed}{hosts}")
        if block:
            shutil.copy(fix.path("list.compiled"), data / "blocklist")
        return [ours.binary, "lan", "--data", data, "--listen-dns", f"127.0.0.1:{port}", "--upstream-dns",
                f"127.0.0.1:{upstream}", "--interface", "lo", "--dhcp", "off", "--log", "warn"]
    return command


def question(name):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return b"\x12\x34\x01\x00\x00\x01" + bytes(6) + labels + b"\0\0\1\0\1"


def answers(port, name="c1.bench.org", rcodes=(0, 3)):
    """Does it answer now?"""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.02)
        try:
            sock.sendto(question(name), ("127.0.0.1", port))
            reply = sock.recv(1500)
        except OSError:
            return False
    return reply[:2] == b"\x12\x34" and reply[3] & 15 in rcodes


def perf(port, queries, seconds, *more, before=()):
    argv = [*before, "taskset", "-c", "0", "dnsperf", "-s", "127.0.0.1", "-p", port, "-d", queries, "-c", "20", "-T", "1",
            "-l", seconds, *more]
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=seconds + 60)
    figure = {}
    for word in ("completed", "lost"):
        found = re.search(rf"Queries {word}:\s+(\d+)", done.stdout)
        if not found:
            raise RuntimeError(f"dnsperf: {done.stderr[-500:]} {done.stdout[-500:]}")
        figure[word] = int(found[1])
    found = re.search(r"NXDOMAIN (\d+)", done.stdout)
    figure["nxdomain"] = int(found[1]) if found else 0
    figure["text"] = done.stdout
    return figure


def hurry(on, *processes):
    """SCHED_FIFO for the two seconds of a latency figure; without the right to it the figure is taken all the same."""
    for process in processes:
        for pid in process.pids():
            how = ["-a", "-f", "-p", "5"] if on else ["-a", "-o", "-p", "0"]
            subprocess.run(["chrt", *how, str(pid)], capture_output=True)


def latency(port, queries, server, upstream):
    hurry(True, server, upstream)
    try:
        before = ["chrt", "-f", "5"] if subprocess.run(["chrt", "-f", "5", "true"], capture_output=True).returncode == 0 else []
        text = perf(port, queries, 2, "-q", 50, "-Q", 3000, "-v", before=before)["text"]
    except subprocess.TimeoutExpired:
        # Seen once in a hundred runs: dnsperf itself waits for ever. Other repetitions have the figure.
        return {"p50 us": None, "p99 us": None}
    finally:
        hurry(False, server, upstream)
    times = sorted(float(line.split()[-1]) * 1e6 for line in text.splitlines() if re.match(r"> [A-Z]{3,} .*\d\.\d+$", line))
    if not times:
        return {"p50 us": None, "p99 us": None}
    return {"p50 us": times[len(times) // 2], "p99 us": times[int(len(times) * 0.99)]}


def shared_memory(process):
    """MiB: what is resident, and of it what is shared with nobody, from the kernel's own sum."""
    totals = {"Rss:": 0, "Pss:": 0, "Private_Dirty:": 0}
    for pid in process.pids():
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            key, *rest = line.split()
            if key in totals:
                totals[key] += int(rest[0])
    return {"RSS MiB": totals["Rss:"] / 1024, "dirty MiB": totals["Private_Dirty:"] / 1024}


def measured(scenario, name, port, queries, seconds, server, upstream, more):
    before = server.run_nanoseconds()
    load = perf(port, queries, seconds, "-q", 100)
    spent = server.run_nanoseconds() - before
    # A row of misses needs names of its own for each part.
    slow = more(20_000) if scenario == "miss" else queries
    row = {"scenario": scenario, "server": name, "CPU us/query": spent / 1000 / max(load["completed"], 1)}
    row |= latency(port, slow, server, upstream)
    row |= {"lost": load["lost"], "queries": load["completed"], **shared_memory(server)}
    return row, load


def one_server(name, command, fix, upstream_port, upstream, seconds):
    port, rows = free_udp_port(), []
    begin = time.monotonic()
    server = Process(name, command(fix, port, upstream_port, False), cpu=1)
    try:
        until(lambda: answers(port, rcodes=(0,)), 60, "an answer", server, step=0.001)
        start = time.monotonic() - begin
        # Everybody has settled; then one more answer, and it is idle again.
        time.sleep(4)
        until(lambda: answers(port, rcodes=(0,)), 5, "an answer", server)
        idle = shared_memory(server)["RSS MiB"]
        for scenario in SCENARIOS:
            queries = fix.misses(100_000 * seconds) if scenario == "miss" else fix.path(f"q.{scenario}")
            if scenario != "miss":
                perf(port, queries, 3, "-n", 3, "-q", 20)
            row, _ = measured(scenario, name, port, queries, seconds, server, upstream, fix.misses)
            rows.append(row | {"start s": start, "idle RSS MiB": idle})
    finally:
        server.stop(5)
    return rows


def one_list(name, command, fix, upstream_port, upstream, seconds):
    port = free_udp_port()
    begin = time.monotonic()
    server = Process(name, command(fix, port, upstream_port, True), cpu=1)
    try:
        first = open(fix.path("list.txt")).readline().strip()
        until(lambda: answers(port, rcodes=(0,)), 240, "an answer", server, step=0.005)
        until(lambda: name == "smartdns" or answers(port, first, (3,)), 60, "a blocked name", server, step=0.005)
        start, load_cpu = time.monotonic() - begin, server.cpu_seconds()
        perf(port, fix.path("q.cached"), 3, "-n", 2, "-q", 20)
        row, load = measured("block 1M", name, port, fix.path("q.block"), seconds, server, upstream, None)
        return row | {"start s": start, "load CPU s": load_cpu, "blocked": load["nxdomain"] / max(load["completed"], 1)}
    finally:
        server.stop(5)


def compare(rows):
    """Ours over the peers', and over what is promised."""
    found = {(row["scenario"], row["server"]): row for row in rows}
    lines = []

    def line(what, ours, peer, factor):
        if ours is None or peer is None:
            return
        lines.append({"figure": what, "granary": ours, "peer": peer, "ratio": ours / peer, "target ratio": factor,
                      "reached": "yes" if ours <= peer * factor else "NO"})

    for scenario, figure, peer, factor in TARGETS:
        ours, other = found.get((scenario, "granary")), found.get((scenario, peer))
        if ours and other:
            line(f"{scenario}: {figure} / {peer}", ours[figure], other[figure], factor)
    for scenario in (*SCENARIOS, "block 1M"):
        ours = found.get((scenario, "granary"))
        best = [row["p99 us"] for (s, server), row in found.items() if s == scenario and server != "granary" and row["p99 us"]]
        if ours and best:
            line(f"{scenario}: p99 us / best peer", ours["p99 us"], min(best), 1.0)
    cached, block = found.get(("cached", "granary")), found.get(("block 1M", "granary"))
    if cached and block:
        line("block 1M: CPU us/query / ours without", block["CPU us/query"], cached["CPU us/query"], 1.15)
        line("block 1M: RSS added, MiB / 11", block["RSS MiB"] - cached["RSS MiB"], 11.0, 1.0)
    if cached and ("cached", "dnsmasq") in found:
        line("RSS idle, MiB / 6", cached["idle RSS MiB"], 6.0, 1.0)
        line("RSS in use, MiB / dnsmasq", cached["RSS MiB"], found["cached", "dnsmasq"]["RSS MiB"], 1.0)
        line("start to first answer, s / 0.1", cached["start s"], 0.1, 1.0)
    return lines


def compiled(ours, fix, repetitions, results):
    """From text to file: our own command, beside dnsmasq reading its own list."""
    spent = []
    for _ in range(repetitions):
        job = Process("compile", [ours.binary, "blocklist", "compile", fix.path("list.txt"), "-o", fix.path("list.compiled")], 1)
        until(lambda: not job.alive(), 120, "a compiled list")
        if job.child.returncode != 0:
            raise RuntimeError(job.output()[-2000:])
        spent.append({"names": fix.blocked, "CPU s": job.cpu_seconds(), "peak MiB": job.memory()["peak"],
                      "file MiB": fix.path("list.compiled").stat().st_size / (1 << 20), "target CPU s": 0.5})
    table("DNS: compiling a block list", medians(spent, ["names"]), results)


def run(ours, work, repetitions, seconds, results, blocked=BLOCKED):
    fix = Fixtures(work / "dns", blocked)
    compiled(ours, fix, repetitions, results)
    peers = {"unbound": unbound, "dnsmasq": dnsmasq, "pdns-recursor": pdns, "smartdns": smartdns}
    servers = {"granary": granary(ours), **peers}
    upstream_port = free_udp_port()
    upstream = Process("nsd", nsd(fix, upstream_port), cpu=0)
    rows, blocks = [], []
    try:
        until(lambda: answers(upstream_port), 20, "an answer of nsd", upstream)
        for _ in range(repetitions):
            for name, command in servers.items():
                for job, to in ((one_server, rows), (one_list, blocks)):
                    try:
                        made = job(name, command, fix, upstream_port, upstream, seconds)
                        to.extend(made if isinstance(made, list) else [made])
                    except RuntimeError as error:
                        if name == "granary":
                            raise
                        print(f"{name}: no figure: {str(error)[:300]}", flush=True)
    finally:
        upstream.stop(5)
    rows = sorted(medians(rows, ["scenario", "server"]), key=lambda r: (SCENARIOS.index(r["scenario"]), r["CPU us/query"]))
    blocks = sorted(medians(blocks, ["scenario", "server"]), key=lambda r: r["CPU us/query"])
    table("DNS: one answer", rows, results)
    table(f"DNS: with a list of {blocked:,} names, every second query blocked", blocks, results)
    table("DNS: targets", compare(rows + blocks), results)
