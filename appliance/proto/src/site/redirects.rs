//! `_redirects`: the torrent's own rules for paths that do not exist (ipfs/specs `http-gateways/web-redirects-file`,
//! after Netlify). Read only on hosts of their own; a line that cannot be understood makes the whole file an error, as
//! the specification asks, so that an author sees it.

/// Largest file read, bytes.
pub const FILE_MAX: u64 = 64 << 10;
/// More rules than this cost too much per missing path.
const RULES_MAX: usize = 2_000;

const STATUSES: [u16; 9] = [200, 301, 302, 303, 307, 308, 404, 410, 451];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules(Vec<Rule>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    from: Vec<Part>,
    to: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// `:name`
    Name(String),
    /// `*`, last
    Splat,
}

/// What a rule answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Serve this path of the same site with this status: 200, 404, 410 or 451.
    Rewrite { path: String, status: u16 },
    /// 301, 302, 303, 307, 308.
    Redirect { to: String, status: u16 },
}

/// Which line is wrong and why; shown to the author.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("_redirects line {line}: {reason}")]
pub struct Malformed {
    pub line: usize,
    pub reason: &'static str,
}

impl Rules {
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let mut rules = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let err = |reason| Malformed {
                line: index + 1,
                reason,
            };
            let words: Vec<&str> = line
                .split_whitespace()
                .take_while(|word| !word.starts_with('#'))
                .collect();
            if words.is_empty() {
                continue;
            }
            if rules.len() == RULES_MAX {
                return Err(err("there are too many rules"));
            }
            rules.push(rule(&words).map_err(err)?);
        }
        Ok(Self(rules))
    }

    /// The first rule that fits a (still escaped) path.
    pub fn answer(&self, path: &str) -> Option<Answer> {
        self.0.iter().find_map(|rule| {
            let values = fit(&rule.from, path)?;
            let to = fill(&rule.to, &values);
            Some(match rule.status {
                200 | 404 | 410 | 451 => Answer::Rewrite {
                    path: to,
                    status: rule.status,
                },
                status => Answer::Redirect { to, status },
            })
        })
    }
}

fn rule(words: &[&str]) -> Result<Rule, &'static str> {
    let (from, to, status) = match words {
        [from, to] => (from, to, 301),
        [from, to, status] => (
            from,
            to,
            status.parse().map_err(|_| "the status is not a number")?,
        ),
        _ => return Err("a rule is: from, to, and perhaps a status"),
    };
    if !STATUSES.contains(&status) {
        return Err("this status is not one of 200 301 302 303 307 308 404 410 451");
    }
    let inside = to.starts_with('/') && !to.starts_with("//") && !to.contains('\\');
    let rewrite = matches!(status, 200 | 404 | 410 | 451);
    let outside = to.starts_with("http://") || to.starts_with("https://");
    if !(inside || outside && !rewrite) {
        return Err("the second word must be a path of this site or, for redirects, an http(s) address");
    }
    if to.bytes().any(|byte| !byte.is_ascii_graphic()) {
        return Err("the second word must be plain ASCII; escape the rest");
    }
    Ok(Rule {
        from: pattern(from)?,
        to: (*to).to_owned(),
        status,
    })
}

fn pattern(from: &str) -> Result<Vec<Part>, &'static str> {
    let rest = from.strip_prefix('/').ok_or("the first word must begin with /")?;
    let words: Vec<&str> = rest.split('/').collect();
    let mut parts = Vec::new();
    for (index, word) in words.iter().enumerate() {
        parts.push(match word.strip_prefix(':') {
            Some("") => return Err("a placeholder needs a name"),
            Some(name) => Part::Name(name.to_owned()),
            None if *word == "*" && index + 1 == words.len() => Part::Splat,
            None if word.contains('*') => return Err("* may only be the last component"),
            None => Part::Text((*word).to_owned()),
        });
    }
    Ok(parts)
}

