//! The page that people read.

use std::fmt::Write as _;

use tranship::{Annotations, Digest, HumanSize, MediaType, escape_controls as plain};
use tranship_artifact::image::{
    ConfigSummary, Inspection, Kind, LayerSummary, ManifestSummary, ReferrerSummary,
};

use crate::table::Table;

/// The longest command of a layer that is shown whole, in characters.
const LONGEST_COMMAND: usize = 100;

pub(super) fn page(reference: &str, inspection: &Inspection) -> String {
    let mut page = Page::default();
    page.head(reference, inspection);
    page.map("Annotations", inspection.annotations.iter());
    match (inspection.kind, &inspection.manifests[..]) {
        (Kind::Index, manifests) => page.manifests(manifests),
        (Kind::Image, [image]) => {
            page.layers(&image.layers);
            if let Some(config) = &image.config {
                page.config(config);
            }
        }
        (_, [artifact]) => page.files(&artifact.layers),
        _ => {}
    }
    if let Some(referrers) = &inspection.referrers {
        page.referrers(referrers);
    }
    page.0
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn line(&mut self, name: &str, value: &str) {
        let name = format!("{name}:");
        // Writing to text does not fail.
        let _ = writeln!(self.0, "{name:<13}{}", plain(value));
    }

    fn title(&mut self, title: &str) {
        let _ = writeln!(self.0, "\n{title}:");
    }

    fn head(&mut self, reference: &str, inspection: &Inspection) {
        self.line("Name", reference);
        let media_type = inspection.descriptor.media_type();
        let count = |kind| {
            let manifests = inspection.manifests.iter();
            manifests.filter(|manifest| manifest.kind == kind).count()
        };
        let kind = match inspection.kind {
            Kind::Image => "image".to_owned(),
            Kind::Attestation => "attestation".to_owned(),
            Kind::Index => match (count(Kind::Image), inspection.manifests.len()) {
                (0, 1) => "index of 1 manifest".to_owned(),
                (0, all) => format!("index of {all} manifests"),
                (1, _) => "index of 1 image".to_owned(),
                (images, _) => format!("index of {images} images"),
            },
            _ => "artifact".to_owned(),
        };
        self.line("Type", &format!("{kind}, {media_type}"));
        if let Some(artifact_type) = &inspection.artifact_type {
            self.line("Artifact", artifact_type.as_str());
        }
        if let [only] = &inspection.manifests[..]
            && inspection.kind != Kind::Index
            && let Some(platform) = &only.platform
        {
            self.line("Platform", &platform.to_string());
        }
        if let Some(created) = &inspection.created {
            let note = if created.starts_with("1970-01-01") || created.starts_with("0001-01-01") {
                " (a reproducible build)"
            } else {
                ""
            };
            self.line("Created", &format!("{created}{note}"));
        }
        let total = inspection.total_size;
        self.line("Size", &format!("{}, {total} bytes", HumanSize(total)));
        if inspection.shared_size > 0 {
            let shared = inspection.shared_size;
            let text = format!("{}, {shared} bytes between platforms", HumanSize(shared));
            self.line("Shared", &text);
        }
        if let Some(subject) = &inspection.subject {
            self.line("Subject", &subject.digest().to_string());
        }
    }

    fn map<'a>(&mut self, title: &str, pairs: impl Iterator<Item = (&'a String, &'a String)>) {
        let mut pairs = pairs.peekable();
        if pairs.peek().is_none() {
            return;
        }
        self.title(title);
        for (key, value) in pairs {
            let _ = writeln!(self.0, "  {}: {}", plain(key), plain(value));
        }
    }

    fn manifests(&mut self, manifests: &[ManifestSummary]) {
        if manifests.is_empty() {
            return;
        }
        self.title("Manifests");
        let mut table = Table::with_numbers_in(&[1, 2]);
        table.push(["PLATFORM", "LAYERS", "SIZE", "DIGEST"]);
        let is_listed = |digest: &Digest| {
            let mut all = manifests.iter();
            all.any(|it| it.kind != Kind::Attestation && it.descriptor.digest() == digest)
        };
        for manifest in manifests {
            // Attestations follow the image that they describe.
            if manifest.kind == Kind::Attestation
                && manifest.describes.as_ref().is_some_and(is_listed)
            {
                continue;
            }
            table.push(row(manifest, what(manifest)));
            let own = manifests.iter().filter(|other| {
                other.kind == Kind::Attestation
                    && manifest.kind != Kind::Attestation
                    && other.describes.as_ref() == Some(manifest.descriptor.digest())
            });
            for attestation in own {
                table.push(row(attestation, format!("  {}", what(attestation))));
            }
        }
        self.0.push_str(&table.lines("  "));
    }

    fn layers(&mut self, layers: &[LayerSummary]) {
        if layers.is_empty() {
            return;
        }
        self.title("Layers");
        let mut table = Table::with_numbers_in(&[0, 1]);
        let commands = layers.iter().any(|layer| layer.created_by.is_some());
        let last = if commands { "CREATED BY" } else { "" };
        table.push(["#", "SIZE", "DIGEST", last]);
        for (number, layer) in (1..).zip(layers) {
            let command = layer.created_by.as_deref().unwrap_or_default();
            let size = layer.descriptor.size();
            table.push([
                &*format!("{number}"),
                &*HumanSize(size).to_string(),
                &*layer.descriptor.digest().to_string(),
                &*shortened(command),
            ]);
        }
        self.0.push_str(&table.lines("  "));
    }

    fn files(&mut self, files: &[LayerSummary]) {
        if files.is_empty() {
            return;
        }
        self.title("Files");
        let mut table = Table::with_numbers_in(&[0]);
        table.push(["SIZE", "NAME", "TYPE", "DIGEST"]);
        for file in files {
            let name = file.title.as_deref().or(file.predicate_type.as_deref());
            table.push([
                &*HumanSize(file.descriptor.size()).to_string(),
                name.unwrap_or("-"),
                file.descriptor.media_type().as_str(),
                &*file.descriptor.digest().to_string(),
            ]);
        }
        self.0.push_str(&table.lines("  "));
    }

    fn config(&mut self, config: &ConfigSummary) {
        let mut table = Table::default();
        let mut row = |name: &str, value: &str| {
            if !value.is_empty() {
                table.push([name, value]);
            }
        };
        row("Entrypoint", &words(&config.entrypoint));
        row("Cmd", &words(&config.cmd));
        row("User", config.user.as_deref().unwrap_or_default());
        let directory = config.working_dir.as_deref();
        row("Directory", directory.unwrap_or_default());
        row("Ports", &config.exposed_ports.join(", "));
        row("Volumes", &config.volumes.join(", "));
        let signal = config.stop_signal.as_deref();
        row("Stop signal", signal.unwrap_or_default());
        for variable in &config.env {
            row("Env", variable);
        }
        let lines = table.lines("  ");
        if !lines.is_empty() {
            self.title("Config");
            self.0.push_str(&lines);
        }
        self.map("Labels", config.labels.iter());
    }

    fn referrers(&mut self, referrers: &ReferrerSummary) {
        if referrers.count == 0 && referrers.digest_tags.is_empty() {
            return;
        }
        self.title("Referrers");
        for one in &referrers.types {
            let kind = one
                .artifact_type
                .as_ref()
                .map_or("unknown", MediaType::as_str);
            let _ = writeln!(self.0, "  {} {}", one.count, plain(kind));
        }
        if referrers.truncated {
            let _ = writeln!(self.0, "  and more than were counted");
        }
        for tag in &referrers.digest_tags {
            let _ = writeln!(self.0, "  tag {}", plain(tag));
        }
    }
}

