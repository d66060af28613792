//! Artifacts and attestations: their files, and the documents among them.

use maud::{Markup, html};
use tranship::{Descriptor, Repository};
use tranship_artifact::image::{LayerSummary, ManifestSummary};

use super::view;
use crate::context::Context;
use crate::documents::Document;
use crate::failure::Failure;
use crate::html::parts;
use crate::html::text::Text;
use crate::links;

/// How many files are listed.
const MAX_FILES: usize = 500;

/// How many documents are shown in place. Others are links.
const MAX_SHOWN: usize = 3;

/// The largest document that is shown in place beside others, in bytes.
const MAX_SHOWN_SIZE: u64 = 2 * 1024 * 1024;

/// Shows the files of an artifact.
pub(super) async fn content(
    context: &Context<'_>,
    repository: &dyn Repository,
    artifact: &ManifestSummary,
) -> Result<Markup, Failure> {
    let mut shown: Vec<(&LayerSummary, Document)> = Vec::new();
    let documents = artifact.layers.iter().filter(|layer| is_document(layer));
    let documents: Vec<&LayerSummary> = documents.take(MAX_SHOWN).collect();
    for layer in documents {
        // A damaged or missing file does not hide the others.
        let Ok(document) = view::read(context, repository, &layer.descriptor).await else {
            continue;
        };
        // A page has one list of packages, and with it one search.
        if !document.has_packages() || !shown.iter().any(|(_, other)| other.has_packages()) {
            shown.push((layer, document));
        }
    }
    Ok(html! {
        section aria-labelledby="files" {
            h2 #files { "Files" }
            @if artifact.layers.is_empty() {
                p.quiet { "The artifact does not have files." }
            } @else {
                (table(repository, artifact))
            }
        }
        @for (layer, document) in &shown {
            section {
                h2 { (Text(&name(layer))) }
                (view::document(context, document))
            }
        }
    })
}

/// Returns whether a file is probably a document that is worth reading here.
fn is_document(layer: &LayerSummary) -> bool {
    let descriptor = &layer.descriptor;
    let media_type = descriptor.media_type().as_str();
    let titled = layer.title.as_deref().unwrap_or_default();
    let is_json = media_type.ends_with("json") || titled.ends_with(".json");
    descriptor.size() <= MAX_SHOWN_SIZE
        && (is_json
            || ["spdx", "cyclonedx", "in-toto", "dsse", "simplesigning"]
                .iter()
                .any(|part| media_type.contains(part)))
}

/// Returns the name of a file, its predicate type or its media type.
pub(super) fn name(layer: &LayerSummary) -> String {
    let name = layer.title.as_ref().or(layer.predicate_type.as_ref());
    match name {
        Some(name) => name.clone(),
        None => layer.descriptor.media_type().to_string(),
    }
}

fn table(repository: &dyn Repository, artifact: &ManifestSummary) -> Markup {
    let manifest = artifact.descriptor.digest();
    let rows = artifact.layers.iter().take(MAX_FILES);
    html! {
        div.scroll tabindex="0" role="region" aria-label="Files" { table {
            caption.hidden { "Files" }
            thead { tr {
                th scope="col" { "Name" }
                th scope="col" { "Type" }
                th.number scope="col" { "Size" }
                th scope="col" { "Digest" }
                th scope="col" { span.hidden { "More" } }
            } }
            tbody {
                @for layer in rows { (row(repository, manifest, &name(layer), &layer.descriptor)) }
                @if let Some(config) = &artifact.config_descriptor && config.size() > 2 {
                    (row(repository, manifest, "config", config))
                }
            }
        } }
        @if artifact.layers.len() > MAX_FILES {
            p.note { "The first " (MAX_FILES) " of " (artifact.layers.len()) " files are shown." }
        }
    }
}

fn row(
    repository: &dyn Repository,
    manifest: &tranship::Digest,
    name: &str,
    file: &Descriptor,
) -> Markup {
    let digest = file.digest();
    html! {
        tr {
            th scope="row" { a href=(links::blob(repository.name(), manifest, digest)) { (Text(name)) } }
            td { (Text(file.media_type().as_str())) }
            td.number { (parts::size(file.size())) }
            td { (parts::short_digest(digest)) }
            td { a href=(links::blob_content(repository.name(), manifest, digest)) download {
                "Download" span.hidden { " " (Text(name)) }
            } }
        }
    }
}
