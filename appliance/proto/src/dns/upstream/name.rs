//! Names inside a message of a stranger (RFC 1035 4.1.4): walked without trust, never in circles.

/// Longest name in wire form, with the root byte.
pub const NAME_MAX: usize = 255;
/// Follow at most so many pointers in one name; what honest servers write needs one or two.
const POINTERS_MAX: usize = 32;

/// Where the name at `at` ends inside the message. Pointers must point backwards.
pub fn skip(message: &[u8], mut at: usize) -> Option<usize> {
    let start = at;
    loop {
        let length = usize::from(*message.get(at)?);
        match length {
            0 => return Some(at + 1),
            1..=63 => at += 1 + length,
            192.. => {
                let low = usize::from(*message.get(at + 1)?);
                let target = (length & 0x3f) << 8 | low;
                return (target < start).then_some(at + 2);
            }
            _ => return None,
        }
        if at - start > NAME_MAX {
            return None;
        }
    }
}

/// A name without pointers, in lower case.
#[derive(Clone, Copy)]
pub struct Name {
    bytes: [u8; NAME_MAX],
    length: usize,
}

impl Name {
    /// A name in wire form as it stands alone.
    pub fn from_wire(wire: &[u8]) -> Option<Self> {
        let (name, end) = Self::read(wire, 0)?;
        (end == wire.len()).then_some(name)
    }

    /// The name at `at` and where it ends there.
    pub fn read(message: &[u8], at: usize) -> Option<(Self, usize)> {
        let end = skip(message, at)?;
        let mut name = Self {
            bytes: [0; NAME_MAX],
            length: 0,
        };
        // Each pointer must lead before the part it came from, so that the walk ends.
        let (mut at, mut before, mut pointers) = (at, at, 0);
        loop {
            let length = usize::from(*message.get(at)?);
            match length {
                0..=63 => {
                    let label = message.get(at..at + 1 + length)?;
                    let room = name.bytes.get_mut(name.length..name.length + label.len())?;
                    room.copy_from_slice(label);
                    // Lengths are below the letters, so lowering them changes nothing.
                    room.make_ascii_lowercase();
                    name.length += label.len();
                    if length == 0 {
                        return Some((name, end));
                    }
                    at += label.len();
                }
                192.. => {
                    let target = (length & 0x3f) << 8 | usize::from(*message.get(at + 1)?);
                    pointers += 1;
                    if target >= before || pointers > POINTERS_MAX {
                        return None;
                    }
                    (at, before) = (target, target);
                }
                _ => return None,
            }
        }
    }

    pub fn as_wire(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Is this name `ancestor` or below it?
    pub fn is_within(&self, ancestor: &[u8]) -> bool {
        let mut rest = self.as_wire();
        while let [length, ..] = rest {
            if rest == ancestor {
                return true;
            }
            rest = rest.get(usize::from(*length) + 1..).unwrap_or_default();
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compressed_name_is_read_whole_and_in_lower_case() {
        let message = b"\x03COM\x00\x07eXample\xc0\x00\x03www\xc0\x05rest";
        let (name, end) = Name::read(message, 15).expect("well formed");
        assert_eq!(name.as_wire(), b"\x03www\x07example\x03com\x00");
        assert_eq!(&message[end..], b"rest");
        assert!(name.is_within(b"\x07example\x03com\x00") && name.is_within(b"\x00"));
        assert!(!name.is_within(b"\x04mple\x03com\x00") && !name.is_within(b"\x03net\x00"));
    }

    #[test]
    fn circles_forward_pointers_and_torn_names_are_no_names() {
        for bad in [
            &b"\xc0\x00"[..],
            b"\x01a\xc0\x02",
            b"\x01a\xc0\x00",
            b"\xc0\x05aaa\x00",
            b"\x40aaa\x00",
            b"\x80\x00",
            b"\x05abc",
            b"\x03abc",
            b"\xc0",
            b"",
        ] {
            assert!(Name::read(bad, 0).is_none(), "{bad:?}");
        }
        let long = [&[1, b'a'].repeat(128)[..], &[0]].concat();
        assert!(Name::read(&long, 0).is_none() && skip(&long, 0).is_none());
    }

    #[test]
    fn a_long_row_of_pointers_is_given_up() {
        let mut message = vec![0];
        let mut last = 0_u16;
        for _ in 0..40 {
            let here = message.len() as u16;
            message.extend_from_slice(&(0xc000 | last).to_be_bytes());
            last = here;
        }
        assert!(Name::read(&message, usize::from(last)).is_none());
        assert!(Name::read(&message, 5).is_some());
    }
}
