"""libtorrent at the other end: libtorrent_client.py PORT FOLDER READY-FILE TORRENT [PEER].

Writes READY-FILE when the torrent is complete and verified, then goes on seeding. A file READY-FILE.peer that holds
"ip:port" asks it to connect there.
"""

import os
import sys
import time

import libtorrent as lt

port, folder, ready, torrent, *peer = sys.argv[1:]
session = lt.session({
    "listen_interfaces": f"127.0.0.1:{port}", "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
    "enable_outgoing_utp": False, "enable_incoming_utp": False, "allow_multiple_connections_per_ip": True, "alert_mask": 0})
params = lt.add_torrent_params()
params.ti = lt.torrent_info(torrent)
params.save_path = folder
handle = session.add_torrent(params)
for address in peer:
    host, number = address.rsplit(":", 1)
    handle.connect_peer((host, int(number)))
told = False
while True:
    if not told and handle.status().is_seeding:
        open(ready, "w").close()
        told = True
    if os.path.exists(ready + ".peer"):
        host, number = open(ready + ".peer").read().rsplit(":", 1)
        os.unlink(ready + ".peer")
        handle.connect_peer((host, int(number)))
    time.sleep(0.05)
