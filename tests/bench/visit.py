"""A browser that visits pages on the clock; run inside the network namespace of a device. Prints one JSON line per visit.

visit.py chromium|firefox ARGUMENTS STEPS   ARGUMENTS: JSON, switches or preferences; STEPS: JSON list of `visit URL`, `do
                                            COMMAND` (its shell command is one of the bench's own) and `wait SECONDS`
visit.py serve ADDRESS                      a web server that has a page for every name
"""

import http.client
import http.server
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

# Longer than anything that is measured: what takes longer counts as never.
PATIENCE = 150


class Chromium:
    """By its DevTools protocol: chromedriver repeats a visit that does not answer."""

    def __init__(self, switches):
        self.profile = tempfile.mkdtemp(prefix="granary-visit-")
        self.process = subprocess.Popen([
            "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-port=9222",
            f"--user-data-dir={self.profile}", *switches, "about:blank"], env={**os.environ, "HOME": self.profile},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        listening(9222).close()
        connection = http.client.HTTPConnection("127.0.0.1", 9222, timeout=60)
        connection.request("GET", "/json/list")
        pages = json.loads(connection.getresponse().read())
        path = next(page for page in pages if page["type"] == "page")["webSocketDebuggerUrl"].split(":9222", 1)[1]
        self.wire, self.last = listening(9222), 0
        self.wire.settimeout(PATIENCE + 60)
        self.file = self.wire.makefile("rb")
        # RFC 6455 section 4.1; the key is for caches between the ends, of which there are none here.
        self.wire.sendall((
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:9222\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n").encode())
        while self.file.readline().strip():
            pass

    def ask(self, method, **parameters):
        self.last += 1
        text = json.dumps({"id": self.last, "method": method, "params": parameters}).encode()
        # One masked text frame (section 5.2), the mask being zero.
        self.wire.sendall(b"\x81\xfe" + struct.pack(">H", len(text)) + bytes(4) + text)
        while True:
            reply = json.loads(self.read())
            if reply.get("id") == self.last:
                return reply.get("result", reply)

    def read(self):
        """One message, of one frame or several."""
        whole = b""
        while True:
            first, length = self.file.read(2)
            if length == 126:
                (length,) = struct.unpack(">H", self.file.read(2))
            elif length == 127:
                (length,) = struct.unpack(">Q", self.file.read(8))
            part = self.file.read(length)
            if first & 0x0f in (0, 1):
                whole += part
                if first & 0x80:
                    return whole

    def visit(self, url):
        trouble = self.ask("Page.navigate", url=url).get("errorText")
        while not trouble and self.run("document.readyState") != "complete":
            time.sleep(0.01)
        return trouble

    def run(self, script):
        return self.ask("Runtime.evaluate", expression=script).get("result", {}).get("value")

    def title(self):
        return self.run("document.title")

    def close(self):
        self.ask("Browser.close")
        self.process.wait(15)
        shutil.rmtree(self.profile, ignore_errors=True)


class Firefox:
    def __init__(self, preferences):
        self.profile = tempfile.mkdtemp(prefix="granary-visit-")
        quiet = {
            "marionette.port": 2828, "browser.shell.checkDefaultBrowser": False, "app.update.enabled": False,
            "datareporting.policy.dataSubmissionEnabled": False, "browser.startup.page": 0,
            "browser.newtabpage.enabled": False, "network.captive-portal-service.enabled": False,
            "network.connectivity-service.enabled": False, "services.settings.server": "data:,#",
            "browser.safebrowsing.downloads.remote.enabled": False, "toolkit.telemetry.unified": False}
        with open(f"{self.profile}/user.js", "w") as file:
            for name, value in {**quiet, **preferences}.items():
                file.write(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n")
        self.process = subprocess.Popen(
            ["firefox-esr", "--headless", "--marionette", "--no-remote", "--profile", self.profile],
            env={**os.environ, "HOME": self.profile, "MOZ_DISABLE_AUTO_SAFE_MODE": "1"}, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        self.wire, self.buffer, self.last = listening(2828), b"", 0
        self.wire.settimeout(PATIENCE + 60)
        self.read()
        self.ask("WebDriver:NewSession")
        self.ask("WebDriver:SetTimeouts", pageLoad=PATIENCE * 1000)

    def read(self):
        while b":" not in self.buffer:
            self.more()
        length, _, self.buffer = self.buffer.partition(b":")
        while len(self.buffer) < int(length):
            self.more()
        text, self.buffer = self.buffer[:int(length)], self.buffer[int(length):]
        return json.loads(text)

    def more(self):
        part = self.wire.recv(65536)
        if not part:
            raise ConnectionError("Firefox hung up")
        self.buffer += part

    def ask(self, name, **parameters):
        self.last += 1
        text = json.dumps([0, self.last, name, parameters]).encode()
        self.wire.sendall(b"%d:%s" % (len(text), text))
        while True:
            reply = self.read()
            if reply[0] == 1 and reply[1] == self.last:
                return reply[2], reply[3]

    def visit(self, url):
        error, _ = self.ask("WebDriver:Navigate", url=url)
        return error["message"].splitlines()[0] if error else None

    def title(self):
        error, value = self.ask("WebDriver:GetTitle")
        return value["value"] if not error else ""

    def close(self):
        try:
            self.ask("Marionette:Quit", flags=["eForceQuit"])
        except ConnectionError:
            pass
        self.process.wait(15)
        shutil.rmtree(self.profile, ignore_errors=True)


def listening(port):
    until = time.monotonic() + 90
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), 2)
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"<!doctype html><title>ordinary {self.headers['host']}</title><p>a page\n".encode()
        self.send_response(200)
        for line in (("Content-Type", "text/html"), ("Content-Length", str(len(body))), ("Connection", "close")):
            self.send_header(*line)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    if sys.argv[1] == "serve":
        http.server.ThreadingHTTPServer((sys.argv[2], 80), Page).serve_forever()
    browser = {"chromium": Chromium, "firefox": Firefox}[sys.argv[1]](json.loads(sys.argv[2]))
    for step in json.loads(sys.argv[3]):
        verb, _, what = step.partition(" ")
        if verb == "visit":
            before = time.monotonic()
            trouble = browser.visit(what)
            seconds = time.monotonic() - before
            print(json.dumps({"url": what, "seconds": seconds, "trouble": trouble, "title": browser.title()}), flush=True)
        elif verb == "wait":
            time.sleep(float(what))
        else:
            subprocess.run(what, shell=True, check=True)
    browser.close()


if __name__ == "__main__":
    main()
