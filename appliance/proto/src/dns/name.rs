//! Names in wire form.

/// Longest name with its length bytes (RFC 1035 §2.3.4).
pub const NAME_MAX: usize = 255;
/// Longest label (RFC 1035 §2.3.4).
pub const LABEL_MAX: usize = 63;

/// `www.example.org`, with or without the final dot, in wire form and lower case; `None` when a label is empty or too long.
pub fn from_text(text: &str) -> Option<Box<[u8]>> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let mut wire = Vec::with_capacity(text.len() + 2);
    for label in text.split('.').filter(|_| !text.is_empty()) {
        if label.is_empty() || label.len() > LABEL_MAX {
            return None;
        }
        wire.push(label.len() as u8);
        wire.extend(label.bytes().map(|b| b.to_ascii_lowercase()));
    }
    wire.push(0);
    (wire.len() <= NAME_MAX).then(|| wire.into())
}

/// A wire name as text without the final dot; the root is `.`. Bytes that are no plain letters are written `\123`.
pub fn to_text(wire: &[u8]) -> String {
    let mut text = String::new();
    for label in labels(wire) {
        if !text.is_empty() {
            text.push('.');
        }
        for byte in label {
            match byte {
                b'.' | b'\\' => text.extend(['\\', char::from(*byte)]),
                0x21..=0x7e => text.push(char::from(*byte)),
                _ => text.push_str(&format!("\\{byte:03}")),
            }
        }
    }
    if text.is_empty() {
        text.push('.');
    }
    text
}

/// The labels of a wire name from left to right, without the root. A name that is cut short ends early.
pub fn labels(wire: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = wire;
    std::iter::from_fn(move || {
        let (len, after) = rest.split_first()?;
        let (label, left) = after.split_at_checked(usize::from(*len))?;
        rest = left;
        (!label.is_empty()).then_some(label)
    })
}

/// A name and every name above it, the root last.
pub fn upwards(wire: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(wire);
    std::iter::from_fn(move || {
        let here = rest?;
        let len = usize::from(*here.first()?);
        rest = (len > 0).then(|| here.get(1 + len..)).flatten();
        Some(here)
    })
}

/// Is `name` the zone or below it?
pub fn is_within(name: &[u8], zone: &[u8]) -> bool {
    name.ends_with(zone) && upwards(name).any(|above| above.len() == zone.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(text: &str) -> Box<[u8]> {
        from_text(text).expect("a name")
    }

    #[test]
    fn names_are_read_and_written_in_lower_case() {
        assert_eq!(&*wire("WWW.example.Org."), b"\x03www\x07example\x03org\0");
        assert_eq!(&*wire("."), b"\0");
        assert_eq!(to_text(b"\x03www\x07example\x03org\0"), "www.example.org");
        assert_eq!(to_text(b"\x04a.\\\x00\0"), "a\\.\\\\\\000");
        assert_eq!(to_text(b"\0"), ".");
        for bad in ["a..b", ".a", &"x".repeat(64), &"abc.".repeat(70)] {
            assert_eq!(from_text(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_zone_ends_at_a_label() {
        assert!(is_within(&wire("a.example"), &wire("example")));
        assert!(is_within(&wire("example"), &wire("example")));
        assert!(is_within(&wire("example"), &wire(".")));
        assert!(!is_within(&wire("notexample"), &wire("example")));
        // The length byte of the last label is a letter of another name.
        assert!(!is_within(b"\x0bx\x07exampleab\0", &wire("exampleab")));
    }

    #[test]
    fn a_cut_name_ends_early() {
        assert_eq!(labels(b"\x03www\x07exa").count(), 1);
        assert_eq!(upwards(b"\x03ww").count(), 1);
        assert_eq!(upwards(b"").count(), 0);
    }
}
