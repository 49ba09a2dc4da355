//! One strict reading of an HTTP/1 request head (RFC 9112), or a refusal.

/// Longest head, bytes.
pub const HEAD_MAX: usize = 16 << 10;
/// Longest request line, bytes.
pub const LINE_MAX: usize = 8 << 10;
/// Longest body a form or a program may send, bytes. Its length must be announced: no transfer codings in requests.
pub const BODY_MAX: u64 = 1 << 20;
const FIELDS_MAX: usize = 100;
/// The method of a request of our own that stands for a refused head. No client can send it: [`check`] refuses it.
pub const REFUSED: &str = "REFUSED";

/// Why a head has no one reading. `reason` is a path-safe word that `error_page` turns into a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    pub status: u16,
    pub reason: &'static str,
}

pub const SLOW: Refused = refused(408, "slow");

const fn refused(status: u16, reason: &'static str) -> Refused {
    Refused { status, reason }
}

const LINE_ENDS: Refused = refused(400, "line-ends");
const REQUEST_LINE: Refused = refused(400, "request-line");
const FIELD: Refused = refused(400, "field");
const LENGTH: Refused = refused(400, "length");
const HOST: Refused = refused(400, "host");

/// Where the head ends (after the empty line), searching from `*searched`. `Ok(None)`: not all here yet.
pub fn end(inbox: &[u8], searched: &mut usize) -> Result<Option<usize>, Refused> {
    // A lone LF, CR or NUL is refused as soon as it is seen, not when the client gives up waiting for an answer.
    let mut at = *searched;
    while let Some(found) = inbox[at..].iter().position(|&b| b < 0x0e && b != b'\t') {
        let here = at + found;
        match (inbox[here], inbox.get(here + 1)) {
            (b'\r', Some(b'\n')) => {
                if here == 0 {
                    return Err(REQUEST_LINE);
                }
                if inbox[..here].ends_with(b"\r\n") {
                    return if here + 2 > HEAD_MAX {
                        Err(refused(431, "head"))
                    } else {
                        Ok(Some(here + 2))
                    };
                }
                at = here + 2;
            }
            (b'\r', None) => {
                *searched = here;
                return too_long(inbox, here).map(|()| None);
            }
            _ => return Err(LINE_ENDS),
        }
        *searched = at;
    }
    too_long(inbox, *searched).map(|()| None)
}

/// `lines_end`: where the last complete line ended.
fn too_long(inbox: &[u8], lines_end: usize) -> Result<(), Refused> {
    if lines_end == 0 && inbox.len() > LINE_MAX {
        return Err(refused(414, "target"));
    }
    if inbox.len() > HEAD_MAX {
        return Err(refused(431, "head"));
    }
    Ok(())
}

/// Checks a whole head that ends in an empty line (as [`end`] found it); returns the length of the body that follows.
pub fn check(head: &[u8]) -> Result<u64, Refused> {
    let mut lines = head[..head.len().saturating_sub(4)].split(|&b| b == b'\n');
    let strip = |line: &'_ [u8]| line.len() - usize::from(line.ends_with(b"\r"));
    let first = lines.next().unwrap_or_default();
    let request = request_line(&first[..strip(first)])?;
    let mut seen = Seen::default();
    for (count, line) in lines.enumerate() {
        if count == FIELDS_MAX {
            return Err(refused(431, "fields"));
        }
        seen.field(&line[..strip(line)])?;
    }
    seen.verdict(request)
}

#[derive(Clone, Copy)]
struct RequestLine {
    http_1_0: bool,
    may_have_body: bool,
}

fn request_line(line: &[u8]) -> Result<RequestLine, Refused> {
    if line.len() > LINE_MAX {
        return Err(refused(414, "target"));
    }
    let mut words = line.split(|&b| b == b' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    let (Some(method), Some(target), Some(version), None) = (method, target, version, words.next()) else {
        return Err(REQUEST_LINE);
    };
    let letters = !method.is_empty() && method.len() <= 20 && method.iter().all(u8::is_ascii_uppercase);
    if !letters || method == REFUSED.as_bytes() {
        return Err(refused(501, "method"));
    }
    // RFC 3986 characters and the few that browsers send unescaped; `#` and the rest never belong on the wire.
    let odd = |&b: &u8| !b.is_ascii_graphic() || matches!(b, b'#' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`');
    if target.is_empty() || target.iter().any(odd) {
        return Err(REQUEST_LINE);
    }
    let http_1_0 = match version {
        b"HTTP/1.1" => false,
        b"HTTP/1.0" => true,
        other if other.starts_with(b"HTTP/") && other.len() == 8 => return Err(refused(505, "version")),
        _ => return Err(REQUEST_LINE),
    };
    Ok(RequestLine {
        http_1_0,
        may_have_body: matches!(method, b"POST" | b"PUT" | b"PATCH" | b"DELETE"),
    })
}

#[derive(Default)]
struct Seen {
    hosts: usize,
    lengths: usize,
    length: u64,
    coding: bool,
}

impl Seen {
    fn field(&mut self, line: &[u8]) -> Result<(), Refused> {
        let colon = line.iter().position(|&b| b == b':').ok_or(FIELD)?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        // Covers obs-fold (a leading space) and the space before the colon.
        if name.is_empty() || !name.iter().all(|&b| is_token(b)) {
            return Err(FIELD);
        }
        if value.iter().any(|&b| b < 0x20 && b != b'\t' || b == 0x7f) {
            return Err(FIELD);
        }
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.hosts += 1,
            6 if name.eq_ignore_ascii_case(b"expect") && !value.eq_ignore_ascii_case(b"100-continue") => {
                return Err(refused(417, "expect"));
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                self.lengths += 1;
                self.length = length(value)?;
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.coding = true,
            _ => {}
        }
        Ok(())
    }

    fn verdict(&self, request: RequestLine) -> Result<u64, Refused> {
        if self.hosts > 1 || self.hosts == 0 && !request.http_1_0 {
            return Err(HOST);
        }
        if self.lengths > 1 || self.coding && (self.lengths > 0 || request.http_1_0) {
            return Err(LENGTH);
        }
        if self.coding {
            return Err(refused(411, "coding"));
        }
        if self.length > 0 && !request.may_have_body {
            return Err(LENGTH);
        }
        if self.length > BODY_MAX {
            return Err(refused(413, "body"));
        }
        Ok(self.length)
    }
}

fn length(value: &[u8]) -> Result<u64, Refused> {
    let digits = !value.is_empty() && value.len() < 19 && value.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(value).map_err(|_| LENGTH)?;
    if digits {
        text.parse().map_err(|_| LENGTH)
    } else {
        Err(LENGTH)
    }
}

fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}
