//! A6: what strangers and members of the house type is text, on pages and in the log.

use super::{Browser, NAME, PASSWORD, encode, owned};

const HOSTILE: [&str; 30] = [
    "<script>alert(1)</script>",
    "\"><script>alert(1)</script>",
    "'><img src=x onerror=alert(1)>",
    "<img src=x onerror=alert(1)//",
    "<svg/onload=alert(1)>",
    "</title><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "</textarea><script>alert(1)</script>",
    "<!--<script>-->",
    "--><script>alert(1)</script>",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "\" onmouseover=\"alert(1)",
    "' onfocus='alert(1)' autofocus='",
    "` onload=`alert(1)",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "%3Cscript%3Ealert(1)%3C/script%3E",
    "{{7*7}}<b>",
    "${7*7}<i>",
    "<a href=\"javascript:alert(1)\">",
    "<iframe srcdoc=\"<script>alert(1)</script>\">",
    "<base href=//evil.example>",
    "<meta http-equiv=refresh content=0;url=//evil.example>",
    "<form action=//evil.example>",
    "x\r\nSet-Cookie: evil=1",
    "x\n2026-01-01T00:00:00Z ERROR granary: forged line",
    "\u{1b}[2J\u{1b}[31mred",
    "\u{202e}txt.exe\u{202c}",
    "\u{0}<script>\u{0}alert(1)",
];

/// Fourteen places that take text from outside.
fn places(browser: &mut Browser, text: &str) -> Vec<(&'static str, harness::http::Response)> {
    let query = encode(&[("x", text)]).trim_start_matches("x=").to_owned();
    // What may not stand in a header at all is refused by the wire; the rest is sent.
    let header: String = text.chars().filter(|c| (' '..='~').contains(c)).collect();
    let mut all = vec![
        ("path", browser.get(&format!("/{query}"))),
        ("path below", browser.get(&format!("/people/{query}"))),
        ("site path", browser.get(&format!("/sites/{query}"))),
        (
            "subscription path",
            browser.get(&format!("/subscriptions/{query}")),
        ),
        ("then", browser.get(&format!("/login?then={query}"))),
        ("remove", browser.get(&format!("/people/remove?name={query}"))),
        (
            "open",
            browser.ask(
                "GET",
                &format!("/open?uri={query}"),
                &[("accept", "text/html")],
                "",
            ),
        ),
        ("add", browser.get(&format!("/add?uri={query}"))),
        ("search", browser.get(&format!("/subscriptions?q={query}"))),
        ("agent", browser.ask("GET", "/", &[("user-agent", &header)], "")),
        ("host", browser.ask("GET", "/", &[("host", &header)], "")),
        ("api", browser.get(&format!("/api/v1/sites/{query}"))),
    ];
    let fields = [
        ("name", text),
        ("role", "member"),
        ("password", PASSWORD),
        ("again", PASSWORD),
    ];
    all.push(("name", browser.submit("/people", "/people/add", &fields)));
    all.push((
        "program",
        browser.submit(
            "/people",
            "/people/token",
            &[("program", text), ("account", NAME)],
        ),
    ));
    all
}

#[test]
fn thirty_strings_in_fourteen_places_stay_text() {
    let granary = owned();
    let mut owner = Browser::owner(&granary);
    let mut looked = 0;
    for text in HOSTILE {
        let mut answers = places(&mut owner, text);
        answers.push(("after", owner.get("/people")));
        for (place, answer) in answers {
            assert!(
                answer.status != 0 && answer.status != 500,
                "{place} {text:?}: {}",
                answer.status
            );
            let page = answer.text();
            let html = answer
                .header("content-type")
                .is_some_and(|kind| kind.starts_with("text/html"));
            for raw in [
                "<script",
                "<img src=x",
                "<svg",
                "<iframe",
                "<base",
                "<meta http-equiv=refresh",
                "<form action=//",
                "<a href=\"javascript:",
            ] {
                assert!(
                    !html || !page.to_lowercase().contains(raw),
                    "{place} {text:?}: {page}"
                );
            }
            // Our attributes stand in double quotes, so that a single one ends nothing.
            assert!(!page.contains("\" onmouseover="), "{place} {text:?}");
            assert!(
                answer
                    .headers
                    .iter()
                    .all(|(name, value)| name != "set-cookie" || !value.contains("evil")),
                "{place}"
            );
            assert!(
                !answer
                    .header("location")
                    .is_some_and(|to| to.contains("evil.example")),
                "{place} {text:?}"
            );
            looked += usize::from(place != "after");
        }
    }
    assert_eq!(looked, 30 * 14);
    for line in granary.log().lines() {
        let begins =
            line.get(..2).is_some_and(|two| matches!(two, "20" | "" | "  ")) || !line.contains("forged line");
        let forged = line.starts_with("2026-01-01T00:00:00Z");
        assert!(begins && !forged && !line.contains('\u{1b}'), "{line:?}");
    }
}