fn fit<'p>(from: &'p [Part], path: &'p str) -> Option<Vec<(&'p str, &'p str)>> {
    let mut rest = Some(path.strip_prefix('/')?);
    let mut values = Vec::new();
    for part in from {
        let here = rest?;
        if *part == Part::Splat {
            values.push(("splat", here));
            return Some(values);
        }
        let (word, after) = match here.split_once('/') {
            Some((word, after)) => (word, Some(after)),
            None => (here, None),
        };
        match part {
            Part::Text(text) if text == word => {}
            Part::Name(name) if !word.is_empty() => values.push((name, word)),
            _ => return None,
        }
        rest = after;
    }
    // `/a` also fits `/a/`.
    rest.is_none_or(str::is_empty).then_some(values)
}

/// Puts values in place of `:name`. A value comes from the request path, which holds no space, CR or LF.
fn fill(to: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(to.len());
    let mut rest = to;
    while let Some(at) = rest.find(':') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let end = after
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'))
            .unwrap_or(after.len());
        match values.iter().find(|(name, _)| *name == &after[..end] && end > 0) {
            Some((_, value)) => out.push_str(value),
            None => {
                out.push(':');
                out.push_str(&after[..end]);
            }
        }
        rest = &after[end..];
    }
    out.push_str(rest);
    // A splat that begins with a slash must not turn a path into another host.
    while out.starts_with("//") {
        out.remove(0);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "\
# the sample lines of the specification
/redirect-one /one.html
/301-redirect-one /one.html 301
/302-redirect-two /two.html 302
/200-index /index.html 200
/posts/:year/:month/:day/:title /articles/:year/:month/:day/:title 301
/splat/* /redirected-splat/:splat 301
/not-found/* /404.html 404
/gone/* /410.html 410
/unavail/* /451.html 451
/away https://example.org/:splat 302   # a remark
/* /index.html 200
";

    fn redirect(to: &str, status: u16) -> Option<Answer> {
        Some(Answer::Redirect {
            to: to.into(),
            status,
        })
    }

    fn rewrite(path: &str, status: u16) -> Option<Answer> {
        Some(Answer::Rewrite {
            path: path.into(),
            status,
        })
    }

    #[test]
    fn the_sample_lines_mean_what_the_specification_says() {
        let rules = Rules::parse(SAMPLE).unwrap();
        for (path, want) in [
            ("/redirect-one", redirect("/one.html", 301)),
            ("/301-redirect-one", redirect("/one.html", 301)),
            ("/302-redirect-two", redirect("/two.html", 302)),
            ("/200-index", rewrite("/index.html", 200)),
            ("/200-index/", rewrite("/index.html", 200)),
            ("/posts/2022/01/02/hi", redirect("/articles/2022/01/02/hi", 301)),
            ("/posts/2022/01/02", rewrite("/index.html", 200)),
            ("/splat/a/b", redirect("/redirected-splat/a/b", 301)),
            ("/splat/", redirect("/redirected-splat/", 301)),
            ("/not-found/x", rewrite("/404.html", 404)),
            ("/gone/x", rewrite("/410.html", 410)),
            ("/unavail/x", rewrite("/451.html", 451)),
            ("/away", redirect("https://example.org/:splat", 302)),
            ("/anything/else", rewrite("/index.html", 200)),
        ] {
            assert_eq!(rules.answer(path), want, "{path}");
        }
        assert_eq!(Rules::parse("").unwrap().answer("/x"), None);
    }

    #[test]
    fn a_line_that_cannot_be_understood_is_named() {
        for bad in [
            "/a",
            "a /b",
            "/a b",
            "/a //evil.example",
            "/a /b 600",
            "/a /b x",
            "/a /b 301 c",
            "/*/x /b",
            "/a* /b",
            "/: /b",
            "/a https://example.org/ 200",
            "/a javascript:alert(1)",
            "/a /\\evil",
            "/a /\u{e9}",
        ] {
            let text = format!("/ok /ok\n{bad}");
            assert_eq!(Rules::parse(&text).map_err(|err| err.line), Err(2), "{bad}");
        }
        assert!(Rules::parse(&"/a /b\n".repeat(2_001)).is_err());
    }

    #[test]
    fn a_splat_cannot_lead_to_another_host() {
        let rules = Rules::parse("/s/* /:splat").unwrap();
        assert_eq!(rules.answer("/s//evil.example/"), redirect("/evil.example/", 301));
    }
}
