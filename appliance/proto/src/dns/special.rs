//! Names that belong to nobody on the Internet: they are answered here and never leave the home.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::query::Name;

/// What a name of `arpa` is.
pub(super) enum Arpa {
    /// The zone of an address range that every home has (RFC 6303, RFC 7793), or below it; where its name begins.
    Local {
        apex: usize,
    },
    /// Where clients look for the encrypted doors of a resolver (RFC 9462): there are none to tell of. Where `resolver.arpa`
    /// begins.
    Resolver {
        apex: usize,
    },
    Other,
}

/// Top-level names that the Internet's resolvers have nothing to say about: RFC 6761 (`invalid`, `test`), RFC 6762 (`local`,
/// which is for multicast), RFC 7686 (`onion`), RFC 9476 (`alt`), and `internal`, which ICANN keeps for private use.
pub(super) fn is_nobodys(top: &[u8]) -> bool {
    matches!(
        top,
        b"invalid" | b"test" | b"local" | b"onion" | b"alt" | b"internal"
    )
}

pub(super) fn arpa(name: &Name) -> Arpa {
    let wire = name.wire();
    let below = |zone: &[u8], labels: usize| -> Option<usize> {
        let at = name.offset(name.labels().checked_sub(labels)?);
        (&wire[at..] == zone).then_some(at)
    };
    if let Some(apex) = below(b"\x08resolver\x04arpa\0", 2) {
        return Arpa::Resolver { apex };
    }
    let reversed: Option<usize> = if below(b"\x07in-addr\x04arpa\0", 2).is_some() {
        v4_zone(name)
    } else if below(b"\x03ip6\x04arpa\0", 2).is_some() {
        v6_zone(name)
    } else {
        None
    };
    match reversed {
        Some(labels) => Arpa::Local {
            apex: name.offset(name.labels() - labels),
        },
        None => Arpa::Other,
    }
}

/// Labels of the local zone that the name is in, `in-addr.arpa` included.
fn v4_zone(name: &Name) -> Option<usize> {
    let part = |from_right: usize| -> Option<u8> {
        let at = name.offset(name.labels().checked_sub(from_right + 3)?);
        let label = name.wire().get(at + 1..)?.get(..usize::from(name.wire()[at]))?;
        // One spelling per number.
        let text = std::str::from_utf8(label).ok()?;
        text.parse::<u8>()
            .ok()
            .filter(|number| number.to_string() == text)
    };
    let first = part(0)?;
    let octets = match (first, part(1)) {
        (0 | 10 | 127, _) => 1,
        (192, Some(168)) | (169, Some(254)) => 2,
        (172, Some(16..=31)) | (100, Some(64..=127)) => 2,
        (192, Some(0)) if part(2) == Some(2) => 3,
        (198, Some(51)) if part(2) == Some(100) => 3,
        (203, Some(0)) if part(2) == Some(113) => 3,
        (255, Some(255)) if part(2) == Some(255) && part(3) == Some(255) => 4,
        _ => return None,
    };
    Some(octets + 2)
}

fn v6_zone(name: &Name) -> Option<usize> {
    let digits = name.labels() - 2;
    let digit = |from_left: usize| -> Option<u8> {
        let at = name.offset(digits.checked_sub(from_left + 1)?);
        let &[1, digit] = name.wire().get(at..at + 2)? else {
            return None;
        };
        char::from(digit).to_digit(16).map(|digit| digit as u8)
    };
    let count = match (digit(0)?, digit(1), digit(2)) {
        (0xf, Some(0xc | 0xd), _) => 2,
        (0xf, Some(0xe), Some(0x8..=0xb)) => 3,
        (2, Some(0), Some(0)) => {
            let documentation = [2, 0, 0, 1, 0, 0xd, 0xb, 8];
            (0..8).all(|i| digit(i) == Some(documentation[i])).then_some(8)?
        }
        (0, ..) => {
            let unspecified = (0..31).all(|i| digit(i) == Some(0)) && matches!(digit(31), Some(0 | 1));
            unspecified.then_some(32)?
        }
        _ => return None,
    };
    Some(count + 2)
}

/// The whole address that a name of `arpa` asks about.
pub(super) fn reversed(name: &Name) -> Option<IpAddr> {
    let mut labels: Vec<&[u8]> = super::name::labels(name.wire()).collect();
    labels.reverse();
    match labels.as_slice() {
        [b"arpa", b"in-addr", a, b, c, d] => {
            let mut octets = [0; 4];
            for (octet, label) in octets.iter_mut().zip([a, b, c, d]) {
                *octet = std::str::from_utf8(label).ok()?.parse().ok()?;
            }
            Some(Ipv4Addr::from(octets).into())
        }
        [b"arpa", b"ip6", digits @ ..] if digits.len() == 32 => {
            let mut bits = 0u128;
            for label in digits {
                let &[digit] = *label else { return None };
                bits = bits << 4 | u128::from(char::from(digit).to_digit(16)?);
            }
            Some(Ipv6Addr::from_bits(bits).into())
        }
        _ => None,
    }
}
