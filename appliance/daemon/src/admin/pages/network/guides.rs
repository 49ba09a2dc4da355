//! How a router is told about the box, by the router's kind.

use std::net::Ipv4Addr;

use maud::{Markup, html};

/// Word in the path, and what people call it.
pub const KINDS: [(&str, &str); 5] = [
    ("openwrt", "OpenWrt"),
    ("dnsmasq", "dnsmasq, Pi-hole and routers built on it"),
    ("unbound", "pfSense, OPNsense and unbound"),
    ("fritzbox", "FRITZ!Box"),
    ("other", "Any other router"),
];

/// What the guides are filled in with.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The box, as the router sees it; `None`: not known, so that a placeholder stands there.
    pub addr: Option<Ipv4Addr>,
    pub router: Option<Ipv4Addr>,
    /// Where the PAC is served.
    pub http_port: u16,
}

impl Facts {
    fn addr(&self) -> String {
        self.addr
            .map_or_else(|| "ADDRESS-OF-THE-BOX".into(), |addr| addr.to_string())
    }

    fn pac(&self) -> String {
        match self.http_port {
            80 => format!("http://{}/wpad.dat", self.addr()),
            port => format!("http://{}:{port}/wpad.dat", self.addr()),
        }
    }
}

/// The choice of a kind.
pub fn index(facts: &Facts) -> Markup {
    html! {
        h1 { "Tell the router" }
        p.lead { "Two ways. In the first, the router sends only questions for ." (proto::name::TLD) " to this box: all else stays as it is, and an unplugged box costs ordinary sites nothing. In the second, for routers that cannot do that, it names the box as the resolver of the home." }
        h2 { "Which router is it?" }
        ul.cards { @for (word, name) in KINDS { li { a href=(format!("/network/guide/{word}")) { (name) } } } }
        @if facts.addr.is_none() { p.hint { "The address of the box is not known yet: look at the network on the page Network first, so that the guides can be copied as they are." } }
        p { a href="/network" { "Back to Network" } }
    }
}

/// One guide; `None`: no such kind.
pub fn guide(kind: &str, facts: &Facts) -> Option<Markup> {
    let (_, name) = KINDS.iter().find(|(word, _)| *word == kind)?;
    let steps = match kind {
        "openwrt" => openwrt(facts),
        "dnsmasq" => dnsmasq(facts),
        "unbound" => unbound(facts),
        "fritzbox" => fritzbox(facts),
        _ => other(facts),
    };
    Some(html! {
        h1 { (name) }
        (steps)
        h2 { "Then" }
        p { "Give the box a fixed address: in the router’s list of devices it is mostly a tick beside “always the same address”. Press “Try it” on the page " a href="/network" { "Network" } ": it asks the router for a ." (proto::name::TLD) " name and says what came of it." }
        p.hint { "Devices that check signatures of names themselves refuse ." (proto::name::TLD) ", because the Internet has proof that it does not exist. On Linux with systemd an empty file with the line “" (proto::name::TLD) "” as " code { "/etc/dnssec-trust-anchors.d/" (proto::name::TLD) ".negative" } " settles that." }
        h2 { "How to undo it" }
        p { "Take the same lines or values out again. Nothing on the box has to be changed." }
        p { a href="/network/guide" { "Other routers" } " · " a href="/network" { "Back to Network" } }
    })
}

fn lines(text: &str) -> Markup {
    html! { pre tabindex="0" { code { (text) } } }
}

fn openwrt(facts: &Facts) -> Markup {
    let (tld, addr) = (proto::name::TLD, facts.addr());
    let forward = format!(
        "uci add_list dhcp.@dnsmasq[0].server='/{tld}/{addr}'\nuci add_list dhcp.@dnsmasq[0].rebind_domain='{tld}'\nuci commit dhcp\nservice dnsmasq restart"
    );
    let wpad = format!(
        "uci add_list dhcp.lan.dhcp_option_force='252,{}'\nuci commit dhcp\nservice dnsmasq restart",
        facts.pac()
    );
    html! {
        h2 { "Send ." (tld) " to the box" }
        p { "Log in to the router by SSH and paste:" }
        (lines(&forward))
        p { "Or on its pages, under Network, DHCP and DNS: add " code { "/" (tld) "/" (addr) } " to the forwards, and " code { (tld) } " to the domains that may answer with private addresses. The second line matters: without it the router throws the answers away." }
        h2 { "If you like: automatic proxy for Windows" }
        p { "Computers that look for a proxy by themselves then find it. It also opens sites behind ordinary domains." }
        (lines(&wpad))
    }
}

