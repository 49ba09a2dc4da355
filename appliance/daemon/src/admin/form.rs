//! What a browser sent from a form: bounded, decoded, asked for by name.

use std::time::Duration;

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{HeaderMap, StatusCode, body::Incoming, header::CONTENT_TYPE};
use tokio::time::timeout;

/// Longest body of a form, bytes; the wire's bound for HTTP/1, kept here for HTTP/2 too.
const BODY_MAX: usize = 1 << 20;
/// A page of ours with all its check boxes has fewer.
const FIELDS_MAX: usize = 2_000;
/// A form that takes longer is no person's.
const BODY_DEADLINE: Duration = Duration::from_secs(10);
const KIND: &str = "application/x-www-form-urlencoded";

/// Fields in the order they came.
#[derive(Debug, Clone, Default)]
pub struct Form(pub Vec<(String, String)>);

/// Why it was not read. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("The form was sent as another type than a browser's form.")]
    Kind,
    #[error("The form is longer than 1 MiB.")]
    Large,
    #[error("The form did not arrive whole within ten seconds.")]
    Slow,
    #[error("The form broke off, or holds bytes that are no text.")]
    Malformed,
}

impl Refused {
    pub fn status(self) -> StatusCode {
        match self {
            Self::Kind => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Large => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Malformed => StatusCode::BAD_REQUEST,
        }
    }
}

impl Form {
    /// The first field of this name, without white space around it.
    pub fn text<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).next().map(str::trim)
    }

    /// A checkbox, or the button that was pressed.
    pub fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// The only field of this name, as it came. Secrets are asked for by this: of two, which one counted?
    pub fn only<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        let mut all = self.all(name);
        let first = all.next()?;
        all.next().is_none().then_some(first)
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// A query or a body. `None`: not UTF-8, control characters other than white space, or too many fields.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut fields = Vec::new();
        for (key, value) in form_urlencoded::parse(bytes).take(FIELDS_MAX + 1) {
            let odd = |c: char| c.is_control() && !matches!(c, '\t' | '\r' | '\n') || c == '\u{fffd}';
            if key.contains(odd) || value.contains(odd) {
                return None;
            }
            fields.push((key.into_owned(), value.into_owned()));
        }
        (fields.len() <= FIELDS_MAX).then_some(Self(fields))
    }

    /// Reads a form's body, with all bounds.
    pub async fn read(headers: &HeaderMap, body: Incoming) -> Result<Self, Refused> {
        let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let bare = kind.map(|kind| kind.split(';').next().unwrap_or_default().trim());
        if !bare.is_some_and(|kind| kind.eq_ignore_ascii_case(KIND)) {
            return Err(Refused::Kind);
        }
        match timeout(BODY_DEADLINE, Limited::new(body, BODY_MAX).collect()).await {
            Err(_) => Err(Refused::Slow),
            Ok(Err(err)) if err.is::<LengthLimitError>() => Err(Refused::Large),
            Ok(Err(_)) => Err(Refused::Malformed),
            Ok(Ok(body)) => Self::parse(&body.to_bytes()).ok_or(Refused::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_fields_with_one_name_neither_is_a_secret() {
        let form = Form::parse(b"pin=1&pin=2&name=+a%20b+&keep").unwrap();
        assert_eq!((form.only("pin"), form.text("pin")), (None, Some("1")));
        assert_eq!(
            (form.only("name"), form.text("name")),
            (Some(" a b "), Some("a b"))
        );
        assert!(form.has("keep") && !form.has("kee"));
    }

    #[test]
    fn bytes_that_are_no_text_are_no_form() {
        for bad in ["a=%ff", "a=%00", "%1b[31m=1", "a=\u{fffd}"] {
            assert!(Form::parse(bad.as_bytes()).is_none(), "{bad}");
        }
        assert!(Form::parse("a=1&".repeat(2_001).as_bytes()).is_none());
        assert!(Form::parse("a=1&".repeat(2_000).as_bytes()).is_some());
    }
}
