//! Charts of Helm, whose layers do not have titles.

use serde::Deserialize;
use tranship::{Descriptor, Error, ErrorKind, Manifest, Repository, Result};

use super::title::TITLE;

/// The config of a chart: its `Chart.yaml` as JSON.
const CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";
const CHART: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
const PROVENANCE: &str = "application/vnd.cncf.helm.chart.provenance.v1.prov";
/// The largest config that is read, in bytes.
const MAX_CONFIG: u64 = 1024 * 1024;

#[derive(Deserialize)]
struct Metadata {
    name: String,
    version: String,
}

/// Returns whether the manifest is of a chart with a layer that does not have a title.
pub(super) fn is_chart(manifest: &Manifest) -> bool {
    manifest.config.media_type().as_str() == CONFIG
        && manifest
            .layers
            .iter()
            .any(|layer| layer.annotation(TITLE).is_none())
}

/// Gives the layers of a chart the names that `helm package` and `helm pull` use, such as `app-1.2.3.tgz`.
///
/// # Errors
/// `InvalidManifest` if the config does not have a name and a version, and those of the repository.
pub(super) async fn name_layers(
    repository: &dyn Repository,
    manifest: &mut Manifest,
) -> Result<()> {
    let config = repository
        .fetch(&manifest.config)
        .await?
        .bytes(MAX_CONFIG)
        .await?;
    let metadata: Metadata = serde_json::from_slice(&config).map_err(|error| {
        Error::new(
            ErrorKind::InvalidManifest,
            "the config of the Helm chart does not have a name and a version",
        )
        .with_subject(manifest.config.digest())
        .with_source(error)
    })?;
    let name = format!("{}-{}", metadata.name, metadata.version);
    let titled = |layer: &Descriptor| {
        let ending = match layer.media_type().as_str() {
            _ if layer.annotation(TITLE).is_some() => return layer.clone(),
            CHART => "tgz",
            PROVENANCE => "tgz.prov",
            _ => return layer.clone(),
        };
        layer
            .clone()
            .with_annotation(TITLE, format!("{name}.{ending}"))
    };
    manifest.layers = manifest.layers.iter().map(titled).collect();
    Ok(())
}
