//! What a tag or digest names: an image, an index or an artifact.

use http::{Response, StatusCode};
use maud::{Markup, html};
use tranship::{
    Annotations, Digest, ErrorKind, Repository, ResolveOptions, TagOrDigest, fetch_bytes,
};
use tranship_artifact::image::{InspectOptions, Inspection, Kind, ReferrerSummary, inspect};
use tranship_server::Permission;

use super::{artifact, image};
use crate::body::PageBody;
use crate::context::Context;
use crate::details::kind_of;
use crate::documents::{self, Excerpt};
use crate::failure::Failure;
use crate::html::commands;
use crate::html::frame::{Crumb, frame};
use crate::html::parts;
use crate::html::text::{Block, Text, linked};
use crate::html::time;
use crate::links;
use crate::response;

/// How many annotations or labels are shown.
const MAX_ANNOTATIONS: usize = 500;

pub(super) async fn show(
    context: &Context<'_>,
    repository: &dyn Repository,
    reference: &TagOrDigest,
) -> Result<Response<PageBody>, Failure> {
    let options = ResolveOptions::default();
    let (descriptor, raw) = fetch_bytes(repository, reference, &options).await?;
    let raw = documents::excerpt(&raw);
    // The tag may move in between.
    let by_digest = TagOrDigest::Digest(*descriptor.digest());
    let inspection = match inspect(repository, &by_digest, &InspectOptions::default()).await {
        Ok(inspection) => inspection,
        Err(error) if error.kind() == ErrorKind::InvalidManifest => {
            let page = broken(context, repository, reference, &error, raw.as_ref());
            return Ok(response::html(StatusCode::UNPROCESSABLE_ENTITY, page));
        }
        Err(error) => return Err(error.into()),
    };
    let content = match (inspection.kind, &inspection.manifests[..]) {
        (Kind::Index, manifests) => image::index(repository, descriptor.digest(), manifests),
        (Kind::Image, [only]) => image::image(repository, only).await,
        (_, [only]) => artifact::content(context, repository, only).await?,
        _ => html! {},
    };
    let page = page(
        context,
        repository,
        reference,
        &inspection,
        content,
        raw.as_ref(),
    );
    Ok(response::html(StatusCode::OK, page))
}

fn page(
    context: &Context<'_>,
    repository: &dyn Repository,
    reference: &TagOrDigest,
    inspection: &Inspection,
    content: Markup,
    raw: Option<&Excerpt>,
) -> Markup {
    let digest = inspection.descriptor.digest();
    let title = title(reference);
    let pulled = format!(
        "{}/{}",
        context.host(),
        reference_text(repository, reference)
    );
    let commands = match inspection.kind {
        Kind::Image | Kind::Index => commands::for_image(&pulled),
        _ => commands::for_artifact(&pulled),
    };
    let content = html! {
        div.head {
            h1 { (title) " " span.kind { (Text(&kind_of(inspection))) } }
            (actions(context, repository, reference, digest))
        }
        (summary(repository, inspection))
        section aria-labelledby="pull" {
            h2 #pull { "Pull" }
            (commands::list(&commands))
        }
        (content)
        @if let Some(referrers) = &inspection.referrers {
            (referrers_section(repository, digest, referrers))
        }
        (annotations("Annotations", &inspection.annotations))
        (raw_section(repository, digest, raw))
    };
    frame(context, &title, &crumbs(repository), content)
}

/// Returns the links to the pages above a manifest.
pub(super) fn crumbs(repository: &dyn Repository) -> [Crumb; 2] {
    let name = repository.name();
    [
        Crumb::new("Repositories", links::ROOT),
        Crumb::new(name.as_str(), links::repository(name)),
    ]
}

/// Returns the tag, or the start of the digest.
pub(super) fn title(reference: &TagOrDigest) -> String {
    match reference {
        TagOrDigest::Tag(tag) => tag.to_string(),
        TagOrDigest::Digest(digest) => {
            let hex: String = digest.hex().chars().take(12).collect();
            format!("{}:{hex}", digest.algorithm())
        }
    }
}

/// Returns `name:tag` or `name@digest`.
pub(super) fn reference_text(repository: &dyn Repository, reference: &TagOrDigest) -> String {
    let name = repository.name();
    match reference {
        TagOrDigest::Tag(tag) => format!("{name}:{tag}"),
        TagOrDigest::Digest(digest) => format!("{name}@{digest}"),
    }
}

