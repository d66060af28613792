//! Makes descriptions of manifests and configs.

use chrono::{DateTime, FixedOffset};
use tranship::{Annotations, Descriptor, Digest, ManifestDocument, MediaType, Platform};

use super::model::{
    ConfigSummary, Inspection, Kind, LayerSummary, ManifestSummary, ReferrerSummary,
};
use super::sizes;
use crate::CREATED;
use crate::image::config::{ImageConfig, is_image_config};
use crate::image::select::{ATTESTED_DIGEST, is_attestation};

const TITLE: &str = "org.opencontainers.image.title";
const PREDICATE_TYPE: &str = "in-toto.io/predicate-type";

/// What the config of an image says.
#[derive(Default)]
pub(super) struct ImageFacts {
    created: Option<String>,
    platform: Option<Platform>,
    config: Option<ConfigSummary>,
    /// The command of each layer. Empty if the history does not have one entry for each layer.
    commands: Vec<Option<String>>,
}

impl ImageFacts {
    pub(super) fn of(config: ImageConfig, layers: usize) -> Self {
        let history = config.history.into_iter();
        let commands: Vec<_> = history
            .filter(|entry| !entry.empty_layer)
            .map(|entry| entry.created_by.filter(|command| !command.is_empty()))
            .collect();
        let mut platform = config.platform;
        platform.other.clear();
        let execution = config.config;
        let some = |text: Option<String>| text.filter(|text| !text.is_empty());
        Self {
            created: some(config.created),
            platform: (!platform.os.is_empty()).then_some(platform),
            config: Some(ConfigSummary {
                user: some(execution.user),
                env: execution.env,
                entrypoint: execution.entrypoint,
                cmd: execution.cmd,
                working_dir: some(execution.working_dir),
                exposed_ports: execution.exposed_ports.into_keys().collect(),
                volumes: execution.volumes.into_keys().collect(),
                labels: execution.labels,
                stop_signal: some(execution.stop_signal),
            }),
            commands: if commands.len() == layers {
                commands
            } else {
                Vec::new()
            },
        }
    }
}

/// Describes the manifest `entry`; `document` is `None` if it is missing.
pub(super) fn manifest(
    entry: &Descriptor,
    document: Option<&ManifestDocument>,
    facts: ImageFacts,
) -> ManifestSummary {
    let attestation = is_attestation(entry);
    let (config, layers): (Option<&Descriptor>, &[Descriptor]) = match document {
        Some(ManifestDocument::Manifest(manifest)) => (Some(&manifest.config), &manifest.layers),
        Some(ManifestDocument::Artifact(artifact)) => (None, &artifact.blobs),
        _ => (None, &[]),
    };
    let kind = if attestation {
        Kind::Attestation
    } else if entry.media_type().is_index() {
        Kind::Index
    } else if config.map_or(document.is_none(), |it| is_image_config(it.media_type())) {
        Kind::Image
    } else {
        Kind::Artifact
    };
    let annotations = document.map_or_else(Annotations::new, |it| it.annotations().clone());
    let described = || entry.annotation(ATTESTED_DIGEST)?.parse::<Digest>().ok();
    let mut commands = facts.commands.into_iter();
    let mut summary = ManifestSummary {
        descriptor: entry.clone(),
        kind,
        missing: document.is_none() && entry.media_type().is_manifest(),
        platform: entry.platform().cloned().or(facts.platform),
        describes: attestation.then(described).flatten(),
        artifact_type: match kind {
            Kind::Image | Kind::Attestation => document.and_then(own_type).cloned(),
            _ => document
                .and_then(ManifestDocument::artifact_type)
                .or(entry.artifact_type())
                .cloned(),
        },
        created: facts.created.or_else(|| annotations.get(CREATED).cloned()),
        annotations,
        config_descriptor: config.cloned(),
        config: facts.config.filter(|_| kind == Kind::Image),
        layers: layers
            .iter()
            .map(|layer| LayerSummary {
                descriptor: layer.clone(),
                title: layer.annotation(TITLE).map(str::to_owned),
                created_by: commands.next().flatten(),
                predicate_type: layer.annotation(PREDICATE_TYPE).map(str::to_owned),
            })
            .collect(),
        total_size: 0,
    };
    summary.total_size = sizes::sum(sizes::parts(&summary));
    summary
}

/// The artifact type that a manifest has itself.
fn own_type(document: &ManifestDocument) -> Option<&MediaType> {
    match document {
        ManifestDocument::Manifest(manifest) => manifest.artifact_type.as_ref(),
        other => other.artifact_type(),
    }
}

/// Describes what a reference names.
pub(super) fn inspection(
    root: &Descriptor,
    document: &ManifestDocument,
    manifests: Vec<ManifestSummary>,
    referrers: Option<ReferrerSummary>,
) -> Inspection {
    let is_index = matches!(document, ManifestDocument::Index(_));
    let (kind, artifact_type, created) = match manifests.first() {
        Some(only) if !is_index => (only.kind, only.artifact_type.clone(), only.created.clone()),
        _ => (
            Kind::Index,
            document.artifact_type().cloned(),
            latest(&manifests),
        ),
    };
    let parts = manifests.iter().flat_map(sizes::parts);
    Inspection {
        descriptor: root.plain(),
        kind,
        artifact_type,
        created: document.annotations().get(CREATED).cloned().or(created),
        annotations: document.annotations().clone(),
        subject: document.subject().cloned(),
        total_size: sizes::sum(is_index.then_some(root).into_iter().chain(parts)),
        shared_size: sizes::shared(&manifests),
        manifests,
        referrers,
    }
}

/// Returns the latest of the times at which images were created.
fn latest(manifests: &[ManifestSummary]) -> Option<String> {
    let times = manifests.iter().filter_map(|manifest| {
        let text = manifest.created.as_ref()?;
        let time: DateTime<FixedOffset> = DateTime::parse_from_rfc3339(text).ok()?;
        Some((time, text))
    });
    times.max().map(|(_, text)| text.clone())
}
