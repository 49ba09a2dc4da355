//! The part of a request behind `?`: names, types and whether it must be there come from the schema of the operation's
//! query, and anything else is refused.

use schemars::Schema;
use serde_json::{Map, Value};

use super::refusal::Refusal;

/// Pairs read; nothing of ours needs more.
const PAIRS_MAX: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Flag,
    Text,
}

/// One name of the query.
pub struct Parameter {
    pub name: String,
    pub required: bool,
    pub schema: Value,
    kind: Kind,
    /// May stand there several times.
    many: bool,
}

impl Parameter {
    /// All of a query's schema.
    pub fn all(schema: &Schema) -> Vec<Self> {
        let required = schema.get("required").and_then(Value::as_array);
        let properties = schema.get("properties").and_then(Value::as_object);
        let each = properties.into_iter().flatten().map(|(name, schema)| {
            let many = types(schema).any(|kind| kind == "array");
            let scalar = if many { &schema["items"] } else { schema };
            let kind = match types(scalar).find(|kind| *kind != "null") {
                Some("integer" | "number") => Kind::Number,
                Some("boolean") => Kind::Flag,
                _ => Kind::Text,
            };
            Self {
                name: name.clone(),
                required: required.is_some_and(|all| all.iter().any(|one| one == name)),
                schema: without_null(schema),
                kind,
                many,
            }
        });
        each.collect()
    }

    fn read(&self, text: &str) -> Result<Value, Refusal> {
        let wrong = |what| Refusal::asked_wrongly(format!("{}={text:?} is no {what}", self.name));
        match self.kind {
            Kind::Number => text
                .parse::<u64>()
                .map(Value::from)
                .or_else(|_| text.parse::<i64>().map(Value::from))
                .map_err(|_| wrong("whole number")),
            Kind::Flag => text
                .parse::<bool>()
                .map(Value::from)
                .map_err(|_| wrong("true or false")),
            Kind::Text => Ok(text.into()),
        }
    }
}

fn types(schema: &Value) -> impl Iterator<Item = &str> {
    let one = schema["type"].as_str().into_iter();
    let several = schema["type"].as_array().into_iter().flatten();
    one.chain(several.filter_map(Value::as_str))
}

/// A query has no way to say null: who means it leaves the name out.
fn without_null(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some(kinds) = schema.get_mut("type").and_then(Value::as_array_mut) {
        kinds.retain(|kind| kind != "null");
        if let [only] = kinds.as_slice() {
            schema["type"] = only.clone();
        }
    }
    schema
}

/// The query as a JSON object.
pub fn read(parameters: &[Parameter], query: &str) -> Result<Value, Refusal> {
    let mut object = Map::new();
    for (count, (name, text)) in form_urlencoded::parse(query.as_bytes()).enumerate() {
        if count == PAIRS_MAX {
            let words = format!("the query has more than {PAIRS_MAX} parts");
            return Err(Refusal::asked_wrongly(words));
        }
        let Some(parameter) = parameters.iter().find(|one| one.name == name) else {
            return Err(unknown(parameters, &name));
        };
        let value = parameter.read(&text)?;
        if parameter.many {
            let values = object.entry(name).or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(values) = values {
                values.push(value);
            }
        } else if object.insert(name.to_string(), value).is_some() {
            let words = format!("{name} stands twice in the query");
            return Err(Refusal::asked_wrongly(words));
        }
    }
    Ok(Value::Object(object))
}

fn unknown(parameters: &[Parameter], name: &str) -> Refusal {
    let names: Vec<&str> = parameters.iter().map(|one| one.name.as_str()).collect();
    let known = match names.as_slice() {
        [] => "it takes none".into(),
        names => format!("it takes {}", names.join(", ")),
    };
    Refusal::asked_wrongly(format!("{name:?} is no parameter of this request: {known}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(schemars::JsonSchema)]
    #[allow(dead_code)]
    struct Asked {
        max: Option<u32>,
        #[serde(default)]
        peer: Vec<String>,
        local: bool,
    }

    fn ask(query: &str) -> Result<Value, String> {
        let schema = schemars::schema_for!(Asked);
        read(&Parameter::all(&schema), query).map_err(|refusal| refusal.text)
    }

    #[test]
    fn what_stands_behind_the_question_mark_gets_the_types_of_its_schema() {
        let found = ask("max=5&peer=a%20b&peer=c+d&local=true");
        let expected = serde_json::json!({ "max": 5, "peer": ["a b", "c d"], "local": true });
        assert_eq!(found, Ok(expected));
        assert_eq!(ask(""), Ok(serde_json::json!({})));
    }

    #[test]
    fn what_is_not_in_the_schema_is_refused_with_the_names_that_are() {
        for query in [
            "mx=5",
            "max=five",
            "max=5&max=6",
            "local=yes",
            "max",
            &"peer=a&".repeat(200),
        ] {
            assert!(ask(query).is_err(), "{query}");
        }
        assert_eq!(
            ask("mx=5"),
            Err("\"mx\" is no parameter of this request: it takes local, max, peer".into())
        );
    }

    #[test]
    fn a_parameter_that_may_be_left_out_is_not_null_when_it_is_there() {
        let schema = schemars::schema_for!(Asked);
        let all = Parameter::all(&schema);
        let max = all.iter().find(|one| one.name == "max").expect("it is a field");
        assert_eq!(max.schema["type"], "integer");
        assert!(!max.required && all.iter().any(|one| one.required && one.name == "local"));
    }
}
