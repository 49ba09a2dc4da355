"""Measuring other processes: CPU seconds and memory of a whole process tree, medians, tables.

CPU time and memory are read from /proc, so a figure is the kernel's own account and not a wall clock on a noisy machine.
Only processes started here are ever signalled.
"""

import atexit
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

TICK = os.sysconf("SC_CLK_TCK")
_running = []


def scratch():
    """A folder for this run; removed at the end."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="granary-bench-", dir=os.environ.get("GRANARY_BENCH_DIR", "/var/tmp")))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


class Process:
    """A program under measurement, pinned to `cpu` when given, with all its children."""

    def __init__(self, name, argv, cpu=None, cwd=None, env=None):
        self.name = name
        argv = [str(a) for a in argv]
        if cpu is not None:
            argv = ["taskset", "-c", str(cpu)] + argv
        self.log = tempfile.TemporaryFile()
        self.child = subprocess.Popen(
            argv, cwd=cwd, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            start_new_session=True)
        self.usage = None
        _running.append(self)

    def pids(self):
        """The process group: everything the program started and has not detached."""
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    fields = pathlib.Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()
                except (FileNotFoundError, ProcessLookupError):
                    continue
                if int(fields[2]) == self.child.pid:
                    found.append(int(entry))
        return found

    def cpu_seconds(self):
        """User and system time of the group, reaped children included; of a program that has ended, all of it."""
        if not self.alive():
            return self.usage.ru_utime + self.usage.ru_stime
        ticks = 0
        for pid in self.pids():
            try:
                fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            ticks += sum(int(f) for f in fields[11:15])
        return ticks / TICK

    def run_nanoseconds(self):
        """Time on a core of all live threads, from the scheduler: finer than ticks, for programs that do next to nothing."""
        total = 0
        for pid in self.pids():
            for task in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
                try:
                    total += int(task.read_text().split()[0])
                except (FileNotFoundError, ProcessLookupError):
                    continue
        return total

    def memory(self):
        """MiB: resident, anonymous, and the peak of resident; of a program that has ended, only the peak is known."""
        if not self.alive():
            return {"rss": None, "anon": None, "peak": self.usage.ru_maxrss / 1024}
        totals = {"VmRSS:": 0, "RssAnon:": 0, "VmHWM:": 0}
        for pid in self.pids():
            try:
                for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
                    key, *rest = line.split()
                    if key in totals:
                        totals[key] += int(rest[0])
            except (FileNotFoundError, ProcessLookupError):
                continue
        return {"rss": totals["VmRSS:"] / 1024, "anon": totals["RssAnon:"] / 1024, "peak": totals["VmHWM:"] / 1024}

    def alive(self):
        if self.usage is None:
            # wait4 instead of poll: it also tells what the program has used.
            pid, status, usage = os.wait4(self.child.pid, os.WNOHANG)
            if pid:
                self.usage, self.child.returncode = usage, os.waitstatus_to_exitcode(status)
        return self.usage is None

    def output(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def stop(self, patience=15):
        for sig in (signal.SIGTERM, signal.SIGKILL):
            if not self.alive():
                break
            try:
                os.killpg(self.child.pid, sig)
            except ProcessLookupError:
                pass
            end = time.monotonic() + patience
            while self.alive() and time.monotonic() < end:
                time.sleep(0.02)
        if self in _running:
            _running.remove(self)


@atexit.register
def _stop_all():
    for process in list(_running):
        process.stop(3)


def until(condition, deadline, what, process=None, step=0.02):
    """Waits for `condition()`; returns the seconds it took."""
    begin = time.monotonic()
    while not condition():
        if process is not None and not process.alive() and not condition():
            raise RuntimeError(f"{process.name} ended before {what}:\n{process.output()[-2000:]}")
        if time.monotonic() - begin > deadline:
            raise RuntimeError(f"no {what} within {deadline} s" + (f":\n{process.output()[-2000:]}" if process else ""))
        time.sleep(step)
    return time.monotonic() - begin


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listening(port):
    def check():
        try:
            socket.create_connection(("127.0.0.1", port), 0.5).close()
            return True
        except OSError:
            return False
    return check


def fetch(url, data=None, headers=None, timeout=20):
    request = urllib.request.Request(url, data=data, headers=headers or {})
    return urllib.request.urlopen(request, timeout=timeout).read()


def median(values):
    values = [v for v in values if v is not None]
    return statistics.median(values) if values else None


def number(value):
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    if value == 0:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def medians(rows, keys):
    """Rows of several repetitions folded into one row per key, each number its median."""
    groups = {}
    for row in rows:
        groups.setdefault(tuple(row[k] for k in keys), []).append(row)
    folded = []
    for key, group in groups.items():
        row = dict(zip(keys, key))
        for column in group[0]:
            if column not in keys:
                row[column] = median([r.get(column) for r in group])
        row["n"] = len(group)
        folded.append(row)
    return folded


def table(title, rows, results):
    """Prints a table and keeps it for the summary."""
    if not rows:
        print(f"\n## {title}\n(no rows)", flush=True)
        return
    columns = list(dict.fromkeys(column for row in rows for column in row))
    print(f"\n## {title}\n| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    for row in rows:
        print("| " + " | ".join(number(row.get(c)) for c in columns) + " |")
    print(flush=True)
    results[title] = rows


def save(results, path):
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(path).write_text(json.dumps(results, indent=1))
