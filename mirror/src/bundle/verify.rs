//! Reads all of a bundle and says what is wrong with it.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use tranship::{
    ContentKind, Descriptor, Digest, Digester, ManifestDocument, Result, ResultExt as _, blocking,
};

use super::graph::key_of;
use super::lock::Lock;
use super::members::{MemberName, OCI_LAYOUT_CONTENT, SUM_SIZE, sum_content};
use super::open::Bundle;
use super::opened::OpenBundle;
use super::owners::Owners;
use super::referrers::document;
use super::stored_part::StoredPart;
use super::volume::{Volume, expected_members, shown};

/// How a bundle is verified.
#[non_exhaustive]
#[derive(Debug, Clone, Default)]
pub struct VerifyOptions {
    /// What the destination has. The content that the bundle expects there is looked for in it; `None`, the default, if that
    /// is not known.
    pub base: Option<Arc<Lock>>,
}

impl VerifyOptions {
    /// Sets [`base`](Self::base).
    #[must_use]
    pub fn with_base(mut self, base: Lock) -> Self {
        self.base = Some(Arc::new(base));
        self
    }
}

/// What is wrong with a bundle, and what it needs.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VerifyReport {
    /// Members that do not have the content that they should.
    pub damaged: Vec<DamagedMember>,
    /// The volumes that are not open.
    pub missing_volumes: Vec<u32>,
    /// Content that a manifest refers to and that the bundle neither has nor expects at the destination.
    pub incomplete: Vec<MissingContent>,
    /// The content that the bundle expects at the destination. This is not an error.
    pub base: Vec<Descriptor>,
    /// Content that the bundle expects at the destination, and that the base of the options does not have.
    pub missing_base: Vec<Descriptor>,
    /// How many bytes of members were read.
    pub bytes: u64,
}

impl VerifyReport {
    /// Returns whether the bundle is complete and undamaged, and finds in the base what it expects there.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.damaged.is_empty()
            && self.missing_volumes.is_empty()
            && self.incomplete.is_empty()
            && self.missing_base.is_empty()
    }
}

/// A member of a volume that does not have the content that it should.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedMember {
    /// The file.
    pub path: PathBuf,
    /// The number of the volume.
    pub volume: u32,
    /// The name of the member.
    pub member: String,
    /// An image that needs it, if one does.
    pub image: Option<String>,
    /// What is wrong.
    pub problem: String,
}

/// Content that a manifest refers to and that is missing.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingContent {
    /// The digest of the manifest.
    pub manifest: Digest,
    /// An image that needs it.
    pub image: Option<String>,
    /// What is missing.
    pub content: Descriptor,
}

impl Bundle {
    /// Reads and hashes all members of the volumes that are open, and compares the manifests with what the bundle says it
    /// has.
    ///
    /// If the future is dropped, the member that is being read is read to its end.
    ///
    /// # Errors
    /// What reading the files fails with. Damage is not an error, but in the report.
    pub async fn verify(&self, options: &VerifyOptions) -> Result<VerifyReport> {
        let mut report = VerifyReport {
            missing_volumes: self.missing_volumes(),
            ..VerifyReport::default()
        };
        let bundle = &self.inner;
        let owners = Owners::of(&bundle.contents.lock);
        for (volume, file) in bundle.volumes.iter() {
            let mut members: Vec<(MemberName, Option<u32>)> = file
                .names()
                .filter(|name| matches!(name, MemberName::OciLayout | MemberName::Index))
                .map(|name| (name.clone(), None))
                .collect();
            let expected = expected_members(&bundle.contents, *volume)?.into_iter();
            members.extend(expected.map(|(name, _, number)| (name, Some(number))));
            for (name, number) in members {
                let (shared, volume) = (Arc::clone(bundle), *volume);
                let member = name.clone();
                let checked = blocking::run(move || check_member(&shared, volume, &member));
                let (bytes, problem) = checked.await.during("verify", shown(&name))?;
                report.bytes += bytes;
                if let Some(problem) = problem {
                    report.damaged.push(DamagedMember {
                        path: file.path.clone(),
                        volume,
                        member: shown(&name),
                        image: number.and_then(|number| owners.name(number)),
                        problem,
                    });
                }
            }
        }
        self.verify_split_blobs(&owners, &mut report).await?;
        drop(owners);
        let (bundle, base) = (Arc::clone(bundle), options.base.clone());
        blocking::run(move || {
            check_manifests(&bundle, &mut report);
            check_base(&bundle, base.as_deref(), &mut report);
            Ok(report)
        })
        .await
    }

