"""The household's pages with 500 subscriptions: CPU of one page, and its bytes. Read as a browser reads them, logged in."""

import http.client
import json
import re
import socket
import urllib.parse

from measure import table, until

SUBSCRIPTIONS = 500
READS = 20
PASSWORD = "seven sacks of rye"
PAGES = ("/", "/add", "/subscriptions", "/subscriptions?sort=changed&page=5", "/sites", "/storage", "/network", "/sharing",
         "/people", "/log", "/about")


class Control(http.client.HTTPConnection):
    """The control socket, where no token is asked for."""

    def __init__(self, path):
        super().__init__("granary", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(self.path)


class Reader:
    """A browser without a screen: one cookie, one form."""

    def __init__(self, door):
        self.door, self.cookie = door, ""

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection(self.door, timeout=60)
        headers = {"Cookie": self.cookie} if self.cookie else {}
        if body is not None:
            body = urllib.parse.urlencode(body)
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request(method, path, body, headers)
        reply = connection.getresponse()
        text = reply.read()
        if reply.headers["Set-Cookie"]:
            self.cookie = reply.headers["Set-Cookie"].split(";")[0]
        connection.close()
        return reply.status, text

    def claim(self, pin):
        _, page = self.ask("GET", "/claim")
        token = re.search(r'name="token" value="([^"]+)"', page.decode())[1]
        fields = {"token": token, "pin": pin, "name": "frieda", "password": PASSWORD, "again": PASSWORD}
        status, page = self.ask("POST", "/claim", fields)
        if status != 303:
            raise RuntimeError(f"the box was not claimed: {status} {page[:500]}")


def follow(control, number):
    connection = Control(control)
    body = json.dumps({"paste": f"magnet:?xs=urn:btpk:{number:064x}&dn=Site%20number%20{number}"})
    connection.request("POST", "/api/v1/subscriptions", body, {"Content-Type": "application/json"})
    reply = connection.getresponse()
    text = reply.read()
    connection.close()
    if reply.status >= 300:
        raise RuntimeError(f"follow: {reply.status} {text[:300]}")


def run(ours, work, results):
    process, ready = ours.start(work / "pages")
    until(ready.exists, 60, "the ready file", process)
    doors = json.loads(ready.read_text())
    for number in range(SUBSCRIPTIONS):
        follow(doors["control"], number)
    reader = Reader(doors["http"])
    reader.claim(doors["claim_pin"])
    rows = []
    for path in PAGES:
        reader.ask("GET", path)
        before = process.cpu_seconds()
        sizes = []
        for _ in range(READS):
            status, text = reader.ask("GET", path)
            if status != 200:
                raise RuntimeError(f"{path}: {status}")
            sizes.append(len(text))
        spent = process.cpu_seconds() - before
        rows.append({"page": path, "CPU ms": 1000 * spent / READS, "bytes": max(sizes)})
    process.stop()
    table(f"pages with {SUBSCRIPTIONS} subscriptions", rows, results)