/// Shows what the viewer may do with the manifest.
fn actions(
    context: &Context<'_>,
    repository: &dyn Repository,
    reference: &TagOrDigest,
    digest: &Digest,
) -> Markup {
    let name = repository.name();
    let can = repository.capabilities();
    let may_write = context.viewer.may(name, Permission::Write);
    let immutable = match reference {
        TagOrDigest::Tag(tag) => repository.is_immutable(tag),
        TagOrDigest::Digest(_) => false,
    };
    html! {
        @if may_write && !immutable {
            div.actions {
                @if let TagOrDigest::Tag(tag) = reference && can.untag.is_possible() {
                    a.button href=(links::untag(name, tag)) { "Remove tag" }
                }
                @if can.delete_manifests.is_possible() {
                    a.button href=(links::below_manifest(name, digest, "delete")) { "Delete" }
                }
            }
        }
    }
}

fn summary(repository: &dyn Repository, inspection: &Inspection) -> Markup {
    let name = repository.name();
    let digest = inspection.descriptor.digest();
    let mut rows = vec![
        (
            "Digest",
            html! { a href=(links::manifest(name, digest)) { code.whole { (digest) } } },
        ),
        (
            "Type",
            html! { (Text(inspection.descriptor.media_type().as_str())) },
        ),
    ];
    if let [only] = &inspection.manifests[..]
        && inspection.kind != Kind::Index
        && let Some(platform) = &only.platform
    {
        rows.push((
            "Platform",
            html! { span.label { (Text(&platform.to_string())) } },
        ));
    }
    rows.push(("Created", time::age(inspection.created.as_deref())));
    rows.push((
        "Size",
        html! {
            (parts::size(inspection.total_size))
            @if inspection.shared_size > 0 {
                span.quiet { ", of which platforms share " (parts::size(inspection.shared_size)) }
            }
        },
    ));
    if let Some(subject) = &inspection.subject {
        let address = links::manifest(name, subject.digest());
        rows.push(("Refers to", parts::digest_link(subject.digest(), &address)));
    }
    parts::properties("Summary", rows.into_iter())
}

fn referrers_section(
    repository: &dyn Repository,
    digest: &Digest,
    referrers: &ReferrerSummary,
) -> Markup {
    let count = referrers.count + referrers.digest_tags.len();
    html! {
        section aria-labelledby="referrers" {
            h2 #referrers { "Referrers" }
            @if count == 0 {
                p.quiet { "Nothing is attached: no signature, SBOM or attestation refers to it." }
            } @else {
                ul.plain {
                    @for one in &referrers.types {
                        li {
                            span.number { (one.count) } " × "
                            @match &one.artifact_type {
                                Some(kind) => (Text(kind.as_str())),
                                None => "of no type",
                            }
                        }
                    }
                    @for tag in &referrers.digest_tags { li { "tag " (Text(tag)) } }
                }
                p { a href=(links::below_manifest(repository.name(), digest, "referrers")) { "Show all referrers" } }
            }
        }
    }
}

/// Shows annotations or labels, with links where they have addresses.
pub(super) fn annotations(title: &str, annotations: &Annotations) -> Markup {
    let shown = annotations.iter().take(MAX_ANNOTATIONS);
    let rows = shown.map(|(key, value)| (key.as_str(), linked(value)));
    let id = title.to_ascii_lowercase();
    html! {
        @if !annotations.is_empty() {
            section aria-labelledby=(id) {
                h2 id=(id) { (title) }
                (parts::properties(title, rows))
                @if annotations.len() > MAX_ANNOTATIONS {
                    p.note { "The first " (MAX_ANNOTATIONS) " of " (annotations.len()) " are shown." }
                }
            }
        }
    }
}

fn raw_section(repository: &dyn Repository, digest: &Digest, raw: Option<&Excerpt>) -> Markup {
    html! {
        section aria-labelledby="manifest" {
            h2 #manifest { "Manifest" }
            details {
                summary { "Show the manifest" }
                @match raw {
                    Some(raw) => (excerpt(raw)),
                    None => p { "The manifest is not text." },
                }
            }
            p { a href=(links::below_manifest(repository.name(), digest, "raw")) download { "Download the manifest" } }
        }
    }
}

/// Shows the start of a text.
pub(super) fn excerpt(excerpt: &Excerpt) -> Markup {
    html! {
        // Scrolls, so that it can be focused with the keyboard.
        pre tabindex="0" { code { (Block(&excerpt.text)) } }
        @if excerpt.cut { p.note { "Only the start is shown. Download it to see all of it." } }
    }
}

/// The page of a manifest that cannot be decoded.
fn broken(
    context: &Context<'_>,
    repository: &dyn Repository,
    reference: &TagOrDigest,
    error: &tranship::Error,
    raw: Option<&Excerpt>,
) -> Markup {
    let title = title(reference);
    let content = html! {
        h1 { (title) }
        p.problem role="alert" { "The manifest cannot be read: " (Text(&error.to_string())) }
        @if let Some(raw) = raw { (excerpt(raw)) }
    };
    frame(context, &title, &crumbs(repository), content)
}
