"""lt_peer.py TORRENT|MAGNET DIR PORT PEER|- plain|forced|- tcp|utp UPLOAD-KIB: one libtorrent peer, until stdin closes."""
import sys
import threading

import libtorrent as lt

torrent, folder, port, peer, encryption, transport, upload_kib = sys.argv[1:8]
settings = {
    "listen_interfaces": f"127.0.0.1:{port}",
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "allow_multiple_connections_per_ip": True,
    "ssrf_mitigation": False,
    "enable_outgoing_utp": transport == "utp",
    "enable_outgoing_tcp": transport == "tcp",
    "enable_incoming_utp": True,
    "min_reconnect_time": 1,
    "upload_rate_limit": int(upload_kib) << 10,
}
if encryption == "forced":
    settings.update({"out_enc_policy": 0, "in_enc_policy": 0, "allowed_enc_level": 2})
if encryption == "plain":
    settings.update({"out_enc_policy": 2, "in_enc_policy": 2})
session = lt.session(settings)
# By default libtorrent's limits leave out peers on local networks.
everybody = lt.ip_filter()
everybody.add_rule("0.0.0.0", "255.255.255.255", 1 << lt.session.global_peer_class_id)
session.set_peer_class_filter(everybody)
if torrent.startswith("magnet:"):
    params = lt.parse_magnet_uri(torrent)
else:
    params = lt.add_torrent_params()
    params.ti = lt.torrent_info(torrent)
params.save_path = folder
handle = session.add_torrent(params)
# A test that dies closes our stdin: then we end as well.
closed = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), closed.set()), daemon=True).start()
last = None
while not closed.wait(0.5):
    if peer != "-" and handle.status().num_peers == 0:
        host, number = peer.rsplit(":", 1)
        handle.connect_peer((host, int(number)))
    status = handle.status()
    line = f"{status.state} {status.progress:.4f} peers={status.num_peers}"
    if line != last:
        print(line, flush=True)
        last = line
