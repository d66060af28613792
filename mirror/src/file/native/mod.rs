//! The native format.

mod image;
#[cfg(test)]
mod schema_tests;
mod settings;
#[cfg(test)]
mod tests;

use tranship::{RegistryName, Result};

use super::document::Document;
use super::yaml::Node;
use crate::rules::{Destination, RegistrySettings, Rules};
use settings::Settings;

/// The keys of a file.
const FILE: [&str; 5] = ["version", "concurrency", "defaults", "registries", "images"];
/// The keys of an entry of `registries`.
const REGISTRY: [&str; 5] = [
    "concurrency",
    "requestsPerSecond",
    "rateLimitReserve",
    "plainHttp",
    "insecure",
];

/// Reads rules.
pub(super) fn read(
    document: Document<'_>,
    content: &str,
    destination: Option<&Destination>,
) -> Result<Rules> {
    let root = Node::read(document.name, content, false)?;
    let file = document.fields(&root, &FILE)?;
    if let Some(version) = file.get("version")
        && document.number::<u64>(version)? != 1
    {
        let error = document.error(version.position, "only version 1 of the format is known");
        return Err(error.with_hint("a newer version of tranship may read the file"));
    }
    let concurrency = file.get("concurrency");
    let concurrency = concurrency.map(|node| document.count(node)).transpose()?;
    let mut defaults = Settings::default();
    if let Some(node) = file.get("defaults") {
        defaults.read(document, document.fields(node, &settings::KEYS)?)?;
    }
    defaults.to = defaults.to.or_else(|| destination.cloned());
    let registries = match file.get("registries") {
        Some(node) => registries(document, node)?,
        None => Vec::new(),
    };
    let images = file
        .get("images")
        .ok_or_else(|| document.error(file.position, "the field \"images\" is missing"))?;
    let rules = document.list(images)?.iter();
    let rules = rules.map(|node| image::read(document, node, &defaults));
    Ok(Rules {
        rules: rules.collect::<Result<_>>()?,
        registries,
        concurrency,
        notes: Vec::new(),
    })
}

fn registries(
    document: Document<'_>,
    node: &Node,
) -> Result<Vec<(RegistryName, RegistrySettings)>> {
    let entries = document.map(node)?.entries.iter();
    let registries = entries.map(|(key, node)| {
        let name = key.text.parse();
        let name: RegistryName = name.map_err(|error| document.at(key.position, &error))?;
        let map = document.fields(node, &REGISTRY)?;
        let get = |key| map.get(key);
        Ok((
            name,
            RegistrySettings {
                concurrency: get("concurrency")
                    .map(|node| document.count(node))
                    .transpose()?,
                requests_per_second: get("requestsPerSecond")
                    .map(|node| at_least_one(document, node))
                    .transpose()?,
                rate_limit_reserve: get("rateLimitReserve")
                    .map(|node| document.number(node))
                    .transpose()?,
                plain_http: get("plainHttp")
                    .map(|node| document.boolean(node))
                    .transpose()?,
                insecure: get("insecure")
                    .map(|node| document.boolean(node))
                    .transpose()?,
            },
        ))
    });
    registries.collect()
}

fn at_least_one(document: Document<'_>, node: &Node) -> Result<u32> {
    let number: u32 = document.number(node)?;
    if number == 0 {
        return Err(document.error(node.position, "the number must be at least 1"));
    }
    Ok(number)
}