    /// Hashes blobs whose parts are in several volumes, if all of them are open.
    async fn verify_split_blobs(
        &self,
        owners: &Owners<'_>,
        report: &mut VerifyReport,
    ) -> Result<()> {
        // A part that does not have its own digest is in the report already.
        let damaged = report
            .damaged
            .iter()
            .map(|damaged| folder_of(&damaged.member).to_owned());
        let damaged: HashSet<String> = damaged.collect();
        for (number, node) in (0_u32..).zip(self.inner.contents.lock.contents()) {
            let parts = self.inner.contents.parts_of(number);
            let Some(first) = parts.first().filter(|_| parts.len() > 1) else {
                continue;
            };
            let Ok(files) = self.inner.locate(number) else {
                continue;
            };
            let digest = node.digest;
            let hashed = blocking::run(move || hash(digest, &files)).await?;
            let member = shown(&MemberName::Part(digest, first.offset));
            let is_known = damaged.contains(folder_of(&member));
            if hashed != digest && !is_known {
                let volume = self.inner.volumes.get(&first.volume);
                report.damaged.push(DamagedMember {
                    path: volume.map(|volume| volume.path.clone()).unwrap_or_default(),
                    volume: first.volume,
                    member,
                    image: owners.name(number),
                    problem: format!("all parts together hash to {hashed}"),
                });
            }
        }
        Ok(())
    }
}

