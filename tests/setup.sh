#!/bin/bash
# Installs what is missing on a Debian machine. Says nothing and does nothing when all is there.
# Usage: tests/setup.sh         what the tests need: compiler, foreign clients, a browser, npm modules in the cache folder
#        tests/setup.sh build   what building needs: a C compiler and Rust
#        tests/setup.sh image   what building and starting a card needs: a cross compiler, tools for file systems, QEMU
set -euo pipefail
cache="${XDG_CACHE_HOME:-$HOME/.cache}/granary"
mkdir -p "$cache"

missing=()
need() { # need COMMAND PACKAGE
    command -v "$1" >/dev/null 2>&1 || [ -x "/usr/bin/$1" ] || [ -x "/usr/sbin/$1" ] || missing+=("$2")
}
need cc gcc
[ -e /usr/include/stdio.h ] || missing+=(libc6-dev)
need curl curl
[ -e /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)

# Rust: any cargo that is new enough, else Debian's rustc-web, the newest compiler of its stable release.
least=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$(dirname "$0")/../Cargo.toml")
found=$(cargo --version 2>/dev/null | cut -d' ' -f2 || true)
if [ "$(printf '%s\n%s\n' "$least" "${found:-0}" | sort -V | head -n 1)" != "$least" ]; then
    missing+=(rustc-web cargo-web)
fi

# The card: Debian's Rust with the library of the boards, a C compiler for them, and what makes file systems without mounting.
if [ "${1:-}" = image ]; then
need aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu
[ -e /usr/aarch64-linux-gnu/include/stdio.h ] || missing+=(libc6-dev-arm64-cross)
need sfdisk fdisk
need depmod kmod
need mkfs.vfat dosfstools
need mcopy mtools
need mke2fs e2fsprogs
need mksquashfs squashfs-tools
need zstd zstd
need xz xz-utils
need busybox busybox
need qemu-system-aarch64 qemu-system-arm
[ -e /usr/share/qemu-efi-aarch64/QEMU_EFI.fd ] || missing+=(qemu-efi-aarch64)
[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || missing+=(debian-archive-keyring)
need ip iproute2
need nft nftables
need dnsmasq dnsmasq-base
if [ ! -d /usr/lib/rustlib/aarch64-unknown-linux-gnu ]; then
    missing+=(rustc-web cargo-web libstd-rust-web-dev:arm64)
    dpkg --print-foreign-architectures | grep -qx arm64 || foreign=arm64
fi
fi

if [ "${1:-}" = "" ]; then
need transmission-daemon transmission-daemon
need transmission-create transmission-cli
need qbittorrent-nox qbittorrent-nox
need aria2c aria2
need opentracker opentracker
need ffmpeg ffmpeg
need chromium chromium
need lynx lynx
need w3m w3m
need chromedriver chromium-driver
need node nodejs
need g++ g++
[ -e /usr/include/libtorrent/session.hpp ] || missing+=(libtorrent-rasterbar-dev)
need npm npm
need pactester libpacparser1
need proxy libproxy-tools
compgen -G '/usr/lib/*/libproxy/*/modules/pacrunner_webkit.so' >/dev/null || missing+=(libproxy1-plugin-webkit)
need knotd knot
need kdig knot-dnsutils
need dnsdist dnsdist
need openssl openssl
# The LAN: namespaces, a router, devices of several kinds.
need ip iproute2
need nft nftables
need ping iputils-ping
need dnsmasq dnsmasq-base
need firefox-esr firefox-esr
need NetworkManager network-manager
need dbus-daemon dbus
need radvd radvd
need rdisc6 ndisc6
need avahi-daemon avahi-daemon
need avahi-browse avahi-utils
[ -x /lib/systemd/systemd-networkd ] || missing+=(systemd)
need busybox busybox
need dhclient isc-dhcp-client
need dhcpcd dhcpcd-base
need dig bind9-dnsutils
# Tests of the card's data and of its file systems.
need sfdisk fdisk
need mkfs.vfat dosfstools
need mcopy mtools
need mke2fs e2fsprogs
[ -x /lib/systemd/systemd-resolved ] || missing+=(systemd-resolved)
compgen -G '/usr/lib/*/faketime/libfaketime.so.1' >/dev/null || missing+=(libfaketime)
/usr/bin/python3 -c 'import libtorrent' 2>/dev/null || missing+=(python3-libtorrent)
fi

if [ ${#missing[@]} -gt 0 ]; then
    echo "installing: ${missing[*]}"
    sudo=""; [ "$(id -u)" = 0 ] || sudo=sudo
    [ -z "${foreign:-}" ] || $sudo dpkg --add-architecture "$foreign"
    $sudo apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    # The package systemd-resolved takes the machine's resolver over, also where no systemd runs to start it.
    old=/etc/.resolv.conf.systemd-resolved.bak
    if [ -L /etc/resolv.conf ] && [ ! -e /etc/resolv.conf ] && [ -f "$old" ]; then
        $sudo rm /etc/resolv.conf
        $sudo cp -p "$old" /etc/resolv.conf
    fi
fi

[ "${1:-}" = "" ] || exit 0

# webtorrent, bittorrent-dht, axe-core (which checks that everybody can read our pages) and pac-resolver with its engine are not in
# Debian. Install scripts stay off: they would fetch binaries.
npm_dir="$cache/npm"
if [ ! -f "$npm_dir/ready-3" ]; then
    echo "installing webtorrent, bittorrent-dht, axe-core and pac-resolver into $npm_dir"
    mkdir -p "$npm_dir"
    (cd "$npm_dir" && echo '{"private":true}' >package.json &&
        npm install --ignore-scripts --no-audit --no-fund --loglevel=error webtorrent@3 bittorrent-dht@11 axe-core@4 pac-resolver@9 quickjs-wasi@3)
    # webtorrent 3 imports a native WebRTC module that is only needed in browsers: an empty one keeps it to TCP.
    stub="$npm_dir/node_modules/webrtc-polyfill"
    rm -rf "$stub" && mkdir -p "$stub"
    echo '{"name":"webrtc-polyfill","version":"0.0.0","type":"module","main":"index.js","exports":{".":"./index.js"}}' >"$stub/package.json"
    echo 'class X{} export { X as RTCPeerConnection, X as RTCSessionDescription, X as RTCIceCandidate }; export default {}' >"$stub/index.js"
    touch "$npm_dir/ready-3"
fi
