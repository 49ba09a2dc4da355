"""What an unplugged, silent or stopped box costs two browsers: each cell beside the figure it must not be worse than.

A home of network namespaces: a router (dnsmasq) that forwards our names to the box, the box (Granary with its proxy and its
proxy script), a device with a browser, and an Internet of one web server. Needs root, dnsmasq, chromium with its driver, and
firefox-esr. Each browser has learnt the script and opened a site before the box goes, unless a row says "fresh start".
"""

import contextlib
import json
import os
import pathlib
import subprocess
import sys

from feeds import ask
from measure import Process, table, until

HERE = pathlib.Path(__file__).resolve().parent
NAME = f"granary-{os.getpid()}-unplugged"
LAN = "192.168.7"
WEB = "93.184.216.34"

ORDINARY, OURS, LINKED = "an ordinary site", "a .btlink site", "a linked site"
# What was measured with a proxy that closes idle connections, a script without DNS calls and the same browsers: the upper end,
# in seconds.
FIGURES = {
    ("router", "unplugged", ORDINARY): (0.11, 0.17),
    ("router", "unplugged", OURS): (4, 7),
    ("router", "unplugged", LINKED): (4, 7),
    ("router", "silent", ORDINARY): (0.1, 0.1),
    ("router", "silent", OURS): (8, 90),
    ("router", "stopped", ORDINARY): (0.1, 0.1),
    ("router", "stopped", OURS): (0.5, 0.6),
    ("box, router", "unplugged", ORDINARY): (14, 9),
    ("box, router", "unplugged", LINKED): (14, 12),
    ("router", "unplugged, fresh start, script by address", ORDINARY): (3, 3),
    ("router", "silent, fresh start, script by address", ORDINARY): (30, 81),
    ("router", "unplugged, fresh start, auto-detect", ORDINARY): (0.6, 1.4),
    ("box, router", "unplugged, fresh start, auto-detect", ORDINARY): (2, 21),
}
# A busy machine and one run: a cell is worse when it exceeds its figure by a fifth and a second.
SLACK, SLACK_SECONDS = 1.2, 1.0


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


class Home:
    """The namespaces; removed at the end."""

    hosts = ("switch", "router", "box", "device", "web")

    def __init__(self, work):
        self.work = work
        for host in self.hosts:
            etc = pathlib.Path("/etc/netns") / self.name(host)
            etc.mkdir(parents=True, exist_ok=True)
            (etc / "resolv.conf").write_text(f"nameserver {LAN}.1\n" if host == "box" else "")
            ip("netns", "add", self.name(host))
            ip("-n", self.name(host), "link", "set", "lo", "up")
        ip("-n", self.name("switch"), "link", "add", "br0", "type", "bridge", "forward_delay", "0", "mcast_snooping", "0")
        ip("-n", self.name("switch"), "link", "set", "br0", "up")
        for number, host in enumerate(("router", "box", "device", "web"), 1):
            ip("link", "add", host, "netns", self.name("switch"), "type", "veth", "peer", "name", "eth0", "netns", self.name(host))
            ip("-n", self.name("switch"), "link", "set", host, "master", "br0", "up")
            ip("-n", self.name(host), "link", "set", "eth0", "up")
            ip("-n", self.name(host), "addr", "add", f"{LAN}.{number}/24", "dev", "eth0")
        ip("-n", self.name("web"), "addr", "add", f"{WEB}/32", "dev", "lo")
        for host in ("router", "box", "device"):
            ip("-n", self.name(host), "route", "add", f"{WEB}/32", "via", f"{LAN}.4")

    def name(self, host):
        return f"{NAME}-{host}"

    def argv(self, host, *argv):
        return ["ip", "netns", "exec", self.name(host), *map(str, argv)]

    def resolvers(self, hosts):
        lines = [f"nameserver {LAN}.{host}\n" for host in hosts] + ["search home.arpa\n"]
        (pathlib.Path("/etc/netns") / self.name("device") / "resolv.conf").write_text("".join(lines))

    def close(self):
        for host in self.hosts:
            pids = subprocess.run(["ip", "netns", "pids", self.name(host)], capture_output=True, text=True)
            for pid in pids.stdout.split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), 9)
            subprocess.run(["ip", "netns", "delete", self.name(host)], capture_output=True)
            etc = pathlib.Path("/etc/netns") / self.name(host)
            (etc / "resolv.conf").unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                etc.rmdir()

    # As shell commands, because the browser's script runs them between two visits.
    def gone(self, how, box):
        switch, device, pid = self.name("switch"), self.name("device"), box.child.pid
        return {
            "unplugged": f"ip -n {switch} link set box down; ip -n {device} neigh flush all",
            "silent": f"ip -n {self.name('box')} route add blackhole {LAN}.3/32",
            "stopped": f"kill -TERM {pid}; while grep -qs 'State:.[^Z]' /proc/{pid}/status; do sleep 0.05; done",
        }[how]

    def back(self, how):
        if how == "unplugged":
            ip("-n", self.name("switch"), "link", "set", "box", "up")
        if how == "silent":
            ip("-n", self.name("box"), "route", "del", "blackhole", f"{LAN}.3/32")


