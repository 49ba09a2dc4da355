//! Our PAC scripts, evaluated by every engine that a device may have: 200 addresses, two scripts, five engines.
//!
//! `golden/pac/cases.tsv` says what each address has to lead to; the scripts beside it are those of the command line.

use std::{collections::HashMap, fs, path::PathBuf};

use harness::{
    browser::Browser,
    firefox::Firefox,
    foreign::{cache_dir, script},
    granary::{binary, cli},
    netns::{Host, Lan},
    upstream::{Upstream, soa},
    wire::{Record, kind},
};
use serde_json::{Value, json};

/// The proxy that the scripts name.
const PROXY: &str = "PROXY 192.168.1.2:42080";
/// Domains that only the resolver knows to be linked.
const MARKED: [&str; 2] = ["marked.example.com", "deep.marked.example.org"];
const SCRIPTS: [&str; 2] = ["lite", "marker"];

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("golden/pac")
        .join(name)
}

/// Address and what it must lead to, with the script of that name.
fn cases(which: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(golden("cases.tsv")).expect("it is part of the tree");
    let column = if which == "lite" { 1 } else { 2 };
    let rows = text.lines().filter(|line| !line.starts_with('#'));
    rows.map(|line| {
        let fields: Vec<&str> = line.split('\t').collect();
        let wanted = match fields[column] {
            "P" => PROXY.to_owned(),
            "L" => format!("{PROXY}; DIRECT"),
            _ => "DIRECT".to_owned(),
        };
        (fields[0].to_owned(), wanted)
    })
    .collect()
}

/// A device whose resolver answers markers. It has the proxy's address itself, so that whoever asks there is refused at
/// once, and no way to anywhere else.
struct Device {
    host: Host,
    addresses: PathBuf,
    _resolver: Upstream,
    _lan: Lan,
}

impl Device {
    fn new() -> Self {
        let lan = Lan::new();
        let host = lan.lone_host("device");
        host.add_addr("lo", "192.168.1.2/32");
        host.resolv_conf("nameserver 127.0.0.1\n");
        let here = "127.0.0.1:53".parse().expect("an address");
        let resolver = host.within(|| {
            Upstream::start(here, |query, _| {
                let mut reply = query.reply();
                let name = query.name();
                match name.strip_suffix(".q.btlink") {
                    Some(domain) if query.kind() == kind("A") => {
                        let mark = if MARKED.contains(&domain) {
                            "198.19.66.84"
                        } else {
                            "198.19.66.78"
                        };
                        reply.answers.push(Record::new(&name, "A", 60, mark));
                    }
                    _ => reply.authority.push(soa(60)),
                }
                vec![reply.bytes()]
            })
        });
        let addresses = host.file("addresses");
        let lines: Vec<String> = cases("lite").into_iter().map(|(address, _)| address).collect();
        fs::write(&addresses, lines.join("\n") + "\n").expect("the test's own folder is writable");
        Self {
            host,
            addresses,
            _resolver: resolver,
            _lan: lan,
        }
    }

    fn addresses(&self) -> String {
        self.addresses.display().to_string()
    }

    fn script(&self, which: &str) -> String {
        golden(&format!("{which}.pac")).display().to_string()
    }
}

#[track_caller]
fn agree(engine: &str, which: &str, said: &[String]) {
    let cases = cases(which);
    assert_eq!(cases.len(), 200);
    assert_eq!(said.len(), cases.len(), "{engine}: {said:?}");
    let broken: Vec<String> = cases
        .iter()
        .zip(said)
        .filter(|((_, wanted), said)| wanted != *said)
        .map(|((address, wanted), said)| format!("{address}: {said} instead of {wanted}"))
        .collect();
    assert!(
        broken.is_empty(),
        "{engine} with the {which} script:\n  {}",
        broken.join("\n  ")
    );
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(Into::into).collect()
}

#[test]
fn the_command_line_prints_the_scripts_that_the_engines_are_given() {
    let linked = [
        "xn--bcher-kva.example.org",
        "linked.example.com",
        "old-site.example.net",
    ];
    for which in SCRIPTS {
        let mut args = vec!["pac", "--advertise", "192.168.1.2"];
        args.extend(linked.iter().flat_map(|domain| ["--linked", domain]));
        if which == "marker" {
            args.push("--markers");
        }
        let said = cli(&args);
        let wanted = fs::read_to_string(golden(&format!("{which}.pac"))).expect("it is part of the tree");
        assert_eq!(
            String::from_utf8_lossy(&said.stdout),
            wanted,
            "{}",
            binary().display()
        );
    }
}

#[test]
fn pacparser_agrees_with_every_case() {
    let device = Device::new();
    for which in SCRIPTS {
        let args = ["-p", &device.script(which), "-f", &device.addresses()];
        let said = device.host.run("pactester", &args);
        // `ADDRESS : ANSWER`
        let said: Vec<String> = lines(&said)
            .iter()
            .filter_map(|line| line.split_once(" : "))
            .map(|(_, answer)| answer.into())
            .collect();
        agree("pacparser", which, &said);
    }
}

#[test]
fn pac_resolver_agrees_with_every_case() {
    let device = Device::new();
    let modules = cache_dir().join("npm").display().to_string();
    let program = script("pac_resolver.mjs").display().to_string();
    for which in SCRIPTS {
        let args = [
            program.as_str(),
            &modules,
            &device.script(which),
            &device.addresses(),
        ];
        agree("pac-resolver", which, &lines(&device.host.run("node", &args)));
    }
}

