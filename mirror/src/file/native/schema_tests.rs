//! The schema is written by hand; these tests hold it to the keys that the reader knows.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::SCHEMA;
use super::{FILE, REGISTRY, image, settings};

fn schema() -> Value {
    serde_json::from_str(SCHEMA).expect("the schema is JSON")
}

#[test]
fn the_schema_has_the_keys_of_the_reader() {
    let schema = schema();
    for (pointer, keys) in [
        ("", &FILE[..]),
        ("/properties/defaults", &settings::KEYS),
        ("/$defs/registry", &REGISTRY),
        ("/$defs/image", &image::KEYS),
        ("/$defs/referrers/anyOf/1", &settings::REFERRERS),
    ] {
        let object = schema.pointer(pointer).expect(pointer);
        let found = object["properties"].as_object().expect(pointer).keys();
        let found: BTreeSet<&str> = found.map(String::as_str).collect();
        let expected: BTreeSet<&str> = keys.iter().copied().collect();
        assert_eq!(found, expected, "{pointer}");
        assert_eq!(object["additionalProperties"], false, "{pointer}");
    }
}

#[test]
fn every_reference_of_the_schema_resolves() {
    fn check(schema: &Value, value: &Value) {
        match value {
            Value::Object(object) => {
                if let Some(Value::String(reference)) = object.get("$ref") {
                    let pointer = reference.strip_prefix('#').expect("within the schema");
                    assert!(schema.pointer(pointer).is_some(), "{reference}");
                }
                object.values().for_each(|value| check(schema, value));
            }
            Value::Array(items) => items.iter().for_each(|item| check(schema, item)),
            _ => {}
        }
    }
    let schema = schema();
    check(&schema, &schema);
}
