//! The pages about the lan half, as full and as hostile as they get.

use lan::{
    api::{DeviceFacts, DhcpServer, InterfaceFacts, Router6, Status, Survey, Top, Trouble, Upstream},
    settings::{Host, Pool, Settings},
};
use maud::{Markup, html};

use super::sample::{HOSTILE, NOW};
use crate::{
    admin::pages::{
        devices::{list, one},
        dns::{blocking, lists, names, overview, settings},
        network::{
            addresses,
            choices::{self, Choice},
            front, guides, names as home_names,
        },
    },
    api::lan::DeviceView,
    arrangement::{Before, Seen, Trial, Tried, Verdict},
    blocklists::{Facts, LISTS_MAX, ListFacts},
};

/// The longest name that the settings take.
fn long_name(number: usize) -> String {
    let label = "x".repeat(61);
    format!("{number:07}.{label}.{label}.{label}.{}", "y".repeat(57))
}

fn full_settings() -> Settings {
    let mut settings = Settings::default();
    settings.names.hosts = (0..512)
        .map(|n| Host {
            name: long_name(n),
            addr: "2001:db8:1111:2222:3333:4444:5555:6666"
                .parse()
                .expect("an address"),
        })
        .collect();
    settings.dns.upstreams = vec![format!("https://[2001:db8::1]/dns-query#{}", long_name(1)); 8];
    settings.dns.rebind_allow = (0..256).map(long_name).collect();
    settings.block.enabled = true;
    settings.block.count_names = true;
    settings.block.deny = (0..4096).map(long_name).collect();
    settings.ra.enabled = true;
    settings
}

fn server(addr: Option<[u8; 4]>) -> DhcpServer {
    DhcpServer {
        server: addr.map(Into::into),
        mac: Some(HOSTILE.into()),
        dns: vec![[9, 9, 9, 9].into(); 64],
        domain: Some(HOSTILE.repeat(9)),
        wpad: Some(HOSTILE.repeat(9)),
        lease_secs: Some(86_400),
        ..DhcpServer::default()
    }
}

pub fn survey() -> Survey {
    let router = Router6 {
        addr: "fe80::1".parse().expect("an address"),
        lifetime_secs: 1_800,
        dns: vec!["2001:db8::1".parse().expect("an address"); 60],
        search: vec![HOSTILE.into(); 60],
        prefixes: vec![HOSTILE.repeat(4); 60],
        heard_secs_ago: 4,
    };
    let mut dhcp_servers = vec![server(Some([192, 168, 1, 1])), server(None)];
    dhcp_servers.resize(40, server(Some([192, 168, 1, 77])));
    Survey {
        interface: Some(HOSTILE.into()),
        addr: Some([192, 168, 1, 2].into()),
        gateway: Some([192, 168, 1, 1].into()),
        dhcp_servers,
        routers6: vec![router; 8],
        router_resolves: true,
        ..Survey::default()
    }
}

pub fn status() -> Status {
    let trouble = Trouble {
        room: "dns".into(),
        reason: HOSTILE.repeat(30),
    };
    let mut status = Status {
        troubles: vec![trouble; 40],
        ..Status::default()
    };
    status.interfaces = vec![
        InterfaceFacts {
            name: HOSTILE.into(),
            up: true,
            mac: Some(HOSTILE.into()),
            addrs: vec!["2001:db8:1111:2222:3333:4444:5555:6666/64".into(); 30],
            served: true,
        };
        30
    ];
    status.listen.dns.push(([192, 168, 1, 2], 53).into());
    status.dns.queries = 1_234_567;
    status.dns.cached = 1_000_000;
    status.dns.upstreams = vec![
        Upstream {
            address: HOSTILE.repeat(9),
            learned: true,
            healthy: false,
            millis: Some(12.5),
            queries: 1_000_000,
            failures: 17,
        };
        8
    ];
    status.block.enabled = true;
    status.block.names = 1_000_000;
    status.block.paused_secs = Some(200);
    status.dhcp.reason = Some(HOSTILE.repeat(30));
    status.mdns.name = Some(HOSTILE.into());
    status
}

pub fn devices(count: u8) -> Vec<DeviceView> {
    (0..count)
        .map(|n| {
            let facts = DeviceFacts {
                mac: Some(format!("aa:bb:cc:dd:ee:{n:02x}")),
                addrs: vec![
                    "2001:db8:1111:2222:3333:4444:5555:6666"
                        .parse()
                        .expect("an address");
                    12
                ],
                name: Some(HOSTILE.repeat(9)),
                bypass: true,
                lease_ends_in_secs: Some(7_200),
                dns_secs_ago: Some(5),
                dns_queries: 123_456,
                dns_encrypted: true,
                asked_wpad: true,
                looked_up_wpad: true,
            };
            DeviceView {
                facts,
                pac_secs_ago: Some(5),
                proxy_secs_ago: Some(5),
                host_secs_ago: Some(5),
            }
        })
        .collect()
}