#[test]
fn libproxy_agrees_with_every_case() {
    let device = Device::new();
    for which in SCRIPTS {
        let command = format!(
            "http_proxy=pac+file://{} proxy < {}",
            device.script(which),
            device.addresses()
        );
        // Its script engine may crash when the program ends, after the last answer; the answers are counted.
        let said = device.host.output("sh", &["-c", &command]);
        // It writes the list with blanks and proxies as addresses.
        let said: Vec<String> = lines(&String::from_utf8_lossy(&said.stdout))
            .iter()
            .map(|line| {
                line.replace("http://192.168.1.2:42080", PROXY)
                    .replace(" direct://", "; DIRECT")
                    .replace("direct://", "DIRECT")
            })
            .collect();
        agree("libproxy", which, &said);
    }
}

#[test]
fn firefox_agrees_with_every_case() {
    let device = Device::new();
    let ask = r#"
        const [urls, done] = arguments;
        const service = Cc["@mozilla.org/network/protocol-proxy-service;1"].getService(Ci.nsIProtocolProxyService);
        const words = info => {
            const all = [];
            for (; info; info = info.failoverProxy)
                all.push(info.type == "direct" ? "DIRECT" : `PROXY ${info.host}:${info.port}`);
            return all.join("; ") || "DIRECT";
        };
        const one = url => new Promise(ready => {
            const channel = Services.io.newChannelFromURI(Services.io.newURI(url), null,
                Services.scriptSecurityManager.getSystemPrincipal(), null,
                Ci.nsILoadInfo.SEC_ALLOW_CROSS_ORIGIN_SEC_CONTEXT_IS_NULL, Ci.nsIContentPolicy.TYPE_OTHER);
            service.asyncResolve(channel, 0, { onProxyAvailable(_, __, info) { ready(words(info)); } });
        });
        (async () => {
            const all = [];
            for (const url of urls) all.push(await one(url));
            done(all);
        })().catch(err => done([String(err)]));"#;
    for which in SCRIPTS {
        let url = format!("\"file://{}\"", device.script(which));
        let firefox = Firefox::start(
            &device.host,
            &[
                ("network.proxy.type", "2"),
                ("network.proxy.autoconfig_url", &url),
            ],
        );
        let urls: Vec<String> = cases(which).into_iter().map(|(address, _)| address).collect();
        let said = firefox.privileged(ask, &json!([urls]));
        agree("firefox", which, &strings(&said));
    }
}

#[test]
fn chromium_agrees_with_every_case() {
    let device = Device::new();
    for which in SCRIPTS {
        let netlog = device.host.file(&format!("netlog-{which}.json"));
        let text = fs::read(device.script(which)).expect("it is part of the tree");
        let data = data_encoding::BASE64.encode(&text);
        let browser = Browser::start_on(
            &device.host,
            &[
                format!("--proxy-pac-url=data:application/x-ns-proxy-autoconfig;base64,{data}"),
                format!("--log-net-log={}", netlog.display()),
                "--disable-background-networking".into(),
            ],
        );
        let urls: Vec<String> = cases(which).into_iter().map(|(address, _)| address).collect();
        // Its first page may not fetch anything.
        let page = device.host.file("page.html");
        fs::write(&page, "<!doctype html><title>page</title>").expect("the test's own folder is writable");
        browser.open(&format!("file://{}", page.display()));
        // Nothing answers anywhere; that Chromium asked which proxy to use is enough.
        let spelled = browser.eval_async(&format!(
            "const urls = {};
             const all = Promise.allSettled(urls.map(url => fetch(url, {{mode: 'no-cors'}})));
             all.then(() => done(urls.map(url => new URL(url).href)));",
            json!(urls)
        ));
        drop(browser);
        let decided = decisions(&fs::read_to_string(&netlog).expect("Chromium wrote its log"));
        let said: Vec<String> = strings(&spelled)
            .iter()
            .map(|url| decided.get(url).cloned().unwrap_or_else(|| "not asked".into()))
            .collect();
        agree("chromium", which, &said);
    }
}

fn strings(value: &Value) -> Vec<String> {
    let list = value.as_array().unwrap_or_else(|| panic!("no list: {value}"));
    list.iter()
        .map(|one| one.as_str().unwrap_or_default().into())
        .collect()
}

/// Which proxies Chromium chose for each address, out of its network log.
fn decisions(log: &str) -> HashMap<String, String> {
    // A browser that was ended leaves the list open.
    let log: Value = serde_json::from_str(log)
        .or_else(|_| serde_json::from_str(&format!("{}]}}", log.trim_end().trim_end_matches(','))))
        .expect("a network log is JSON");
    let number = |name: &str| log["constants"]["logEventTypes"][name].clone();
    let (asked, decided) = (
        number("HTTP_STREAM_JOB_CONTROLLER"),
        number("PROXY_RESOLUTION_SERVICE_RESOLVED_PROXY_LIST"),
    );
    assert!(asked.is_number() && decided.is_number());
    let events = log["events"].as_array().expect("a list of events");
    let mut urls = HashMap::new();
    let mut found = HashMap::new();
    for event in events {
        let source = event["source"]["id"].as_u64();
        if event["type"] == asked
            && let Some(url) = event["params"]["url"].as_str()
        {
            urls.insert(source, url);
        }
        if event["type"] == decided
            && let (Some(url), Some(said)) = (urls.get(&source), event["params"]["proxy_info"].as_str())
        {
            found.insert((*url).to_owned(), said.replace(";DIRECT", "; DIRECT"));
        }
    }
    found
}

#[test]
fn the_cases_are_200_and_no_address_stands_twice() {
    let cases = cases("lite");
    let mut addresses: Vec<_> = cases.iter().map(|(address, _)| address).collect();
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 200);
}
