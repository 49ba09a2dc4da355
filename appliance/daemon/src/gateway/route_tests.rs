//! The table of Host, absolute-form and CONNECT abuse: every row is one request head and what it may lead to.

use proto::{
    name::{Address, Domains},
    pac::Linked,
};

use super::{
    Rules,
    fixture::IH,
    route::{Head, Names, Refusal, Route, route},
};

fn names() -> Names {
    Names {
        domains: Domains::new(&["btlink.example.org"]).unwrap(),
        names: vec!["granary.local".into(), "localhost".into()],
        address: Some("192.168.1.2".parse().unwrap()),
    }
}

fn ask(method: &str, target: (Option<&str>, Option<&str>, &str), host: Option<&str>) -> Route {
    let (scheme, authority, path) = target;
    let head = Head {
        method,
        scheme,
        authority,
        host,
        path,
        http2: false,
        local: "10.0.0.5".parse().unwrap(),
    };
    let rules = Rules {
        linked: Linked::new(["linked.example.com"]),
        ..Rules::default()
    };
    route(&head, &names(), &rules)
}

fn origin(host: &str) -> Route {
    ask("GET", (None, None, "/"), Some(host))
}

fn absolute(authority: &str) -> Route {
    ask("GET", (Some("http"), Some(authority), "/"), Some(authority))
}

fn connect(authority: &str) -> Route {
    ask("CONNECT", (None, Some(authority), ""), Some(authority))
}

fn site() -> Route {
    Route::Site(Address::Torrent(proto::id::InfoHash::from_hex(IH).unwrap()))
}

