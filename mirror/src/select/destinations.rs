//! The repositories that chosen images are copied to.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use tranship::{Digest, Error, ErrorKind, Registry, Result, ResultExt as _, Tag, TagOrDigest};

use super::choose::{Choice, Chosen, place_name};
use super::opener::{End, Opener};
use crate::jobs::{Image, Place};
use crate::rules::{Destination, Rule};

/// Images with their destinations.
#[non_exhaustive]
#[derive(Debug, Default)]
pub struct Selection {
    /// The images, in the order of the rules.
    pub images: Vec<Image>,
    /// The repositories that they are copied to, each once.
    pub targets: Vec<Target>,
}

/// A repository that images are copied to, and what rules choose for it.
#[non_exhaustive]
#[derive(Debug)]
pub struct Target {
    /// The repository.
    pub place: Place,
    /// The location of its registry, or its own if it does not belong to one.
    pub registry: String,
    /// The tags that the rules choose.
    pub tags: BTreeSet<Tag>,
    /// The manifests that the rules choose by digest.
    pub digests: Vec<Digest>,
    /// Whether this is all that the rules choose: nothing of what leads here could not be listed. Only then is it known
    /// what the rules do not choose.
    pub is_complete: bool,
}

impl Target {
    /// Returns the repository `place` of the registry at `registry`, for which nothing is chosen yet, and of which it is known
    /// what else is chosen.
    #[must_use]
    pub fn new(place: Place, registry: impl Into<String>) -> Self {
        Self {
            place,
            registry: registry.into(),
            tags: BTreeSet::new(),
            digests: Vec::new(),
            is_complete: true,
        }
    }
}

/// Finds the destination of each chosen image.
///
/// # Errors
/// - [`InvalidInput`](ErrorKind::InvalidInput) if a rule has no destination, if the name that its template makes is not the
///   name of a repository, or if a rule that sets a tag chooses several images.
/// - What opening a destination fails with.
pub async fn assign(rules: &[Rule], choice: &Choice, opener: &dyn Opener) -> Result<Selection> {
    let mut selection = Selection::default();
    let mut registries: HashMap<&str, Arc<dyn Registry>> = HashMap::new();
    let mut targets: HashMap<String, usize> = HashMap::new();
    let mut keys: HashMap<String, usize> = HashMap::new();
    let mut renamed: HashMap<usize, &Chosen> = HashMap::new();
    for chosen in &choice.images {
        let rule = &rules[chosen.rule];
        let destination = rule.destination.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, "the rule has no destination")
                .with_subject(&rule.source)
        })?;
        if destination.tag.is_some() {
            expect_single(&mut renamed, chosen)?;
        }
        let name = name_at(destination, rule, chosen)?;
        let at = match targets.get(&name) {
            Some(at) => *at,
            None => {
                let place = open(destination, &name, rule, chosen, opener, &mut registries).await?;
                // Another spelling of its location may have led to it before.
                let at = *keys.entry(place.key()).or_insert(selection.targets.len());
                if at == selection.targets.len() {
                    let target = Target::new(place, &destination.registry);
                    selection.targets.push(target);
                }
                targets.insert(name, at);
                at
            }
        };
        let target = &mut selection.targets[at];
        let tag = destination.tag.as_ref().or(chosen.tag.as_ref()).cloned();
        match (&tag, &chosen.reference) {
            (Some(tag), _) => {
                target.tags.insert(tag.clone());
            }
            (None, TagOrDigest::Digest(digest)) => target.digests.push(*digest),
            (None, TagOrDigest::Tag(_)) => {}
        }
        let place = target.place.clone();
        let image = Image::new(chosen.source.clone(), chosen.reference.clone(), place);
        let mut image = image.with_options(Arc::clone(&chosen.options));
        image.tag = tag;
        selection.images.push(image);
    }
    mark_incomplete(rules, choice, &mut selection);
    Ok(selection)
}

/// Marks the targets of which it is not known what else the rules would have chosen for them.
fn mark_incomplete(rules: &[Rule], choice: &Choice, selection: &mut Selection) {
    let failures = choice.failures.iter();
    let failures = failures.map(|failure| (failure.rule, failure.repository.as_ref()));
    let empty = choice.empty.iter();
    let empty = empty.map(|empty| (empty.rule, empty.repository.as_ref()));
    for (rule, repository) in failures.chain(empty) {
        let rule = &rules[rule];
        let Some(destination) = &rule.destination else {
            continue;
        };
        let names = destination.repository.as_ref().zip(repository);
        let name =
            names.and_then(|(template, name)| template.apply(&rule.source.registry, name).ok());
        for target in &mut selection.targets {
            let is_meant = match &name {
                // Whatever the registry, which can be spelled in several ways.
                Some(name) => target.place.repository.name() == name,
                // A repository of any name may have been missed.
                None => target.registry == destination.registry,
            };
            target.is_complete &= !is_meant;
        }
    }
}

/// A rule that names a tag for the destination can choose only one image.
fn expect_single<'c>(renamed: &mut HashMap<usize, &'c Chosen>, chosen: &'c Chosen) -> Result<()> {
    match renamed.insert(chosen.rule, chosen) {
        Some(first)
            if first.reference != chosen.reference || first.source.name != chosen.source.name =>
        {
            Err(Error::new(
                ErrorKind::InvalidInput,
                "a rule that names the tag at the destination chooses more than one image",
            )
            .with_subject(format!("{}:{}", chosen.source, chosen.reference)))
        }
        _ => Ok(()),
    }
}

/// Returns what users call the repository that `chosen` is copied to.
fn name_at(destination: &Destination, rule: &Rule, chosen: &Chosen) -> Result<String> {
    match repository_at(destination, rule, chosen)? {
        Some(name) => Ok(place_name(&destination.registry, &name)),
        None => Ok(destination.registry.clone()),
    }
}

fn repository_at(
    destination: &Destination,
    rule: &Rule,
    chosen: &Chosen,
) -> Result<Option<tranship::RepositoryName>> {
    let Some(template) = &destination.repository else {
        return Ok(None);
    };
    let name = match &chosen.repository {
        Some(name) => name,
        None => chosen.source.repository.name(),
    };
    let name = template.apply(&rule.source.registry, name);
    name.during("name the destination of", &chosen.source.name)
        .map(Some)
}

async fn open<'r>(
    destination: &'r Destination,
    name: &str,
    rule: &Rule,
    chosen: &Chosen,
    opener: &dyn Opener,
    registries: &mut HashMap<&'r str, Arc<dyn Registry>>,
) -> Result<Place> {
    let location = destination.registry.as_str();
    let Some(repository) = repository_at(destination, rule, chosen)? else {
        let repository = opener.repository(location, End::Destination).await?;
        return Ok(Place::new(name, repository));
    };
    let registry = match registries.get(location) {
        Some(registry) => Arc::clone(registry),
        None => {
            let registry = opener.registry(location, End::Destination).await?;
            registries.insert(location, Arc::clone(&registry));
            registry
        }
    };
    Ok(Place::new(name, registry.repository(&repository).await?))
}