/// Returns the name of a member without its last component.
fn folder_of(member: &str) -> &str {
    member.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Reads a member; returns how many bytes it has, and what is wrong with it.
fn check_member(
    bundle: &OpenBundle,
    volume: u32,
    name: &MemberName,
) -> Result<(u64, Option<String>)> {
    let Some(volume) = bundle.volumes.get(&volume) else {
        return Ok((0, None));
    };
    let Some(file) = volume.member(name) else {
        return Ok((0, Some("is missing".into())));
    };
    let bytes = file.length();
    let problem = match name {
        MemberName::OciLayout if bundle.contents.index.is_some() => {
            let content = volume.read(name, OCI_LAYOUT_CONTENT.len() as u64)?;
            let is_right = content.is_some_and(|content| content == OCI_LAYOUT_CONTENT);
            (!is_right).then(|| "has other content".to_owned())
        }
        MemberName::Index => match bundle.contents.index {
            Some((digest, _)) => mismatch(&digest, &[file])?,
            None => None,
        },
        MemberName::Blob(digest) => mismatch(digest, &[file])?,
        MemberName::Part(digest, offset) => check_part(volume, digest, *offset, file)?,
        MemberName::Sum(digest, offset) => check_sum(volume, digest, *offset)?,
        _ => None,
    };
    Ok((bytes, problem))
}

fn check_part(
    volume: &Volume,
    digest: &Digest,
    offset: u64,
    file: StoredPart,
) -> Result<Option<String>> {
    match read_sum(volume, digest, offset)? {
        Some(sum) => mismatch(&sum, &[file]),
        // The member with the digest is reported.
        None => Ok(None),
    }
}

fn check_sum(volume: &Volume, digest: &Digest, offset: u64) -> Result<Option<String>> {
    let is_readable = read_sum(volume, digest, offset)?.is_some();
    Ok((!is_readable).then(|| "is not the digest of a part".to_owned()))
}

fn read_sum(volume: &Volume, digest: &Digest, offset: u64) -> Result<Option<Digest>> {
    let content = volume.read(&MemberName::Sum(*digest, offset), SUM_SIZE)?;
    let text = content
        .as_deref()
        .and_then(|content| std::str::from_utf8(content).ok());
    let sum: Option<Digest> = text.and_then(|text| text.trim_end().parse().ok());
    Ok(sum.filter(|sum| text == Some(&*sum_content(sum))))
}

fn mismatch(expected: &Digest, files: &[StoredPart]) -> Result<Option<String>> {
    let found = hash(*expected, files)?;
    Ok((found != *expected).then(|| format!("hashes to {found}")))
}

fn hash(expected: Digest, files: &[StoredPart]) -> Result<Digest> {
    const CHUNK: usize = 256 * 1024;
    let mut digester = Digester::new(expected.algorithm());
    let mut buffer = vec![0; CHUNK];
    for file in files {
        let file = file.open()?;
        let mut offset = 0;
        loop {
            let read = file.read_at(&mut buffer, offset);
            let read = read.map_err(|error| tranship::Error::io("cannot be read", error))?;
            if read == 0 {
                break;
            }
            digester.update(&buffer[..read]);
            offset += read as u64;
        }
    }
    Ok(digester.finish())
}

/// Compares the manifests with what `bundle.json` says that they refer to.
fn check_manifests(bundle: &OpenBundle, report: &mut VerifyReport) {
    let contents = &bundle.contents;
    let owners = Owners::of(&contents.lock);
    let damaged: HashSet<String> = report
        .damaged
        .iter()
        .map(|damaged| damaged.member.clone())
        .collect();
    for (number, node) in contents.stored_manifests() {
        // A manifest that cannot be read is damaged, which is in the report.
        let document = match document(bundle, number) {
            Ok(document) => document,
            Err(error) => {
                let name = shown(&MemberName::Blob(node.digest));
                let is_known = damaged.contains(&name);
                if let Some((volume, file)) = bundle.volumes.iter().next().filter(|_| !is_known) {
                    report.damaged.push(DamagedMember {
                        path: file.path.clone(),
                        volume: *volume,
                        member: name,
                        image: owners.name(number),
                        problem: error.to_string(),
                    });
                }
                continue;
            }
        };
        let children: HashSet<u32> = node.children.iter().copied().collect();
        let is_index = matches!(document, ManifestDocument::Index(_));
        for successor in document.iter_successors() {
            let is_listed = is_child(contents.lock(), &children, successor);
            let is_entry = is_index && document.subject() != Some(successor);
            let may_be_left_out = is_entry || successor.media_type().is_non_distributable();
            if !is_listed && !may_be_left_out {
                report.incomplete.push(MissingContent {
                    manifest: node.digest,
                    image: owners.name(number),
                    content: successor.plain(),
                });
            }
        }
    }
}

fn is_child(lock: &Lock, children: &HashSet<u32>, successor: &Descriptor) -> bool {
    let (digest, is_manifest) = key_of(successor);
    let kind = match is_manifest {
        true => ContentKind::Manifest,
        false => ContentKind::Blob,
    };
    let number = lock.number(kind, &digest);
    let found = number.and_then(|number| lock.get(number));
    let is_same = found.is_some_and(|found| found.size == successor.size());
    is_same && number.is_some_and(|number| children.contains(&number))
}

fn check_base(bundle: &OpenBundle, base: Option<&Lock>, report: &mut VerifyReport) {
    for number in bundle.contents.base() {
        let Some(node) = bundle.contents.lock.get(number) else {
            continue;
        };
        report.base.push(node.descriptor());
        let Some(base) = base else { continue };
        let found = base
            .number(node.kind(), &node.digest)
            .and_then(|number| base.get(number));
        if found.is_none_or(|found| found.size != node.size) {
            report.missing_base.push(node.descriptor());
        }
    }
}
