#!/bin/bash
# One real DHCP client gets an address on eth0, renews it and gives it back. Run it as root in a network namespace of its own,
# by `unshare -m`, so that it has folders of its own.
# Usage: dhcp_client.sh udhcpc|dhclient|dhcpcd|networkd|networkmanager
# Prints: `bound ADDR`, `wpad URL`, `renewed ADDR`, `released` (NetworkManager gives nothing back and prints `down`).
set -u
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir -p /run/dbus /run/dhcpcd /run/NetworkManager /run/systemd/network /run/systemd/netif /run/client
cd /run/client || exit 1
ip addr flush dev eth0

until_true() { # until_true WHAT COMMAND...: waits at most 25 s
    local what=$1
    shift
    for _ in $(seq 250); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.1
    done
    echo "waited in vain: $what" >&2
    exit 1
}
address() { ip -o -4 addr show dev eth0 | awk '{ sub("/.*", "", $4); print $4; exit }'; }
has_address() { [ -n "$(address)" ]; }
bus() { dbus-daemon --system --fork --nopidfile --print-pid=3 --address=unix:path=/run/dbus/system_bus_socket 3>bus.pid; }
# What udhcpc and dhclient call when something changes.
cat >hook <<'HOOK'
#!/bin/sh
ip="${ip:-${new_ip_address:-}}"
case "${1:-}${reason:-}" in
bound | renew | BOUND | RENEW | REBIND | REBOOT)
    ip addr replace "$ip/24" dev eth0
    echo "${wpad:-${new_wpad:-}}" >wpad
    echo "$ip" >>"seen.${1:-}${reason:-}" ;;
deconfig | RELEASE | EXPIRE) ip addr flush dev eth0 ;;
esac
exit 0
HOOK
chmod +x hook

case "$1" in
udhcpc)
    busybox udhcpc -i eth0 -f -t 20 -T 1 -s ./hook -O wpad -x hostname:annas-phone >log 2>&1 &
    client=$!
    until_true "a lease" test -s seen.bound
    echo "bound $(address)"
    echo "wpad $(cat wpad)"
    kill -USR1 "$client"
    until_true "a renewal" test -s seen.renew
    echo "renewed $(address)"
    kill -USR2 "$client"
    until_true "the release" grep -q "released state" log
    kill "$client"
    wait "$client"
    echo released
    ;;
dhclient)
    echo 'option wpad code 252 = text; also request wpad;' >conf
    call() { dhclient -4 -1 -cf conf -lf lease -pf pid -sf /run/client/hook "$@" eth0 >>log 2>&1; }
    : >lease
    call
    until_true "a lease" has_address
    echo "bound $(address)"
    echo "wpad $(cat wpad)"
    # Ended without a word, and started again: it asks for the address it had.
    dhclient -4 -x -pf pid eth0 >>log 2>&1
    call
    until_true "the same lease again" test -s seen.REBOOT
    echo "renewed $(cat seen.REBOOT)"
    dhclient -4 -r -cf conf -lf lease -pf pid -sf /run/client/hook eth0 >>log 2>&1
    echo released
    ;;
dhcpcd)
    mount -t tmpfs tmpfs /var/lib/dhcpcd
    echo 'noarp' >conf
    echo 'release' >>conf
    dhcpcd -4 -B -d -f conf -c /bin/true eth0 >log 2>&1 &
    client=$!
    until_true "a lease" has_address
    echo "bound $(address)"
    echo "wpad "
    dhcpcd -4 -f conf -N eth0 >>log 2>&1
    until_true "a renewal" grep -q "acknowledged\|leased.*for" log
    echo "renewed $(address)"
    dhcpcd -4 -f conf -k eth0 >>log 2>&1
    wait "$client"
    echo released
    ;;
networkd)
    mount -o remount,ro /sys 2>/dev/null
    printf '[Match]\nName=eth0\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\n[DHCPv4]\nRequestOptions=252\nSendRelease=yes\n' \
        >/run/systemd/network/eth0.network
    chmod -R a+rX /run/systemd
    chown -R systemd-network:systemd-network /run/systemd/netif
    bus
    /lib/systemd/systemd-networkd >log 2>&1 &
    client=$!
    until_true "a lease" grep -q ^ADDRESS /run/systemd/netif/leases -r
    until_true "its address" has_address
    echo "bound $(address)"
    echo "wpad $(printf '%b' "$(sed -n 's/^OPTION_252=//p' /run/systemd/netif/leases/* | sed 's/../\\x&/g')")"
    networkctl renew eth0 >>log 2>&1
    until_true "a renewal" has_address
    echo "renewed $(address)"
    kill "$client"
    wait "$client"
    kill "$(cat bus.pid)"
    echo released
    ;;
networkmanager)
    mount -o remount,ro /sys 2>/dev/null
    mount -t tmpfs tmpfs /var/lib/NetworkManager
    mount -t tmpfs tmpfs /etc/NetworkManager
    mkdir -p /etc/NetworkManager/system-connections
    printf '[main]\nplugins=keyfile\ndhcp=internal\nauth-polkit=false\nno-auto-default=*\ndns=none\nrc-manager=unmanaged\n' \
        >/etc/NetworkManager/NetworkManager.conf
    printf '[connection]\nid=eth0\ntype=ethernet\ninterface-name=eth0\n[ethernet]\n[ipv4]\nmethod=auto\n[ipv6]\nmethod=disabled\n' \
        >/etc/NetworkManager/system-connections/eth0.nmconnection
    chmod 600 /etc/NetworkManager/system-connections/*
    bus
    NetworkManager --no-daemon >log 2>&1 &
    client=$!
    connected() { nmcli -t -g GENERAL.STATE dev show eth0 | grep -q '^100'; }
    until_true "a connection" connected
    echo "bound $(address)"
    echo "wpad $(nmcli -g DHCP4.OPTION dev show eth0 | tr '|' '\n' | sed -n 's/^ *wpad = //p' | sed 's/\\//g')"
    nmcli con up eth0 >>log 2>&1
    until_true "the connection again" connected
    echo "renewed $(address)"
    nmcli con down eth0 >>log 2>&1
    kill "$client"
    wait "$client"
    kill "$(cat bus.pid)"
    echo down
    ;;
*)
    echo "unknown client $1" >&2
    exit 2
    ;;
esac
