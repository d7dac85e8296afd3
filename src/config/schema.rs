//! The JSON Schema (draft 2020-12) of `backcast.toml`, for editors. It is made from [`keys`](super::keys) and shipped
//! as `backcast.schema.json`; a test keeps that file up to date.

use serde_json::{Map, Value, json};

use super::keys::ROOT;
use super::kind::{Key, Kind, Table};

/// The JSON Schema of `backcast.toml`.
pub fn json_schema() -> Value {
    let mut schema = Map::new();
    schema.insert("$schema".to_string(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".to_string(), json!("backcast.toml"));
    schema.extend(table(&ROOT));
    Value::Object(schema)
}

fn table(table: &Table) -> Map<String, Value> {
    let properties: Map<String, Value> = table.keys.iter().map(|key| (key.name.to_string(), property(key))).collect();
    let required: Vec<&str> = table.keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    let mut out = Map::new();
    out.insert("description".to_string(), json!(table.doc));
    out.insert("type".to_string(), json!("object"));
    out.insert("properties".to_string(), Value::Object(properties));
    if !required.is_empty() {
        out.insert("required".to_string(), json!(required));
    }
    out.insert("additionalProperties".to_string(), json!(false));
    out
}

fn property(key: &Key) -> Value {
    let mut out = Map::new();
    out.insert("description".to_string(), json!(key.doc));
    for (name, value) in kind(&key.kind) {
        // The key's own description says more than that of its table.
        out.entry(name).or_insert(value);
    }
    if key.required && matches!(key.kind, Kind::Named(_)) {
        out.insert("minProperties".to_string(), json!(1));
    }
    if let Some(default) = key.default {
        out.insert("default".to_string(), default.json());
    }
    if let Ok(example) = serde_json::from_str::<Value>(key.example) {
        out.insert("examples".to_string(), json!([example]));
    }
    Value::Object(out)
}

/// Patterns stay with what every regex dialect knows.
fn kind(of: &Kind) -> Map<String, Value> {
    let value = match of {
        Kind::Text | Kind::Uri | Kind::Zone => json!({ "type": "string", "minLength": 1 }),
        Kind::Word(words) => json!({ "enum": words }),
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Integer(min) => json!({ "type": "integer", "minimum": min }),
        Kind::Number(min, max) if *max == f64::MAX => json!({ "type": "number", "minimum": min }),
        Kind::Number(min, max) => json!({ "type": "number", "minimum": min, "maximum": max }),
        Kind::Duration { .. } | Kind::Size => json!({ "type": "string", "pattern": "^\\s*[0-9]" }),
        Kind::Instant => json!({ "type": "string", "format": "date-time" }),
        Kind::Interval => json!({ "type": "array", "items": kind(&Kind::Instant), "minItems": 2, "maxItems": 2 }),
        Kind::Scalar => json!({ "type": ["string", "number", "boolean"] }),
        Kind::Setting => json!({ "type": ["string", "integer", "boolean"] }),
        Kind::List(item, 0) => json!({ "type": "array", "items": kind(item), "uniqueItems": true }),
        Kind::List(item, min) => {
            json!({ "type": "array", "items": kind(item), "minItems": min, "uniqueItems": true })
        }
        Kind::Map(item) => json!({ "type": "object", "additionalProperties": kind(item) }),
        Kind::Either(kinds) => json!({ "anyOf": kinds.iter().map(kind).collect::<Vec<_>>() }),
        Kind::Table(below) => Value::Object(table(below)),
        Kind::Named(below) => json!({
            "type": "object",
            "propertyNames": { "pattern": "^[^\\s!-,./:-@\\[-^`{-~]+$" },
            "additionalProperties": table(below),
        }),
        Kind::Columns(below) => json!({ "type": "object", "additionalProperties": table(below) }),
    };
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