/// Never anything but a refusal.
fn refused(route: &Route) -> Refusal {
    match route {
        Route::Refuse(refusal) => *refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn our_names_lead_where_they_should() {
    let ih = format!("{IH}-ih.btlink");
    for host in [
        ih.clone(),
        format!("{ih}:80"),
        format!("{ih}:3128"),
        format!("{IH}-ih.btlink.example.org"),
    ] {
        assert_eq!(origin(&host), site(), "{host}");
        assert_eq!(absolute(&host), site(), "{host}");
    }
    assert_eq!(origin(&format!("{}-IH.BTLINK", IH.to_uppercase())), site());
    for host in [format!("{ih}."), format!("www.{ih}")] {
        assert_eq!(origin(&host), Route::Respelled(ih.clone()), "{host}");
    }
    for (host, named) in [
        ("btlink", true),
        ("box.btlink", true),
        ("BOX.btlink:80", true),
        ("granary.local", false),
        ("Granary.Local.", false),
        ("localhost:8080", false),
        ("192.168.1.2", false),
        ("10.0.0.5:1234", false),
        ("[::ffff:10.0.0.5]", false),
    ] {
        assert_eq!(origin(host), Route::Own { named }, "{host}");
        assert_eq!(absolute(host), Route::Own { named: true }, "{host}");
    }
    for (old, new) in [
        ("hello.ih.bt", "hello-ih.btlink"),
        ("cast.hello.pk.bt", "cast.hello-pk.btlink"),
        ("bt.btlink.example.org", "btlink.example.org"),
    ] {
        assert_eq!(origin(old), Route::Moved(new.into()), "{old}");
    }
    let pac = ask("GET", (None, None, "/wpad.dat"), Some("anything at all"));
    assert_eq!(pac, Route::Pac);
    assert_eq!(ask("OPTIONS", (None, None, "*"), Some("x")), Route::Server);
}

/// Hosts that are nobody of ours, well formed.
const STRANGERS: [&str; 40] = [
    "example.org",
    "example.org:80",
    "www.example.org.",
    "notbtlink",
    "xbtlink",
    "btlink.com",
    "btlink.example.com",
    "evil-btlink.org",
    "btlink.local",
    "granary.local.evil.example",
    "localhost.evil.example",
    "127.0.0.1",
    "127.0.0.1:42080",
    "0.0.0.0",
    "192.168.1.1",
    "192.168.1.20",
    "10.0.0.50",
    "169.254.169.254",
    "8.8.8.8",
    "255.255.255.255",
    "[::1]",
    "[::1]:80",
    "[fe80::1]",
    "[fd00::2]:8080",
    "[::ffff:127.0.0.1]",
    "[64:ff9b::a00:5]",
    "[2002:0a00:0005::1]",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "127.1",
    "10.5",
    "xn--bcher-kva.example",
    "xn--btlink-9za",
    "router",
    "wpad",
    "metadata.google.internal",
    "a.bt",
    "bhutan.gov.bt",
    "under_score.example",
];

#[test]
fn a_stranger_is_misdirected_by_name_and_forbidden_by_proxy() {
    for host in STRANGERS {
        let direct = refused(&origin(host));
        assert!(
            [Refusal::Stranger, Refusal::Host].contains(&direct),
            "{host}: {direct:?}"
        );
        let by_proxy = refused(&absolute(host));
        assert!(
            [Refusal::NotOurs, Refusal::Host].contains(&by_proxy),
            "{host}: {by_proxy:?}"
        );
        for port in ["", ":443", ":80", ":22"] {
            let bare =
                host.rsplit_once(':').map_or(
                    host,
                    |(bare, port)| {
                        if port.parse::<u16>().is_ok() { bare } else { host }
                    },
                );
            let tunnel = refused(&connect(&format!("{bare}{port}")));
            assert!(
                [Refusal::Tunnel, Refusal::Host].contains(&tunnel),
                "{host}{port}: {tunnel:?}"
            );
        }
    }
}

/// Hosts that break the grammar.
const MALFORMED: [&str; 46] = [
    "",
    " ",
    ".",
    "..",
    ".btlink",
    "a..btlink",
    "-.btlink",
    "-a.btlink",
    "a-.btlink",
    "a b.btlink",
    "a\tb",
    "a\u{0}b.btlink",
    "a\u{7f}.btlink",
    "a\r\nX: y",
    "user@example.org",
    "user:pw@btlink",
    "@btlink",
    "box.btlink@evil.example",
    "evil.example@box.btlink",
    "btlink/",
    "btlink/../x",
    "btlink?x",
    "btlink#x",
    "btlink\\x",
    "btlink%00",
    "btlink%2eorg",
    "box.btlink,evil.example",
    "box.btlink evil.example",
    "b\u{fc}cher.btlink",
    "box\u{3002}btlink",
    "btlink:0",
    "btlink:65536",
    "btlink:99999999",
    "btlink:-1",
    "btlink:+80",
    "btlink:80:80",
    "btlink:8o",
    "btlink: 80",
    "[::1",
    "::1",
    "[::1]x",
    "[]",
    "[1.2.3.4]",
    "[fe80::1%25eth0]",
    "[btlink]",
    "*.btlink",
];

#[test]
fn a_malformed_host_is_refused_in_every_form() {
    for host in MALFORMED {
        assert_eq!(refused(&origin(host)), Refusal::Host, "{host:?}");
        assert_eq!(refused(&absolute(host)), Refusal::Host, "{host:?}");
        assert_eq!(refused(&connect(host)), Refusal::Host, "{host:?}");
    }
    let long = format!("{}.btlink", "a".repeat(64));
    assert_eq!(refused(&origin(&long)), Refusal::Host);
    let longer = format!("{}btlink", "a.".repeat(130));
    assert_eq!(refused(&origin(&longer)), Refusal::Host);
    assert_eq!(refused(&ask("GET", (None, None, "/"), None)), Refusal::Host);
}

#[test]
fn two_places_that_name_two_hosts_are_refused() {
    let ours = format!("{IH}-ih.btlink");
    for (authority, host) in [
        (ours.as_str(), "box.btlink"),
        ("box.btlink", ours.as_str()),
        (ours.as_str(), "example.org"),
        ("example.org", ours.as_str()),
        (ours.as_str(), "btlink:81"),
        ("box.btlink:81", "box.btlink"),
        ("box.btlink", "user@box.btlink"),
        ("box.btlink", ""),
    ] {
        let route = ask("GET", (Some("http"), Some(authority), "/"), Some(host));
        assert_eq!(refused(&route), Refusal::Host, "{authority} {host}");
    }
    let same = ask(
        "GET",
        (Some("http"), Some("BOX.btlink:80"), "/"),
        Some("box.btlink."),
    );
    assert_eq!(same, Route::Own { named: true });
}

#[test]
fn a_tunnel_is_never_opened() {
    let ours = format!("{IH}-ih.btlink");
    for (target, want) in [
        (format!("{ours}:443"), Refusal::NoTls),
        ("box.btlink:443".into(), Refusal::NoTls),
        (format!("{ours}:80"), Refusal::Tunnel),
        (ours.clone(), Refusal::Tunnel),
        (format!("{ours}:22"), Refusal::Tunnel),
        ("granary.local:443".into(), Refusal::Tunnel),
        ("192.168.1.2:443".into(), Refusal::Tunnel),
        ("example.org:443".into(), Refusal::Tunnel),
    ] {
        assert_eq!(refused(&connect(&target)), want, "{target}");
    }
    assert_eq!(
        refused(&ask("CONNECT", (None, None, "/"), Some("btlink"))),
        Refusal::Host
    );
}

#[test]
fn other_methods_schemes_and_addresses_are_refused() {
    for method in [
        "POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "get", "BREW",
    ] {
        assert_eq!(
            refused(&ask(method, (None, None, "/"), Some(&format!("{IH}-ih.btlink")))),
            Refusal::Method,
            "{method}"
        );
        let own = ask(method, (None, None, "/"), Some("box.btlink"));
        assert_eq!(own, Route::Own { named: true }, "{method}");
        let pac = ask(method, (None, None, "/proxy.pac"), Some("box.btlink"));
        assert_eq!(refused(&pac), Refusal::Method, "{method}");
        // A stranger's name is refused before anything else is looked at.
        let strange = ask(method, (None, None, "/"), Some("evil.example"));
        assert_eq!(refused(&strange), Refusal::Stranger, "{method}");
    }
    let ours = format!("{IH}-ih.btlink");
    for scheme in ["https", "ftp", "ws", "file", "gopher", "javascript"] {
        let route = ask("GET", (Some(scheme), Some(&ours), "/"), Some(&ours));
        assert_eq!(refused(&route), Refusal::Target, "{scheme}");
        let route = ask("GET", (Some(scheme), Some("example.org"), "/"), None);
        assert_eq!(refused(&route), Refusal::NotOurs, "{scheme}");
    }
    assert_eq!(
        refused(&ask("GET", (None, None, "*"), Some("btlink"))),
        Refusal::Target
    );
    for (host, want) in [
        ("wpad.btlink", Refusal::NoSuchName),
        ("localhost.btlink", Refusal::NoSuchName),
        ("!-ih.btlink", Refusal::Host),
        ("x-44.btlink", Refusal::Host),
        ("-pk.btlink", Refusal::Host),
        ("nodots-dl.btlink", Refusal::Host),
    ] {
        assert_eq!(refused(&origin(host)), want, "{host}");
    }
}

#[test]
fn each_kind_of_address_has_one_spelling() {
    let key = "3bkn7umqo2g90xy96r2wpyrlu5j7n6s8ii3eoz4ra5nv45hh6m";
    let base32 = "qvb5hzqrl4hzrskea55eje642vb6jhdtt7mzqvikd5quvm3o2y7a";
    let zbase32 = "oib783otmh83t1kry77rjr6h4ib6j8duu9c3oiekd7owic5q4a9y";
    for host in [
        format!("{key}-pk.btlink"),
        format!("blog-{key}-pk.btlink"),
        format!("blog.{key}-pk.btlink"),
        format!("ff-{key}-pkx.btlink"),
        "2vesxkooyo81zwg9fx247400tucvssgm2ux7a7q4n15emnikgh-ih.btlink".into(),
        "cc3f9d90b572172053626f9980ce261a850d050b-44.btlink".into(),
        "chromecast-link-dl.btlink".into(),
        "alice.btlink".into(),
    ] {
        assert!(
            matches!(origin(&host), Route::Site(_)),
            "{host}: {:?}",
            origin(&host)
        );
        assert!(matches!(absolute(&host), Route::Site(_)), "{host}");
        let dotted = Route::Respelled(host.clone());
        assert_eq!(origin(&format!("{host}.")), dotted, "{host}");
    }
    for (other, canonical) in [
        (format!("{base32}-pk.btlink"), format!("{key}-pk.btlink")),
        (format!("{zbase32}-pk.btlink"), format!("{key}-pk.btlink")),
        (
            format!("{}-PK.btlink", key.to_uppercase()),
            format!("{key}-pk.btlink"),
        ),
        (
            format!("blog.{base32}-pk.btlink"),
            format!("blog.{key}-pk.btlink"),
        ),
        (format!("n-{base32}-pk.btlink"), format!("n-{key}-pk.btlink")),
    ] {
        assert_eq!(origin(&other), Route::Respelled(canonical.clone()), "{other}");
        assert_eq!(absolute(&other), Route::Respelled(canonical), "{other}");
    }
    let old = format!("blog.{key}.pk.bt");
    assert_eq!(origin(&old), Route::Moved(format!("blog.{key}-pk.btlink")));
}
