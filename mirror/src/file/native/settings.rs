//! What both `defaults` and an entry of `images` can set.

use tranship::{Platform, PlatformSubset, Result, SubsetForm};

use super::super::document::{Document, Map};
use super::super::yaml::{Kind, Node, Value};
use crate::rules::{Destination, ImageOptions, Platforms, Referrers};

/// The keys of `defaults`.
pub(super) const KEYS: [&str; 7] = [
    "to",
    "platforms",
    "platform",
    "sparse",
    "allowMissingPlatforms",
    "referrers",
    "nonDistributable",
];

/// The keys of `referrers`.
pub(super) const REFERRERS: [&str; 5] = [
    "artifactTypes",
    "annotations",
    "depth",
    "digestTags",
    "onlyOfChanged",
];

#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    pub(super) to: Option<Destination>,
    platforms: Choice,
    sparse: bool,
    allow_missing: bool,
    referrers: Option<Referrers>,
    non_distributable: bool,
}

#[derive(Debug, Clone, Default)]
enum Choice {
    #[default]
    All,
    One(Platform),
    Some(Vec<Platform>),
}

impl Settings {
    /// Replaces what `map` sets.
    pub(super) fn read(&mut self, document: Document<'_>, map: Map<'_>) -> Result<()> {
        if let Some(node) = map.get("to") {
            self.to = Some(document.parsed(node)?);
        }
        if let Some(node) = map.get("platform") {
            if map.get("platforms").is_some() {
                let why = "\"platform\" and \"platforms\" exclude each other";
                let error = document.error(node.position, why);
                return Err(error.with_hint(
                    "\"platform\" keeps one manifest without its index, \"platforms\" keeps an index",
                ));
            }
            self.platforms = Choice::One(document.parsed(node)?);
        }
        if let Some(node) = map.get("platforms") {
            self.platforms = platforms(document, node)?;
        }
        for (key, value) in [
            ("sparse", &mut self.sparse),
            ("allowMissingPlatforms", &mut self.allow_missing),
            ("nonDistributable", &mut self.non_distributable),
        ] {
            if let Some(node) = map.get(key) {
                *value = document.boolean(node)?;
            }
        }
        if let Some(node) = map.get("referrers") {
            self.referrers = referrers(document, node)?;
        }
        Ok(())
    }

    /// Whether some platforms of an index are chosen, so that `sparse` and `allowMissingPlatforms` have a meaning.
    pub(super) fn has_subset(&self) -> bool {
        matches!(self.platforms, Choice::Some(_))
    }

    pub(super) fn image_options(&self) -> ImageOptions {
        let platforms = match &self.platforms {
            Choice::All => Platforms::All,
            Choice::One(platform) => Platforms::One(platform.clone()),
            Choice::Some(platforms) => {
                let mut subset = PlatformSubset::new(platforms.iter().cloned());
                subset.allow_missing = self.allow_missing;
                if self.sparse {
                    subset.form = SubsetForm::Sparse;
                }
                Platforms::Subset(subset)
            }
        };
        ImageOptions {
            platforms,
            referrers: self.referrers.clone(),
            include_non_distributable: self.non_distributable,
        }
    }
}

fn platforms(document: Document<'_>, node: &Node) -> Result<Choice> {
    if node.is_scalar() && document.text(node)? == "all" {
        return Ok(Choice::All);
    }
    let platforms = document.all_parsed(node)?;
    if platforms.is_empty() {
        return Err(document.error(node.position, "the list of platforms is empty"));
    }
    Ok(Choice::Some(platforms))
}

/// All that is attached, also by tags, as `tranship cp --recursive` copies it.
fn all_referrers() -> Referrers {
    Referrers {
        digest_tags: true,
        ..Referrers::default()
    }
}

fn referrers(document: Document<'_>, node: &Node) -> Result<Option<Referrers>> {
    match &node.value {
        Value::Map(_) => {}
        Value::Scalar { kind, .. } if *kind == Kind::Bool => {
            return Ok(document.boolean(node)?.then(all_referrers));
        }
        _ => {
            let why = "expected true, false or a mapping";
            return Err(document.error(node.position, why));
        }
    }
    let map = document.fields(node, &REFERRERS)?;
    let mut referrers = all_referrers();
    if let Some(node) = map.get("artifactTypes") {
        referrers.artifact_types = document.all_parsed(node)?;
    }
    if let Some(node) = map.get("annotations") {
        for (key, value) in document.map(node)?.entries {
            let value = match value.is_null() {
                true => None,
                false => Some(document.text(value)?.to_owned()),
            };
            referrers.annotations.push((key.text.clone(), value));
        }
    }
    if let Some(node) = map.get("depth") {
        referrers.depth = Some(document.count(node)?.get());
    }
    for (key, value) in [
        ("digestTags", &mut referrers.digest_tags),
        ("onlyOfChanged", &mut referrers.only_of_changed),
    ] {
        if let Some(node) = map.get(key) {
            *value = document.boolean(node)?;
        }
    }
    Ok(Some(referrers))
}