class Box:
    """Granary on its host, with a site of its own and a followed linked domain."""

    def __init__(self, granary, home, work):
        self.granary, self.home, self.data, self.process = granary, home, work / "data", None
        self.control, self.ready = work / "control.sock", work / "ready.json"
        self.start()
        self.site = json.loads(self.ready.read_text())["starter"]

    def follow(self):
        """The router must know its link record by now."""
        ask(self.control, "POST", "subscriptions", {"paste": "http://linked.example.com/"})
        script = [*self.home.argv("device"), "curl", "-s", f"http://{LAN}.2/wpad.dat"]
        listed = lambda: "linked.example.com" in subprocess.run(script, capture_output=True, text=True).stdout  # noqa: E731
        until(listed, 60, "the linked domain in the script", self.process, 0.5)

    def start(self):
        if self.process and self.process.alive():
            return
        self.ready.unlink(missing_ok=True)
        argv = [self.granary.binary, "run", "--data", self.data, "--ready-file", self.ready, "--control", self.control,
                "--starter", "--advertise", f"{LAN}.2", "--upstream-dns", f"{LAN}.1:53", "--interface", "eth0",
                "--listen-http", f"{LAN}.2:80", "--listen-proxy", f"{LAN}.2:3128", "--listen-dns", f"{LAN}.2:53",
                "--listen-bt", f"{LAN}.2:0", "--listen-dht", f"{LAN}.2:0", "--dht-bootstrap", "none", "--no-lsd", "--no-upnp",
                "--log", "warn"]
        self.process = Process("granary", self.home.argv("box", *argv))
        until(self.ready.exists, 60, "the ready file", self.process)


def router(home, work, site):
    config = work / "dnsmasq.conf"
    config.write_text(
        "keep-in-foreground\nuser=root\npid-file=\nno-hosts\nno-resolv\n"
        f"server=/btlink/{LAN}.2\naddress=/example.com/{WEB}\naddress=/example.org/{WEB}\naddress=/example.net/{WEB}\n"
        f"txt-record=_btlink.linked.example.com,magnet:?xt=urn:btih:{site}\n")
    return Process("dnsmasq", home.argv("router", "dnsmasq", "-C", config))


def visits(home, browser, way, steps):
    """Seconds of each visit, in order."""
    url = f"http://{LAN}.2/wpad.dat"
    arguments = {
        ("chromium", "script"): [f"--proxy-pac-url={url}"],
        ("chromium", "auto"): ["--proxy-auto-detect"],
        ("firefox", "script"): {"network.proxy.type": 2, "network.proxy.autoconfig_url": url},
        ("firefox", "auto"): {"network.proxy.type": 4},
    }[browser, way]
    argv = home.argv("device", sys.executable, HERE / "visit.py", browser, json.dumps(arguments), json.dumps(steps))
    done = subprocess.run(argv, capture_output=True, text=True, timeout=1200)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode != 0:
        raise RuntimeError(f"{browser}: {done.stderr[-1500:]}")
    return lines