fn block_lists() -> Facts {
    let list = ListFacts {
        id: 7,
        name: HOSTILE.into(),
        url: Some(HOSTILE.repeat(9)),
        enabled: true,
        fetched_secs: Some(NOW),
        bytes: 30_000_000,
        names: Some(1_000_000),
        left_out: 17,
        trouble: Some(HOSTILE.repeat(9)),
    };
    Facts {
        lists: vec![list; LISTS_MAX],
        names: 1_000_000,
        working: false,
        trouble: Some(HOSTILE.repeat(9)),
    }
}

pub fn pages(token: &str) -> Vec<(&'static str, Markup)> {
    let (status, settings, survey) = (status(), full_settings(), survey());
    let seen = Seen {
        looking: false,
        survey: Some((NOW, survey.clone())),
        trouble: Some(HOSTILE.repeat(9)),
    };
    let trial = Trial {
        question: HOSTILE.into(),
        verdict: Verdict::Bad,
        words: HOSTILE.repeat(3),
    };
    let tried = Tried {
        trying: false,
        trials: Some((NOW, vec![trial; 4])),
    };
    let before = Before {
        at: NOW,
        words: HOSTILE.repeat(9),
        settings: Settings::default(),
    };
    let both = (status.clone(), settings.clone());
    let front = |both, token| {
        front::draw(&front::Facts {
            both,
            seen: &seen,
            tried: &tried,
            before: Some(&before),
            token,
        })
    };
    let guide = guides::Facts {
        addr: survey.addr,
        router: survey.gateway,
        http_port: 42080,
    };
    let mut pages = vec![
        ("lan", front(Ok(&both), Some(token))),
        ("lan of a member", front(Ok(&both), None)),
        ("lan, absent", front(Err(HOSTILE), Some(token))),
        ("guides", guides::index(&guide)),
    ];
    pages.extend(
        guides::KINDS
            .iter()
            .filter_map(|(kind, _)| Some((*kind, guides::guide(kind, &guide)?))),
    );
    let why = choices::rival(&status, Some(&survey));
    for choice in Choice::LISTED.into_iter().chain([Choice::Hush]) {
        let body = choices::ask(choice, &settings, Some(&survey), why.as_deref(), token);
        pages.push((choice.word(), body));
    }
    pages.extend(forms(&status, &settings, token));
    pages
}

fn forms(status: &Status, settings: &Settings, token: &str) -> Vec<(&'static str, Markup)> {
    let wrong = |fields: &[&'static str]| -> Vec<(&'static str, String)> {
        fields.iter().map(|field| (*field, HOSTILE.into())).collect()
    };
    let handed = addresses::Typed {
        first: HOSTILE.into(),
        ntp: HOSTILE.repeat(9),
        errors: wrong(&["first", "last", "hours", "router", "second", "ntp"]),
        ..addresses::Typed::default()
    };
    let pool = Pool {
        first: [10, 0, 0, 1].into(),
        last: [10, 0, 0, 9].into(),
    };
    let called = home_names::Typed {
        host: HOSTILE.into(),
        name: HOSTILE.into(),
        errors: wrong(&["host", "domain", "name", "addr"]),
        ..home_names::Typed::default()
    };
    let asked = settings::Typed {
        upstreams: HOSTILE.repeat(20),
        errors: ["way", "upstreams", "rate", "cache"]
            .map(|field| (field.into(), HOSTILE.into()))
            .into(),
        ..settings::Typed::of(&settings.dns)
    };
    let listed = names::Typed {
        names: HOSTILE.repeat(20),
        error: Some(HOSTILE.into()),
    };
    let top = Top {
        counting: true,
        names: vec![(HOSTILE.into(), 12_345); 500],
    };
    let facts = |token| overview::Facts {
        status,
        settings,
        top: Some(&top),
        token,
    };
    let mut pages = device_forms(token);
    pages.extend([
        ("handing out", addresses::draw(&handed, Some(pool), token)),
        ("names of the home", home_names::draw(&called, settings, 0, token)),
        ("names", overview::draw(&facts(Some(token)))),
        ("names, member", overview::draw(&facts(None))),
        ("asking", settings::draw(&asked, settings, token)),
        (
            "blocking",
            blocking::draw(settings, &status.block, &html! {}, token),
        ),
        (
            "denied",
            names::draw(names::List::Deny, settings, &listed, 3, token),
        ),
        (
            "exceptions",
            names::draw(names::List::Rebind, settings, &listed, 0, token),
        ),
        (
            "lists",
            lists::draw(
                &block_lists(),
                &lists::Typed {
                    name: HOSTILE.into(),
                    url: HOSTILE.repeat(9),
                    text: String::new(),
                    error: Some(HOSTILE.into()),
                },
                token,
            ),
        ),
    ]);
    pages
}

fn device_forms(token: &str) -> Vec<(&'static str, Markup)> {
    let device = &devices(1)[0];
    let known = one::Typed {
        name: HOSTILE.into(),
        addr: HOSTILE.into(),
        errors: vec![("name", HOSTILE.into()), ("addr", HOSTILE.into())],
        bypass: true,
    };
    vec![
        ("devices", list::draw(&devices(250), 0, HOSTILE)),
        ("devices, all", list::draw(&devices(250), 1, "")),
        ("device", one::draw(device, &known, Some(token))),
        ("device of a member", one::draw(device, &known, None)),
    ]
}
