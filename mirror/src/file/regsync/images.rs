//! What is copied of each image of a step.

use tranship::{Platform, PlatformSubset, Result, SubsetForm};

use super::super::document::Document;
use super::super::notes::Notes;
use super::super::yaml::Node;
use super::step::Step;
use crate::rules::{ImageOptions, Platforms, Referrers};

const FILTER: [&str; 2] = ["artifactType", "annotations"];

impl Step<'_, '_> {
    pub(super) fn image_options(&self, notes: &mut Notes<'_>) -> Result<ImageOptions> {
        Ok(ImageOptions {
            platforms: self.platforms()?,
            referrers: self.referrers(notes)?,
            include_non_distributable: self.flag("includeExternal")?,
        })
    }

    fn platforms(&self) -> Result<Platforms> {
        let document = self.document;
        if let Some(node) = self.map.get("platform")
            && !document.text(node)?.is_empty()
        {
            return Ok(Platforms::One(platform(document, node)?));
        }
        let Some(node) = self.map.get("platforms") else {
            return Ok(Platforms::All);
        };
        let mut platforms = Vec::new();
        for item in document.list(node)? {
            // Entries without a platform, which an empty text means, are always kept.
            if !document.text(item)?.is_empty() {
                platforms.push(platform(document, item)?);
            }
        }
        if platforms.is_empty() {
            return Ok(Platforms::All);
        }
        let mut subset = PlatformSubset::new(platforms);
        subset.allow_missing = true;
        subset.form = SubsetForm::Sparse;
        Ok(Platforms::Subset(subset))
    }

    fn referrers(&self, notes: &mut Notes<'_>) -> Result<Option<Referrers>> {
        let digest_tags = self.flag("digestTags")?;
        let referrers = self.flag("referrers")?;
        if !referrers && !digest_tags {
            return Ok(None);
        }
        let mut result = Referrers {
            digest_tags,
            only_of_changed: self.flag("fastCheck")?,
            ..Referrers::default()
        };
        if let Some(node) = self.setting("referrerFilters")
            && referrers
        {
            self.add_filters(node, &mut result, notes)?;
        }
        Ok(Some(result))
    }

    /// regsync copies what one of the filters matches; here the types are alternatives, and annotations are not.
    fn add_filters(
        &self,
        node: &Node,
        referrers: &mut Referrers,
        notes: &mut Notes<'_>,
    ) -> Result<()> {
        let document = self.document;
        let filters = document.list(node)?;
        let mut types = Vec::new();
        let mut matches_all = false;
        for filter in filters {
            let map = document.map(filter)?;
            notes.add_unknown(map, &FILTER);
            let kind = map.get("artifactType");
            let kind = match kind {
                Some(node) if !document.text(node)?.is_empty() => Some(document.parsed(node)?),
                _ => None,
            };
            let annotations = match map.get("annotations") {
                Some(node) => document.map(node)?.entries,
                None => &[],
            };
            if !annotations.is_empty() && filters.len() > 1 {
                let why = "several filters of referrers, of which one has annotations, cannot be followed";
                let error = document.error(filter.position, why);
                return Err(error.with_hint(
                    "keep one filter with annotations, or only filters with \"artifactType\"",
                ));
            }
            for (key, value) in annotations {
                // An empty value asks for the annotation alone.
                let value = match value.is_null() {
                    true => None,
                    false => Some(document.text(value)?.to_owned()),
                };
                let value = value.filter(|value| !value.is_empty());
                referrers.annotations.push((key.text.clone(), value));
            }
            matches_all |= kind.is_none() && annotations.is_empty();
            types.extend(kind);
        }
        if !matches_all {
            referrers.artifact_types = types;
        }
        Ok(())
    }
}

fn platform(document: Document<'_>, node: &Node) -> Result<Platform> {
    if document.text(node)? == "local" {
        return Ok(Platform::local());
    }
    document.parsed(node)
}
