//! Did a page of ours send this? One pure function over the head of a request.

use hyper::{
    HeaderMap, Uri,
    header::{self, HeaderName},
};

/// Whether a request that changes something may come from one of our own pages.
///
/// `Sec-Fetch-Site` (browsers on trustworthy addresses) must be `same-origin`; `Origin` (every browser since 2020 sends it
/// with POST) must be the host that was asked; where neither came, `Referer` may not name another host. A text browser or a
/// program sends none of the three: then the token in the form decides alone. Twice the same header is never ours.
pub fn is_ours(uri: &Uri, headers: &HeaderMap) -> bool {
    let Some(host) = host(uri, headers) else {
        return false;
    };
    let of_host = |value: &str, whole: bool| {
        let rest = value.strip_prefix("http://").or(value.strip_prefix("https://"));
        let authority = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
        let nothing_more = |authority: &str| !whole || value.ends_with(authority);
        authority.is_some_and(|authority| bare(authority) == bare(&host) && nothing_more(authority))
    };
    let site = one(headers, &HeaderName::from_static("sec-fetch-site"));
    let (origin, referer) = (one(headers, &header::ORIGIN), one(headers, &header::REFERER));
    match (site, origin, referer) {
        (Err(()), ..) | (_, Err(()), _) | (.., Err(())) => false,
        (Ok(Some(site)), Ok(origin), _) => {
            site == "same-origin" && origin.is_none_or(|origin| of_host(origin, true))
        }
        (_, Ok(Some(origin)), _) => of_host(origin, true),
        (.., Ok(Some(referer))) => of_host(referer, false),
        (Ok(None), Ok(None), Ok(None)) => true,
    }
}

/// The host that was asked, as `route` has checked it.
fn host(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    if let Some(authority) = uri.authority() {
        return Some(authority.as_str().to_owned());
    }
    one(headers, &header::HOST).ok()?.map(str::to_owned)
}

/// Lower case, without the default port.
fn bare(authority: &str) -> String {
    let lower = authority.to_ascii_lowercase();
    lower.strip_suffix(":80").unwrap_or(&lower).to_owned()
}

fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, ()> {
    let mut all = headers.get_all(name).iter();
    let first = all
        .next()
        .map(|value| value.to_str().map_err(|_| ()))
        .transpose()?;
    if all.next().is_some() { Err(()) } else { Ok(first) }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn judge(lines: &[(&'static str, &'static str)]) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("Box.btlink:8080"));
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        is_ours(&Uri::from_static("/people"), &headers)
    }

    #[test]
    fn only_pages_of_the_host_that_was_asked_change_something() {
        for ours in [
            &[][..],
            &[("origin", "http://box.btlink:8080")],
            &[("origin", "http://BOX.btlink:8080")],
            &[
                ("origin", "http://box.btlink:8080"),
                ("sec-fetch-site", "same-origin"),
            ],
            &[("sec-fetch-site", "same-origin")],
            &[("referer", "http://box.btlink:8080/people?x=1")],
            &[("referer", "http://box.btlink:8080")],
        ] {
            assert!(judge(ours), "{ours:?}");
        }
        for theirs in [
            &[("origin", "null")][..],
            &[("origin", "")],
            &[("origin", "http://box.btlink")],
            &[("origin", "http://box.btlink:80")],
            &[("origin", "http://box.btlink:8080.evil.example")],
            &[("origin", "http://box.btlink:8080/")],
            &[("origin", "http://evil.example/http://box.btlink:8080")],
            &[("origin", "http://box.btlink:8080@evil.example")],
            &[("origin", "http://x@box.btlink:8080")],
            &[("origin", "http://evil.box.btlink:8080")],
            &[("origin", "ftp://box.btlink:8080")],
            &[("origin", "box.btlink:8080")],
            &[
                ("origin", "http://box.btlink:8080"),
                ("origin", "http://box.btlink:8080"),
            ],
            &[
                ("origin", "http://evil.example"),
                ("referer", "http://box.btlink:8080/"),
            ],
            &[
                ("origin", "http://box.btlink:8080"),
                ("sec-fetch-site", "cross-site"),
            ],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "none")],
            &[("sec-fetch-site", "")],
            &[
                ("sec-fetch-site", "same-origin"),
                ("origin", "http://evil.example"),
            ],
            &[("referer", "http://evil.example/")],
            &[("referer", "about:blank")],
            &[("referer", "http://evil.example/?http://box.btlink:8080/")],
        ] {
            assert!(!judge(theirs), "{theirs:?}");
        }
    }
}
