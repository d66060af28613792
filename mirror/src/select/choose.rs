//! The images that rules choose.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tranship::{
    Error, ErrorKind, ListOptions, RepositoryName, Result, ResultExt as _, Tag, TagOrDigest,
    without_user_information,
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
    pub empty: Vec<Unmatched>,
}

/// A repository or a pattern in which nothing is chosen.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmatched {
    /// The position of the rule.
    pub rule: usize,
    /// The repository or the pattern, for people.
    pub name: String,
    /// The repository's name in its registry; `None` for a pattern or a single repository.
    pub repository: Option<RepositoryName>,
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
    let listed = stream::iter(rules.iter().enumerate())
        .map(|(number, rule)| async move { (number, rule, repositories(rule, opener).await) })
        .buffered(CONCURRENCY);
    let listed = listed.flat_map(|(number, rule, repositories)| {
        let sources: Vec<Result<Source, Failure>> = match repositories {
            Ok(found) if found.is_empty() => vec![Ok(Source::none(number))],
            Ok(found) => found
                .into_iter()
                .map(|source| Ok(source.of(number)))
                .collect(),
            Err(error) => vec![Err(Failure {
                rule: number,
                name: without_user_information(&rule.source.to_string()).into_owned(),
                repository: rule.source.literal(),
                error,
            })],
        };
        stream::iter(sources)
    });
    let mut listed = listed
        .map(|source| list_tags(rules, source))
        .buffered(CONCURRENCY);
    let options: Vec<Arc<ImageOptions>> = rules
        .iter()
        .map(|rule| Arc::new(rule.images.clone()))
        .collect();
    let mut listed = std::pin::pin!(listed.by_ref());
    while let Some(listed) = listed.next().await {
        let (source, tags) = match listed {
            Ok(listed) => listed,
            Err(failure) => {
                choice.failures.push(failure);
                continue;
            }
        };
        let number = source.rule;
        let rule = &rules[number];
        let Some(place) = source.place else {
            choice.empty.push(Unmatched {
                rule: number,
                name: without_user_information(&rule.source.to_string()).into_owned(),
                repository: rule.source.literal(),
            });
            continue;
        };
        let images = images(rule, tags);
        if images.is_empty() {
            choice.empty.push(Unmatched {
                rule: number,
                name: place.name.clone(),
                repository: source.repository.clone(),
            });
        }
        let has_its_destination = |other: &Rule| other.destination == rule.destination;
        let destination = rules.iter().position(has_its_destination).unwrap_or(number);
        for (reference, tag) in images {
            let key = (
                destination,
                place.name.clone(),
                reference.clone(),
                tag.clone(),
            );
            if !seen.insert(key) {
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
                source: place.clone(),
                repository: source.repository.clone(),
                reference,
                tag,
                options: Arc::clone(&options[number]),
            });
        }
    }
    Ok(choice)
}

/// A repository that a rule chooses from.
struct Source {
    rule: usize,
    repository: Option<RepositoryName>,
    /// `None` if the pattern of the rule matches no repository.
    place: Option<Place>,
}

impl Source {
    fn none(rule: usize) -> Self {
        Self {
            rule,
            repository: None,
            place: None,
        }
    }

    fn of(mut self, rule: usize) -> Self {
        self.rule = rule;
        self
    }
}

/// Lists the tags that a rule chooses in one repository.
async fn list_tags(
    rules: &[Rule],
    source: Result<Source, Failure>,
) -> Result<(Source, Vec<Tag>), Failure> {
    let source = source?;
    let Some(place) = &source.place else {
        return Ok((source, Vec::new()));
    };
    match tags(&rules[source.rule], place).await {
        Ok(tags) => Ok((source, tags)),
        Err(error) => Err(Failure {
            rule: source.rule,
            name: place.name.clone(),
            repository: source.repository,
            error,
        }),
    }
}

/// Returns the references of a rule, with the tags that they get at the destination.
fn images(rule: &Rule, tags: Vec<Tag>) -> Vec<(TagOrDigest, Option<Tag>)> {
    let pinned = rule.tags.pinned.iter();
    let pinned = pinned.map(|(tag, digest)| ((*digest).into(), Some(tag.clone())));
    let digests = rule.tags.digests.iter();
    let digests = digests.map(|digest| ((*digest).into(), None));
    let tags = tags
        .into_iter()
        .map(|tag| (TagOrDigest::Tag(tag.clone()), Some(tag)));
    tags.chain(pinned).chain(digests).collect()
}

/// Returns the repositories of a rule, with their names in the registry.
async fn repositories(rule: &Rule, opener: &dyn Opener) -> Result<Vec<Source>> {
    let source = &rule.source;
    let location = source.registry.as_str();
    if source.repositories.is_none() {
        let repository = opener.repository(location, End::Source).await?;
        let place = Place::new(location, repository);
        return Ok(vec![Source {
            place: Some(place),
            ..Source::none(0)
        }]);
    }
    let registry = opener.registry(location, End::Source).await?;
    let names = match source.literal() {
        Some(name) => vec![name],
        None => {
            let listed = registry.repositories(ListOptions::default());
            let chosen = listed.try_filter(|name| std::future::ready(source.matches(name)));
            let names: Result<Vec<_>> = chosen.try_collect().await;
            names
                .map_err(suggest_names)
                .during("list", without_user_information(location))?
        }
    };
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        let repository = registry.repository(&name).await?;
        let place = Place::new(place_name(location, &name), repository);
        found.push(Source {
            rule: 0,
            repository: Some(name),
            place: Some(place),
        });
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
    if !rule.tags.needs_list() {
        return Ok(rule.tags.choose(&[]));
    }
    let listed = tranship::tags(&*place.repository).await;
    let listed = listed.during("list tags of", &place.name)?;
    if listed.is_empty() && rule.source.is_single() {
        // Registries need not tell the two apart.
        return Err(
            Error::new(ErrorKind::NotFound, "does not exist, or has no tags")
                .with_subject(&place.name)
                .with_hint("look at the spelling of its name"),
        );
    }
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
