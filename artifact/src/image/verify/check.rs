//! Checks one manifest or blob.

use std::io::Read as _;

use futures_util::TryStreamExt as _;
use tranship::decompress::DecompressingReader;
use tranship::{
    Content, Descriptor, Digest, Digester, Error, ErrorKind, Manifest, ManifestDocument,
    Repository, Result, ResultExt as _, blocking,
};

use super::VerifyOptions;
use super::report::{Finding, FindingKind};
use crate::image::config::{decode_config, is_image_config};

/// What a manifest or blob is to the manifest that refers to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// A part of it.
    Part,
    /// What it is about.
    Subject,
    /// It refers to that manifest.
    Referrer,
}

/// Something to check.
#[derive(Debug, Clone)]
pub(super) struct Task {
    pub(super) descriptor: Descriptor,
    pub(super) referred_by: Option<Digest>,
    role: Role,
    /// What a layer must decompress to.
    diff_id: Option<Digest>,
}

impl Task {
    pub(super) fn root(descriptor: Descriptor) -> Self {
        Self {
            descriptor,
            referred_by: None,
            role: Role::Part,
            diff_id: None,
        }
    }

    pub(super) fn new(descriptor: Descriptor, role: Role, referred_by: &Digest) -> Self {
        Self {
            descriptor,
            referred_by: Some(*referred_by),
            role,
            diff_id: None,
        }
    }

    /// Returns `finding` with what it is about.
    pub(super) fn found(&self, mut finding: Finding) -> Finding {
        finding.descriptor = Some(self.descriptor.plain());
        finding.referred_by = self.referred_by;
        finding
    }
}

/// What a check leads to.
#[derive(Default)]
pub(super) struct Checked {
    pub(super) findings: Vec<Finding>,
    pub(super) tasks: Vec<Task>,
}

/// Reads and hashes `task`. Damage is a finding; anything else that fails is an error.
pub(super) async fn check(
    repository: &dyn Repository,
    task: &Task,
    options: &VerifyOptions,
) -> Result<Checked> {
    let content = match repository.fetch(&task.descriptor).await {
        Ok(content) => content,
        Err(error) => return judge(error, task, "fetch"),
    };
    if task.descriptor.media_type().is_manifest() {
        return check_manifest(repository, task, content, options).await;
    }
    let outcome = match task.diff_id {
        None => {
            content
                .into_stream()
                .try_for_each(|_| async { Ok(()) })
                .await
        }
        Some(diff_id) => check_layer(content, diff_id).await,
    };
    match outcome {
        Ok(()) => Ok(Checked::default()),
        Err(error) => judge(error, task, "read"),
    }
}

/// Makes a finding of damage.
fn judge(error: Error, task: &Task, operation: &'static str) -> Result<Checked> {
    let kind = match error.kind() {
        ErrorKind::NotFound => FindingKind::Missing,
        ErrorKind::SizeMismatch => FindingKind::WrongSize,
        ErrorKind::DigestMismatch => FindingKind::Altered,
        ErrorKind::Corrupt => FindingKind::Unreadable,
        ErrorKind::InvalidInput if error.operation() == Some(DECOMPRESS) => {
            FindingKind::WrongDiffId
        }
        _ => {
            return Err(error
                .with_operation(operation)
                .with_subject(task.descriptor.digest()));
        }
    };
    let message = match kind {
        FindingKind::Missing => "does not exist".to_owned(),
        // Without the digest, which the finding has.
        _ => {
            let text = error.to_string();
            let prefix = format!("{}: ", task.descriptor.digest());
            match text.split_once(&prefix) {
                Some((_, message)) => message.to_owned(),
                None => text,
            }
        }
    };
    let finding = Finding::new(kind, task.descriptor.digest(), message);
    let mut finding = task.found(finding);
    let may_be_absent =
        task.role == Role::Subject || task.descriptor.media_type().is_non_distributable();
    if kind == FindingKind::Missing && may_be_absent {
        finding = finding.for_information();
    }
    Ok(Checked {
        findings: vec![finding],
        tasks: Vec::new(),
    })
}

const DECOMPRESS: &str = "decompress";

