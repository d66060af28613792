//! The images that rules choose.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tranship::{
    Error, ErrorKind, ListOptions, RepositoryName, Result, ResultExt as _, Tag, TagOrDigest,
};

use super::opener::{End, Opener};
use crate::jobs::Place;
use crate::rules::{ImageOptions, Rule};

/// So many lists of tags are read at the same time.
const CONCURRENCY: usize = 8;

/// So many images are chosen at most.
const MAX_IMAGES: usize = 1_000_000;

/// An image that a rule chooses.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct Chosen {
    /// The position of the rule.
    pub rule: usize,
    /// The repository.
    pub source: Place,
    /// The repository's name in its registry; `None` for a single repository.
    pub repository: Option<RepositoryName>,
    /// The tag or digest in the source.
    pub reference: TagOrDigest,
    /// The tag that it has in the source, and gets at the destination.
    pub tag: Option<Tag>,
    /// What is copied of it.
    pub options: Arc<ImageOptions>,
}

impl Chosen {
    /// Returns an image of a repository that no rule has chosen, without a tag.
    #[must_use]
    pub fn new(source: Place, reference: impl Into<TagOrDigest>) -> Self {
        Self {
            rule: 0,
            source,
            repository: None,
            reference: reference.into(),
            tag: None,
            options: Arc::default(),
        }
    }
}

/// What rules choose.
#[non_exhaustive]
#[derive(Debug, Default)]
pub struct Choice {
    /// The images, in the order of the rules, each once for each destination: the first rule that chooses an image decides
    /// about it.
    pub images: Vec<Chosen>,
    /// Repositories, and patterns of them, that could not be listed.
    pub failures: Vec<Failure>,
    /// Repositories, and patterns of them, in which nothing is chosen.
    pub empty: Vec<String>,
}

/// What could not be listed.
#[non_exhaustive]
#[derive(Debug)]
pub struct Failure {
    /// The position of the rule.
    pub rule: usize,
    /// The repository or the pattern, for people.
    pub name: String,
    /// The repository's name in its registry; `None` for a pattern or a single repository.
    pub repository: Option<RepositoryName>,
    /// Why.
    pub error: Error,
}

/// Lists what `rules` choose: the repositories of patterns, and the tags of repositories of which a rule does not name each
/// tag. What cannot be listed is one of the [failures](Choice::failures), and does not stop the rest.
///
/// Dropping the future has no effect.
///
/// # Errors
/// [`SizeExceedsLimit`](ErrorKind::SizeExceedsLimit) if more than a million images are chosen.
pub async fn choose(rules: &[Rule], opener: &dyn Opener) -> Result<Choice> {
    let mut choice = Choice::default();
    let mut seen: HashSet<(usize, String, TagOrDigest, Option<Tag>)> = HashSet::new();
    for (number, rule) in rules.iter().enumerate() {
        let has_its_destination = |other: &Rule| other.destination == rule.destination;
        let destination = rules.iter().position(has_its_destination).unwrap_or(number);
        let repositories = match repositories(rule, opener).await {
            Ok(repositories) => repositories,
            Err(error) => {
                choice.failures.push(Failure {
                    rule: number,
                    name: rule.source.to_string(),
                    repository: rule.source.literal(),
                    error,
                });
                continue;
            }
        };
        if repositories.is_empty() {
            choice.empty.push(rule.source.to_string());
        }
        let options = Arc::new(rule.images.clone());
        let mut listed = stream::iter(repositories)
            .map(|(name, place)| async move {
                let tags = tags(rule, &place).await;
                (name, place, tags)
            })
            .buffered(CONCURRENCY);
        while let Some((repository, source, tags)) = listed.next().await {
            let tags = match tags {
                Ok(tags) => tags,
                Err(error) => {
                    choice.failures.push(Failure {
                        rule: number,
                        name: source.name,
                        repository,
                        error,
                    });
                    continue;
                }
            };
            let pinned = rule.tags.pinned.iter();
            let pinned = pinned.map(|(tag, digest)| ((*digest).into(), Some(tag.clone())));
            let digests = rule.tags.digests.iter();
            let digests = digests.map(|digest| ((*digest).into(), None));
            let tags = tags
                .into_iter()
                .map(|tag| (TagOrDigest::Tag(tag.clone()), Some(tag)));
            let mut images = tags.chain(pinned).chain(digests).peekable();
            if images.peek().is_none() {
                choice.empty.push(source.name.clone());
            }
            for (reference, tag) in images {
                if !seen.insert((
                    destination,
                    source.name.clone(),
                    reference.clone(),
                    tag.clone(),
                )) {
                    continue;
                }
                if choice.images.len() >= MAX_IMAGES {
                    return Err(Error::new(
                        ErrorKind::SizeExceedsLimit,
                        "the rules choose more than a million images",
                    ));
                }
                choice.images.push(Chosen {
                    rule: number,
                    source: source.clone(),
                    repository: repository.clone(),
                    reference,
                    tag,
                    options: Arc::clone(&options),
                });
            }
        }
    }
    Ok(choice)
}

/// Returns the repositories of a rule, with their names in the registry.
async fn repositories(
    rule: &Rule,
    opener: &dyn Opener,
) -> Result<Vec<(Option<RepositoryName>, Place)>> {
    let source = &rule.source;
    let location = source.registry.as_str();
    if source.repositories.is_none() {
        let repository = opener.repository(location, End::Source).await?;
        return Ok(vec![(None, Place::new(location, repository))]);
    }
    let registry = opener.registry(location, End::Source).await?;
    let names = match source.literal() {
        Some(name) => vec![name],
        None => {
            let listed = registry.repositories(ListOptions::default());
            let chosen = listed.try_filter(|name| std::future::ready(source.matches(name)));
            let names: Result<Vec<_>> = chosen.try_collect().await;
            names.map_err(suggest_names).during("list", location)?
        }
    };
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        let repository = registry.repository(&name).await?;
        let place = Place::new(place_name(location, &name), repository);
        found.push((Some(name), place));
    }
    Ok(found)
}

fn suggest_names(error: Error) -> Error {
    if error.kind() == ErrorKind::Unsupported || error.is_not_found() {
        error.with_hint("name its repositories one by one, as not every registry lists them")
    } else {
        error
    }
}

async fn tags(rule: &Rule, place: &Place) -> Result<Vec<Tag>> {
    let listed = if rule.tags.needs_list() {
        let listed = tranship::tags(&*place.repository).await;
        listed.during("list tags of", &place.name)?
    } else {
        Vec::new()
    };
    Ok(rule.tags.choose(&listed))
}

/// Returns what users call the repository `name` of the registry at `location`.
pub(super) fn place_name(location: &str, name: &RepositoryName) -> String {
    let location = location.strip_prefix("docker://").unwrap_or(location);
    if location.starts_with("layouts:") {
        format!("{location}//{name}")
    } else {
        format!("{location}/{name}")
    }
}