def running(home, box, browser, dns, how, number):
    """A browser that knows the script; then the box goes. Seconds of the slower of two visits of each kind."""
    ours = f"http://{box.site}-ih.btlink"
    before = [f"visit http://first-{number}.example.org/", f"visit {ours}/", "visit http://linked.example.com/"]
    after = [f"visit http://second-{number}.example.org/", f"visit http://third-{number}.example.net/", f"visit {ours}/x",
             "visit http://linked.example.com/x", "visit http://linked.example.com/y"]
    # The pause lets idle connections be closed, as between two pages that a person reads.
    steps = [*before, "wait 5", "do " + home.gone(how, box.process), "wait 0.5", *after]
    lines = visits(home, browser, "script", steps)
    for line, wanted in zip(lines, ("ordinary", "", "")):
        if line["trouble"] or wanted not in (line["title"] or ""):
            raise RuntimeError(f"{browser} before the box went: {line}")
    # The two visits of a linked site: to the proxy that is gone, then past it.
    seconds = [line["seconds"] for line in lines[3:]]
    return {ORDINARY: max(seconds[:2]), OURS: seconds[2], LINKED: max(seconds[3:])}


def fresh(home, box, browser, way, how, number):
    """A browser that starts while the box is gone."""
    subprocess.run(home.gone(how, box.process), shell=True, check=True)
    lines = visits(home, browser, way, [f"visit http://fresh-{number}-{n}.example.org/" for n in range(2)])
    return {ORDINARY: max(line["seconds"] for line in lines)}


def rows(home, box):
    """(resolvers of the device, what happened, browser, seconds by kind of site)"""
    number = 0
    for browser in ("chromium", "firefox"):
        for dns, hosts, how, way in (
            ("router", [1], "unplugged", None), ("router", [1], "silent", None), ("router", [1], "stopped", None),
            ("box, router", [2, 1], "unplugged", None), ("router", [1], "unplugged", "script"),
            ("router", [1], "silent", "script"), ("router", [1], "unplugged", "auto"),
            ("box, router", [2, 1], "unplugged", "auto"),
        ):
            number += 1
            box.start()
            home.resolvers(hosts)
            words = {None: "", "script": ", fresh start, script by address", "auto": ", fresh start, auto-detect"}[way]
            try:
                if way is None:
                    measured = running(home, box, browser, dns, how, number)
                else:
                    measured = fresh(home, box, browser, way, how, number)
            finally:
                home.back(how)
            print(f"  {browser}, names from {dns}, box {how}{words}: " + ", ".join(
                f"{kind} {seconds:.2f} s" for kind, seconds in measured.items()), flush=True)
            yield dns, how + words, browser, measured


def run(granary, work, results):
    if os.geteuid() != 0:
        raise RuntimeError("makes network namespaces, which only root may")
    home = Home(work)
    try:
        Process("web", home.argv("web", sys.executable, HERE / "visit.py", "serve", WEB))
        box = Box(granary, home, work)
        router(home, work, box.site)
        box.follow()
        cells, worse = [], []
        for dns, what, browser, measured in rows(home, box):
            for kind, seconds in measured.items():
                figure = FIGURES.get((dns, what, kind))
                if figure is None:
                    continue
                most = figure[browser == "firefox"]
                good = seconds <= most * SLACK + SLACK_SECONDS
                cells.append({
                    "browser": browser, "names from": dns, "the box is": what, "visited": kind, "seconds": round(seconds, 2),
                    "earlier figure": most, "worse": "" if good else "worse"})
                worse += [] if good else [cells[-1]]
        table("a box that is gone", cells, results)
        if worse:
            raise RuntimeError(f"worse than before in {len(worse)} of {len(cells)} cells")
    finally:
        home.close()
