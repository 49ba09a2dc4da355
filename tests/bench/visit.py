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
import subprocess
import sys
import tempfile
import time

# Longer than anything that is measured: what takes longer counts as never.
PATIENCE = 150


class Chromium:
    def __init__(self, switches):
        self.profile = tempfile.mkdtemp(prefix="granary-visit-")
        self.driver = subprocess.Popen(["chromedriver", "--port=9515"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        listening(9515)
        arguments = [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--user-data-dir={self.profile}", *switches]
        wanted = {
            "browserName": "chrome", "timeouts": {"pageLoad": PATIENCE * 1000},
            "goog:chromeOptions": {"binary": "/usr/bin/chromium", "args": arguments}}
        self.session = self.ask("POST", "", {"capabilities": {"alwaysMatch": wanted}})["value"]["sessionId"]

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", 9515, timeout=PATIENCE + 60)
        connection.request(method, "/session" + path, json.dumps(body or {}), {"Content-Type": "application/json"})
        return json.loads(connection.getresponse().read())

    def visit(self, url):
        value = self.ask("POST", f"/{self.session}/url", {"url": url})["value"]
        return value["message"].splitlines()[0] if value else None

    def title(self):
        return self.ask("GET", f"/{self.session}/title")["value"]

    def close(self):
        self.ask("DELETE", f"/{self.session}")
        self.driver.terminate()
        self.driver.wait(10)
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
