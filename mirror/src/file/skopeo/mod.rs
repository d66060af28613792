//! The YAML of `skopeo sync`: <https://github.com/containers/skopeo/blob/main/docs/skopeo-sync.1.md>.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use tranship::{Digest, RegistryName, Result};
use tranship_artifact::tags::TagFilter;

use super::constraint::masterminds;
use super::document::{Document, Map};
use super::notes::Notes;
use super::regex::searched;
use super::yaml::{Key, Kind, Node, Value};
use crate::rules::{Destination, RegistrySettings, Rule, Rules, SourcePattern, TagSet};

const KEYS: [&str; 6] = [
    "images",
    "images-by-tag-regex",
    "images-by-semver",
    "credentials",
    "tls-verify",
    "cert-dir",
];

/// Reads rules: one for each repository, which chooses what any of the three lists chooses.
pub(super) fn read(
    document: Document<'_>,
    content: &str,
    destination: Option<&Destination>,
) -> Result<Rules> {
    let root = Node::read(document.name, content, false)?;
    let mut notes = Notes::new(document);
    let mut rules = Rules::default();
    for (host, node) in document.map(&root)?.entries {
        // A misspelled list would choose nothing, or everything.
        let map = document.fields(node, &KEYS)?;
        notes.add_ignored(
            map,
            &["credentials"],
            "is not used: run \"tranship login\", or set the credentials as docs/auth.md says",
        );
        notes.add_ignored(
            map,
            &["cert-dir"],
            "is not used: give --ca-file, or put the certificates where docs/tls.md says",
        );
        // Also checks the host, which is written in front of each repository.
        let registry: RegistryName = registry_of(document, host)?;
        if let Some(node) = map.get("tls-verify") {
            let settings = RegistrySettings {
                insecure: Some(!boolean(document, node)?),
                ..RegistrySettings::default()
            };
            rules.registries.push((registry, settings));
        }
        let found = repositories(document, host, map)?;
        if found.is_empty() {
            notes.add(
                host.position,
                format!("no images of {} are listed", host.text),
            );
        }
        for (key, mut rule) in found {
            rule.destination = destination.cloned();
            rule.check_destination()
                .map_err(|error| document.at(key.position, &error))?;
            rules.rules.push(rule);
        }
    }
    rules.notes = notes.into_vec();
    Ok(rules)
}

fn registry_of(document: Document<'_>, host: &Key) -> Result<RegistryName> {
    let any: Result<SourcePattern> = format!("{}/any", host.text).parse();
    let registry = any.and_then(|source| source.registry.parse());
    registry.map_err(|error| document.at(host.position, &error))
}

/// The rules of a registry, in the order of their repositories in the file.
fn repositories<'n>(
    document: Document<'_>,
    host: &Key,
    map: Map<'n>,
) -> Result<Vec<(&'n Key, Rule)>> {
    let mut rules: Vec<(&Key, Rule)> = Vec::new();
    let mut indices: BTreeMap<&str, usize> = BTreeMap::new();
    for list in ["images", "images-by-tag-regex", "images-by-semver"] {
        let Some(node) = map.get(list) else {
            continue;
        };
        for (key, node) in document.map(node)?.entries {
            let index = match indices.get(key.text.as_str()) {
                Some(index) => *index,
                None => {
                    rules.push((key, Rule::new(source(document, host, key)?)));
                    indices.insert(&key.text, rules.len() - 1);
                    rules.len() - 1
                }
            };
            let tags = &mut rules[index].1.tags;
            if list == "images" {
                let references = images(document, node)?;
                if references.is_empty() {
                    tags.sets.push(TagSet::default());
                }
                for node in references {
                    match document.text(node)?.parse::<Digest>() {
                        Ok(digest) => tags.digests.push(digest),
                        Err(_) => tags.names.push(document.parsed(node)?),
                    }
                }
                continue;
            }
            let text = document.text(node)?;
            let filter = TagFilter::default();
            let filter = if list == "images-by-semver" {
                masterminds(text).map(|range| filter.with_versions(range))
            } else {
                searched(text).and_then(|pattern| filter.with_regex(&pattern))
            };
            let filter = filter.map_err(|error| document.at(node.position, &error))?;
            tags.sets.push(TagSet::default().with_filter(filter));
        }
    }
    Ok(rules)
}

fn source(document: Document<'_>, host: &Key, repository: &Key) -> Result<SourcePattern> {
    let source: Result<SourcePattern> = format!("{}/{}", host.text, repository.text).parse();
    let source = source.map_err(|error| document.at(repository.position, &error))?;
    if !source.is_single() {
        let error = document.error(
            repository.position,
            "skopeo does not know patterns of names",
        );
        return Err(error.with_hint("write a native file, which knows them"));
    }
    Ok(source)
}

/// The list after a repository; nothing counts as an empty list.
fn images<'n>(document: Document<'_>, node: &'n Node) -> Result<&'n [Node]> {
    if node.is_null() {
        return Ok(&[]);
    }
    match &node.value {
        Value::List(items) => Ok(items),
        _ => Err(document.error(node.position, "expected a list of tags and digests")),
    }
}

/// Reads a boolean as `gopkg.in/yaml.v3` does, which also knows those of YAML 1.1.
fn boolean(document: Document<'_>, node: &Node) -> Result<bool> {
    if let Value::Scalar { text, kind } = &node.value
        && *kind == Kind::Bool
    {
        match text.to_ascii_lowercase().as_str() {
            "y" | "yes" | "on" => return Ok(true),
            "n" | "no" | "off" => return Ok(false),
            _ => {}
        }
    }
    document.boolean(node)
}
