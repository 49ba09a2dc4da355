//! Addresses librqbit may not connect to, as the range list it reads once at start.
//!
//! Our own sources (finder, hints) are guarded before they get here; this wall is for the addresses that peers tell
//! librqbit by PEX, which pass no code of ours.

use std::net::Ipv4Addr;

use proto::guard::Policy;

/// Refused under every policy.
const ALWAYS: &[(&str, &str)] = &[
    ("0.0.0.0", "0.255.255.255"),
    ("169.254.0.0", "169.254.255.255"),
    ("192.0.0.0", "192.0.0.255"),
    ("192.0.2.0", "192.0.2.255"),
    ("198.51.100.0", "198.51.100.255"),
    ("203.0.113.0", "203.0.113.255"),
    ("224.0.0.0", "255.255.255.255"),
    ("::", "::"),
    ("100::", "100::ffff:ffff:ffff:ffff"),
    ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
];

const PRIVATE: &[(&str, &str)] = &[
    ("10.0.0.0", "10.255.255.255"),
    ("100.64.0.0", "100.127.255.255"),
    ("172.16.0.0", "172.31.255.255"),
    ("192.168.0.0", "192.168.255.255"),
    ("198.18.0.0", "198.19.255.255"),
    ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    // Addresses that carry an IPv4 address inside: what is refused there must not come in here.
    ("::ffff:0:0", "::ffff:ffff:ffff"),
    ("64:ff9b::", "64:ff9b::ffff:ffff"),
    ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
];

/// The list in the one format librqbit reads: `name:first-last`, one range per line. `door` is the loopback address our
/// own listener hands incoming peers over from; it alone stays open when loopback is refused.
pub fn ranges(policy: &Policy, door: Ipv4Addr) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut wall = |ranges: &[(&str, &str)]| {
        lines.extend(ranges.iter().map(|(first, last)| format!("wall:{first}-{last}")));
    };
    wall(ALWAYS);
    if !policy.allow_private {
        wall(PRIVATE);
    }
    if !policy.allow_loopback {
        let before = Ipv4Addr::from_bits(door.to_bits() - 1);
        let after = Ipv4Addr::from_bits(door.to_bits() + 1);
        lines.push(format!("wall:127.0.0.0-{before}"));
        lines.push(format!("wall:{after}-127.255.255.255"));
        lines.push("wall:::1-::1".into());
    }
    lines.push(String::new());
    lines.join("\n")
}

/// A loopback address nobody can guess: peers that name it by PEX would reach services bound to all addresses.
pub fn random_door() -> Ipv4Addr {
    let [a, b, c] = rand::random::<[u8; 3]>();
    Ipv4Addr::new(127, a.clamp(1, 254), b, c.clamp(1, 254))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strict_wall_leaves_only_the_door_open_on_loopback() {
        let text = ranges(&Policy::default(), Ipv4Addr::new(127, 9, 8, 7));
        assert!(text.contains("wall:127.0.0.0-127.9.8.6\n"));
        assert!(text.contains("wall:127.9.8.8-127.255.255.255\n"));
        assert!(text.contains("wall:192.168.0.0-192.168.255.255\n"));
    }

    #[test]
    fn tests_and_demos_reach_loopback_but_never_link_local() {
        let policy = Policy {
            allow_loopback: true,
            allow_private: true,
            ..Policy::default()
        };
        let text = ranges(&policy, random_door());
        assert!(!text.contains(":127."));
        assert!(!text.contains(":10."));
        assert!(text.contains("wall:169.254.0.0"));
    }
}
