//! What a device calls itself (options 12 and 81), made harmless: text for pages, and a label for our zone. A device must not
//! be able to become `wpad` or `router` for the whole home by asking for an address (US-CERT TA16-144A).

use super::{Packet, packet::code};

/// Names that mean a service or another machine to somebody: never taken from a device.
const NEVER: &[&str] = &[
    "admin",
    "box",
    "broadcasthost",
    "btlink",
    "dhcp",
    "dns",
    "fritz",
    "gateway",
    "granary",
    "gw",
    "home",
    "host",
    "invalid",
    "isatap",
    "lan",
    "local",
    "localdomain",
    "localhost",
    "localnet",
    "mail",
    "modem",
    "ns",
    "ns1",
    "ns2",
    "ntp",
    "proxy",
    "resolver",
    "router",
    "speedport",
    "time",
    "wpad",
    "www",
];

const CHARS_MAX: usize = 63;

/// The name as text for people: letters, digits, spaces and `-_.'()` only.
pub fn shown(packet: &Packet) -> Option<String> {
    let raw = match packet.option(code::HOST) {
        Some(name) if !name.is_empty() => name.to_vec(),
        _ => fqdn(packet.option(code::FQDN)?)?,
    };
    clean(&raw)
}

fn clean(raw: &[u8]) -> Option<String> {
    let text = match std::str::from_utf8(raw) {
        Ok(text) => text.to_owned(),
        // Old clients send Latin-1, whose letters are the first of Unicode.
        Err(_) => raw.iter().map(|byte| char::from(*byte)).collect(),
    };
    let text = text.trim_end_matches('\0');
    // Nobody's name: somebody tries what a terminal or a page makes of it.
    if text.chars().any(char::is_control) {
        return None;
    }
    let good = |letter: &char| letter.is_alphanumeric() || " -_.'()".contains(*letter);
    let text: String = text.chars().filter(good).take(CHARS_MAX).collect();
    let text = text.trim_matches([' ', '.', '-']);
    (!text.is_empty()).then(|| text.to_owned())
}

/// Option 81 (RFC 4702, 2): flags, two unused bytes, then the name as labels or, without the E flag, as text.
fn fqdn(value: &[u8]) -> Option<Vec<u8>> {
    let (flags, name) = (value.first()?, value.get(3..)?);
    if flags & 4 == 0 {
        return Some(name.to_vec());
    }
    let (len, rest) = name.split_first()?;
    Some(rest.get(..usize::from(*len)).filter(|_| *len < 64)?.to_vec())
}

/// The label under which a device with this shown name may stand in our zone.
pub fn label(shown: &str) -> Option<String> {
    let first = shown.split('.').next()?.to_lowercase();
    let text: String = first
        .chars()
        .filter_map(|letter| match letter {
            'a'..='z' | '0'..='9' => Some(letter),
            ' ' | '-' | '_' => Some('-'),
            '\'' | '(' | ')' => None,
            // Other letters would make one name look like another.
            _ => Some('\0'),
        })
        .collect();
    let text = text.trim_matches('-');
    let fits = !text.is_empty() && text.len() <= 63 && !text.contains('\0');
    let taken = NEVER.contains(&text) || text.starts_with("wpad") || text.starts_with("isatap");
    // A name of digits alone could be taken for an address.
    (fits && !taken && text.bytes().any(|byte| byte.is_ascii_lowercase())).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_become_no_label_and_harmless_text() {
        for name in [
            "wpad",
            "WPAD",
            "wpad.home.arpa",
            "wpad2",
            "-wpad-",
            " wpad ",
            "isatap",
            "ISATAP.local",
            "localhost",
            "localhost.localdomain",
            "router",
            "gateway",
            "admin",
            "btlink",
            "granary",
            "www",
            "dns",
            "ns1",
            "proxy",
            "mail",
            "192.168.1.1",
            "12345",
            ".",
            "..",
            "-",
            "--",
            "",
            "\u{0}",
            "wp\u{0}ad",
            "w\u{200b}pad",
            "w'pad",
            "wpad\r\n",
            "w\u{202e}pad",
            "раypal",
            "\u{1b}[31mwpad",
            "(wpad)",
            "wpad.",
            ".wpad",
        ] {
            let shown = clean(name.as_bytes());
            let label = shown.as_deref().and_then(label);
            assert_eq!(label, None, "{name:?}");
            for letter in shown.unwrap_or_default().chars() {
                assert!(letter.is_alphanumeric() || " -_.'()".contains(letter), "{name:?}");
            }
        }
        let script = clean(b"<script>alert(1)</script>").expect("letters stay");
        assert_eq!(script, "scriptalert(1)script");
    }

    #[test]
    fn ordinary_names_become_labels() {
        for (name, expected) in [
            ("Annas-iPhone", "annas-iphone"),
            ("Anna's iPhone", "annas-iphone"),
            ("DESKTOP-7K2", "desktop-7k2"),
            ("living_room.lan", "living-room"),
            ("box3", "box3"),
        ] {
            let shown = clean(name.as_bytes()).expect("it is text");
            assert_eq!(label(&shown).as_deref(), Some(expected));
        }
        // Latin-1.
        assert_eq!(clean(b"K\xfcche").as_deref(), Some("Küche"));
        assert_eq!(label("Küche"), None);
    }
}
