//! What browsers ask for, and the rules a site brings with it.

use proto::{
    metainfo,
    site::{
        cache, head,
        listing::View,
        path::{SitePath, query_value},
        redirects::{Answer, Rules},
        tree::{Found, Tree},
    },
};

use super::seen;

const TOTAL: u64 = 38;

/// A path, a query and a Range header, each on a line.
pub(super) fn requests() -> Vec<Vec<u8>> {
    [
        "/\nsort=size&order=desc&page=2\nbytes=0-",
        "/css/s.css\nfilename=a%20b.html&download=true\nbytes=1-5",
        "/css\n\nbytes=-7",
        "/index.html?x\n=&&=\nbytes=5-1,3-,-0",
        "/a%2fb/%e4%bd%a0//x/\na+b=c\nbytes=99-",
        "/css/../index.html\npage=99999999999999999999\nitems=0-1",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// The two-file site of the goldens.
fn golden() -> metainfo::Info {
    let raw = b"d5:filesld6:lengthi38e4:pathl10:index.htmleed6:lengthi13e4:pathl3:css5:s.csseee4:name4:site12:piece lengthi16384e6:pieces20:abcdefghijabcdefghije";
    metainfo::parse_info(raw).expect("it is sound")
}

pub(super) fn site(input: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(input);
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (path, query, range) = (SitePath::parse(line()), line(), cache::range(Some(line()), TOTAL));
    if let cache::Range::Part { start, len } = range {
        assert!(len > 0 && start + len <= TOTAL, "{range:?}");
    }
    let view = View::parse(query);
    assert_eq!(View::parse(&view.query()), view);
    let name = query_value(query, "filename");
    let found = path.as_ref().map(|path| {
        let url = path.to_url();
        assert_eq!(SitePath::parse(&url).as_ref(), Ok(path), "{url}");
        assert!(url.starts_with('/') && !url.starts_with("//") && url.is_ascii());
        let (info, safe) = (golden(), |part: &String| {
            part != ".." && !part.contains(['/', '\0', '\n'])
        });
        assert!(path.components.iter().all(safe), "{path:?}");
        let tree = Tree::new(&info);
        let found = tree.find(&info, path, name.is_none());
        if let Found::Redirect(to) = &found {
            let next = tree.find(&info, &SitePath::parse(to).expect("ours"), true);
            assert!(!matches!(next, Found::Redirect(_)), "{to} leads on");
        }
        found
    });
    seen(&(found, range, name.is_some()))
}

/// Heads of requests, good and bad, one after another as on a connection.
pub(super) fn heads() -> Vec<Vec<u8>> {
    [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.0\r\n\r\n",
        "POST /x?y HTTP/1.1\r\nhost: b.btlink:80\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\nhello",
        "CONNECT a.btlink:443 HTTP/1.1\r\nHost: a.btlink:443\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET http://a/ HTTP/1.1\r\nHost:a\r\nX: \ta b\t\r\n x\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\n\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

pub(super) fn head(input: &[u8]) -> u64 {
    let mut whole = 0;
    let found = head::end(input, &mut whole);
    // However the bytes arrive, the end is the same: a head may not be read in two ways.
    let (mut searched, mut in_parts) = (0, Ok(None));
    for len in 1..=input.len() {
        in_parts = head::end(&input[..len], &mut searched);
        if in_parts != Ok(None) {
            break;
        }
    }
    let Ok(Some(end)) = found else {
        // More bytes can only turn "not yet" into a refusal, never into a head.
        assert!(!matches!(in_parts, Ok(Some(_))) || found.is_err(), "{in_parts:?}");
        return seen(&found.is_err());
    };
    assert_eq!(in_parts, Ok(Some(end)));
    assert!(input[..end].ends_with(b"\r\n\r\n") && end <= head::HEAD_MAX);
    let body = head::check(&input[..end]);
    assert!(body.unwrap_or(0) <= head::BODY_MAX);
    // The reason itself is the answer: `seen` would only look at the shape of it.
    let answer = body.map_or_else(|why| why.reason, |_| "fine");
    answer.bytes().fold(7, |hash: u64, byte| {
        hash.wrapping_mul(31).wrapping_add(byte.into())
    })
}

/// A path, then the rules.
pub(super) fn rules() -> Vec<Vec<u8>> {
    [
        "/redirect-one\n/redirect-one /one.html\n/301 /one.html 301\n/* /index.html 200",
        "/posts/2024/01/02/x\n/posts/:year/:month/:day/:title /articles/:year/:month/:day/:title 301",
        "/splat/a/b\n/splat/* /redirected-splat/:splat 301\n# a comment\n\n/gone/* /410.html 410",
        "/a\n/a https://example.org/ 302\n/b /c 999",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

pub(super) fn redirects(input: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(input);
    let (path, rules) = text.split_once('\n').unwrap_or((&text, ""));
    let answer = Rules::parse(rules).map(|rules| rules.answer(path));
    if let Ok(Some(Answer::Redirect { to, .. } | Answer::Rewrite { path: to, .. })) = &answer {
        // The path is the browser's own and may hold anything but a line's end; the rules may not add one.
        assert!(!to.contains('\n'), "{to}");
    }
    seen(&answer)
}
