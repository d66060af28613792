//! Images and indexes.

use maud::{Markup, html};
use serde::Deserialize;
use tranship::{Digest, Repository};
use tranship_artifact::image::{
    ConfigSummary, InspectOptions, Kind, LayerSummary, ManifestSummary, fetch_config,
};

use super::manifest::annotations;
use crate::html::parts;
use crate::html::text::{Text, shortened};
use crate::html::time;
use crate::links;

/// How many manifests of an index are listed.
const MAX_MANIFESTS: usize = 500;

/// How many steps of a history, and how many layers, are shown.
const MAX_STEPS: usize = 500;

/// The longest command that is shown, in characters.
const MAX_COMMAND: usize = 2_000;

/// Shows what an index lists.
pub(super) fn index(
    repository: &dyn Repository,
    index: &Digest,
    manifests: &[ManifestSummary],
) -> Markup {
    html! {
        section aria-labelledby="platforms" {
            h2 #platforms { "Platforms" }
            @if manifests.is_empty() {
                p.quiet { "The index does not list any manifests." }
            } @else {
                (listed(repository, index, manifests))
            }
        }
    }
}

fn listed(repository: &dyn Repository, index: &Digest, manifests: &[ManifestSummary]) -> Markup {
    let name = repository.name();
    html! {
        div.scroll tabindex="0" role="region" aria-label="Manifests that the index lists" { table {
            caption.hidden { "Manifests that the index lists" }
            thead { tr {
                th scope="col" { "Platform" }
                th.number scope="col" { "Layers" }
                th.number scope="col" { "Size" }
                th scope="col" { "Digest" }
                th scope="col" { span.hidden { "More" } }
            } }
            tbody {
                @for manifest in manifests.iter().take(MAX_MANIFESTS) {
                    @let digest = manifest.descriptor.digest();
                    tr {
                        th scope="row" { (what(manifest)) }
                        @if manifest.missing {
                            td colspan="2" { span.quiet { "not stored here" } }
                            td { (parts::short_digest(digest)) }
                            td {}
                        } @else {
                            td.number { (manifest.layers.len()) }
                            td.number { (parts::size(manifest.total_size)) }
                            td { (parts::digest_link(digest, &links::manifest(name, digest))) }
                            td {
                                @if manifest.kind == Kind::Image {
                                    a href=(links::files(name, digest, "/")) {
                                        "Files" span.hidden { " of " (what(manifest)) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        } }
        @if manifests.len() > MAX_MANIFESTS {
            p.note {
                "The first " (MAX_MANIFESTS) " of " (manifests.len()) " are shown; "
                a href=(links::below_manifest(name, index, "raw")) download { "the manifest" } " has all."
            }
        }
    }
}

/// Shows what a manifest of an index is.
fn what(manifest: &ManifestSummary) -> Markup {
    let predicates = manifest.layers.iter();
    let mut predicates = predicates.filter_map(|layer| layer.predicate_type.as_deref());
    html! {
        @match (manifest.kind, &manifest.platform) {
            (Kind::Attestation, _) => {
                "attestation"
                @if let Some(first) = predicates.next() { " " span.quiet { (Text(first)) } }
                @if let Some(described) = &manifest.describes {
                    " " span.quiet { "of " (parts::short_digest(described)) }
                }
            }
            (_, Some(platform)) => span.label { (Text(&platform.to_string())) },
            (_, None) => @match &manifest.artifact_type {
                Some(kind) => (Text(kind.as_str())),
                None => "no platform",
            },
        }
    }
}

/// Shows the history and the configuration of an image.
pub(super) async fn image(repository: &dyn Repository, image: &ManifestSummary) -> Markup {
    let digest = image.descriptor.digest();
    let history = history(repository, digest).await;
    let steps = steps(&history, &image.layers);
    let largest = image.layers.iter().map(|layer| layer.descriptor.size());
    let largest = largest.max().unwrap_or_default();
    let name = repository.name();
    html! {
        section aria-labelledby="layers" {
            div.head {
                h2 #layers { "Layers" }
                a.button href=(links::files(name, digest, "/")) { "Browse files" }
            }
            @if steps.is_empty() {
                p.quiet { "The image does not have layers." }
            } @else {
                div.scroll tabindex="0" role="region" aria-label="History and layers, the base first" { table.layers {
                    caption.hidden { "History and layers, the base first" }
                    thead { tr {
                        th.number scope="col" { "Layer" }
                        th scope="col" { "Command" }
                        th scope="col" { "Created" }
                        th.number scope="col" { "Size" }
                        th scope="col" { span.hidden { "Share" } }
                    } }
                    tbody {
                        @for step in steps.iter().take(MAX_STEPS) {
                            (step_row(repository, digest, step, largest))
                        }
                    }
                } }
                @if steps.len() > MAX_STEPS {
                    p.note { "The first " (MAX_STEPS) " of " (steps.len()) " steps are shown." }
                }
            }
        }
        @if let Some(config) = &image.config { (configuration(config)) }
    }
}

fn step_row(repository: &dyn Repository, image: &Digest, step: &Step<'_>, largest: u64) -> Markup {
    html! {
        tr {
            td.number { @if let Some((number, _)) = step.layer { (number + 1) } }
            td.command { code { (Text(&shortened(step.command.trim(), MAX_COMMAND))) } }
            td { @if let Some(created) = step.created { (time::age(Some(created))) } }
            @match step.layer {
                Some((_, layer)) => {
                    td.number {
                        a href=(links::layer(repository.name(), image, layer.digest())) title="Files of the layer" {
                            (parts::size(layer.size()))
                        }
                    }
                    td.share { (parts::bar(layer.size(), largest)) }
                }
                None => { td.number { span.quiet { "–" } } td {} }
            }
        }
    }
}

/// A step of the history of an image.
struct Step<'a> {
    command: &'a str,
    created: Option<&'a str>,
    /// The layer that the step has added, and its number from the base.
    layer: Option<(usize, &'a tranship::Descriptor)>,
}

/// A step as the configuration has it (image-spec, "Image Configuration").
#[derive(Debug, Default, Deserialize)]
struct HistoryEntry {
    #[serde(default)]
    created: Option<String>,
    #[serde(default)]
    created_by: Option<String>,
    #[serde(default)]
    empty_layer: bool,
}

/// Reads the history of an image; empty if it does not have one that can be read.
async fn history(repository: &dyn Repository, image: &Digest) -> Vec<HistoryEntry> {
    #[derive(Deserialize)]
    struct Config {
        #[serde(default)]
        history: Vec<HistoryEntry>,
    }
    let options = InspectOptions::default();
    let Ok((_, config)) = fetch_config(repository, &(*image).into(), &options).await else {
        return Vec::new();
    };
    let config = serde_json::from_slice::<Config>(&config);
    config.map_or_else(|_| Vec::new(), |config| config.history)
}

/// Joins the history with the layers; if they contradict each other, only the layers count.
fn steps<'a>(history: &'a [HistoryEntry], layers: &'a [LayerSummary]) -> Vec<Step<'a>> {
    let mut numbered = layers.iter().map(|layer| &layer.descriptor).enumerate();
    let added = history.iter().filter(|entry| !entry.empty_layer).count();
    if added != layers.len() {
        let steps = numbered.map(|layer| Step {
            command: "",
            created: None,
            layer: Some(layer),
        });
        return steps.collect();
    }
    let steps = history.iter().map(|entry| Step {
        command: entry.created_by.as_deref().unwrap_or_default(),
        created: entry.created.as_deref(),
        layer: if entry.empty_layer {
            None
        } else {
            numbered.next()
        },
    });
    steps.collect()
}

/// Returns the fields of a configuration with a value, each as text.
pub(super) fn fields(config: &ConfigSummary) -> Vec<(&'static str, String)> {
    let words = |words: &[String]| match words {
        [] => String::new(),
        words => serde_json::to_string(words).unwrap_or_default(),
    };
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let all = [
        ("Entry point", words(&config.entrypoint)),
        ("Command", words(&config.cmd)),
        ("User", text(&config.user)),
        ("Working directory", text(&config.working_dir)),
        ("Ports", config.exposed_ports.join(", ")),
        ("Volumes", config.volumes.join(", ")),
        ("Stop signal", text(&config.stop_signal)),
    ];
    all.into_iter()
        .filter(|(_, value)| !value.is_empty())
        .collect()
}

fn configuration(config: &ConfigSummary) -> Markup {
    let fields = fields(config);
    let rows = fields
        .iter()
        .map(|(name, value)| (*name, html! { code { (Text(value)) } }));
    let environment = config.env.iter().take(MAX_STEPS).map(|variable| {
        let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
        (name, html! { code { (Text(value)) } })
    });
    html! {
        @if !fields.is_empty() {
            section aria-labelledby="config" {
                h2 #config { "Configuration" }
                (parts::properties("Configuration", rows))
            }
        }
        @if !config.env.is_empty() {
            section aria-labelledby="environment" {
                h2 #environment { "Environment" }
                (parts::properties("Environment", environment))
            }
        }
        (annotations("Labels", &config.labels))
    }
}
