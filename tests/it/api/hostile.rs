//! Whatever is sent, the answer is a sentence with a status of its own: never a 500, never silence.

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::Value;

use super::{Door, House};

const REQUESTS: usize = 1500;
/// What a box may say; 500 and 502 are not among it.
const STATUSES: [u16; 16] = [
    200, 400, 401, 403, 404, 405, 408, 409, 413, 414, 415, 421, 422, 431, 503, 504,
];

const WORDS: [&str; 24] = [
    "\"\"",
    "null",
    "true",
    "-1",
    "0",
    "1e999",
    "18446744073709551616",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "[]",
    "{}",
    "[[[[]]]]",
    "{\"a\":{\"b\":[null]}}",
    "\"magnet:?xt=urn:btih:\"",
    "\"magnet:?xs=urn:btpk:00\"",
    "\"../../etc/passwd\"",
    "\"<script>\"",
    "\"24:61\"",
    "\"\u{202e}\"",
    "1.5",
    "\"d1:ae\"",
    "\"00000000000000000000000000000000000000ff\"",
    "\"http://127.0.0.1/\"",
    "\"x.btlink\"",
];

/// A value for a schema that may or may not fit it.
fn value(schema: &Value, random: &mut StdRng) -> String {
    if random.random_bool(0.5) {
        return WORDS[random.random_range(0..WORDS.len())].into();
    }
    match schema["type"].as_str() {
        Some("boolean") => "false".into(),
        Some("integer") => random.random_range(0..100u32).to_string(),
        Some("array") => format!("[{}]", value(&schema["items"], random)),
        Some("object") => object(schema, random),
        _ => "\"text\"".into(),
    }
}

fn object(schema: &Value, random: &mut StdRng) -> String {
    let mut fields = Vec::new();
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        if random.random_bool(0.8) {
            fields.push(format!("{name:?}:{}", value(schema, random)));
        }
    }
    format!("{{{}}}", fields.join(","))
}

/// Cuts, doubles or changes some of the bytes.
fn spoil(bytes: &mut Vec<u8>, random: &mut StdRng) {
    if bytes.is_empty() {
        return;
    }
    let at = random.random_range(0..bytes.len());
    match random.random_range(0..4) {
        0 => bytes.truncate(at),
        1 => bytes[at] = random.random(),
        2 => bytes.insert(at, random.random()),
        _ => bytes.extend_from_within(at..),
    }
}

fn target(path: &str, operation: &Value, random: &mut StdRng) -> String {
    let place = |random: &mut StdRng| match random.random_range(0..5) {
        0 => "%2e%2e%2f".to_owned(),
        1 => "%00%ff".to_owned(),
        2 => "a".repeat(random.random_range(1..200)),
        3 => "zz".repeat(20),
        _ => format!("{:040x}", random.random::<u64>()),
    };
    let parts: Vec<String> = path
        .split('/')
        .map(|part| {
            if part.starts_with('{') {
                place(random)
            } else {
                part.into()
            }
        })
        .collect();
    // Short deadlines: whatever is looked for is nowhere.
    let mut query = String::new();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let name = parameter["name"].as_str().expect("a name");
        if parameter["in"] != "query" {
            continue;
        }
        let text = match name {
            "deadline" => "0".to_owned(),
            _ if random.random_bool(0.3) => continue,
            _ => value(&parameter["schema"], random)
                .replace(['"', ' ', '\\', '\u{202e}', '{', '}', '<', '>'], "%22"),
        };
        query += &format!("{}{name}={text}", if query.is_empty() { '?' } else { '&' });
    }
    parts.join("/") + &query
}

#[test]
fn whatever_is_sent_is_answered_and_never_with_a_500() {
    let house = House::open();
    let operations = house.operations();
    let mut random = StdRng::seed_from_u64(20261121);
    let doors = house.doors();
    for number in 0..REQUESTS {
        let (path, method, operation) = &operations[random.random_range(0..operations.len())];
        if path.ends_with("/reset-owner") {
            continue;
        }
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        let mut body = match method.as_str() {
            "get" => Vec::new(),
            _ => object(schema, &mut random).into_bytes(),
        };
        for _ in 0..random.random_range(0..3) {
            spoil(&mut body, &mut random);
        }
        let target = target(path, operation, &mut random);
        let door: &Door = &doors[random.random_range(0..doors.len())];
        let answer = house.ask(door, &method.to_uppercase(), &target, "application/json", &body);
        let what = format!("#{number} {method} {target} {:?}", String::from_utf8_lossy(&body));
        assert!(
            STATUSES.contains(&answer.status),
            "{what}: {} {}",
            answer.status,
            answer.text()
        );
        house.fits(&what, operation, &answer);
    }
    let log = house.granary.log();
    assert!(!log.contains("panicked at"), "{log}");
    assert_eq!(
        house
            .granary
            .control("GET", "/api/v1/health", &Value::Null)
            .status,
        200
    );
}
