//! Proxy auto-config: the one script browsers run to learn which names are ours.
//!
//! ES3, because WinHTTP evaluates it with JScript; no DNS call unless the household asked for markers, because a box that is
//! switched off must not slow down ordinary sites; plain ASCII, because Chromium reads a PAC without a charset as Latin-1.
//! Of the address it looks at the host, and at the beginning and the port for linked domains alone: engines cut the rest of
//! it as they like.

use std::{collections::BTreeSet, fmt::Write as _, net::SocketAddr};

use crate::{
    dns::marker,
    name::{HOST_MAX, LABEL_MAX, TLD},
};

/// Paths that answer with the PAC, as they appear on the wire, besides the special one under every host of ours. The odd
/// ones are what clients make of option 252 with a cut or a terminator (`.da`: one byte lost; `%00`, `%0A`: a terminator
/// kept).
pub const PATHS: [&str; 5] = [
    "/wpad.dat",
    "/wpad.da",
    "/wpad.dat%00",
    "/wpad.dat%0A",
    "/proxy.pac",
];

pub const CONTENT_TYPE: &str = "application/x-ns-proxy-autoconfig";
/// Measured with browsers on a changing network: long enough to be cheap, short enough that a new address arrives soon.
pub const CACHE_CONTROL: &str = "max-age=60";

/// Bytes of linked domains in a script. More: more domains open by themselves. Fewer: the script is read sooner; it stays
/// below 4 KiB with the hundred domains of an ordinary home.
pub const LINKED_BYTES_MAX: usize = 32 << 10;

/// Longest domain that a marker is asked for; with the end of a marker and dots it stays a name.
const MARKED_MAX: usize = 230;

/// Names that no marker is asked for: those of homes, and busy ones that certainly are elsewhere, because each new host
/// costs a page that waits for its markers one look-up.
const NEVER: [&str; 3] = [
    r"/\.(local|lan|home|internal|localhost|test|invalid|onion|alt|arpa)$/",
    r"/\.fritz\.box$/",
    r"/(^|\.)(google|gstatic|googleapis|youtube|ytimg|facebook|fbcdn|instagram|whatsapp|apple|icloud|microsoft|windows|windowsupdate|msftconnecttest|mozilla|firefox|amazon|cloudflare|wikipedia|netflix|digicert)\.(com|net|org)$/",
];

/// What the script says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kind {
    /// No proxy for anything: for devices that keep asking after the household switched the proxy off.
    Direct,
    /// Our names, and the linked domains that stand in the script.
    #[default]
    Lite,
    /// Besides, asks our resolver about every other domain (`dns::marker`). Only for devices whose resolver we are: any
    /// other resolver, and a box that is off, make every new host wait for seconds.
    Marker,
}

/// Domains of the ordinary web that the proxy opens, in one spelling: lower case, sorted, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Linked(BTreeSet<String>);

impl Linked {
    /// What is no domain, or lies under a name of ours, is left out; also what would make the script too long, from the end
    /// of the list.
    pub fn new(domains: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let mut bytes = 0;
        let mut list = BTreeSet::new();
        for domain in domains {
            let domain = domain.as_ref().to_ascii_lowercase();
            let domain = domain.strip_suffix('.').unwrap_or(&domain);
            // Quotes, colon, comma.
            let more = domain.len() + 5;
            if is_domain(domain) && bytes + more <= LINKED_BYTES_MAX && list.insert(domain.to_owned()) {
                bytes += more;
            }
        }
        Self(list)
    }

    /// `host` as [`crate::name::Host::Foreign`] has it.
    pub fn contains(&self, host: &str) -> bool {
        self.0.contains(host)
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// Can this be a linked domain: letters in lower case, digits, `-` and `_`, at least two labels, the last with a letter, not
/// under a name of ours?
pub fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
        (1..=LABEL_MAX).contains(&label.len()) && label.bytes().all(fits)
    };
    let Some((_, last)) = text.rsplit_once('.') else {
        return false;
    };
    let named = last.bytes().any(|b| b.is_ascii_lowercase());
    text.len() <= HOST_MAX && text.split('.').all(label) && named && last != TLD
}

/// The script. `proxy` is an address, never a name: resolving a name needs the very network that may be down. Our own names
/// never fall back to DIRECT: that would show the name to the provider's resolver. Linked domains do, because they live in
/// the ordinary web too; and they are ours over http alone, so that the live https site wins.
pub fn script(kind: Kind, proxy: SocketAddr, linked: &Linked) -> String {
    if kind == Kind::Direct {
        return "function FindProxyForURL(url, host) {\n  return \"DIRECT\";\n}\n".into();
    }
    let dotted = format!(".{TLD}");
    let n = dotted.len();
    let mut text = format!("var P = \"PROXY {proxy}\", D = \"DIRECT\";\n");
    if !linked.0.is_empty() {
        let list: Vec<String> = linked.iter().map(|domain| format!("\"{domain}\":1")).collect();
        let _ = writeln!(text, "var L = {{{}}};", list.join(","));
    }
    let _ = write!(
        text,
        r#"function FindProxyForURL(url, host) {{
  var h = String(host).toLowerCase(), n = h.length - 1;
  if (h.charAt(n) == ".") h = h.substring(0, n);
  if (h == "{TLD}" || h.substring(h.length - {n}) == "{dotted}") return P;
"#
    );
    if !linked.0.is_empty() || kind == Kind::Marker {
        // With another port it is another site.
        text += "  if (url.substring(0, 7).toLowerCase() != \"http://\" || url.charAt(7 + String(host).length) == \":\") return D;\n";
    }
    if !linked.0.is_empty() {
        // Not `in`: every object has names of its own, such as "constructor".
        text += "  if (L[h] === 1) return P + \"; \" + D;\n";
    }
    if kind == Kind::Marker {
        let (label, yes) = (marker::LABEL, marker::YES);
        let _ = writeln!(
            text,
            "  if (h.length > {MARKED_MAX} || h.indexOf(\".\") < 0 || h.indexOf(\":\") >= 0 || /^[0-9.]+$/.test(h)) return D;"
        );
        for never in NEVER {
            let _ = writeln!(text, "  if ({never}.test(h)) return D;");
        }
        // The final dot keeps search domains away; one look-up and no other function of the PAC world, because Chromium runs
        // the script again for every name that it has to resolve.
        let _ = writeln!(
            text,
            "  if (dnsResolve(h + \".{label}.{TLD}.\") == \"{yes}\") return P + \"; \" + D;"
        );
    }
    text += "  return D;\n}\n";
    text
}

