"""HTTP: CPU per request of the gateway beside nginx, and of the proxy door beside squid and privoxy.

The server runs on core 1 with the load generator (wrk, and the origin of the proxies) on core 0. Ours serves a real site
from its store: the host is an `-ih.btlink` address, the bytes are pieces.
"""

import os
import re
import subprocess

from measure import Process, free_port, listening, medians, table, until

FILES = (("1k", 1 << 10, 32), ("100k", 100 << 10, 32), ("10m", 10 << 20, 4))


def nginx(root, work, port, cpu):
    conf = work / f"nginx-{port}.conf"
    conf.write_text(f"""user root; worker_processes 1; daemon off; pid {work}/nginx-{port}.pid; error_log {work}/nginx.err;
events {{ worker_connections 1024; }}
http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000; types {{}}
 default_type application/octet-stream; server {{ listen 127.0.0.1:{port}; root {root}; }} }}""")
    return Process("nginx", ["nginx", "-p", work, "-c", conf], cpu)


def squid(work, port, cpu):
    for left_over in ("metadata", "queues", "readers"):
        path = f"/dev/shm/squid-cf__{left_over}.shm"
        if os.path.exists(path):
            os.unlink(path)
    home = work / f"squid-{port}"
    home.mkdir(mode=0o777)
    home.chmod(0o777)
    conf = work / f"squid-{port}.conf"
    conf.write_text(f"""http_port 127.0.0.1:{port}
http_access allow all
cache deny all
access_log none
cache_log {home}/cache.log
pid_filename {home}/pid
coredump_dir {home}
visible_hostname bench
shutdown_lifetime 0 seconds
netdb_filename none
cache_mem 8 MB
max_filedescriptors 4096
memory_cache_shared off
""")
    work.chmod(0o755)
    return Process("squid", ["squid", "-N", "-f", conf], cpu)


def privoxy(work, port, cpu):
    conf = work / f"privoxy-{port}.conf"
    conf.write_text(f"""listen-address 127.0.0.1:{port}
confdir {work}
logdir {work}
keep-alive-timeout 60
connection-sharing 1
toggle 0
max-client-connections 256
templates /etc/privoxy/templates
""")
    return Process("privoxy", ["privoxy", "--no-daemon", conf], cpu)


def wrk(url, connections, seconds, extra=()):
    argv = ["taskset", "-c", "0", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", *extra, url]
    text = subprocess.run(argv, capture_output=True, text=True, timeout=seconds + 60).stdout
    requests = int(re.search(r"(\d+) requests in", text).group(1))
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    if bad or requests == 0:
        raise RuntimeError(f"{url}: {bad.group(0) if bad else 'no request was answered'}")
    return requests


def loaded(case, process, size, run):
    before = process.cpu_seconds()
    requests = run()
    used = process.cpu_seconds() - before
    return {"case": case, "server": process.name, "cpu us/request": used / requests * 1e6,
            "cpu s/GiB": used / requests * (1 << 30) / size, "rss MiB": process.memory()["rss"]}


def absolute(work, origin):
    """A wrk script that asks a proxy for `origin` in absolute form."""
    script = work / f"absolute-{abs(hash(origin))}.lua"
    host = origin.split("/")[2]
    script.write_text(f'request = function() return wrk.format("GET", "{origin}", {{["Host"] = "{host}"}}) end\n')
    return ["-s", script]


def run(granary, work, repetitions, seconds, results):
    root = work / "root"
    root.mkdir()
    for name, size, _ in FILES:
        (root / f"{name}.bin").write_bytes(os.urandom(size))
    gateway, proxy = [], []
    for _ in range(repetitions):
        gateway += static_rows(granary, root, work, seconds)
        proxy += proxy_rows(granary, root, work, seconds)
    table("HTTP gateway", compared(medians(gateway, ["case", "server"]), ["nginx"]), results)
    table("HTTP proxy", compared(medians(proxy, ["case", "server"]), ["squid", "privoxy"]), results)


def compared(rows, peers):
    """Adds ours divided by the best peer of the same case."""
    for row in rows:
        best = min((r["cpu us/request"] for r in rows if r["case"] == row["case"] and r["server"] in peers), default=None)
        row["ours / best peer"] = row["cpu us/request"] / best if row["server"] == "granary" and best else None
    return rows


def static_rows(granary, root, work, seconds):
    rows, port = [], free_port()
    peer = nginx(root, work, port, 1)
    until(listening(port), 20, "nginx", peer)
    for name, size, connections in FILES:
        url = f"http://127.0.0.1:{port}/{name}.bin"
        rows.append(loaded(name, peer, size, lambda: wrk(url, connections, seconds)))
    peer.stop()
    with granary.site(root, cpu=1) as ours:
        for name, size, connections in FILES:
            url, host = f"http://{ours.http}/{name}.bin", ["-H", f"Host: {ours.host}"]
            rows.append(loaded(name, ours.process, size, lambda: wrk(url, connections, seconds, host)))
    return rows


def proxy_rows(granary, root, work, seconds):
    rows, origin_port = [], free_port()
    origin = nginx(root, work, origin_port, 0)
    until(listening(origin_port), 20, "the origin", origin)
    for start in (squid, privoxy):
        port = free_port()
        peer = start(work, port, 1)
        until(listening(port), 30, start.__name__, peer)
        for name, size, connections in FILES:
            script = absolute(work, f"http://127.0.0.1:{origin_port}/{name}.bin")
            rows.append(loaded(name, peer, size, lambda: wrk(f"http://127.0.0.1:{port}/", connections, seconds, script)))
        peer.stop()
    origin.stop()
    with granary.site(root, cpu=1) as ours:
        for name, size, connections in FILES:
            script = absolute(work, f"http://{ours.host}/{name}.bin")
            rows.append(loaded(name, ours.process, size, lambda: wrk(f"http://{ours.proxy}/", connections, seconds, script)))
    return rows
