//! Proxy auto-config: the one script browsers run to learn which names are ours.
//!
//! ES3, because WinHTTP evaluates it with JScript; no DNS call, because a box that is switched off must not slow down
//! ordinary sites; decides by host only, because browsers strip or keep the rest of the URL as they like. Plain ASCII:
//! Chromium reads a PAC without a charset as Latin-1.

use std::net::SocketAddr;

use crate::name::TLD;

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

/// The script. `proxy` is an address, never a name: resolving a name needs the very network that may be down. `.btlink`
/// never falls back to DIRECT: that would show the name to the provider's resolver.
pub fn pac(proxy: SocketAddr) -> String {
    let dotted = format!(".{TLD}");
    let n = dotted.len();
    format!(
        r#"function FindProxyForURL(url, host) {{
  host = host.toLowerCase();
  if (host.charAt(host.length - 1) == ".") host = host.substring(0, host.length - 1);
  if (host == "{TLD}" || host.substring(host.length - {n}) == "{dotted}")
    return "PROXY {proxy}";
  return "DIRECT";
}}
"#
    )
}

/// Does this request path ask for the PAC? Escapes are compared in any case.
pub fn is_path(path: &str) -> bool {
    let special = |rest: &str| rest.strip_prefix(TLD) == Some("/proxy.pac");
    PATHS.iter().any(|known| known.eq_ignore_ascii_case(path)) || path.strip_prefix("/.").is_some_and(special)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_these_bytes() {
        let text = pac("192.168.1.2:42080".parse().unwrap());
        assert_eq!(
            text,
            "function FindProxyForURL(url, host) {\n  host = host.toLowerCase();\n  \
             if (host.charAt(host.length - 1) == \".\") host = host.substring(0, host.length - 1);\n  \
             if (host == \"btlink\" || host.substring(host.length - 7) == \".btlink\")\n    \
             return \"PROXY 192.168.1.2:42080\";\n  return \"DIRECT\";\n}\n"
        );
        assert!(text.is_ascii() && text.len() < 4096);
        for word in [
            "dnsResolve",
            "isResolvable",
            "isInNet",
            "myIpAddress",
            "alert",
            "let ",
            "const ",
            "=>",
        ] {
            assert!(!text.contains(word), "{word}");
        }
    }

    #[test]
    fn an_ipv6_address_stands_in_brackets() {
        let text = pac("[fd00::2]:3128".parse().unwrap());
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
