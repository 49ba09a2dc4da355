use super::fixture::{House, IH, sample};

const PERSON: &str = "Accept: text/html,*/*";

/// Every form of host, and what hostile hands make of it.
fn hosts() -> Vec<String> {
    let key = "3bkn7umqo2g90xy96r2wpyrlu5j7n6s8ii3eoz4ra5nv45hh6m";
    let forms = [
        format!("{key}-pk"),
        format!("blog-{key}-pk"),
        format!("a.b.{key}-pk"),
        format!("ff00-{key}-pkx"),
        "qvb5hzqrl4hzrskea55eje642vb6jhdtt7mzqvikd5quvm3o2y7a-pk".into(),
        "2vesxkooyo81zwg9fx247400tucvssgm2ux7a7q4n15emnikgh-ih".into(),
        format!("{IH}-ih"),
        format!("{IH}-44"),
        "chromecast-link-dl".into(),
        "en-wikipedia--on--ipfs-org-dl".into(),
        "alice".into(),
    ];
    let mut hosts = vec![format!("blog.{key}.pk.bt"), format!("{IH}.ih.bt")];
    for form in &forms {
        hosts.push(format!("{form}.btlink"));
        hosts.push(format!("{form}.btlink."));
        hosts.push(format!("{form}.bt"));
        hosts.push(format!("{}.BTLINK:80", form.to_uppercase()));
        hosts.push(format!("{}{form}.btlink", "a".repeat(64)));
        hosts.push(format!("{}{form}.btlink", "aa.".repeat(90)));
        hosts.push(format!("{}{form}.btlink", "a.".repeat(40)));
        for at in (0..form.len()).step_by(7) {
            let (head, tail) = form.split_at(at);
            hosts.push(format!("{tail}.btlink"));
            hosts.push(format!("{head}.btlink"));
            for inserted in [".", "-", "--", "_", "%41", "z", "..", "@", ":", "/", "\u{7f}"] {
                hosts.push(format!("{head}{inserted}{tail}.btlink"));
            }
        }
    }
    hosts
}

#[tokio::test(start_paused = true)]
async fn no_host_of_any_form_makes_an_internal_error() {
    let house = House::start(sample()).await;
    let mut told = std::collections::BTreeMap::<u16, usize>::new();
    for host in hosts() {
        for (path, line) in [
            ("/", "Cache-Control: only-if-cached"),
            ("/?btlink-version=x", PERSON),
            ("/.btlink/versions", PERSON),
        ] {
            let answer = house.ask("GET", path, &host, &[line]).await;
            let status = answer.status;
            assert!(status != 500 && status != 0, "{host} {path}: {}", answer.text());
            if ![301, 302, 304, 307, 308].contains(&status) && status > 202 {
                assert!(
                    answer.header("x-reason").is_some(),
                    "{host} {path}: {status} without a reason"
                );
            }
            *told.entry(status).or_default() += 1;
        }
    }
    for status in [202, 308, 307, 400, 404, 412] {
        assert!(told.contains_key(&status), "{told:?}");
    }
    assert!(told.values().sum::<usize>() > 2_000, "{told:?}");
}