/// Reads a layer, and compares what it decompresses to with `diff_id`.
async fn check_layer(content: Content, diff_id: Digest) -> Result<()> {
    blocking::read_stream(content.into_stream(), move |reader| {
        let wrong = |message: String| {
            Error::new(ErrorKind::InvalidInput, message).with_operation(DECOMPRESS)
        };
        let damaged = |error: std::io::Error| wrong(format!("cannot be decompressed: {error}"));
        let mut reader = DecompressingReader::new(reader).map_err(damaged)?;
        let mut digester = Digester::new(diff_id.algorithm());
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match reader.read(&mut buffer).map_err(damaged)? {
                0 => break,
                length => digester.update(&buffer[..length]),
            }
        }
        let found = digester.finish();
        if found != diff_id {
            return Err(wrong(format!(
                "decompresses to {found}, and the config of the image says {diff_id}"
            )));
        }
        Ok(())
    })
    .await
}

async fn check_manifest(
    repository: &dyn Repository,
    task: &Task,
    content: Content,
    options: &VerifyOptions,
) -> Result<Checked> {
    let media_type = task.descriptor.media_type();
    let bytes = match content.bytes(options.max_manifest_size).await {
        Ok(bytes) => bytes,
        Err(error) => return judge(error, task, "read"),
    };
    let digest = task.descriptor.digest();
    let document = match ManifestDocument::decode(media_type, &bytes) {
        Ok(Some(document)) => document,
        Ok(None) => return Ok(Checked::default()),
        Err(error) => {
            let own = ManifestDocument::sniff(&bytes);
            let kind = match own {
                Some(own) if own != *media_type => FindingKind::WrongMediaType,
                _ => FindingKind::Undecodable,
            };
            let finding = task.found(Finding::new(kind, digest, error.to_string()));
            return Ok(Checked {
                findings: vec![finding],
                tasks: Vec::new(),
            });
        }
    };
    let mut checked = Checked::default();
    let diff_ids = match &document {
        ManifestDocument::Manifest(manifest) if options.layers => {
            diff_ids(repository, manifest, options, task, &mut checked).await?
        }
        _ => Vec::new(),
    };
    let subject = document.subject().cloned();
    for part in document.iter_successors() {
        let is_subject = subject
            .as_ref()
            .is_some_and(|it| std::ptr::eq(it, part) || it == part);
        let role = if is_subject {
            Role::Subject
        } else {
            Role::Part
        };
        checked.tasks.push(Task::new(part.plain(), role, digest));
    }
    // The layers are last.
    let first = checked.tasks.len().saturating_sub(diff_ids.len());
    for (task, diff_id) in checked.tasks[first..].iter_mut().zip(diff_ids) {
        task.diff_id = Some(diff_id);
    }
    Ok(checked)
}

/// Returns the digests of the decompressed layers of an image, one for each; none if there are none.
async fn diff_ids(
    repository: &dyn Repository,
    manifest: &Manifest,
    options: &VerifyOptions,
    task: &Task,
    checked: &mut Checked,
) -> Result<Vec<Digest>> {
    if !is_image_config(manifest.config.media_type()) {
        return Ok(Vec::new());
    }
    let content = match repository.fetch(&manifest.config).await {
        Ok(content) => content.bytes(options.max_manifest_size).await,
        Err(error) => Err(error),
    };
    let bytes = match content {
        Ok(bytes) => bytes,
        // The check of the config reports it.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound
                    | ErrorKind::SizeMismatch
                    | ErrorKind::DigestMismatch
                    | ErrorKind::Corrupt
            ) =>
        {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error).during("fetch", manifest.config.digest()),
    };
    let message = match decode_config(&manifest.config, &bytes) {
        Ok(config) if config.rootfs.diff_ids.len() == manifest.layers.len() => {
            return Ok(config.rootfs.diff_ids);
        }
        Ok(config) => format!(
            "the manifest has {} layers, and its config has digests of {}",
            manifest.layers.len(),
            config.rootfs.diff_ids.len()
        ),
        Err(_) => "the config of the image cannot be decoded".to_owned(),
    };
    // Attestations have the config of an image, and layers of another kind.
    let are_layers = manifest.layers.iter().any(|layer| {
        let media_type = layer.media_type().as_str();
        media_type.contains(".layer.") || media_type.contains(".rootfs.")
    });
    if are_layers {
        let digest = task.descriptor.digest();
        let finding = Finding::new(FindingKind::WrongDiffId, digest, message);
        checked.findings.push(task.found(finding));
    }
    Ok(Vec::new())
}
