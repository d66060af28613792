//! Which tags are on a page, and in which order.

use std::sync::Arc;

use futures_util::TryStreamExt as _;
use tokio::time::{Instant, timeout_at};
use tranship::{ListOptions, Repository, Tag, TagOrDigest};
use tranship_artifact::tags::{TagFilter, TagVersion};

use crate::context::Context;
use crate::details::{self, Details, NoDetails};

/// How many tags are on a page.
pub(super) const PAGE: usize = 25;

/// How many tags are sorted by version. Those of a repository with more are listed by name.
const MAX_SORTED: usize = 10_000;

/// How many tags are sorted by time, for which each image is read.
const MAX_SORTED_BY_TIME: usize = 500;

/// The order of tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// The highest version first.
    Version,
    /// The newest image first.
    Created,
    /// ASCII order.
    Name,
}

impl Order {
    pub(super) const ALL: [Self; 3] = [Self::Version, Self::Created, Self::Name];

    pub(super) fn parse(text: &str) -> Self {
        let found = Self::ALL.into_iter().find(|order| order.as_str() == text);
        found.unwrap_or(Self::Version)
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Created => "created",
            Self::Name => "name",
        }
    }

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Version => "Version",
            Self::Created => "Time",
            Self::Name => "Name",
        }
    }
}

/// What a page of tags is asked for.
pub(super) struct Wanted {
    pub(super) order: Order,
    /// The text that names must contain, in lower case.
    pub(super) query: String,
    /// How many pages to skip.
    pub(super) page: usize,
    /// Whether tags such as `sha256-….sig` are listed, which attach something to a digest.
    pub(super) digest_tags: bool,
}

/// A page of tags.
pub(super) struct TagPage {
    pub(super) rows: Vec<TagRow>,
    pub(super) order: Order,
    /// How many tags there are in all, on all pages.
    pub(super) total: usize,
    /// Whether there are more tags than were read.
    pub(super) cut: bool,
    /// How many tags are left out because they attach something to a digest.
    pub(super) hidden: usize,
}

pub(super) struct TagRow {
    pub(super) tag: Tag,
    pub(super) details: Result<Arc<Details>, NoDetails>,
}

/// Reads a page of the tags of `repository`.
pub(super) async fn read(
    context: &Context<'_>,
    repository: &dyn Repository,
    wanted: &Wanted,
) -> tranship::Result<TagPage> {
    let deadline = details::deadline(context);
    let Names {
        mut tags,
        cut,
        hidden,
    } = names(repository, wanted, deadline).await?;
    let total = tags.len();
    let order = match wanted.order {
        _ if cut => Order::Name,
        Order::Created if total > MAX_SORTED_BY_TIME => Order::Version,
        order => order,
    };
    let skipped = wanted.page.saturating_mul(PAGE);
    let rows = match order {
        Order::Created => {
            let mut rows = describe(context, repository, tags, deadline).await;
            // Unknown times are last, and equal ones are in the order of versions.
            rows.sort_by(|one, other| {
                let by_time = created(other).cmp(&created(one));
                by_time.then_with(|| TagVersion::compare(&other.tag, &one.tag))
            });
            rows.into_iter().skip(skipped).take(PAGE).collect()
        }
        Order::Version | Order::Name => {
            if order == Order::Version {
                tags.sort_by(|one, other| TagVersion::compare(other, one));
            }
            let tags = tags.into_iter().skip(skipped).take(PAGE).collect();
            describe(context, repository, tags, deadline).await
        }
    };
    Ok(TagPage {
        rows,
        order,
        total,
        cut,
        hidden,
    })
}

/// The names of tags that a page may list.
struct Names {
    tags: Vec<Tag>,
    cut: bool,
    hidden: usize,
}

/// Reads the names of the tags that are wanted.
async fn names(
    repository: &dyn Repository,
    wanted: &Wanted,
    deadline: Instant,
) -> tranship::Result<Names> {
    let mut names = Names {
        tags: Vec::new(),
        cut: false,
        hidden: 0,
    };
    let filter = TagFilter::default().without_digest_tags();
    let mut listing = repository.tags(ListOptions::default());
    while let Ok(tag) = timeout_at(deadline, listing.try_next()).await {
        let Some(tag) = tag? else { return Ok(names) };
        if !wanted.digest_tags && !filter.matches(&tag) {
            names.hidden += 1;
            continue;
        }
        if !tag.as_str().to_ascii_lowercase().contains(&wanted.query) {
            continue;
        }
        if names.tags.len() == MAX_SORTED {
            break;
        }
        names.tags.push(tag);
    }
    names.cut = true;
    Ok(names)
}

async fn describe(
    context: &Context<'_>,
    repository: &dyn Repository,
    tags: Vec<Tag>,
    deadline: Instant,
) -> Vec<TagRow> {
    let references: Vec<_> = tags.iter().cloned().map(TagOrDigest::Tag).collect();
    let details = details::describe_all(context, repository, &references, deadline).await;
    let rows = tags.into_iter().zip(details);
    rows.map(|(tag, details)| TagRow { tag, details }).collect()
}

fn created(row: &TagRow) -> Option<chrono::DateTime<chrono::FixedOffset>> {
    let details = row.details.as_ref().ok()?;
    chrono::DateTime::parse_from_rfc3339(details.created.as_deref()?).ok()
}
