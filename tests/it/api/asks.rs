//! Every operation, asked well and asked wrongly, on both doors.

use serde_json::{Value, json};

use super::{Door, House};

const NOBODYS: &str = "00000000000000000000000000000000000000ff";

/// A good request of an operation: what stands in the path, the query, the body.
fn good(house: &House, id: &str) -> (String, &'static str, Value) {
    let place = match id {
        id if id.contains("sites_infohash") => house.infohash.clone(),
        id if id.contains("tokens_token") => "00".repeat(32),
        id if id.contains("petnames") => "news".into(),
        _ => NOBODYS.into(),
    };
    let sharing = json!({
        "upload": true, "upload_bytes_per_sec": 0, "download_bytes_per_sec": 0, "monthly_bytes": 0,
        "schedule": [{ "from": "22:00", "until": "06:30", "upload_bytes_per_sec": 0, "download_bytes_per_sec": 50_000 }],
    });
    let magnet = format!("magnet:?xs=urn:btpk:{}", "ab".repeat(32));
    let (query, body) = match id {
        "get_sites" => ("?max=5", Value::Null),
        "get_log" => ("?max=7", Value::Null),
        "get_sites_infohash" | "get_sites_infohash_info" => ("?deadline=2&peer=127.0.0.1:9", Value::Null),
        "get_sites_infohash_bytes" => ("?file=0&offset=3&deadline=2", Value::Null),
        "get_resolve" => ("?address=nobody-here&deadline=1", Value::Null),
        "get_records_id" | "get_items_id" => ("?deadline=1", Value::Null),
        "put_sharing" => ("", sharing),
        "post_tokens" => ("", json!({ "name": "again", "account": "anna" })),
        "post_sites_infohash_rate" => ("", json!({ "upload_bytes_per_sec": 0 })),
        "post_sites_infohash_peers" => ("", json!({ "peers": ["127.0.0.1:9"] })),
        "post_seed" => ("", json!({ "path": "/nonexistent" })),
        "post_preview" => ("?deadline=1", json!({ "paste": magnet })),
        "post_subscriptions" => ("", json!({ "paste": magnet, "title": "News" })),
        "put_lan_block_lists_list" => ("", json!({ "enabled": false })),
        "post_lan_block_pause" => ("", json!({ "secs": 5 })),
        "put_petnames_name" => ("", json!({ "address": magnet })),
        _ => ("", Value::Null),
    };
    (place, query, body)
}

fn filled(path: &str, place: &str) -> String {
    path.split('/')
        .map(|part| if part.starts_with('{') { place } else { part })
        .collect::<Vec<_>>()
        .join("/")
}

fn bytes(body: &Value) -> Vec<u8> {
    match body {
        Value::Null => Vec::new(),
        body => body.to_string().into_bytes(),
    }
}

#[test]
fn every_operation_answers_as_the_document_says_on_both_doors() {
    let house = House::open();
    for door in house.doors() {
        for (path, method, operation) in house.operations() {
            let id = operation["operationId"].as_str().expect("an id");
            // A site that is forgotten, or a token, would be missing afterwards: those have ids nobody has.
            let (place, query, body) = good(&house, id);
            let place = if id == "delete_sites_infohash" {
                NOBODYS.into()
            } else {
                place
            };
            let target = format!("{}{query}", filled(&path, &place));
            let answer = house.ask(
                &door,
                &method.to_uppercase(),
                &target,
                "application/json",
                &bytes(&body),
            );
            let what = format!("{method} {target} at {door:?}");
            house.fits(&what, &operation, &answer);
            let least = operation["x-granary-least"].as_str().expect("who may");
            let may = match &door {
                Door::Control => true,
                Door::Home(Some(token)) if *token == house.owner => least != "control socket",
                Door::Home(_) => matches!(least, "anybody" | "member"),
            };
            assert_eq!(
                answer.status != 403 || id == "get_resolve",
                may,
                "{what}: {}",
                answer.text()
            );
            assert_ne!(answer.status, 401, "{what}");
        }
    }
}

