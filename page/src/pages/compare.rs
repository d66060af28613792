//! What differs between two images of a repository.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use futures_util::future::try_join;
use http::{Response, StatusCode};
use maud::{Markup, html};
use tranship::{Platform, Repository, TagOrDigest};
use tranship_artifact::image::{InspectOptions, Inspection, Kind, ManifestSummary, inspect};

use super::image::fields;
use super::manifest::{crumbs, title};
use super::sbom;
use crate::body::PageBody;
use crate::context::Context;
use crate::documents::PackageList;
use crate::failure::Failure;
use crate::html::frame::frame;
use crate::html::parts;
use crate::html::text::{Text, shortened};
use crate::links;
use crate::response;

/// How many lines of each comparison are shown.
const MAX_LINES: usize = 1_000;

/// The longest value that is shown, in characters.
const MAX_VALUE: usize = 500;

/// One of the two images.
struct Side {
    reference: TagOrDigest,
    inspection: Inspection,
}

impl Side {
    async fn read(repository: &dyn Repository, text: &str) -> Result<Self, Failure> {
        let reference: TagOrDigest = text.trim().parse()?;
        let options = InspectOptions::default().with_referrers(false);
        let inspection = inspect(repository, &reference, &options).await?;
        Ok(Self {
            reference,
            inspection,
        })
    }

    fn platforms(&self) -> impl Iterator<Item = &Platform> {
        let manifests = self.inspection.manifests.iter();
        manifests
            .filter(|manifest| manifest.kind == Kind::Image)
            .filter_map(|manifest| manifest.platform.as_ref())
    }

    /// Returns the image for `platform`, or the first manifest.
    fn image(&self, platform: Option<&Platform>) -> Option<&ManifestSummary> {
        let manifests = &self.inspection.manifests;
        match platform {
            Some(platform) => manifests
                .iter()
                .find(|manifest| manifest.platform.as_ref() == Some(platform)),
            None => manifests.first(),
        }
    }
}

/// A line of a comparison.
struct Line {
    change: Change,
    name: String,
    before: String,
    after: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Added,
    Removed,
    Changed,
}

impl Change {
    fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
        }
    }
}

pub(super) async fn show(
    context: &Context<'_>,
    repository: &dyn Repository,
) -> Result<Response<PageBody>, Failure> {
    let (from, to) = (context.parameter("from"), context.parameter("to"));
    let (before, after) =
        try_join(Side::read(repository, &from), Side::read(repository, &to)).await?;
    let others: Vec<&Platform> = after.platforms().collect();
    let shared = before.platforms().filter(|it| others.contains(it));
    let shared: Vec<&Platform> = shared.collect();
    let wanted = context.parameter("platform");
    let platform = shared.iter().find(|it| it.to_string() == wanted);
    let platform = platform.or(shared.first()).copied();
    let (Some(old), Some(new)) = (before.image(platform), after.image(platform)) else {
        return Err(Failure::not_possible(
            "One of the two does not have anything to compare.",
        ));
    };
    let packages = try_join(
        sbom::find(context, repository, &before.inspection, old),
        sbom::find(context, repository, &after.inspection, new),
    )
    .await?;
    let content = html! {
        h1 { "Compare " (title(&before.reference)) " with " (title(&after.reference)) }
        @if shared.len() > 1 { (platform_form(repository, &from, &to, &shared, platform)) }
        (summary(repository, &before, &after, old, new))
        (layers(old, new))
        (lines("Configuration", &configuration(old, new)))
        @match packages {
            (Some(old), Some(new)) => (lines("Packages", &compare_packages(&old, &new))),
            _ => section aria-labelledby="packages" {
                h2 #packages { "Packages" }
                p.quiet { "Packages are compared if both images have an SBOM attached." }
            }
        }
    };
    let page = frame(context, "Compare", &crumbs(repository), content);
    Ok(response::html(StatusCode::OK, page))
}

