//! One step of `sync`.

use tranship::{Error, Printable, RegistryName, Result, Tag};

use super::super::document::{Document, Map};
use super::super::notes::Notes;
use super::super::yaml::{Node, Value};
use super::{Registries, SCHEDULED, WITHOUT_EFFECT, tags};
use crate::rules::{Destination, ImageName, NameTemplate, Rule, SourcePattern, TagRule};

/// What a step and `defaults` can both set.
pub(super) const SHARED: [&str; 15] = [
    "backup",
    "interval",
    "schedule",
    "ratelimit",
    "digestTags",
    "referrers",
    "referrerFilters",
    "referrerSource",
    "referrerTarget",
    "referrerSlow",
    "fastCheck",
    "forceRecursive",
    "includeExternal",
    "mediaTypes",
    "hooks",
];

/// What only a step can set.
const ONLY_STEP: [&str; 8] = [
    "source",
    "target",
    "type",
    "tags",
    "tagSets",
    "repos",
    "platform",
    "platforms",
];

/// A step, and where its missing settings come from.
pub(super) struct Step<'a, 'n> {
    pub(super) document: Document<'a>,
    pub(super) map: Map<'n>,
    pub(super) defaults: Map<'n>,
}

impl<'n> Step<'_, 'n> {
    /// Returns a setting of the step, or else that of `defaults`.
    pub(super) fn setting(&self, key: &str) -> Option<&'n Node> {
        self.map.get(key).or_else(|| self.defaults.get(key))
    }

    pub(super) fn flag(&self, key: &str) -> Result<bool> {
        let node = self.setting(key);
        Ok(node
            .map(|node| self.document.boolean(node))
            .transpose()?
            .unwrap_or(false))
    }

    pub(super) fn read(&self, registries: &mut Registries, notes: &mut Notes<'_>) -> Result<Rule> {
        self.refuse()?;
        self.add_notes(notes);
        let kind = self.required("type")?;
        let mut rule = match self.document.text(kind)? {
            "image" => self.image()?,
            "repository" => self.repository()?,
            "registry" => self.registry()?,
            _ => {
                let why = "expected \"registry\", \"repository\" or \"image\"";
                return Err(self.document.error(kind.position, why));
            }
        };
        rule.images = self.image_options(notes)?;
        rule.check_destination()
            .map_err(|error| self.document.at(self.map.position, &error))?;
        self.reserve(&rule, registries, notes)?;
        Ok(rule)
    }

    /// Settings without which the result would not be what the file promises.
    fn refuse(&self) -> Result<()> {
        for (key, why, hint) in [
            (
                "backup",
                "images that are replaced cannot be backed up",
                "remove \"backup\", and use a target that keeps old images, or tags that do not move",
            ),
            (
                "hooks",
                "hooks are not run",
                "remove \"hooks\", and run the commands before or after this one",
            ),
            (
                "referrerSource",
                "referrers of another repository cannot be copied",
                "remove \"referrerSource\", and add a step that copies the repository",
            ),
            (
                "referrerTarget",
                "referrers cannot be copied to another repository",
                "remove \"referrerTarget\"",
            ),
        ] {
            if let Some(node) = self.setting(key).filter(|node| is_set(node)) {
                return Err(self.document.error(node.position, why).with_hint(hint));
            }
        }
        Ok(())
    }

    fn add_notes(&self, notes: &mut Notes<'_>) {
        let known: Vec<&str> = SHARED.into_iter().chain(ONLY_STEP).collect();
        notes.add_unknown(self.map, &known);
        for map in [self.map, self.defaults] {
            notes.add_ignored(map, &["interval", "schedule"], SCHEDULED);
            let types = "has no effect: images of all media types are copied";
            notes.add_ignored(map, &["mediaTypes"], types);
            notes.add_ignored(map, &["forceRecursive", "referrerSlow"], WITHOUT_EFFECT);
        }
    }

    fn required(&self, key: &str) -> Result<&'n Node> {
        self.map.get(key).ok_or_else(|| {
            let why = format!("the field {} is missing", Printable(key));
            self.document.error(self.map.position, why)
        })
    }

    /// Text that is not a Go template.
    fn plain(&self, key: &str) -> Result<(&'n Node, &'n str)> {
        let node = self.required(key)?;
        let text = text_of(self.document, node)?;
        if text.contains("{{") {
            return Err(template(self.document, node));
        }
        Ok((node, text))
    }

    /// The name of an image, as regclient reads it.
    fn name(&self, key: &str) -> Result<(&'n Node, ImageName)> {
        let (node, text) = self.plain(key)?;
        let layout = text.strip_prefix("ocidir://");
        let layout = layout.map(|path| format!("oci:{path}"));
        let name: Result<ImageName> = layout.as_deref().unwrap_or(text).parse();
        let name = name.map_err(|error| self.document.at(node.position, &error))?;
        if !name.source.is_single() {
            let why = "a name with wildcards is not an image";
            return Err(self.document.error(node.position, why));
        }
        Ok((node, name))
    }

    fn image(&self) -> Result<Rule> {
        let (_, source) = self.name("source")?;
        let (node, target) = self.name("target")?;
        if target.digest.is_some() {
            let why = "a target cannot have a digest";
            return Err(self.document.error(node.position, why));
        }
        let target_tag = target.tag.clone().unwrap_or_else(Tag::latest);
        let mut destination = destination(&target.source);
        let mut tags = TagRule::default();
        match source.digest {
            Some(digest) => tags.pinned.push((target_tag, digest)),
            None => {
                let tag = source.tag.unwrap_or_else(Tag::latest);
                if tag != target_tag {
                    destination = destination.with_tag(target_tag);
                }
                tags.names.push(tag);
            }
        }
        let rule = Rule::new(source.source).with_tags(tags);
        Ok(rule.with_destination(destination))
    }

    fn repository(&self) -> Result<Rule> {
        let mut names = Vec::with_capacity(2);
        for key in ["source", "target"] {
            let (node, name) = self.name(key)?;
            if name.tag.is_some() || name.digest.is_some() {
                let why = "a repository has a name without a tag or digest";
                let error = self.document.error(node.position, why);
                return Err(error.with_hint("write \"type: image\" for one image"));
            }
            names.push(name.source);
        }
        let target = names.pop().map(|target| destination(&target));
        let tags = tags::tag_rule(self.document, self.map.get("tagSets"), self.map.get("tags"))?;
        let source = names.pop().unwrap_or_else(|| SourcePattern::single(""));
        let mut rule = Rule::new(source).with_tags(tags);
        rule.destination = target;
        Ok(rule)
    }

    fn registry(&self) -> Result<Rule> {
        let document = self.document;
        let (node, host) = self.plain("source")?;
        let host: Result<RegistryName> = host.parse();
        let host = host.map_err(|error| {
            let error = error.with_hint("a source of \"type: registry\" is a host");
            document.at(node.position, &error)
        })?;
        let (allowed, denied) = tags::repositories(document, self.map.get("repos"))?;
        let mut source = SourcePattern::new(host.to_string(), allowed);
        source.excluded = denied;
        let (node, target) = self.plain("target")?;
        let target: Result<Destination> = target.trim_end_matches('/').parse();
        let target = target.map_err(|error| document.at(node.position, &error))?;
        let is_prefix = target.tag.is_none() && target.repository.is_some();
        if !is_prefix {
            let why = "a target of \"type: registry\" is a host, or a host and a prefix";
            return Err(document.error(node.position, why));
        }
        let sets = self.map.get("tagSets");
        let tags = tags::tag_rule(document, sets, self.map.get("tags"))?;
        Ok(Rule::new(source).with_tags(tags).with_destination(target))
    }

    /// `ratelimit` is about the registry of the source.
    fn reserve(
        &self,
        rule: &Rule,
        registries: &mut Registries,
        notes: &mut Notes<'_>,
    ) -> Result<()> {
        let document = self.document;
        let mut minimum = 0;
        // The step comes last, and prevails.
        for limit in [self.defaults.get("ratelimit"), self.map.get("ratelimit")] {
            let Some(node) = limit else {
                continue;
            };
            let map = document.map(node)?;
            notes.add_unknown(map, &["min", "retry"]);
            notes.add_ignored(map, &["retry"], WITHOUT_EFFECT);
            if let Some(node) = map.get("min") {
                let number: u64 = document.number(node)?;
                minimum = if number > 0 { number } else { minimum };
            }
        }
        if minimum > 0
            && let Ok(registry) = rule.source.registry.parse::<RegistryName>()
        {
            let settings = registries.entry(registry).or_default();
            settings.rate_limit_reserve = settings.rate_limit_reserve.max(Some(minimum));
        }
        Ok(())
    }
}

/// The repository that a name names, as a destination.
fn destination(target: &SourcePattern) -> Destination {
    match target.literal() {
        Some(name) => Destination::new(target.registry.clone(), NameTemplate::of_name(&name)),
        None => Destination::single(target.registry.clone()),
    }
}

/// Whether something other than an empty value is written, also inside a mapping.
fn is_set(node: &Node) -> bool {
    match &node.value {
        Value::Scalar { text, .. } => !node.is_null() && !text.is_empty(),
        Value::List(items) => !items.is_empty(),
        Value::Map(entries) => entries.iter().any(|(_, node)| !node.is_null()),
    }
}

fn text_of<'n>(document: Document<'_>, node: &'n Node) -> Result<&'n str> {
    match &node.value {
        Value::Scalar { text, .. } if !node.is_null() => Ok(text),
        _ => Err(document.error(node.position, "expected text")),
    }
}

pub(super) fn template(document: Document<'_>, node: &Node) -> Error {
    let error = document.error(node.position, "templates of Go are not run");
    error.with_hint("write the text that the template would make")
}
