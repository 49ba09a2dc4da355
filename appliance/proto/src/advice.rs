//! What the household should do next so that its devices find the box: one step, with its reason and its price, from what was
//! seen on the LAN.
//!
//! The order is a promise: the router stays in charge where it can (an unplugged box then costs nobody anything), its
//! resolver setting comes next, leases of ours only where nobody else gives any.

/// What was seen, and what is switched on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen<'a> {
    /// The box has an IPv4 address on the LAN.
    pub addressed: bool,
    /// There is a default gateway.
    pub router: bool,
    pub router_resolves: bool,
    /// What its resolver calls itself.
    pub router_software: Option<&'a str>,
    /// It sends our zone to the box.
    pub router_forwards: bool,
    /// It does, but drops the answers because they point into the home.
    pub router_drops_private: bool,
    /// Other DHCP servers could be looked for, and so many answered.
    pub dhcp_looked: bool,
    pub dhcp_servers: usize,
    pub handed_out_as_resolver: bool,
    /// Our own lease mode is chosen.
    pub leases: bool,
    /// Somebody announces resolvers by IPv6, and the box is none of them.
    pub other_resolvers6: bool,
    /// Our IPv6 assist is chosen.
    pub announces: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Nothing: devices find the box.
    Nothing,
    /// Connect the box to the LAN.
    Connect,
    /// Have the router send our zone, and nothing else, to the box.
    Forward,
    /// Have the router let answers of our zone through that point into the home.
    AllowPrivate,
    /// Have the router hand out the box as resolver.
    Resolver,
    /// Switch lease mode on.
    Lease,
    /// Two DHCP servers: switch one of them off.
    OneServer,
    /// Have the box announced by IPv6 too, or nobody.
    Ipv6,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    pub step: Step,
    /// Why, in one or two sentences.
    pub reason: String,
    /// What it costs when the box is unplugged; `None`: nothing.
    pub price: Option<&'static str>,
}

/// Measured with glibc, Chromium and Firefox.
const PRICE_OF_RESOLVER: &str = "While the box is unplugged, devices that have the router as second resolver wait 7 to 14 seconds \
     for each new name; devices that have only the box find no names at all.";
const PRICE_OF_LEASES: &str = "While the box is unplugged, devices keep the addresses they have until their lease ends, and new \
     devices get none. Names are found as far as a second resolver is handed out, 7 to 14 seconds later each.";
const PRICE_OF_IPV6: &str = "While the box is unplugged, devices may ask it in vain for up to ten minutes.";

/// Resolvers that can send one zone elsewhere, by what they call themselves.
const FORWARDERS: &[&str] = &[
    "dnsmasq",
    "unbound",
    "pi-hole",
    "adguard",
    "bind",
    "named",
    "knot",
    "powerdns",
    "technitium",
    "smartdns",
];

/// The one recommendation. `zone`: our zone without a dot.
pub fn recommend(seen: &Seen, zone: &str) -> Advice {
    let (step, reason) = decide(seen, zone);
    let price = match step {
        Step::Resolver => Some(PRICE_OF_RESOLVER),
        Step::Lease => Some(PRICE_OF_LEASES),
        Step::Ipv6 => Some(PRICE_OF_IPV6),
        _ => None,
    };
    Advice { step, reason, price }
}