/// Does this request path ask for the PAC? Escapes are compared in any case.
pub fn is_path(path: &str) -> bool {
    let special = |rest: &str| rest.strip_prefix(TLD) == Some("/proxy.pac");
    PATHS.iter().any(|known| known.eq_ignore_ascii_case(path)) || path.strip_prefix("/.").is_some_and(special)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy() -> SocketAddr {
        "192.168.1.2:42080".parse().expect("an address")
    }

    fn linked() -> Linked {
        Linked::new(["linked.example.com", "Old.example.NET."])
    }

    #[test]
    fn the_script_of_a_home_that_follows_no_domain_is_these_bytes() {
        assert_eq!(
            script(Kind::Lite, proxy(), &Linked::default()),
            r#"var P = "PROXY 192.168.1.2:42080", D = "DIRECT";
function FindProxyForURL(url, host) {
  var h = String(host).toLowerCase(), n = h.length - 1;
  if (h.charAt(n) == ".") h = h.substring(0, n);
  if (h == "btlink" || h.substring(h.length - 7) == ".btlink") return P;
  return D;
}
"#
        );
    }

    #[test]
    fn only_the_marker_script_asks_dns_and_it_asks_once() {
        let lite = script(Kind::Lite, proxy(), &linked());
        assert!(
            lite.contains(r#"var L = {"linked.example.com":1,"old.example.net":1};"#),
            "{lite}"
        );
        assert!(!lite.contains("dnsResolve"));
        let marker = script(Kind::Marker, proxy(), &linked());
        assert_eq!(marker.matches("dnsResolve").count(), 1);
        assert!(
            marker.contains(r#"dnsResolve(h + ".q.btlink.") == "198.19.66.84""#),
            "{marker}"
        );
        assert!(script(Kind::Direct, proxy(), &linked()).contains("return \"DIRECT\""));
        for text in [lite, marker, script(Kind::Direct, proxy(), &linked())] {
            assert!(text.is_ascii() && text.len() < 4096, "{} bytes", text.len());
            for word in [
                "isResolvable",
                "isInNet",
                "myIpAddress",
                "alert",
                "let ",
                "const ",
                "=>",
                "`",
                "shExpMatch",
            ] {
                assert!(!text.contains(word), "{word}");
            }
        }
    }

    #[test]
    fn a_hundred_linked_domains_fit_into_4_kib_and_100000_are_cut() {
        let many = |count: usize| Linked::new((0..count).map(|n| format!("site-{n}.example.org")));
        assert!(script(Kind::Lite, proxy(), &many(100)).len() < 4096);
        let cut = many(100_000);
        assert!(cut.contains("site-0.example.org") && !cut.contains("site-99999.example.org"));
        assert!(script(Kind::Lite, proxy(), &cut).len() < LINKED_BYTES_MAX + 1024);
    }

    #[test]
    fn nothing_but_domains_of_others_gets_into_the_script() {
        for bad in [
            "",
            "localhost",
            "1.2.3.4",
            "a..example",
            "x.btlink",
            "btlink",
            "a\"b.example",
            "a b.example",
            "b\u{fc}cher.example",
            "</script>.example",
            &format!("{}.example", "a".repeat(64)),
            &format!("{}example", "a.".repeat(130)),
        ] {
            assert_eq!(Linked::new([bad]), Linked::default(), "{bad}");
        }
    }

    #[test]
    fn an_ipv6_address_stands_in_brackets() {
        let text = script(
            Kind::Lite,
            "[fd00::2]:3128".parse().expect("an address"),
            &Linked::default(),
        );
        assert!(text.contains("\"PROXY [fd00::2]:3128\""));
    }

    #[test]
    fn every_path_of_the_pac_is_known_and_no_other() {
        for path in PATHS {
            assert!(is_path(path), "{path}");
        }
        assert!(is_path("/wpad.dat%0a"));
        assert!(is_path("/.btlink/proxy.pac"));
        for path in [
            "/wpad.d",
            "/wpad",
            "/",
            "/wpad.dat/",
            "/wpad.dat%20",
            "/proxy.pac2",
            "/x/wpad.dat",
        ] {
            assert!(!is_path(path), "{path}");
        }
    }
}
