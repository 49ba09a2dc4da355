//! What of a stranger's page may reach a browser. Pure. Must not know HTTP, sites, or where bytes come from.
//!
//! This release holds the interface only: the two modes and the decision which bytes a mode lets through as they are.
//! There is no Safe mode yet, and nothing here pretends to be one: [`decide`] refuses it, so that no caller can take bytes
//! for cleaned that are not. Until it exists every site is shown in [`Mode::Site`], behind the content security policy that
//! the gateway sets, and on an origin of its own.

/// How much a site is trusted; chosen by the owner per address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Re-written to harmless HTML, CSS and images: no script, no form, nothing from elsewhere.
    Safe,
    /// As published: an origin of its own, fenced in by its headers.
    #[default]
    Site,
}

/// What the bytes are, by their declared type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    Html,
    Css,
    Svg,
    Image,
    /// Text, media, archives: nothing a browser runs.
    Inert,
}

/// What happens to the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// They may reach the browser unchanged.
    PassThrough,
}

/// Why no bytes may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The caller must show a page that says so, and never the bytes.
    #[error("this release has no Safe mode")]
    NoSafeMode,
}

/// Whether `content` may be shown as it is in `mode`.
pub fn decide(mode: Mode, content: Content) -> Result<Decision, Error> {
    match (mode, content) {
        (Mode::Site, _) | (Mode::Safe, Content::Inert) => Ok(Decision::PassThrough),
        (Mode::Safe, _) => Err(Error::NoSafeMode),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_would_need_cleaning_passes_in_safe_mode() {
        for content in [Content::Html, Content::Css, Content::Svg, Content::Image] {
            assert_eq!(decide(Mode::Safe, content), Err(Error::NoSafeMode));
            assert_eq!(decide(Mode::Site, content), Ok(Decision::PassThrough));
        }
        assert_eq!(decide(Mode::Safe, Content::Inert), Ok(Decision::PassThrough));
    }
}
