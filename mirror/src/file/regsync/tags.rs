//! `tags`, `tagSets` and `repos`: what is chosen by name.

use tranship::Result;
use tranship_artifact::tags::TagFilter;

use super::super::constraint;
use super::super::document::Document;
use super::super::regex::searched;
use super::super::yaml::{Node, Value};
use crate::rules::{NamePattern, TagRule, TagSet};

const TAGS: [&str; 3] = ["allow", "deny", "semverRange"];
const REPOSITORIES: [&str; 2] = ["allow", "deny"];

/// Reads `tagSets` and `tags`, whose choices are united.
pub(super) fn tag_rule(
    document: Document<'_>,
    sets: Option<&Node>,
    tags: Option<&Node>,
) -> Result<TagRule> {
    let mut rule = TagRule::default();
    if let Some(node) = sets {
        for node in document.list(node)? {
            rule.sets.push(tag_set(document, node)?);
        }
    }
    if let Some(node) = tags {
        let set = tag_set(document, node)?;
        // An empty set in `tags` counts as missing.
        if !set.filter.is_empty() {
            rule.sets.push(set);
        }
    }
    Ok(rule)
}

fn tag_set(document: Document<'_>, node: &Node) -> Result<TagSet> {
    // A misspelled filter would choose everything.
    let map = document.fields(node, &TAGS)?;
    let mut filter = TagFilter::default();
    for (key, is_denied) in [("allow", false), ("deny", true)] {
        for item in items(document, map.get(key))? {
            let pattern = concatenated(document, item)?;
            let pattern = searched(&pattern);
            let added = pattern.and_then(|pattern| match is_denied {
                true => filter.clone().with_excluded_regex(&pattern),
                false => filter.clone().with_regex(&pattern),
            });
            filter = added.map_err(|error| document.at(item.position, &error))?;
        }
    }
    let mut ranges = Vec::new();
    for item in items(document, map.get("semverRange"))? {
        let text = document.text(item)?;
        if !text.is_empty() {
            // Checked alone, so that an error is at its place.
            constraint::regsync(text).map_err(|error| document.at(item.position, &error))?;
            ranges.push(text);
        }
    }
    if !ranges.is_empty() {
        let range = constraint::regsync(&ranges.join(" || "));
        let range = range.map_err(|error| document.at(map.position, &error))?;
        filter = filter.with_versions(range);
    }
    Ok(TagSet::default().with_filter(filter))
}

/// Reads `repos`: the pattern of the repositories, and the patterns of those that are left out.
pub(super) fn repositories(
    document: Document<'_>,
    node: Option<&Node>,
) -> Result<(NamePattern, Vec<NamePattern>)> {
    let Some(node) = node else {
        return Ok((NamePattern::all(), Vec::new()));
    };
    let map = document.fields(node, &REPOSITORIES)?;
    let mut lists = [Vec::new(), Vec::new()];
    for (key, list) in REPOSITORIES.into_iter().zip(&mut lists) {
        for item in items(document, map.get(key))? {
            let pattern = concatenated(document, item)?;
            // Checked alone, so that an error is at its place.
            NamePattern::regex(&pattern).map_err(|error| document.at(item.position, &error))?;
            list.push(format!("(?:{pattern})"));
        }
    }
    let [allowed, denied] = lists;
    let any_of = |list: &[String]| {
        NamePattern::regex(&list.join("|")).map_err(|error| document.at(node.position, &error))
    };
    let allowed = match allowed.as_slice() {
        [] => NamePattern::all(),
        list => any_of(list)?,
    };
    let denied = match denied.as_slice() {
        [] => Vec::new(),
        list => vec![any_of(list)?],
    };
    Ok((allowed, denied))
}

fn items<'n>(document: Document<'_>, node: Option<&'n Node>) -> Result<&'n [Node]> {
    match node {
        Some(Node {
            value: Value::List(items),
            ..
        }) => Ok(items),
        Some(node) => Err(document.error(node.position, "expected a list")),
        None => Ok(&[]),
    }
}

/// regsync puts `^` in front and `$` after the text, so that `a|b` is `^a` or `b$`.
fn concatenated(document: Document<'_>, node: &Node) -> Result<String> {
    let text = document.text(node)?;
    Ok(format!("^{text}$"))
}
