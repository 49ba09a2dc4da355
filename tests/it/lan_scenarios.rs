//! Conversations between a device, the resolver and its upstreams, each a file in `golden/dns`.
//!
//! A scenario is read from top to bottom; `#` begins a comment. Upstream 1 answers unless `upstream2` and so on are named:
//!
//! | line | meaning |
//! |---|---|
//! | `settings dns.validate = false` | a line of the settings file; before everything else |
//! | `upstream NAME TYPE [udp, tcp] = WORDS; RECORD; …` | from now on it answers so; words: a response code, `tc`, `ad`, `soa`, `silent`, `othercase`, `wrongid` (a wrong answer first), `noedns` (FORMERR to EDNS) |
//! | `ask NAME TYPE [do, cd, ad, tcp] = WORDS; TYPE DATA; …` | asks, and compares; words: a response code, `ad`, `noad`, `tc`, `none` (no answers), `ttl<=N`; every record named must be there |
//! | `heard NAME TYPE [cd, do] = N` | how often upstream 1 was asked so |
//! | `keep asking NAME TYPE until N = …` | asks until upstream 1 was asked N times; every answer must be so |
//! | `silent` and `speaking` | upstream 1 goes and comes back |

use std::{
    collections::HashMap,
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

use harness::{
    Granary, Setup,
    upstream::{Upstream, Way, soa},
    wait_for,
    wire::{self, AD, CD, Message, Record, TC},
};

type Rules = Arc<Mutex<HashMap<(String, u16, &'static str), String>>>;

struct Stage {
    granary: Granary,
    upstreams: Vec<Upstream>,
    rules: Vec<Rules>,
    _dir: tempfile::TempDir,
}

#[test]
fn every_conversation_with_the_resolver_goes_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/dns");
    let mut paths: Vec<_> = fs::read_dir(folder)
        .expect("the scenarios lie in the tree")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "scenario"))
        .collect();
    paths.sort();
    assert!(paths.len() >= 12, "{} scenarios", paths.len());
    let mut broken = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).expect("it is text");
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if let Err(why) = play(&text) {
            broken.push(format!("{name}: {why}"));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

fn play(text: &str) -> Result<(), String> {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    let mut stage = Stage::set(&lines);
    for line in lines {
        stage.act(line).map_err(|why| format!("{line}\n    {why}"))?;
    }
    if stage.granary.process.ended().is_some() {
        return Err("the resolver ended".into());
    }
    Ok(())
}

impl Stage {
    fn set(lines: &[&str]) -> Self {
        let many = if lines.iter().any(|line| line.starts_with("upstream2")) {
            2
        } else {
            1
        };
        let rules: Vec<Rules> = (0..many).map(|_| Rules::default()).collect();
        let upstreams: Vec<Upstream> = rules
            .iter()
            .map(|rules| {
                let rules = rules.clone();
                Upstream::start(([127, 0, 0, 1], 0).into(), move |query, way| {
                    answer(&rules, query, way)
                })
            })
            .collect();
        let dir = tempfile::tempdir().expect("the temporary folder is writable");
        let addrs: Vec<String> = upstreams.iter().map(|one| format!("\"{}\"", one.addr)).collect();
        let mut settings = format!("dns.upstreams = [{}]\n", addrs.join(", "));
        for line in lines.iter().filter_map(|line| line.strip_prefix("settings ")) {
            settings += &format!("{line}\n");
        }
        let file = dir.path().join("lan.toml");
        fs::write(&file, settings).expect("the test's own folder is writable");
        let granary = Setup::default()
            .verb("lan")
            .arg("--config")
            .arg(file.display().to_string())
            .start();
        Self {
            granary,
            upstreams,
            rules,
            _dir: dir,
        }
    }

    fn act(&mut self, line: &str) -> Result<(), String> {
        let (before, after) = line.split_once(" = ").unwrap_or((line, ""));
        let words: Vec<&str> = before.split_whitespace().collect();
        match words[..] {
            ["settings", ..] => Ok(()),
            ["silent"] => {
                self.upstreams[0].silence(true);
                Ok(())
            }
            ["speaking"] => {
                self.upstreams[0].silence(false);
                Ok(())
            }
            ["ask", name, kind, ref how @ ..] => self.ask(name, kind, how, after),
            ["heard", name, kind, ref how @ ..] => {
                let count = self.heard(name, kind, how);
                let wanted: usize = after.parse().map_err(|_| "a number is missing")?;
                (count == wanted)
                    .then_some(())
                    .ok_or(format!("heard {count} times"))
            }
            ["keep", "asking", name, kind, "until", times] => {
                let times: usize = times.parse().map_err(|_| "a number is missing")?;
                let mut outcome = Ok(());
                wait_for("the upstream to be asked again", harness::soon(), || {
                    outcome = self.ask(name, kind, &[], after);
                    outcome.is_err() || self.heard(name, kind, &[]) >= times
                });
                outcome
            }
            [upstream, name, kind, ref how @ ..] if upstream.starts_with("upstream") => {
                let number: usize = upstream["upstream".len()..].parse().unwrap_or(1);
                let ways: &[&'static str] = match how {
                    ["udp"] => &["udp"],
                    ["tcp"] => &["tcp"],
                    _ => &["udp", "tcp"],
                };
                let mut rules = self.rules[number - 1]
                    .lock()
                    .expect("no thread panics holding it");
                for way in ways {
                    rules.insert((name.to_lowercase(), wire::kind(kind), way), after.into());
                }
                Ok(())
            }
            _ => Err("this line is not understood".into()),
        }
    }

    fn heard(&self, name: &str, kind: &str, how: &[&str]) -> usize {
        let fits = |query: &Message| {
            query.name() == name
                && query.kind() == wire::kind(kind)
                && how.iter().all(|word| match *word {
                    "cd" => query.has(CD),
                    "do" => query.edns.as_ref().is_some_and(|edns| edns.flags & 0x8000 != 0),
                    _ => false,
                })
        };
        self.upstreams[0]
            .heard()
            .iter()
            .filter(|one| fits(&one.query))
            .count()
    }

    fn ask(&self, name: &str, kind: &str, how: &[&str], wanted: &str) -> Result<(), String> {
        let mut query = Message::query(name, kind);
        let edns = query.edns.as_mut().expect("queries have it");
        edns.flags = if how.contains(&"do") { 0x8000 } else { 0 };
        query.flags |= if how.contains(&"cd") { CD } else { 0 } | if how.contains(&"ad") { AD } else { 0 };
        let send = if how.contains(&"tcp") {
            wire::ask_tcp
        } else {
            wire::ask
        };
        let answer =
            send(self.granary.addr("dns"), &query, harness::soon()).map_err(|err| format!("{err:#}"))?;
        compare(&answer, wanted).map_err(|what| format!("{what} is missing in {} {answer:?}", answer.rcode()))
    }
}

/// The first thing that is not as it should be.
fn compare(answer: &Message, wanted: &str) -> Result<(), String> {
    for part in wanted.split(';').map(str::trim) {
        let good = match part.split_once(' ') {
            Some((kind, data)) => answer.data(kind).contains(&data),
            None if part == "ad" => answer.has(AD),
            None if part == "noad" => !answer.has(AD),
            None if part == "tc" => answer.has(TC),
            None if part == "none" => answer.answers.is_empty(),
            None if part.starts_with("ttl<=") => {
                let most: u32 = part[5..].parse().map_err(|_| "a number")?;
                answer.answers.iter().all(|record| record.ttl <= most)
            }
            None => answer.rcode() == part,
        };
        if !good {
            return Err(part.into());
        }
    }
    Ok(())
}

/// What the rule for this question says; without a rule, the name does not exist.
fn answer(rules: &Rules, query: &Message, way: Way) -> Vec<Vec<u8>> {
    let way = if way == Way::Udp { "udp" } else { "tcp" };
    let rules = rules.lock().expect("no thread panics holding it");
    let rule = rules.get(&(query.name(), query.kind(), way)).cloned();
    let rule = rule.unwrap_or_else(|| "NXDOMAIN soa".into());
    let mut reply = query.reply();
    let mut parts = rule.split(';').map(str::trim);
    let words: Vec<&str> = parts.next().unwrap_or_default().split_whitespace().collect();
    if words.contains(&"silent") {
        return Vec::new();
    }
    if words.contains(&"noedns") && query.edns.is_some() {
        reply.flags |= wire::rcode("FORMERR");
        reply.edns = None;
        return vec![reply.bytes()];
    }
    for word in &words {
        match *word {
            "tc" => reply.flags |= TC,
            "ad" => reply.flags |= AD,
            "soa" => reply.authority.push(soa(60)),
            "noedns" => reply.edns = None,
            "othercase" => {
                let name = &mut reply.questions[0].name;
                *name = name
                    .chars()
                    .map(|c| {
                        if c.is_lowercase() {
                            c.to_ascii_uppercase()
                        } else {
                            c.to_ascii_lowercase()
                        }
                    })
                    .collect();
            }
            "wrongid" => {}
            code => reply.flags |= wire::rcode(code),
        }
    }
    for record in parts {
        let words: Vec<&str> = record.splitn(4, ' ').collect();
        reply.answers.push(Record::new(
            words[0],
            words[2],
            words[1].parse().expect("a TTL"),
            words[3],
        ));
    }
    let mut all = vec![reply.bytes()];
    if words.contains(&"wrongid") {
        let mut forged = reply.clone();
        forged.id = forged.id.wrapping_add(1);
        for record in &mut forged.answers {
            record.data = "203.0.113.66".into();
        }
        all.insert(0, forged.bytes());
    }
    all
}