#[test]
fn without_a_token_only_what_anybody_may_see_is_answered() {
    let house = House::open();
    let strange = "A".repeat(43);
    for (path, method, operation) in house.operations() {
        let (place, query, body) = good(&house, operation["operationId"].as_str().expect("an id"));
        let target = format!("{}{query}", filled(&path, &place));
        let ask = |door: Door| {
            house.ask(
                &door,
                &method.to_uppercase(),
                &target,
                "application/json",
                &bytes(&body),
            )
        };
        let answer = ask(Door::Home(None));
        let open = operation["x-granary-least"] == "anybody";
        assert_eq!(
            answer.status == 401,
            !open,
            "{method} {target}: {}",
            answer.text()
        );
        house.fits(&format!("{method} {target}"), &operation, &answer);
        for token in [strange.as_str(), "x", "", "\u{e9}"] {
            let answer = ask(Door::Home(Some(token.into())));
            assert_eq!(answer.status, 401, "{method} {target} with {token:?}");
        }
    }
}

#[test]
fn every_operation_refuses_what_is_not_in_the_document() {
    let house = House::open();
    let mut asked = 0;
    for door in [Door::Control, Door::Home(Some(house.owner.clone()))] {
        for (path, method, operation) in house.operations() {
            if matches!(door, Door::Home(_)) && operation["x-granary-least"] == "control socket" {
                continue;
            }
            let (place, _, _) = good(&house, operation["operationId"].as_str().expect("an id"));
            let target = filled(&path, &place);
            let upper = method.to_uppercase();
            let mut refuse = |status: u16, target: &str, kind: &str, body: &[u8]| {
                let answer = house.ask(&door, &upper, target, kind, body);
                let what = format!("{method} {target} {kind}");
                assert_eq!(answer.status, status, "{what}: {}", answer.text());
                house.fits(&what, &operation, &answer);
                assert!(
                    answer.json()["error"]
                        .as_str()
                        .is_some_and(|words| !words.is_empty())
                );
                asked += 1;
            };
            refuse(400, &format!("{target}?surprise=1"), "", b"");
            refuse(400, &format!("{target}?=&&a=b=c"), "", b"");
            if path.contains("{infohash}") || path.contains("{id}") || path.contains("{token}") {
                for wrong in ["x", "%00", "%F0%9F%8C%BE", &"a".repeat(39), &"g".repeat(40)] {
                    refuse(400, &filled(&path, wrong), "", b"");
                }
            }
            if upper != "GET" {
                refuse(400, &target, "application/json", b"{\"surprise\":1}");
                refuse(400, &target, "application/json", b"{");
                refuse(400, &target, "application/json", b"[1,2]");
                refuse(400, &target, "application/json", b"\xff\xfe");
                refuse(400, &target, "application/json", &b"[".repeat(60_000));
                let max = operation["requestBody"]["x-granary-bytes-max"]
                    .as_u64()
                    .unwrap_or(64 << 10);
                refuse(
                    413,
                    &target,
                    "application/json",
                    &b" ".repeat(max as usize + 5_000),
                );
                for kind in [
                    "",
                    "text/plain",
                    "application/x-www-form-urlencoded",
                    "multipart/form-data",
                ] {
                    refuse(415, &target, kind, b"{}");
                }
            }
        }
    }
    assert!(asked > 300, "{asked}");
}

#[test]
fn other_methods_are_405_with_those_that_are_allowed_and_other_paths_404() {
    let house = House::open();
    let mut paths: Vec<String> = house.operations().into_iter().map(|(path, ..)| path).collect();
    paths.dedup();
    for door in house.doors() {
        for path in &paths {
            let known = house.document["paths"][path].as_object().expect("methods");
            for method in [
                "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW",
            ] {
                if known.contains_key(&method.to_lowercase()) {
                    continue;
                }
                let answer = house.ask(&door, method, &filled(path, NOBODYS), "", b"");
                assert_eq!(
                    answer.status,
                    405,
                    "{method} {path} at {door:?}: {}",
                    answer.text()
                );
                let allow = answer.header("allow").expect("it names them");
                let allowed = allow.split(", ").map(str::to_lowercase);
                assert!(allowed.eq(known.keys().cloned()), "{path}: {allow}");
            }
        }
        for path in [
            "/api/v1",
            "/api/v1/",
            "/api/v1/nothing",
            "/api/v2/status",
            "/api/v1/status/",
            "/api/v1//status",
        ] {
            let answer = house.ask(&door, "GET", path, "", b"");
            assert_eq!(answer.status, 404, "{path} at {door:?}: {}", answer.text());
        }
    }
}
