//! Bounds: pages of lists, slow senders, what only the control socket may.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::{Value, json};

use super::{Door, House};

#[test]
fn lists_are_given_in_bounded_parts() {
    let house = House::open();
    let list = |query: &str| {
        house
            .granary
            .control("GET", &format!("/api/v1/sites{query}"), &Value::Null)
            .json()
    };
    assert_eq!(list("").as_array().map(Vec::len), Some(1));
    assert_eq!(list("?max=0").as_array().map(Vec::len), Some(0));
    assert_eq!(
        list("?max=18446744073709551615").as_array().map(Vec::len),
        Some(1)
    );
    assert_eq!(
        list(&format!("?after={}", house.infohash))
            .as_array()
            .map(Vec::len),
        Some(0)
    );
    let log = house
        .granary
        .control("GET", "/api/v1/log?max=100000", &Value::Null)
        .json();
    let lines = log.as_array().expect("lines");
    assert!(!lines.is_empty() && lines.len() <= 1000);
    assert!(
        lines
            .iter()
            .all(|line| !line["text"].as_str().expect("text").contains(char::is_control))
    );
    assert!(
        lines
            .iter()
            .any(|line| line["text"].as_str().expect("text").starts_with("listening"))
    );
}

#[test]
fn what_names_files_of_the_box_is_for_the_control_socket_only() {
    let house = House::open();
    let body = json!({ "path": "/etc/hostname" }).to_string();
    let door = Door::Home(Some(house.owner.clone()));
    let answer = house.ask(&door, "POST", "/api/v1/seed", "application/json", body.as_bytes());
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert_eq!(
        house
            .ask(&door, "GET", "/api/v1/sites", "", b"")
            .json()
            .as_array()
            .map(Vec::len),
        Some(1)
    );
}

#[test]
fn a_token_that_is_removed_opens_nothing_any_more() {
    let house = House::open();
    let door = Door::Home(Some(house.member.clone()));
    assert_eq!(house.ask(&door, "GET", "/api/v1/sites", "", b"").status, 200);
    let tokens = house.granary.control("GET", "/api/v1/tokens", &Value::Null);
    assert!(
        !tokens.text().contains(&house.member),
        "their text is known to nobody"
    );
    for token in tokens
        .json()
        .as_array()
        .expect("tokens")
        .iter()
        .filter(|token| token["account"] == "otto")
    {
        let target = format!("/api/v1/tokens/{}", token["id"].as_str().expect("an id"));
        assert_eq!(house.granary.control("DELETE", &target, &Value::Null).status, 200);
        assert_eq!(house.granary.control("DELETE", &target, &Value::Null).status, 404);
    }
    assert_eq!(house.ask(&door, "GET", "/api/v1/sites", "", b"").status, 401);
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for_for_ever() {
    let house = House::open();
    let mut stream = TcpStream::connect(house.home()).expect("the door is open");
    stream
        .set_read_timeout(Some(Duration::from_secs(40)))
        .expect("a timeout");
    let head = format!(
        "PUT /api/v1/sharing HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: 50\r\n\r\n{{",
        house.home(),
        house.owner
    );
    stream.write_all(head.as_bytes()).expect("taken");
    let mut answer = [0; 64];
    let count = stream.read(&mut answer).expect("an answer in time");
    let text = String::from_utf8_lossy(&answer[..count]);
    assert!(text.starts_with("HTTP/1.1 408 "), "{text}");
}