fn dnsmasq(facts: &Facts) -> Markup {
    let (tld, addr) = (proto::name::TLD, facts.addr());
    html! {
        h2 { "Send ." (tld) " to the box" }
        p { "Add to its configuration, for example as " code { "/etc/dnsmasq.d/" (tld) ".conf" } ", and restart it:" }
        (lines(&format!("server=/{tld}/{addr}\nrebind-domain-ok=/{tld}/")))
        p { "The second line matters where answers with private addresses are dropped (" code { "stop-dns-rebind" } ")." }
        h2 { "If you like: automatic proxy for Windows" }
        p { "Only where dnsmasq also hands out addresses:" }
        (lines(&format!("dhcp-option-force=252,{}", facts.pac())))
    }
}

fn unbound(facts: &Facts) -> Markup {
    let (tld, addr) = (proto::name::TLD, facts.addr());
    html! {
        h2 { "Send ." (tld) " to the box" }
        p { "On pfSense and OPNsense: DNS Resolver (Unbound), domain overrides: domain " code { (tld) } ", address " code { (addr) } ". Then add under custom options, because the resolver checks signatures and drops private addresses:" }
        (lines(&format!("server:\n  domain-insecure: \"{tld}\"\n  private-domain: \"{tld}\"")))
        p { "Unbound by itself also needs:" }
        (lines(&format!("forward-zone:\n  name: \"{tld}\"\n  forward-addr: {addr}")))
    }
}

fn fritzbox(facts: &Facts) -> Markup {
    html! {
        p { "It cannot send a part of all names elsewhere, so it names the box as the resolver of the home." }
        h2 { "Name the box as resolver" }
        ol {
            li { "Open " code { "http://fritz.box/" } ", then Home Network, Network, Network Settings, IPv4 settings (some versions show it under more settings)." }
            li { "Write " code { (facts.addr()) } " into “Local DNS server” and save." }
            li { "Where IPv6 is on, the same page names a DNSv6 server: leave it out, or devices ask the FRITZ!Box by IPv6 and do not find ." (proto::name::TLD) "." }
            li { "If the FRITZ!Box itself is to ask the box (Internet, Account Information, DNS Server), also add " code { (proto::name::TLD) } " to the exceptions of its DNS rebind protection, under Network Settings." }
        }
        (cost())
    }
}

fn other(facts: &Facts) -> Markup {
    html! {
        h2 { "If it can send one domain elsewhere" }
        p { "Look for “conditional forwarding”, “domain override” or “DNS zone”: domain " code { (proto::name::TLD) } ", server " code { (facts.addr()) } ". If it has a protection against “DNS rebinding”, allow the domain there." }
        h2 { "If not: name the box as resolver" }
        ol {
            li { "Open the router’s page, mostly " @if let Some(router) = facts.router { code { "http://" (router) "/" } } @else { "at the address printed below it" } ", and look for “DHCP” or “LAN”." }
            li { "“DNS server” or “primary DNS”: " code { (facts.addr()) } "." }
            li { "“Secondary DNS”: " @if let Some(router) = facts.router { code { (router) } ", the router itself. " } @else { "the router itself. " } "Then names go on, slowly, when the box is unplugged." }
            li { "If there is a field for “WPAD” or “option 252”: " code { (facts.pac()) } "." }
        }
        (cost())
    }
}

fn cost() -> Markup {
    html! {
        h2 { "What it costs when the box is unplugged" }
        p { "With a second resolver every new name waits 7 to 14 seconds. Without one no name opens until the box is back, or you change the value back." }
        p { "Devices change over when they connect again: switch their network off and on, or wait a day." }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_guide_can_be_copied_as_it_stands() {
        let facts = Facts {
            addr: "192.168.1.2".parse().ok(),
            router: "192.168.1.1".parse().ok(),
            http_port: 80,
        };
        let read = |kind: &str| guide(kind, &facts).expect("there is one").into_string();
        assert!(read("dnsmasq").contains("server=/btlink/192.168.1.2\nrebind-domain-ok=/btlink/"));
        assert!(read("dnsmasq").contains("dhcp-option-force=252,http://192.168.1.2/wpad.dat"));
        assert!(read("unbound").contains("domain-insecure: &quot;btlink&quot;"));
        for (kind, _) in KINDS {
            assert!(
                read(kind).contains("192.168.1.2") && read(kind).contains("undo"),
                "{kind}"
            );
        }
        assert!(guide("<b>", &facts).is_none());
        let unknown = Facts {
            addr: None,
            router: None,
            http_port: 8080,
        };
        assert!(
            guide("other", &unknown)
                .expect("one")
                .into_string()
                .contains("http://ADDRESS-OF-THE-BOX:8080/wpad.dat")
        );
    }
}