fn row(manifest: &ManifestSummary, what: String) -> [String; 4] {
    let digest = manifest.descriptor.digest().to_string();
    if manifest.missing {
        return [what, "-".into(), "missing".into(), digest];
    }
    [
        what,
        manifest.layers.len().to_string(),
        HumanSize(manifest.total_size).to_string(),
        digest,
    ]
}

/// What a manifest of an index is, in one cell.
fn what(manifest: &ManifestSummary) -> String {
    match (manifest.kind, &manifest.platform) {
        (Kind::Attestation, _) => {
            let types = manifest.layers.iter();
            let types: Vec<&str> = types
                .filter_map(|layer| layer.predicate_type.as_deref())
                .collect();
            if types.is_empty() {
                "attestation".to_owned()
            } else {
                format!("attestation: {}", types.join(", "))
            }
        }
        (_, Some(platform)) => platform.to_string(),
        (Kind::Artifact, None) => match &manifest.artifact_type {
            Some(artifact_type) => artifact_type.to_string(),
            None => "artifact".to_owned(),
        },
        (_, None) => name(&manifest.annotations).unwrap_or("unknown").to_owned(),
    }
}

fn name(annotations: &Annotations) -> Option<&str> {
    let name = annotations.get("org.opencontainers.image.ref.name");
    name.map(String::as_str)
}

/// Returns the words of a command as JSON, as Dockerfiles have them.
fn words(words: &[String]) -> String {
    if words.is_empty() {
        return String::new();
    }
    serde_json::to_string(words).unwrap_or_default()
}

/// Returns the start of a command on one line.
fn shortened(command: &str) -> String {
    let command = command.split_whitespace().collect::<Vec<_>>().join(" ");
    match command.char_indices().nth(LONGEST_COMMAND) {
        Some((end, _)) => format!("{}…", &command[..end]),
        None => command,
    }
}
