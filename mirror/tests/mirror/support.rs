//! Registries with images, and counts of what is called.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use tranship::layers::{Inject, InjectOptions, OperationName};
use tranship::{
    ContentKind, Descriptor, Error, Index, Manifest, MediaType, Registry, Repository, Result,
    TagOrDigest, encode_json, push_bytes,
};
use tranship_layout::LayoutRegistry;
use tranship_memory::MemoryRegistry;
use tranship_mirror::jobs::{JobOptions, Report};
use tranship_mirror::rules::{Destination, Rule, TagRule};
use tranship_mirror::select::{self, Choice, End, Opener, Selection};

/// How often each kind of call was made, to all repositories of a registry.
#[derive(Clone, Default)]
pub(crate) struct Calls(Arc<Mutex<Counts>>);

type Counts = HashMap<(OperationName, Option<ContentKind>), u64>;

impl Calls {
    pub(crate) fn count(&self, name: OperationName, kind: Option<ContentKind>) -> u64 {
        let counts = self.0.lock().expect("not poisoned");
        counts.get(&(name, kind)).copied().unwrap_or_default()
    }

    pub(crate) fn reset(&self) {
        self.0.lock().expect("not poisoned").clear();
    }
}

/// A registry that counts the calls made to it.
#[derive(Clone)]
pub(crate) struct Counted {
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) calls: Calls,
}

impl Counted {
    pub(crate) fn new() -> Self {
        Self::with(InjectOptions::default())
    }

    pub(crate) fn with(options: InjectOptions) -> Self {
        let calls = Calls::default();
        let counted = calls.clone();
        let options = options.with_errors(move |operation| {
            let key = (operation.name, operation.kind);
            *counted
                .0
                .lock()
                .expect("not poisoned")
                .entry(key)
                .or_default() += 1;
            None
        });
        Self {
            registry: Arc::new(Inject::new(MemoryRegistry::new(), options)),
            calls,
        }
    }

    pub(crate) async fn repository(&self, name: &str) -> Arc<dyn Repository> {
        let name = name.parse().expect("a name");
        self.registry.repository(&name).await.expect("a repository")
    }

    /// Pushes an image with these layers.
    pub(crate) async fn image(&self, name: &str, tag: &str, layers: &[&str]) -> Descriptor {
        let repository = self.repository(name).await;
        push_image(&*repository, tag, layers).await.expect("pushed")
    }

    pub(crate) async fn tags(&self, name: &str) -> Vec<String> {
        let tags = tranship::tags(&*self.repository(name).await).await;
        tags.expect("tags")
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    pub(crate) async fn resolve(&self, name: &str, reference: &str) -> Option<Descriptor> {
        let reference: TagOrDigest = reference.parse().expect("a reference");
        self.repository(name).await.resolve(&reference).await.ok()
    }
}

pub(crate) async fn push_image(
    repository: &dyn Repository,
    tag: &str,
    layers: &[&str],
) -> Result<Descriptor> {
    let config = push_bytes(
        repository,
        MediaType::IMAGE_CONFIG,
        format!("{{\"of\":\"{layers:?}\"}}"),
    )
    .await?;
    let mut pushed = Vec::new();
    for layer in layers {
        pushed.push(push_bytes(repository, MediaType::IMAGE_LAYER, (*layer).to_owned()).await?);
    }
    let manifest = encode_json(&Manifest::new(config, pushed))?;
    let tags = [tag.parse()?];
    tranship::tag_bytes(repository, MediaType::IMAGE_MANIFEST, manifest, &tags).await
}

/// Opens registries by the names that a test gives them.
#[derive(Default)]
pub(crate) struct Named(HashMap<String, Arc<dyn Registry>>);

impl Named {
    pub(crate) fn with(mut self, name: &str, registry: &Counted) -> Self {
        self.0
            .insert(name.to_owned(), Arc::clone(&registry.registry));
        self
    }

    pub(crate) fn with_layouts(mut self, name: &str, registry: LayoutRegistry) -> Self {
        self.0.insert(name.to_owned(), Arc::new(registry));
        self
    }
}

#[async_trait]
impl Opener for Named {
    async fn registry(&self, location: &str, _: End) -> Result<Arc<dyn Registry>> {
        let found = self.0.get(location).cloned();
        found.ok_or_else(|| Error::not_found(location))
    }

    async fn repository(&self, location: &str, _: End) -> Result<Arc<dyn Repository>> {
        Err(Error::not_found(location))
    }
}

/// The rule that copies `from`, such as `source/team/**`, to `to`, such as `mirror/{repository}`.
pub(crate) fn rule(from: &str, to: &str) -> Rule {
    let source = from.parse().expect("a source");
    let destination: Destination = to.parse().expect("a destination");
    Rule::new(source).with_destination(destination)
}

pub(crate) fn tagged(rule: Rule, tags: &[&str]) -> Rule {
    let names = tags.iter().map(|tag| tag.parse().expect("a tag")).collect();
    let mut chosen = TagRule::default();
    chosen.names = names;
    rule.with_tags(chosen)
}

/// What rules choose, and its destinations.
pub(crate) async fn selected(rules: &[Rule], opener: &Named) -> Result<(Choice, Selection)> {
    let choice = select::choose(rules, opener).await?;
    let selection = select::assign(rules, &choice, opener).await?;
    Ok((choice, selection))
}

/// Mirrors once.
pub(crate) async fn mirror(rules: &[Rule], opener: &Named, options: &JobOptions) -> Result<Report> {
    Ok(tranship_mirror::mirror(rules, opener, options)
        .await?
        .report)
}

/// Makes an index of images, and tags it.
pub(crate) async fn push_index(
    repository: &dyn Repository,
    tag: &str,
    manifests: Vec<Descriptor>,
) -> Result<Descriptor> {
    let index = encode_json(&Index::new(manifests))?;
    tranship::tag_bytes(repository, MediaType::IMAGE_INDEX, index, &[tag.parse()?]).await
}

pub(crate) async fn repositories(registry: &Counted) -> Vec<String> {
    let names = registry
        .registry
        .repositories(tranship::ListOptions::default());
    let names: Vec<_> = names.try_collect().await.expect("a catalog");
    names.iter().map(ToString::to_string).collect()
}

/// Returns two empty registries, and an opener that knows them as `source.io` and `mirror.io`.
pub(crate) fn source_and_mirror() -> (Counted, Counted, Named) {
    let (source, mirrored) = (Counted::new(), Counted::new());
    let opener = Named::default()
        .with("source.io", &source)
        .with("mirror.io", &mirrored);
    (source, mirrored, opener)
}
