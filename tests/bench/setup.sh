#!/bin/bash
# Installs the peers of `make bench` that this machine lacks: Debian packages, and rqbit (no Debian package) built into the
# cache folder.
set -euo pipefail
cache="${XDG_CACHE_HOME:-$HOME/.cache}/granary"
missing=()
need() { command -v "$1" >/dev/null 2>&1 || missing+=("$2"); }
need nginx nginx-light
need wrk wrk
need squid squid
need privoxy privoxy
need aria2c aria2
need transmission-daemon transmission-daemon
need transmission-create transmission-cli
need dnsperf dnsperf
need unbound unbound
need dnsmasq dnsmasq-base
need pdns_recursor pdns-recursor
need smartdns smartdns
need nsd nsd
need kea-dhcp4 kea-dhcp4-server
need perfdhcp kea-admin
need chrt util-linux
need ip iproute2
/usr/bin/python3 -c 'import libtorrent' 2>/dev/null || missing+=(python3-libtorrent)
if [ ${#missing[@]} -gt 0 ]; then
    echo "installing: ${missing[*]}"
    sudo=""; [ "$(id -u)" = 0 ] || sudo=sudo
    $sudo apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
if [ ! -x "$cache/rqbit/bin/rqbit" ]; then
    echo "building rqbit 9.1.0 (a few minutes, once)"
    CARGO_TARGET_DIR="$cache/rqbit-target" cargo install --quiet rqbit --version 9.1.0 --no-default-features --features rust-tls \
        --root "$cache/rqbit"
    rm -rf "$cache/rqbit-target"
fi
