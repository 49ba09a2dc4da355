//! URL paths and torrent paths: decoding without a second meaning, encoding without a surprise.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// What must be escaped inside one path component (RFC 3986 §3.3, and what HTML or a header could trip over).
const COMPONENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Longest URL path accepted, bytes before decoding.
pub const PATH_MAX: usize = 8 << 10;
/// More components than any real folder tree; also bounds the work of one look-up.
pub const COMPONENTS_MAX: usize = 128;

/// Why a path cannot name anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("the path does not begin with a slash")]
    Relative,
    #[error("the path holds a % that is not followed by two hexadecimal digits")]
    Escape,
    #[error("the path is not UTF-8")]
    NotUtf8,
    #[error("the path holds a control character")]
    Control,
    #[error("the path holds an escaped slash")]
    Slash,
    #[error("the path holds . or .. as a component")]
    Dots,
    #[error("the path is too long")]
    TooLong,
}

/// A decoded URL path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SitePath {
    /// Decoded components; never empty strings, `.`, `..`, and never with a slash or control character inside.
    pub components: Vec<String>,
    /// The path ended in a slash (or is the root): it names a folder.
    pub folder: bool,
}

impl SitePath {
    /// Reads the path part of a request target. Empty components (`//`) are dropped, as nginx does, so that no answer of
    /// ours ever holds a network-path reference.
    pub fn parse(raw: &str) -> Result<Self, Malformed> {
        if raw.len() > PATH_MAX {
            return Err(Malformed::TooLong);
        }
        let rest = raw.strip_prefix('/').ok_or(Malformed::Relative)?;
        let mut components = Vec::new();
        for part in rest.split('/').filter(|part| !part.is_empty()) {
            if components.len() == COMPONENTS_MAX {
                return Err(Malformed::TooLong);
            }
            components.push(component(part)?);
        }
        let folder = rest.is_empty() || rest.ends_with('/');
        Ok(Self { components, folder })
    }

    /// The path as we would write it: escaped, one slash between components, a slash at the end of folders.
    pub fn to_url(&self) -> String {
        let mut url = join(&self.components);
        if self.folder && !self.components.is_empty() {
            url.push('/');
        }
        if url.is_empty() {
            url.push('/');
        }
        url
    }
}

/// `/a/b%20c` of decoded components; empty for none.
pub fn join<S: AsRef<str>>(components: &[S]) -> String {
    let mut url = String::new();
    for component in components {
        url.push('/');
        url.extend(escape(component.as_ref()));
    }
    url
}

/// One component, escaped for a URL path.
pub fn escape(component: &str) -> percent_encoding::PercentEncode<'_> {
    utf8_percent_encode(component, COMPONENT)
}

fn component(part: &str) -> Result<String, Malformed> {
    if !escapes_are_whole(part.as_bytes()) {
        return Err(Malformed::Escape);
    }
    let text = percent_decode_str(part)
        .decode_utf8()
        .map_err(|_| Malformed::NotUtf8)?;
    if text.contains('/') {
        return Err(Malformed::Slash);
    }
    if text.chars().any(char::is_control) {
        return Err(Malformed::Control);
    }
    if text == "." || text == ".." {
        return Err(Malformed::Dots);
    }
    Ok(text.into_owned())
}

fn escapes_are_whole(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|&byte| byte == b'%') {
        match rest.get(at + 1..at + 3) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => rest = &rest[at + 3..],
            _ => return false,
        }
    }
    true
}

/// The value of `name` in a query string, decoded as forms encode it (`+` is a space). The first one wins.
pub fn query_value(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then(|| {
            let spaced = value.replace('+', " ");
            percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(raw: &str) -> Vec<String> {
        SitePath::parse(raw).unwrap().components
    }

    #[test]
    fn a_path_is_decoded_once() {
        assert_eq!(parts("/a/b%20c/%C3%A9"), ["a", "b c", "é"]);
        assert_eq!(parts("/%2561"), ["%61"]);
        assert_eq!(parts("//a///b"), ["a", "b"]);
        assert!(SitePath::parse("/").unwrap().folder);
        assert!(SitePath::parse("/a/").unwrap().folder);
        assert!(!SitePath::parse("/a").unwrap().folder);
    }

    #[test]
    fn a_path_with_two_meanings_is_refused() {
        for (raw, why) in [
            ("a", Malformed::Relative),
            ("", Malformed::Relative),
            ("/../etc/passwd", Malformed::Dots),
            ("/a/..", Malformed::Dots),
            ("/a/.", Malformed::Dots),
            ("/%2e%2E/x", Malformed::Dots),
            ("/.%2e", Malformed::Dots),
            ("/a%2fb", Malformed::Slash),
            ("/a%2Fb", Malformed::Slash),
            ("/a%00b", Malformed::Control),
            ("/a%0a", Malformed::Control),
            ("/%7f", Malformed::Control),
            ("/%", Malformed::Escape),
            ("/%1", Malformed::Escape),
            ("/%zz", Malformed::Escape),
            ("/%ff", Malformed::NotUtf8),
            ("/%c0%af", Malformed::NotUtf8),
        ] {
            assert_eq!(SitePath::parse(raw), Err(why), "{raw}");
        }
        let long = format!("/{}", "a".repeat(PATH_MAX));
        assert_eq!(SitePath::parse(&long), Err(Malformed::TooLong));
        assert_eq!(SitePath::parse(&"/a".repeat(129)), Err(Malformed::TooLong));
    }

    #[test]
    fn a_path_of_ours_never_begins_with_two_slashes() {
        for raw in ["//evil.example/", "///", "/a//b/", "/%22%3Cb%3E"] {
            let url = SitePath::parse(raw).unwrap().to_url();
            assert!(url.starts_with('/') && !url.starts_with("//"), "{url}");
            assert_eq!(SitePath::parse(&url), SitePath::parse(raw));
        }
    }

    #[test]
    fn the_first_value_of_a_query_wins() {
        assert_eq!(query_value("a=1&b=x+y%26&b=2", "b").as_deref(), Some("x y&"));
        assert_eq!(query_value("a", "a").as_deref(), Some(""));
        assert_eq!(query_value("", "a"), None);
    }
}
