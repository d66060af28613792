//! The YAML of `regsync`: <https://regclient.org/usage/regsync/>, and the structures in
//! <https://github.com/regclient/regclient/blob/main/cmd/regsync/config.go>.

mod creds;
mod images;
mod step;
mod tags;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use tranship::{RegistryName, Result};

use super::document::{Document, Map};
use super::notes::Notes;
use super::yaml::{Key, Node, Position};
use crate::rules::{RegistrySettings, Rules};

const FILE: [&str; 4] = ["version", "creds", "defaults", "sync"];

/// What `defaults` has besides what a step can set.
const ONLY_DEFAULTS: [&str; 6] = [
    "parallel",
    "blobLimit",
    "cacheCount",
    "cacheTime",
    "skipDockerConfig",
    "userAgent",
];

const WITHOUT_EFFECT: &str = "has no effect here";
const SCHEDULED: &str = "has no effect: use --watch, or run the command by a timer";

/// Settings of registries, by name.
type Registries = BTreeMap<RegistryName, RegistrySettings>;

/// Reads rules: one for each step.
pub(super) fn read(document: Document<'_>, content: &str) -> Result<Rules> {
    let root = Node::read(document.name, content, true)?;
    let file = document.map(&root)?;
    let mut notes = Notes::new(document);
    for key in file
        .unknown(&FILE)
        .filter(|key| !key.text.starts_with("x-"))
    {
        notes.add(
            key.position,
            format!("unknown field {:?} is ignored", short(key)),
        );
    }
    if let Some(version) = file.get("version")
        && document.number::<u64>(version)? > 1
    {
        let why = "only the versions 0 and 1 of the format of regsync are known";
        return Err(document.error(version.position, why));
    }
    let mut registries = Registries::new();
    if let Some(creds) = file.get("creds") {
        creds::read(document, creds, &mut registries, &mut notes)?;
    }
    let defaults = match file.get("defaults") {
        Some(node) => document.map(node)?,
        None => Map {
            position: Position { line: 1, column: 1 },
            entries: &[],
        },
    };
    let known: Vec<&str> = step::SHARED.into_iter().chain(ONLY_DEFAULTS).collect();
    notes.add_unknown(defaults, &known);
    notes.add_ignored(defaults, &ONLY_DEFAULTS[1..], WITHOUT_EFFECT);
    let concurrency = match defaults.get("parallel") {
        Some(node) => NonZeroUsize::new(document.number(node)?),
        None => None,
    };
    let mut rules = Rules {
        concurrency,
        ..Rules::default()
    };
    if let Some(sync) = file.get("sync") {
        for node in document.list(sync)? {
            let step = step::Step {
                document,
                map: document.map(node)?,
                defaults,
            };
            rules.rules.push(step.read(&mut registries, &mut notes)?);
        }
    } else {
        notes.add(file.position, "no images are listed under \"sync\"");
    }
    rules.registries = registries.into_iter().collect();
    rules.notes = notes.into_vec();
    Ok(rules)
}

fn short(key: &Key) -> String {
    key.text.chars().take(100).collect()
}