fn platform_form(
    repository: &dyn Repository,
    from: &str,
    to: &str,
    platforms: &[&Platform],
    chosen: Option<&Platform>,
) -> Markup {
    html! {
        form.row method="get" action=(links::compare(repository.name())) data-auto {
            input type="hidden" name="from" value=(Text(from));
            input type="hidden" name="to" value=(Text(to));
            label for="platform" { "Platform" }
            select #platform name="platform" {
                @for platform in platforms {
                    option value=(Text(&platform.to_string())) selected[Some(*platform) == chosen] {
                        (Text(&platform.to_string()))
                    }
                }
            }
            button type="submit" { "Show" }
        }
    }
}

fn summary(
    repository: &dyn Repository,
    before: &Side,
    after: &Side,
    old: &ManifestSummary,
    new: &ManifestSummary,
) -> Markup {
    let side = |side: &Side, manifest: &ManifestSummary| {
        let address = links::manifest(repository.name(), &side.reference);
        let digest = manifest.descriptor.digest();
        html! {
            td { a href=(address) { (title(&side.reference)) } }
            td { (parts::digest_link(digest, &links::manifest(repository.name(), digest))) }
            td.number { (parts::size(manifest.total_size)) }
        }
    };
    html! {
        div.scroll tabindex="0" role="region" aria-label="The two images" { table {
            caption.hidden { "The two images" }
            thead { tr {
                th scope="col" { span.hidden { "Side" } }
                th scope="col" { "Reference" }
                th scope="col" { "Digest" }
                th.number scope="col" { "Size" }
            } }
            tbody {
                tr { th scope="row" { "From" } (side(before, old)) }
                tr { th scope="row" { "To" } (side(after, new)) }
            }
        } }
        @if old.descriptor.digest() == new.descriptor.digest() { p.note { "The two are the same image." } }
    }
}

fn layers(old: &ManifestSummary, new: &ManifestSummary) -> Markup {
    let digests = |manifest: &ManifestSummary| -> HashSet<tranship::Digest> {
        let layers = manifest.layers.iter();
        layers.map(|layer| *layer.descriptor.digest()).collect()
    };
    let (in_old, in_new) = (digests(old), digests(new));
    let removed = old.layers.iter();
    let removed = removed.filter(|layer| !in_new.contains(layer.descriptor.digest()));
    let removed = removed.map(|layer| (Change::Removed.as_str(), layer));
    let others = new.layers.iter().map(|layer| {
        let is_shared = in_old.contains(layer.descriptor.digest());
        let what = if is_shared {
            "shared"
        } else {
            Change::Added.as_str()
        };
        (what, layer)
    });
    let rows: Vec<_> = others.chain(removed).collect();
    let total = |what: &str| {
        let layers = rows.iter().filter(|(it, _)| *it == what);
        layers.fold(0, |sum: u64, (_, layer)| {
            sum.saturating_add(layer.descriptor.size())
        })
    };
    let largest = rows.iter().map(|(_, layer)| layer.descriptor.size()).max();
    html! {
        section aria-labelledby="layers" {
            h2 #layers { "Layers" }
            p.lead {
                (parts::size(total("shared"))) " shared, "
                (parts::size(total("added"))) " added, "
                (parts::size(total("removed"))) " removed"
            }
            div.scroll tabindex="0" role="region" aria-label="Layers of both images" { table.layers {
                caption.hidden { "Layers of both images" }
                thead { tr {
                    th scope="col" { "Change" }
                    th scope="col" { "Command" }
                    th scope="col" { "Digest" }
                    th.number scope="col" { "Size" }
                    th scope="col" { span.hidden { "Share" } }
                } }
                tbody {
                    @for (what, layer) in rows.iter().take(MAX_LINES) {
                        tr class=(what) {
                            th scope="row" { (what) }
                            td.command { code {
                                (Text(&shortened(layer.created_by.as_deref().unwrap_or_default(), MAX_VALUE)))
                            } }
                            td { (parts::short_digest(layer.descriptor.digest())) }
                            td.number { (parts::size(layer.descriptor.size())) }
                            td.share { (parts::bar(layer.descriptor.size(), largest.unwrap_or_default())) }
                        }
                    }
                }
            } }
        }
    }
}

