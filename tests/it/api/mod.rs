//! The JSON API is what its document says, on both doors: the control socket and the household's, with tokens.
//!
//! `tests/golden/openapi-3.1-schema.json` is the OpenAPI Initiative's own schema of such documents (2022-10-07, Apache-2.0).

mod asks;
mod hostile;
mod limits;

use std::{collections::BTreeMap, net::SocketAddr};

use harness::{
    Granary, Setup, granary,
    http::{self, Response},
    sample,
};
use serde_json::{Value, json};

/// A Granary with an owner, a member and a site, and what its document says.
pub struct House {
    pub granary: Granary,
    pub infohash: String,
    pub document: Value,
    pub owner: String,
    pub member: String,
    _dir: tempfile::TempDir,
}

/// Where a request goes, and as whom.
#[derive(Debug, Clone)]
pub enum Door {
    Control,
    /// With this token; `None`: without one.
    Home(Option<String>),
}

impl House {
    pub fn open() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let data = dir.path().join("data");
        people(&data);
        let granary = Setup::default().data(&data).start();
        let site = dir.path().join("site");
        sample::site(&site, 3, 70_000);
        let steps = granary
            .control("POST", "/api/v1/seed", &json!({ "path": site }))
            .text();
        let last: Value = serde_json::from_str(steps.lines().last().expect("a line")).expect("JSON");
        let token = |account: &str| {
            let body = json!({ "name": "test", "account": account });
            let made = granary.control("POST", "/api/v1/tokens", &body);
            made.json()["token"]
                .as_str()
                .unwrap_or_else(|| panic!("{}", made.text()))
                .to_owned()
        };
        let (owner, member) = (token("anna"), token("otto"));
        let document = http::get(granary.addr("http"), "/api/v1/openapi.json", &[]).expect("answered");
        assert_eq!(document.status, 200, "nobody needs a token for the document");
        Self {
            infohash: last["infohash"].as_str().expect("seeded").to_owned(),
            document: document.json(),
            owner,
            member,
            granary,
            _dir: dir,
        }
    }

    /// One request; the body counts as JSON unless a content type is given.
    pub fn ask(&self, door: &Door, method: &str, target: &str, kind: &str, body: &[u8]) -> Response {
        let mut headers = Vec::new();
        if !kind.is_empty() {
            headers.push(("content-type", kind));
        }
        let answer = match door {
            Door::Control => http::request_unix_with(&self.granary.control, method, target, &headers, body),
            Door::Home(token) => {
                let bearer = token.as_ref().map(|token| format!("Bearer {token}"));
                headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
                http::request(self.home(), method, target, &headers, body)
            }
        };
        answer.unwrap_or_else(|err| panic!("{method} {target} {door:?}: {err:#}\n{}", self.granary.log()))
    }

    pub fn home(&self) -> SocketAddr {
        self.granary.addr("http")
    }

    pub fn doors(&self) -> [Door; 3] {
        [
            Door::Control,
            Door::Home(Some(self.owner.clone())),
            Door::Home(Some(self.member.clone())),
        ]
    }

    /// Every operation: path, method in lower case, description.
    pub fn operations(&self) -> Vec<(String, String, Value)> {
        let paths = self.document["paths"].as_object().expect("paths");
        let each = paths.iter().flat_map(|(path, methods)| {
            let methods = methods.as_object().expect("methods");
            methods
                .iter()
                .map(move |(method, op)| (path.clone(), method.clone(), op.clone()))
        });
        each.collect()
    }

    /// Panics unless the document allows this answer of the operation.
    #[track_caller]
    pub fn fits(&self, what: &str, operation: &Value, answer: &Response) {
        let said = &operation["responses"][answer.status.to_string()];
        assert!(
            !said.is_null(),
            "{what}: {} is not in the document: {}",
            answer.status,
            answer.text()
        );
        let said = match said["$ref"].as_str().and_then(|name| name.strip_prefix('#')) {
            Some(pointer) => self.document.pointer(pointer).expect("it is there"),
            None => said,
        };
        let kind = answer.header("content-type").unwrap_or_default();
        let content = &said["content"][kind];
        assert!(content.is_object(), "{what}: {kind} is not in the document");
        if kind == "application/octet-stream" || kind == "application/x-bittorrent" {
            return;
        }
        let schema = json!({
            "$ref": format!("#/components/responses-of-this-test"),
            "components": {
                "schemas": self.document["components"]["schemas"],
                "responses-of-this-test": content["schema"],
            },
        });
        let schema = jsonschema::validator_for(&schema).expect("a schema");
        let text = answer.text();
        let values: Vec<&str> = match kind {
            "application/x-ndjson" => text.lines().collect(),
            _ => vec![&text],
        };
        for value in values {
            let value: Value =
                serde_json::from_str(value).unwrap_or_else(|err| panic!("{what}: {err}: {value}"));
            if let Err(err) = schema.validate(&value) {
                panic!("{what} {}: {err} in {value}", answer.status);
            }
        }
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{what}");
        }
        assert_eq!(answer.header("access-control-allow-origin"), None, "{what}");
    }
}

/// Anna owns the box, Otto lives there too.
fn people(data: &std::path::Path) {
    let shelves = store::Config {
        state_dir: data.into(),
        content_dir: data.join("content"),
        segment_bytes_max: 1 << 30,
        pending_bytes_max: 64 << 20,
        visited_bytes_max: 1 << 30,
        free_floor_bytes: 0,
    };
    std::fs::create_dir_all(data.join("content")).expect("writable");
    let store = store::Store::open(shelves, 1).expect("a new store");
    for (name, role) in [("anna", store::Role::Owner), ("otto", store::Role::Member)] {
        let account = store::Account {
            name: name.into(),
            role,
            password: String::new(),
            added: 1,
        };
        store.put_account(&account).expect("stored");
    }
    store.close().expect("closed");
}

#[test]
fn the_document_is_openapi_3_1_and_the_one_that_the_command_prints() {
    let house = House::open();
    let text = include_str!("../../golden/openapi-3.1-schema.json");
    let schema: Value = serde_json::from_str(text).expect("JSON");
    let schema = jsonschema::validator_for(&schema).expect("a schema");
    if let Err(err) = schema.validate(&house.document) {
        panic!("{err} at {}", err.instance_path());
    }
    let dialect = jsonschema::draft202012::meta::validator();
    for (name, schema) in house.document["components"]["schemas"]
        .as_object()
        .expect("schemas")
    {
        assert!(dialect.is_valid(schema), "{name}");
    }
    let printed: Value = serde_json::from_slice(&granary::cli(&["openapi"]).stdout).expect("JSON");
    assert_eq!(printed, house.document);
    let mut ids = BTreeMap::new();
    for (path, method, operation) in house.operations() {
        let id = operation["operationId"].as_str().expect("an id").to_owned();
        assert_eq!(ids.insert(id, (path, method)), None);
    }
    let document = house.document.to_string();
    for secret in [&house.owner, &house.member, &house.infohash] {
        assert!(!document.contains(secret.as_str()));
    }
}
