//! The table as an OpenAPI 3.1 document.

use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{
    Caller,
    operation::{Operation, Success},
    reply::Problem,
    table,
};

/// Made anew each time it is asked for: it is seldom, and the text is large.
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let settings = settings.with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut paths: Map<String, Value> = Map::new();
    for operation in table::operations() {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method.as_str().to_lowercase()] = describe(operation, &mut generator);
    }
    let problem = generator.subschema_for::<Problem>();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Granary",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer", "description": TOKEN } },
            "responses": { "Problem": {
                "description": "A sentence about what happened",
                "content": { "application/json": { "schema": problem } },
            } },
        },
    })
}

const DESCRIPTION: &str = "Everything the pages of a Granary do, for programs. On the household's door each request carries a \
    token; on the control socket the file's mode is the key and all operations may be used. Numbers are bytes, seconds, and \
    seconds since 1970. Unknown fields and parameters are refused. Fields may be added to answers; none is renamed.";
const TOKEN: &str = "Made by an owner on the page People and programs, and sent as Authorization: Bearer …";

fn describe(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let mut described = json!({
        "operationId": operation_id(operation),
        "summary": operation.summary,
        "tags": [words(operation.path).next().unwrap_or("status")],
        "security": match operation.least {
            Caller::Nobody => json!([]),
            _ => json!([{ "token": [] }]),
        },
        "x-granary-least": match operation.least {
            Caller::Nobody => "anybody",
            Caller::Member => "member",
            Caller::Owner => "owner",
            Caller::Control => "control socket",
        },
        "parameters": parameters(operation),
        "responses": responses(operation, generator),
    });
    if let Some(schema) = &operation.body {
        described["requestBody"] = json!({
            "description": format!("At most {} bytes. Left out, it is an empty object.", operation.body_max),
            "required": schema.get("required").is_some(),
            "x-granary-bytes-max": operation.body_max,
            "content": { "application/json": { "schema": schema } },
        });
    }
    described
}

/// The words of a path behind `/api/v1/`, without braces.
fn words(path: &str) -> impl Iterator<Item = &str> {
    path.split(['/', '.'])
        .skip(3)
        .map(|word| word.trim_matches(['{', '}']))
}

fn operation_id(operation: &Operation) -> String {
    let mut id = operation.method.as_str().to_lowercase();
    for word in words(operation.path) {
        id.push('_');
        id.push_str(word);
    }
    id
}

fn parameters(operation: &Operation) -> Vec<Value> {
    let places = operation
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path =
        places.map(|name| json!({ "name": name, "in": "path", "required": true, "schema": place(name) }));
    let in_query = operation.query.iter().map(|parameter| {
        let mut schema = parameter.schema.clone();
        let words = schema
            .as_object_mut()
            .and_then(|schema| schema.remove("description"));
        let mut described = json!({
            "name": parameter.name,
            "in": "query",
            "required": parameter.required,
            "schema": schema,
        });
        if let Some(words) = words {
            described["description"] = words;
        }
        described
    });
    in_path.chain(in_query).collect()
}

/// What may stand in a path's braces.
fn place(name: &str) -> Value {
    match name {
        "infohash" | "id" | "target" => json!({ "type": "string", "pattern": "^[0-9a-fA-F]{40}$" }),
        "token" => json!({ "type": "string", "pattern": "^[0-9a-fA-F]{64}$" }),
        _ => json!({ "type": "string", "minLength": 1 }),
    }
}

fn responses(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let content = match &operation.success {
        Success::Json(schema) => json!({ "application/json": { "schema": schema(generator) } }),
        Success::Lines(schema) => {
            json!({ "application/x-ndjson": { "schema": schema(generator) } })
        }
        Success::Bytes(kind) => json!({ *kind: {} }),
    };
    let mut responses = json!({ "200": { "description": "Done", "content": content } });
    for status in refusals(operation) {
        responses[status.to_string()] = json!({ "$ref": "#/components/responses/Problem" });
    }
    responses
}

/// Every status but 200 that an operation may give: those of its own work, and those that all have.
fn refusals(operation: &Operation) -> Vec<u16> {
    let mut all = operation.refusals.to_vec();
    all.extend([400, 503]);
    if operation.least > Caller::Nobody {
        all.push(401);
    }
    if operation.least > Caller::Member {
        all.push(403);
    }
    if operation.method != hyper::Method::GET {
        all.extend([408, 413, 415]);
    }
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_stands_in_the_document_under_a_name_of_its_own() {
        let document = document();
        let mut ids = std::collections::BTreeSet::new();
        for operation in table::operations() {
            let method = operation.method.as_str().to_lowercase();
            let described = &document["paths"][operation.path][method];
            let id = described["operationId"].as_str().expect("each has an id");
            assert!(ids.insert(id.to_string()), "{id} stands twice");
        }
        let described = document["paths"].as_object().expect("an object").values();
        let count: usize = described.map(|path| path.as_object().map_or(0, Map::len)).sum();
        assert_eq!(count, table::operations().len());
    }

    #[test]
    fn every_reference_of_the_document_leads_somewhere() {
        fn walk<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
            match value {
                Value::Object(object) => {
                    found.extend(object.get("$ref").and_then(Value::as_str));
                    object.values().for_each(|value| walk(value, found));
                }
                Value::Array(all) => all.iter().for_each(|value| walk(value, found)),
                _ => {}
            }
        }
        let document = document();
        let mut found = Vec::new();
        walk(&document, &mut found);
        assert!(!found.is_empty());
        for reference in found {
            let pointer = reference.strip_prefix('#').expect("within the document");
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }
}
