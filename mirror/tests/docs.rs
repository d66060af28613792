//! The examples of `docs/mirror.md` are read, and the page describes every field.

use std::collections::BTreeSet;

use serde_json::Value;
use tranship_mirror::file::{FileFormat, SCHEMA, read};

const PAGE: &str = include_str!("../../docs/mirror.md");

/// The languages and the texts of the code blocks.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let mut fences = PAGE.split("```");
    fences.next();
    let mut blocks = Vec::new();
    while let Some(block) = fences.next() {
        let (language, text) = block.split_once('\n').expect("a language");
        blocks.push((language, text));
        fences.next();
    }
    blocks
}

#[test]
fn every_example_is_read_without_notes() {
    let destination = "registry.internal/mirror".parse().expect("a destination");
    let mut formats = BTreeSet::new();
    for (language, text) in blocks() {
        if !["yaml", "json", "text"].contains(&language) {
            continue;
        }
        let format = FileFormat::detect("-", text);
        formats.insert(format.to_string());
        match read(text, "mirror.md", None, Some(&destination)) {
            Ok(rules) => {
                assert_eq!(rules.notes, [""; 0], "{text}");
                let mut rules = rules.rules.iter();
                assert!(rules.all(|rule| rule.destination.is_some()), "{text}");
            }
            Err(error) => panic!("{error}\n{text}"),
        }
    }
    let formats: Vec<String> = formats.into_iter().collect();
    assert_eq!(formats, ["list", "native", "regsync", "skopeo"]);
}

#[test]
fn every_field_is_described() {
    fn check(schema: &Value) {
        if let Some(Value::Object(properties)) = schema.get("properties") {
            for key in properties.keys() {
                assert!(PAGE.contains(&format!("`{key}`")), "{key} is not described");
            }
        }
        match schema {
            Value::Object(object) => object.values().for_each(check),
            Value::Array(items) => items.iter().for_each(check),
            _ => {}
        }
    }
    check(&serde_json::from_str(SCHEMA).expect("JSON"));
}

/// The rows of the table under a heading, as the text of their cells.
fn rows(heading: &str) -> Vec<Vec<&'static str>> {
    let (_, section) = PAGE.split_once(&format!("\n{heading}\n")).expect(heading);
    let section = section.split("\n#").next().unwrap_or_default();
    let lines = section.lines().filter(|line| line.starts_with('|')).skip(2);
    lines
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect()
}

#[test]
fn destinations_are_named_as_the_table_says() {
    use tranship_mirror::rules::Destination;
    let source = "library/alpine".parse().expect("a name");
    let mut count = 0;
    for row in rows("### Where to") {
        let [destination, name] = row.as_slice() else {
            panic!("{row:?}");
        };
        if !destination.starts_with("`registry.internal") {
            continue;
        }
        let name = name.split('`').nth(1).expect("a name");
        let parsed: Destination = destination.trim_matches('`').parse().expect(destination);
        let template = parsed.repository.expect(destination);
        let applied = template.apply("docker.io", &source).expect(destination);
        assert_eq!(applied.as_str(), name, "{destination}");
        count += 1;
    }
    assert_eq!(count, 7);
}