fn decide(seen: &Seen, zone: &str) -> (Step, String) {
    if !seen.addressed {
        let reason =
            "The box has no IPv4 address on the LAN: nobody gave it one, or its cable is not connected.";
        return (Step::Connect, reason.into());
    }
    if seen.leases && seen.dhcp_servers > 0 {
        let reason = "Lease mode is chosen, but another DHCP server answers, so the box stays silent. Switch the DHCP server of the \
             router off, or lease mode.";
        return (Step::OneServer, reason.into());
    }
    if seen.router_drops_private {
        let reason = format!(
            "The router sends .{zone} to the box, but drops the answers because they point into the home (rebind protection). \
             Add {zone} to the domains for which it allows that."
        );
        return (Step::AllowPrivate, reason);
    }
    if seen.router_forwards {
        let reason = format!(
            "The router sends .{zone} to the box. All else it answers itself, also when the box is unplugged."
        );
        return (Step::Nothing, reason);
    }
    if seen.handed_out_as_resolver || seen.leases {
        if seen.other_resolvers6 && !seen.announces {
            let reason = "Devices are told by IPv4 to ask the box, and by IPv6 to ask somebody else, whom many prefer. Switch the \
                 router's IPv6 resolver off, or the box's announcements on.";
            return (Step::Ipv6, reason.into());
        }
        return (Step::Nothing, "Devices are told to ask the box for names.".into());
    }
    if seen.router_resolves {
        let software = seen.router_software.unwrap_or_default();
        let lower = software.to_ascii_lowercase();
        if FORWARDERS.iter().any(|name| lower.contains(name)) {
            let reason = format!(
                "The router's resolver is {software}, which can send .{zone} to the box and answer all else itself. An \
                 unplugged box then costs nobody anything."
            );
            return (Step::Forward, reason);
        }
        let reason = format!(
            "The router answers for names. If its pages offer to send one domain to another resolver, send {zone} to the box; \
             else have its DHCP hand out the box as resolver."
        );
        return (Step::Resolver, reason);
    }
    if seen.dhcp_servers > 0 {
        let reason = "Another device hands out addresses. Have it hand out the box as resolver.";
        return (Step::Resolver, reason.into());
    }
    if seen.dhcp_looked {
        let reason = "Nobody hands out addresses on this LAN, so the box can do it.";
        return (Step::Lease, reason.into());
    }
    let reason = if seen.router {
        "The router does not answer for names, and whether it hands out addresses could not be seen. Have whoever does hand out \
         the box as resolver."
    } else {
        "Whether somebody hands out addresses could not be seen. Have whoever does hand out the box as resolver."
    };
    (Step::Resolver, reason.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen() -> Seen<'static> {
        Seen {
            addressed: true,
            router: true,
            router_resolves: true,
            dhcp_looked: true,
            dhcp_servers: 1,
            ..Seen::default()
        }
    }

    fn nobody() -> Seen<'static> {
        Seen {
            router_resolves: false,
            dhcp_servers: 0,
            ..seen()
        }
    }

    /// One home, and the step that is right for it.
    #[track_caller]
    fn gets(what: &str, seen: &Seen, step: Step) {
        let advice = recommend(seen, "btlink");
        assert_eq!(advice.step, step, "{what}: {advice:?}");
        assert!(
            advice.reason.ends_with('.') && !advice.reason.contains("  "),
            "{what}: {advice:?}"
        );
    }

    #[test]
    fn a_home_with_a_router_gets_its_one_recommendation() {
        let dnsmasq = Some("dnsmasq-2.90");
        for (what, seen, step) in [
            ("no cable", Seen::default(), Step::Connect),
            ("a router as most homes have it", seen(), Step::Resolver),
            (
                "a router of an unknown make",
                Seen {
                    router_software: Some("ACME DNS 1"),
                    ..seen()
                },
                Step::Resolver,
            ),
            (
                "a router that can forward",
                Seen {
                    router_software: dnsmasq,
                    ..seen()
                },
                Step::Forward,
            ),
            (
                "Unbound, in capitals",
                Seen {
                    router_software: Some("Unbound 1.17"),
                    ..seen()
                },
                Step::Forward,
            ),
            (
                "a router that forwards",
                Seen {
                    router_forwards: true,
                    router_software: dnsmasq,
                    ..seen()
                },
                Step::Nothing,
            ),
            (
                "a router that forwards, and IPv6 resolvers, which are its own",
                Seen {
                    router_forwards: true,
                    other_resolvers6: true,
                    ..seen()
                },
                Step::Nothing,
            ),
            (
                "a router that forwards and drops",
                Seen {
                    router_drops_private: true,
                    router_software: dnsmasq,
                    ..seen()
                },
                Step::AllowPrivate,
            ),
            (
                "the box is handed out",
                Seen {
                    handed_out_as_resolver: true,
                    ..seen()
                },
                Step::Nothing,
            ),
            (
                "the box is handed out, but not by IPv6",
                Seen {
                    handed_out_as_resolver: true,
                    other_resolvers6: true,
                    ..seen()
                },
                Step::Ipv6,
            ),
        ] {
            gets(what, &seen, step);
        }
    }

    #[test]
    fn a_home_that_answers_addresses_itself_gets_its_one_recommendation() {
        for (what, seen, step) in [
            (
                "the box is handed out, and announced by IPv6",
                Seen {
                    handed_out_as_resolver: true,
                    other_resolvers6: true,
                    announces: true,
                    ..seen()
                },
                Step::Nothing,
            ),
            ("nobody leases", nobody(), Step::Lease),
            (
                "no router, nobody leases",
                Seen {
                    router: false,
                    ..nobody()
                },
                Step::Lease,
            ),
            (
                "we lease",
                Seen {
                    leases: true,
                    ..nobody()
                },
                Step::Nothing,
            ),
            (
                "we lease, the router announces resolvers by IPv6",
                Seen {
                    leases: true,
                    other_resolvers6: true,
                    ..nobody()
                },
                Step::Ipv6,
            ),
            (
                "we would lease, but for a rival",
                Seen {
                    leases: true,
                    ..seen()
                },
                Step::OneServer,
            ),
            (
                "a DHCP server beside a silent router",
                Seen {
                    router_resolves: false,
                    ..seen()
                },
                Step::Resolver,
            ),
            (
                "we may not look for DHCP servers",
                Seen {
                    dhcp_looked: false,
                    ..nobody()
                },
                Step::Resolver,
            ),
            (
                "we may not look, and there is no router",
                Seen {
                    dhcp_looked: false,
                    router: false,
                    ..nobody()
                },
                Step::Resolver,
            ),
        ] {
            gets(what, &seen, step);
        }
    }

    #[test]
    fn what_makes_the_home_depend_on_the_box_says_so() {
        let price = |seen: Seen| recommend(&seen, "btlink").price;
        assert!(price(seen()).is_some_and(|text| text.contains("7 to 14 seconds")));
        assert!(price(nobody()).is_some());
        assert_eq!(
            price(Seen {
                router_software: Some("dnsmasq"),
                ..seen()
            }),
            None
        );
        assert_eq!(
            price(Seen {
                router_forwards: true,
                ..seen()
            }),
            None
        );
    }
}
