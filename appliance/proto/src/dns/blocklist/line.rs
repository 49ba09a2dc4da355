//! What one line of a list says. Lists come as hosts files, as plain domains, and as filter rules in the manner of AdGuard;
//! the kinds may be mixed, and every line is judged by itself.
//!
//! What is not understood is left out: a list may block less here than elsewhere, never more.

use std::net::IpAddr;

/// Longer lines are counted as bad. Shorter: hosts files with many names on a line lose some.
pub const LINE_BYTES_MAX: usize = 4096;

/// Names that hosts files define for the machine they lie on.
const OWN_OF_HOSTS_FILES: &[&str] = &[
    "localhost",
    "localhost.localdomain",
    "localhost4",
    "localhost6",
    "local",
    "localdomain",
    "broadcasthost",
    "ip6-localhost",
    "ip6-loopback",
    "ip6-localnet",
    "ip6-mcastprefix",
    "ip6-allnodes",
    "ip6-allrouters",
    "ip6-allhosts",
    "0.0.0.0",
];

/// Parts of rules for pages, which DNS cannot follow: `##`, `#@#`, `#?#`, `#$#`, `#%#`.
const FOR_PAGES: &[&str] = &["##", "#@#", "#?#", "#$#", "#%#", "#@$#", "#@%#"];

/// One name of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule<'a> {
    /// As it was written.
    pub name: &'a str,
    /// Everything below the name is meant too.
    pub below: bool,
    /// The name is not to be blocked, whatever other lines say.
    pub except: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// Empty, a comment, or nothing but names of the machine itself.
    Nothing,
    /// It gave rules; so many modifiers on it change nothing for DNS.
    Rules {
        modifiers: u32,
    },
    /// Understood as something that DNS cannot do.
    Unsupported,
    Bad,
}

/// Reads one line; every name that it lists goes to `take`, which says whether it is a name.
pub fn read<'a>(line: &'a str, mut take: impl FnMut(Rule<'a>) -> bool) -> Line {
    let line = line.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\u{feff}');
    match line.as_bytes() {
        [] | [b'#' | b'!' | b'[', ..] => Line::Nothing,
        [b'@', b'@', ..] => filter(&line[2..], true, &mut take),
        [b'|', b'|', ..] => filter(line, false, &mut take),
        _ if is_for_pages(line) => Line::Unsupported,
        _ => plain(line, &mut take),
    }
}

fn is_for_pages(line: &str) -> bool {
    let word = line.split_ascii_whitespace().next().unwrap_or_default();
    word.contains('#') && FOR_PAGES.iter().any(|mark| word.contains(mark))
}

/// `||name^`, `||name^|`, `||name`, each also with modifiers behind a `$`.
fn filter<'a>(rule: &'a str, except: bool, take: &mut impl FnMut(Rule<'a>) -> bool) -> Line {
    let (pattern, modifiers) = match rule.split_once('$') {
        Some((pattern, modifiers)) => (pattern, Some(modifiers)),
        None => (rule, None),
    };
    let mut ignored = 0;
    for modifier in modifiers.into_iter().flat_map(|list| list.split(',')) {
        match modifier.trim() {
            "" => {}
            // It only decides between rules that contradict each other, or says what is so in DNS anyhow.
            "important" | "all" => ignored += 1,
            // Any other one narrows the rule to something we do not know (`third-party`, `client=`), or turns it around
            // (`badfilter`): blocking all the same would be more than the list asks for.
            _ => return Line::Unsupported,
        }
    }
    let Some(pattern) = pattern.strip_prefix("||") else {
        return Line::Unsupported;
    };
    let name = pattern.strip_suffix('|').unwrap_or(pattern);
    let name = name.strip_suffix('^').unwrap_or(name);
    let name = name.strip_prefix("*.").unwrap_or(name);
    if name.contains(is_of_patterns) {
        return Line::Unsupported;
    }
    let rule = Rule {
        name,
        below: true,
        except,
    };
    match take(rule) {
        true => Line::Rules { modifiers: ignored },
        false => Line::Bad,
    }
}

/// `address name name …`, or one name; a comment may follow.
fn plain<'a>(line: &'a str, take: &mut impl FnMut(Rule<'a>) -> bool) -> Line {
    let line = line.split('#').next().unwrap_or_default();
    let mut words = line.split_ascii_whitespace();
    let Some(first) = words.next() else {
        return Line::Nothing;
    };
    let mut words = words.peekable();
    if words.peek().is_none() {
        return domain(first, take);
    }
    let Some(points_nowhere) = address(first) else {
        return Line::Bad;
    };
    if !points_nowhere {
        // A hosts file that gives a name a real address asks for something else than blocking.
        return Line::Unsupported;
    }
    let (mut taken, mut bad) = (false, false);
    for name in words {
        if OWN_OF_HOSTS_FILES.contains(&name) {
            continue;
        }
        let good = is_dotted(name)
            && take(Rule {
                name,
                below: false,
                except: false,
            });
        taken |= good;
        bad |= !good;
    }
    match (taken, bad) {
        (_, true) => Line::Bad,
        (true, false) => Line::Rules { modifiers: 0 },
        (false, false) => Line::Nothing,
    }
}

/// One name alone: it and everything below it, with or without a `*.` before it. A name without a dot would be a whole
/// top-level domain; a stray word in a list must not do that.
fn domain<'a>(word: &'a str, take: &mut impl FnMut(Rule<'a>) -> bool) -> Line {
    let name = word.strip_prefix("*.").unwrap_or(word);
    if name.contains(is_of_patterns) {
        return Line::Unsupported;
    }
    if OWN_OF_HOSTS_FILES.contains(&name) {
        return Line::Nothing;
    }
    let good = is_dotted(name)
        && take(Rule {
            name,
            below: true,
            except: false,
        });
    match good {
        true => Line::Rules { modifiers: 0 },
        false => Line::Bad,
    }
}

/// Does the first word of a hosts line lead nowhere? `None`: it is no address.
fn address(word: &str) -> Option<bool> {
    if word == "0" {
        return Some(true);
    }
    let word = word.split('%').next().unwrap_or_default();
    let addr: IpAddr = word.parse().ok()?;
    let link_local = matches!(addr, IpAddr::V6(v6) if v6.is_unicast_link_local());
    Some(addr.is_unspecified() || addr.is_loopback() || link_local)
}

fn is_dotted(name: &str) -> bool {
    name.trim_end_matches('.').contains(['.', '。', '．', '｡'])
}

/// Characters of patterns, paths and other languages of rules; none stands in a name.
fn is_of_patterns(c: char) -> bool {
    matches!(
        c,
        '*' | '^' | '$' | '/' | '|' | ':' | '=' | '~' | ',' | '?' | '(' | ')' | '[' | ']'
    )
}
