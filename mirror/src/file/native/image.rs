//! One entry of `images`.

use tranship::{Digest, Result, Tag};
use tranship_artifact::tags::{TagFilter, VersionRange};

use super::super::document::{Document, Map};
use super::super::yaml::Node;
use super::settings::Settings;
use crate::rules::{Rule, TagRule, TagSet};

/// The keys of an entry: those of its tags, and those of [`Settings`].
pub(super) const KEYS: [&str; 16] = [
    "from",
    "exclude",
    "tags",
    "digests",
    "match",
    "regex",
    "semver",
    "preReleases",
    "latest",
    "to",
    "platforms",
    "platform",
    "sparse",
    "allowMissingPlatforms",
    "referrers",
    "nonDistributable",
];

/// Reads an entry: the name of an image, or a mapping.
pub(super) fn read(document: Document<'_>, node: &Node, defaults: &Settings) -> Result<Rule> {
    if node.is_scalar() {
        let rule = document.parsed(node)?;
        return finished(document, node, rule, defaults);
    }
    let map = document.fields(node, &KEYS)?;
    let from = map
        .get("from")
        .ok_or_else(|| document.error(map.position, "the field \"from\" is missing"))?;
    let mut rule: Rule = document.parsed(from)?;
    if let Some(node) = map.get("exclude") {
        if rule.source.is_single() {
            let why = "\"exclude\" needs a pattern of several repositories in \"from\"";
            return Err(document.error(node.position, why));
        }
        rule.source.excluded = document.all_parsed(node)?;
    }
    add_tags(document, map, &mut rule.tags)?;
    let mut settings = defaults.clone();
    settings.read(document, map)?;
    for key in ["sparse", "allowMissingPlatforms"] {
        if let Some(node) = map.get(key)
            && !settings.has_subset()
        {
            let why = format!("\"{key}\" needs a list of \"platforms\"");
            return Err(document.error(node.position, why));
        }
    }
    if let Some(node) = map.get("digests")
        && !rule.source.is_single()
    {
        let why = "\"digests\" needs a single repository in \"from\"";
        return Err(document.error(node.position, why));
    }
    finished(document, map.get("to").unwrap_or(from), rule, &settings)
}

/// Adds what the settings say; `node` is where an error about the destination is.
fn finished(
    document: Document<'_>,
    node: &Node,
    mut rule: Rule,
    settings: &Settings,
) -> Result<Rule> {
    rule.images = settings.image_options();
    rule.destination.clone_from(&settings.to);
    rule.check_destination()
        .map_err(|error| document.at(node.position, &error))?;
    Ok(rule)
}

fn add_tags(document: Document<'_>, map: Map<'_>, tags: &mut TagRule) -> Result<()> {
    for key in ["tags", "digests"] {
        // Without this, a list that a program left empty would choose every tag.
        if let Some(node) = map.get(key)
            && document.one_or_more(node)?.is_empty()
        {
            let why = format!("the list \"{key}\" is empty; leave it out to choose every tag");
            return Err(document.error(node.position, why));
        }
    }
    if let Some(node) = map.get("tags") {
        tags.names.extend(document.all_parsed::<Tag>(node)?);
    }
    if let Some(node) = map.get("digests") {
        tags.digests.extend(document.all_parsed::<Digest>(node)?);
    }
    let mut filter = TagFilter::default();
    if let Some(node) = map.get("match") {
        for item in document.one_or_more(node)? {
            let glob = document.text(item)?;
            if glob.trim_start_matches('!').is_empty() {
                return Err(document.error(item.position, "the pattern is empty"));
            }
            filter = filter.with_glob(glob);
        }
    }
    if let Some(node) = map.get("regex") {
        for item in document.one_or_more(node)? {
            let pattern = document.text(item)?;
            filter = filter
                .with_regex(pattern)
                .map_err(|error| document.at(item.position, &error))?;
        }
    }
    let range = map.get("semver");
    let range = range.map(|node| document.parsed::<VersionRange>(node));
    let range = range.transpose()?;
    let pre_releases = map.get("preReleases");
    match (range, pre_releases) {
        (Some(range), pre_releases) => {
            let pre_releases = pre_releases
                .map(|node| document.boolean(node))
                .transpose()?;
            let range = range.with_pre_releases(pre_releases.unwrap_or(false));
            filter = filter.with_versions(range);
        }
        (None, Some(node)) => {
            return Err(document.error(node.position, "\"preReleases\" needs \"semver\""));
        }
        (None, None) => {}
    }
    let latest = map.get("latest").map(|node| document.count(node));
    let latest = latest.transpose()?.map(Into::into);
    if latest.is_some() || !filter.is_empty() {
        let mut set = TagSet::default().with_filter(filter);
        set.latest = latest;
        tags.sets.push(set);
    }
    Ok(())
}
