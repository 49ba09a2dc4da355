//! Bencoding for people and programs: a tree as HTML or JSON. The input is a stranger's; the output is bounded and holds
//! nothing of it unescaped.

use super::{Kind, Node};

/// Bytes of one string that are shown in hexadecimal digits.
const HEX_MAX: usize = 1024;

/// JSON (RFC 8259). Bytes that are text are strings; others `{"hex":"…"}`; a key that is no text is `0x` and its digits.
/// Stops with `None` before it writes more than `max` bytes.
pub fn json(node: &Node<'_>, max: usize) -> Option<String> {
    let mut out = String::new();
    write_json(node, max, &mut out)?;
    Some(out)
}

fn write_json(node: &Node<'_>, max: usize, out: &mut String) -> Option<()> {
    match &node.kind {
        Kind::Int(n) => out.push_str(&n.to_string()),
        Kind::Bytes(bytes) => match text(bytes) {
            Some(text) => quote(text, out),
            None => {
                out.push_str("{\"hex\":");
                quote(&data_encoding::HEXLOWER.encode(bytes), out);
                out.push('}');
            }
        },
        Kind::List(items) => {
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                write_json(item, max, out)?;
            }
            out.push(']');
        }
        Kind::Dict(entries) => {
            out.push('{');
            for (n, (key, value)) in entries.iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                quote(&key_text(key), out);
                out.push(':');
                write_json(value, max, out)?;
            }
            out.push('}');
        }
    }
    (out.len() <= max).then_some(())
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            // Not needed by JSON; harmless wherever the text is pasted.
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Nested lists. Byte strings are shown as text where they are text, and in hexadecimal digits; `link` may give one of them
/// an address to lead to. Stops with `None` before it writes more than `max` bytes.
pub fn html(node: &Node<'_>, max: usize, link: &dyn Fn(&[u8]) -> Option<String>) -> Option<String> {
    let mut out = String::new();
    write_html(node, max, link, &mut out)?;
    Some(out)
}

fn write_html(
    node: &Node<'_>,
    max: usize,
    link: &dyn Fn(&[u8]) -> Option<String>,
    out: &mut String,
) -> Option<()> {
    match &node.kind {
        Kind::Int(n) => out.push_str(&format!("<code>{n}</code>")),
        Kind::Bytes(bytes) => write_bytes(bytes, link, out),
        Kind::List(items) => {
            out.push_str("<ol start=\"0\">");
            for item in items {
                out.push_str("<li>");
                write_html(item, max, link, out)?;
                out.push_str("</li>");
            }
            out.push_str("</ol>");
        }
        Kind::Dict(entries) => {
            out.push_str("<dl>");
            for (key, value) in entries {
                out.push_str("<dt>");
                escape(&key_text(key), out);
                out.push_str("</dt><dd>");
                write_html(value, max, link, out)?;
                out.push_str("</dd>");
            }
            out.push_str("</dl>");
        }
    }
    (out.len() <= max).then_some(())
}

fn write_bytes(bytes: &[u8], link: &dyn Fn(&[u8]) -> Option<String>, out: &mut String) {
    if let Some(text) = text(bytes) {
        out.push_str("<q>");
        escape(text, out);
        out.push_str("</q> ");
    }
    let shown = &bytes[..bytes.len().min(HEX_MAX)];
    let digits = format!("<code>{}</code>", data_encoding::HEXLOWER.encode(shown));
    match link(bytes) {
        Some(to) => {
            out.push_str("<a href=\"");
            escape(&to, out);
            out.push_str(&format!("\">{digits}</a>"));
        }
        None => out.push_str(&digits),
    }
    let more = if shown.len() < bytes.len() { ", cut" } else { "" };
    out.push_str(&format!(" <small>{} bytes{more}</small>", bytes.len()));
}

fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
}

/// UTF-8 without control characters and without marks that turn the direction of what follows.
fn text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let misleading = |c: char| {
        c.is_control() && c != '\n' && c != '\t'
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    (!text.contains(misleading)).then_some(text)
}

fn key_text(key: &[u8]) -> String {
    match text(key) {
        Some(text) => text.to_owned(),
        None => format!("0x{}", data_encoding::HEXLOWER.encode(key)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bencode::parse;

    const ALL: usize = 1 << 20;

    fn no_link(_: &[u8]) -> Option<String> {
        None
    }

    #[test]
    fn a_tree_becomes_json_that_others_read() {
        let raw = b"d3:<&\"le1:al4:text2:\xff\x00i-7ee2:ih20:aaaaaaaaaaaaaaaaaaaa2:\xfe\xffi1ee";
        let json = json(&parse(raw).expect("bencoding"), ALL).expect("short");
        let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(value["a"][0], "text");
        assert_eq!(value["a"][1]["hex"], "ff00");
        assert_eq!(value["a"][2], -7);
        assert_eq!(value["<&\""], serde_json::json!([]));
        assert_eq!(value["0xfeff"], 1);
        assert!(!json.contains('<'));
    }

    #[test]
    fn a_tree_becomes_html_without_the_strangers_markup() {
        let raw = b"d2:ih20:aaaaaaaaaaaaaaaaaaaa1:x29:<script>alert(\"'&'\")</script>e";
        let link = |bytes: &[u8]| (bytes.len() == 20).then(|| "http://x/?a&b".to_owned());
        let html = html(&parse(raw).expect("bencoding"), ALL, &link).expect("short");
        assert!(
            !html.contains("<script") && html.contains("&lt;script&gt;"),
            "{html}"
        );
        assert!(
            html.contains("<a href=\"http://x/?a&amp;b\"><code>6161"),
            "{html}"
        );
        assert!(html.contains("<dt>ih</dt><dd><q>aaaa"), "{html}");
    }

    #[test]
    fn what_would_be_too_long_is_refused() {
        let raw = format!("l{}e", "4:aaaa".repeat(1000));
        let node = parse(raw.as_bytes()).expect("bencoding");
        assert_eq!(json(&node, 1000), None);
        assert_eq!(html(&node, 1000, &no_link), None);
        let long = [b"4096:".as_slice(), &[0xff; 4096]].concat();
        let cut = html(&parse(&long).expect("bencoding"), ALL, &no_link).expect("short");
        assert!(
            cut.len() < 2 * HEX_MAX + 100 && cut.contains("4096 bytes, cut"),
            "{}",
            cut.len()
        );
    }

    proptest! {
        #[test]
        fn any_bencoding_gives_json_and_quiet_html(raw in proptest::collection::vec(any::<u8>(), 0..200)) {
            let wrapped = [format!("{}:", raw.len()).into_bytes(), raw.clone()].concat();
            for bytes in [&raw, &wrapped] {
                let Ok(node) = parse(bytes) else { continue };
                let json = json(&node, ALL).expect("short");
                prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
                let html = html(&node, ALL, &no_link).expect("short");
                prop_assert!(!html.contains("<script"));
            }
        }
    }
}
