#!/usr/bin/python3
"""libtorrent DHT nodes on loopback, the first of them driven by lines. Needs python3-libtorrent (Debian).

Usage: dht_libtorrent.py [HOST:PORT of a node they shall know [HOW MANY]]
In:    announce INFOHASH | find INFOHASH | nodes
       put_mutable SEED KEY SALT SEQ VALUE | get_mutable KEY SALT | put_immutable VALUE | get_immutable TARGET
Out:   {"ready": PORT} | {"announced": INFOHASH, "port": PORT} | {"peers": ["127.0.0.1:7777"]} | {"nodes": N}
       {"put": NODES THAT TOOK IT} | {"value": HEX, "seq": N, "sig": HEX, "text": ALERT} | {"value": null}
All hex; "-" is no salt; values are bencoded. What these bindings cannot do: they put mutable items whose value is a byte
string only, count the sequence number themselves (SEQ is ignored), and give out values that are byte strings only. Of others
(a dictionary, as BEP 46 has) they show the text of the alert and the signature that libtorrent has checked.
"""
import hashlib
import json
import os
import sys
import time

import libtorrent as lt

LOOPBACK = {
    "listen_interfaces": "127.0.0.1:0",
    "enable_dht": True,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "dht_bootstrap_nodes": "",
    "dht_restrict_routing_ips": False,
    "dht_restrict_search_ips": False,
    "dht_enforce_node_id": False,
    "dht_prefer_verified_node_ids": False,
    "dht_ignore_dark_internet": False,
    "dht_block_ratelimit": 100000,
    "dht_upload_rate_limit": 10000000,
    "allow_multiple_connections_per_ip": True,
    "alert_mask": lt.alert.category_t.dht_notification | lt.alert.category_t.dht_operation_notification
    | lt.alert.category_t.stats_notification,
}


def say(**what):
    print(json.dumps(what), flush=True)


def wait_for(session, kind, seconds):
    """Every alert of one kind until the time is over; None at its end."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        session.wait_for_alert(100)
        yield from (alert for alert in session.pop_alerts() if isinstance(alert, kind))


def table_size(session):
    session.post_dht_stats()
    for alert in wait_for(session, lt.dht_stats_alert, 2):
        return sum(bucket["num_nodes"] for bucket in alert.routing_table)
    return 0


def announce(session, infohash):
    """As a torrent, since these bindings cannot pass the flags of dht_announce; hence with the session's own port."""
    params = lt.parse_magnet_uri(f"magnet:?xt=urn:btih:{infohash}")
    params.save_path = "/nonexistent"
    session.add_torrent(params).force_dht_announce()
    return session.listen_port()


def find(session, infohash):
    peers = set()
    session.dht_get_peers(infohash)
    for alert in wait_for(session, lt.dht_get_peers_reply_alert, 1.5):
        if alert.info_hash == infohash:
            peers.update(f"{ip}:{port}" for ip, port in alert.peers())
            if peers:
                break
    return sorted(peers)


def encoded(value):
    """What the alert has decoded, bencoded again: for canonical values the same bytes."""
    return lt.bencode(value).hex()


def put_mutable(session, seed, key, salt, _seq, value):
    secret = bytearray(hashlib.sha512(bytes.fromhex(seed)).digest())
    secret[0] &= 248
    secret[31] = secret[31] & 63 | 64
    text = lt.bdecode(bytes.fromhex(value))
    session.dht_put_mutable_item(bytes(secret), bytes.fromhex(key), text, unhex(salt))
    for alert in wait_for(session, lt.dht_put_alert, 15):
        return say(put=alert.num_success)
    say(put=0)


def get_mutable(session, key, salt):
    session.dht_get_mutable_item(bytes.fromhex(key), unhex(salt))
    best = {"value": None}
    for alert in wait_for(session, lt.dht_mutable_item_alert, 10):
        # Late answers to an earlier question are not for this one.
        if alert.key.hex() != key or alert.salt.encode() != unhex(salt):
            continue
        if alert.seq >= best.get("seq", 0) and any(alert.signature):
            best = {"value": shown(alert), "seq": alert.seq, "sig": alert.signature.hex(), "text": alert.message()}
        if alert.authoritative:
            break
    say(**best)


def shown(alert):
    """None when the value is no byte string: then only the alert's text shows it."""
    try:
        item = alert.item
        return encoded(item["value"] if isinstance(item, dict) else item)
    except RuntimeError:
        return None


def put_immutable(session, value):
    session.dht_put_immutable_item(lt.bdecode(bytes.fromhex(value)))
    for alert in wait_for(session, lt.dht_put_alert, 15):
        return say(put=alert.num_success)
    say(put=0)


def get_immutable(session, target):
    session.dht_get_immutable_item(lt.sha1_hash(bytes.fromhex(target)))
    for alert in wait_for(session, lt.dht_immutable_item_alert, 10):
        if str(alert.target) != target:
            continue
        return say(value=shown(alert), text=alert.message())
    say(value=None)


def unhex(salt):
    return b"" if salt == "-" else bytes.fromhex(salt)


ITEMS = {"put_mutable": put_mutable, "get_mutable": get_mutable, "put_immutable": put_immutable,
         "get_immutable": get_immutable}


def meet(session):
    """The node it shall know, once more, and a search, which is how it meets others soon."""
    if len(sys.argv) > 1:
        host, port = sys.argv[1].rsplit(":", 1)
        session.add_dht_node((host, int(port)))
        session.dht_get_peers(lt.sha1_hash(os.urandom(20)))


def start():
    session = lt.session(LOOPBACK)
    while session.listen_port() == 0:
        session.wait_for_alert(50)
    meet(session)
    return session


def main():
    sessions = [start() for _ in range(int(sys.argv[2]) if len(sys.argv) > 2 else 1)]
    session = sessions[0]
    met = time.monotonic()
    say(ready=session.listen_port())
    for line in sys.stdin:
        words = line.split()
        if words[0] == "nodes":
            count = table_size(session)
            if count < 8 and time.monotonic() - met > 3:
                met = time.monotonic()
                meet(session)
            say(nodes=count)
            continue
        if words[0] in ITEMS:
            ITEMS[words[0]](session, *words[1:])
            continue
        infohash = lt.sha1_hash(bytes.fromhex(words[1]))
        if words[0] == "announce":
            say(announced=words[1], port=announce(session, words[1]))
        elif words[0] == "find":
            say(peers=find(session, infohash))


main()