/// Returns the lines in which two lists of names and values differ.
fn differences(old: BTreeMap<String, String>, mut new: BTreeMap<String, String>) -> Vec<Line> {
    let mut lines = Vec::new();
    for (name, before) in old {
        match new.remove(&name) {
            Some(after) if after == before => {}
            Some(after) => lines.push(Line {
                change: Change::Changed,
                name,
                before,
                after,
            }),
            None => lines.push(Line {
                change: Change::Removed,
                name,
                before,
                after: String::new(),
            }),
        }
    }
    lines.extend(new.into_iter().map(|(name, after)| Line {
        change: Change::Added,
        name,
        before: String::new(),
        after,
    }));
    lines.sort_by(|one, other| one.name.cmp(&other.name));
    lines
}

fn configuration(old: &ManifestSummary, new: &ManifestSummary) -> Vec<Line> {
    let all = |manifest: &ManifestSummary| -> BTreeMap<String, String> {
        let Some(config) = &manifest.config else {
            return BTreeMap::new();
        };
        let fields = fields(config).into_iter();
        let fields = fields.map(|(name, value)| (name.to_owned(), value));
        let environment = config.env.iter().map(|variable| {
            let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
            (format!("Environment {name}"), value.to_owned())
        });
        let labels = config.labels.iter();
        let labels = labels.map(|(name, value)| (format!("Label {name}"), value.clone()));
        fields.chain(environment).chain(labels).collect()
    };
    differences(all(old), all(new))
}

fn compare_packages(old: &PackageList, new: &PackageList) -> Vec<Line> {
    // A package may be there in several versions.
    let all = |list: &PackageList| -> BTreeMap<String, String> {
        let mut versions: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        for package in &list.packages {
            let name = match package.kind.as_str() {
                "" => package.name.clone(),
                kind => format!("{} ({kind})", package.name),
            };
            versions.entry(name).or_default().insert(&package.version);
        }
        let versions = versions.into_iter();
        versions
            .map(|(name, versions)| {
                let versions: Vec<&str> = versions.into_iter().collect();
                (name, versions.join(", "))
            })
            .collect()
    };
    differences(all(old), all(new))
}

fn lines(title: &str, lines: &[Line]) -> Markup {
    let id = title.to_ascii_lowercase();
    html! {
        section aria-labelledby=(id) {
            h2 id=(id) { (title) }
            @if lines.is_empty() {
                p.quiet { "There are no differences." }
            } @else {
                div.scroll tabindex="0" role="region" aria-label="Differences" { table {
                    caption.hidden { "Differences" }
                    thead { tr {
                        th scope="col" { "Change" }
                        th scope="col" { "Name" }
                        th scope="col" { "Before" }
                        th scope="col" { "After" }
                    } }
                    tbody { @for line in lines.iter().take(MAX_LINES) {
                        tr class=(line.change.as_str()) {
                            td { (line.change.as_str()) }
                            th scope="row" { (Text(&shortened(&line.name, MAX_VALUE))) }
                            td { (Text(&shortened(&line.before, MAX_VALUE))) }
                            td { (Text(&shortened(&line.after, MAX_VALUE))) }
                        }
                    } }
                } }
                @if lines.len() > MAX_LINES {
                    p.note { "The first " (MAX_LINES) " of " (lines.len()) " differences are shown." }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn values_are_added_removed_and_changed() {
        let old = map(&[("a", "1"), ("b", "1"), ("d", "1")]);
        let new = map(&[("a", "1"), ("b", "2"), ("c", "1")]);
        let lines = differences(old, new);
        let lines: Vec<_> = lines
            .iter()
            .map(|line| (line.change.as_str(), line.name.as_str()))
            .collect();
        assert_eq!(lines, [("changed", "b"), ("added", "c"), ("removed", "d")]);
    }
}
