//! Follows every reference from `index.json` down, and compares it with what is there.

use std::collections::{HashMap, HashSet, hash_map};

use bytes::Bytes;
use tranship::{Descriptor, Digest, ErrorKind, ManifestDocument, MediaType, Result};

use super::hash::{Content, Contents, State, describe};
use super::report::{Finding, FindingKind, Severity};
use crate::driver::Driver;
use crate::index::{Entry, Name, Snapshot};

/// What a reference is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// An entry of `index.json`.
    Entry,
    /// A manifest that an index lists.
    Child,
    /// A config, a layer or a blob.
    Part,
    Subject,
}

struct Reference {
    descriptor: Descriptor,
    referred_by: Option<Digest>,
    role: Role,
}

/// A walk over all that is referred to.
pub(super) struct Walk<'a> {
    driver: &'a dyn Driver,
    contents: &'a Contents,
    max_manifest_size: u64,
    next: Vec<Reference>,
    /// What was compared, and the manifests that were read.
    compared: HashSet<(Digest, u64)>,
    read: HashSet<(Digest, MediaType)>,
    referenced: HashSet<Digest>,
    /// Where the finding of what is missing is.
    missing: HashMap<Digest, usize>,
    pub(super) findings: Vec<Finding>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(driver: &'a dyn Driver, contents: &'a Contents, limit: u64) -> Self {
        Self {
            driver,
            contents,
            max_manifest_size: limit,
            next: Vec::new(),
            compared: HashSet::new(),
            read: HashSet::new(),
            referenced: HashSet::new(),
            missing: HashMap::new(),
            findings: Vec::new(),
        }
    }

    /// Follows everything that `snapshot` lists.
    pub(super) async fn follow(&mut self, snapshot: &Snapshot) -> Result<()> {
        self.entries(snapshot);
        // Breadth does not matter, but that the findings have a fixed order.
        while let Some(reference) = self.next.pop() {
            self.compare(&reference);
            let descriptor = &reference.descriptor;
            let key = (*descriptor.digest(), descriptor.media_type().clone());
            let is_readable = self
                .contents
                .blobs
                .get(descriptor.digest())
                .is_some_and(|content| content.state == State::Intact);
            if descriptor.media_type().is_manifest() && is_readable && self.read.insert(key) {
                self.look_into(&reference).await?;
            }
        }
        Ok(())
    }

    fn entries(&mut self, snapshot: &Snapshot) {
        let mut tags: HashMap<_, usize> = HashMap::new();
        let mut duplicates = Vec::new();
        for entry in snapshot.entries() {
            match entry {
                Entry::Manifest(descriptor, name) => {
                    if let Name::Tag(tag) = name {
                        let count = tags.entry(tag).or_default();
                        *count += 1;
                        if *count == 2 {
                            duplicates.push(tag);
                        }
                    }
                    self.next.push(Reference {
                        descriptor: descriptor.clone(),
                        referred_by: None,
                        role: Role::Entry,
                    });
                }
                Entry::Foreign(value) => {
                    let digest = value.get("digest").and_then(serde_json::Value::as_str);
                    self.findings.push(Finding::new(
                        Severity::Warning,
                        FindingKind::UnknownAlgorithm,
                        digest.unwrap_or_default().escape_debug(),
                        "is listed by a digest of an unknown algorithm, and was not checked",
                    ));
                }
            }
        }
        self.next.reverse();
        for tag in duplicates {
            self.findings.push(Finding::new(
                Severity::Warning,
                FindingKind::DuplicateTag,
                tag,
                "several entries of index.json have this tag; the last one counts",
            ));
        }
    }

    /// Compares what a reference says with what is there.
    fn compare(&mut self, reference: &Reference) {
        let Reference {
            descriptor,
            referred_by,
            role,
        } = reference;
        let digest = descriptor.digest();
        self.referenced.insert(*digest);
        let Some(content) = self.contents.blobs.get(digest) else {
            return self.miss(reference);
        };
        if content.state != State::Intact || content.size == descriptor.size() {
            // What is damaged is told once for each size that is said of it.
            if content.state != State::Intact && self.compared.insert((*digest, descriptor.size()))
            {
                let finding = damage(digest, content, Some(descriptor.size()));
                self.findings.push(finding.about(descriptor, *referred_by));
            }
            return;
        }
        if self.compared.insert((*digest, descriptor.size())) {
            let (said, found) = (descriptor.size(), content.size);
            let who = if *role == Role::Entry {
                "index.json"
            } else {
                "the manifest"
            };
            let message = format!("has {found} bytes, and {who} says {said}");
            let severity = Severity::Error;
            let finding = Finding::new(severity, FindingKind::WrongSize, digest, message);
            self.findings.push(finding.about(descriptor, *referred_by));
        }
    }

    /// Tells of what is not there, once, with the worst that this means to anybody.
    fn miss(&mut self, reference: &Reference) {
        let Reference {
            descriptor,
            referred_by,
            role,
        } = reference;
        let (severity, message) = match role {
            Role::Entry => (Severity::Error, "index.json lists it"),
            Role::Child => (
                Severity::Warning,
                "an index lists it; a layout need not hold all manifests of an index",
            ),
            Role::Part if descriptor.media_type().is_non_distributable() => {
                (Severity::Info, "a layer that is not to be distributed")
            }
            Role::Part => (Severity::Error, "a manifest refers to it"),
            Role::Subject => (
                Severity::Info,
                "the subject of a referrer, which need not be here",
            ),
        };
        let digest = descriptor.digest();
        let finding = Finding::new(severity, FindingKind::Missing, digest, message)
            .about(descriptor, *referred_by);
        match self.missing.entry(*digest) {
            hash_map::Entry::Vacant(place) => {
                place.insert(self.findings.len());
                self.findings.push(finding);
            }
            hash_map::Entry::Occupied(at) => {
                let known = self.findings.get_mut(*at.get());
                if let Some(known) = known.filter(|known| severity < known.severity) {
                    *known = finding;
                }
            }
        }
    }

    /// Reads a manifest and goes on with what it refers to.
    async fn look_into(&mut self, reference: &Reference) -> Result<()> {
        let descriptor = &reference.descriptor;
        let digest = *descriptor.digest();
        let read = self.driver.read_blob(&digest, self.max_manifest_size).await;
        let content = match read {
            Ok(Some(content)) => content,
            Ok(None) => {
                self.miss(reference);
                return Ok(());
            }
            Err(error) if error.kind() == ErrorKind::SizeExceedsLimit => {
                let limit = self.max_manifest_size;
                let message = format!("is larger than a manifest may be, {limit} bytes");
                self.undecodable(FindingKind::Undecodable, reference, message);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        match ManifestDocument::decode(descriptor.media_type(), &content) {
            Ok(Some(document)) => self.enter(digest, &document),
            Ok(None) => {}
            Err(error) => {
                // Its own `mediaType`, or else the type that its fields show.
                let by_content = ManifestDocument::sniff(&content);
                let other = own_media_type(&content)
                    .or_else(|| by_content.clone())
                    .filter(|other| other != descriptor.media_type());
                let (kind, message) = match other {
                    Some(other) => (
                        FindingKind::WrongMediaType,
                        format!(
                            "is listed as {} and is {other}: {}",
                            descriptor.media_type(),
                            describe(&error)
                        ),
                    ),
                    None => (FindingKind::Undecodable, describe(&error)),
                };
                self.undecodable(kind, reference, message);
                // What it refers to is in use all the same.
                if let Some(by_content) = by_content
                    && self.read.insert((digest, by_content.clone()))
                    && let Ok(Some(document)) = ManifestDocument::decode(&by_content, &content)
                {
                    self.enter(digest, &document);
                }
            }
        }
        Ok(())
    }

    fn undecodable(&mut self, kind: FindingKind, reference: &Reference, message: String) {
        let Reference {
            descriptor,
            referred_by,
            ..
        } = reference;
        let finding = Finding::new(Severity::Error, kind, descriptor.digest(), message);
        self.findings.push(finding.about(descriptor, *referred_by));
    }

    fn enter(&mut self, digest: Digest, document: &ManifestDocument) {
        let subject = document.subject();
        let rest = if matches!(document, ManifestDocument::Index(_)) {
            Role::Child
        } else {
            Role::Part
        };
        let has_subject = subject.is_some();
        let successors = document.successors().into_iter().enumerate();
        let references = successors.map(|(at, descriptor)| Reference {
            descriptor,
            referred_by: Some(digest),
            role: if at == 0 && has_subject {
                Role::Subject
            } else {
                rest
            },
        });
        let mut references: Vec<_> = references.collect();
        references.reverse();
        self.next.append(&mut references);
    }

    /// Tells of what nothing refers to. What is damaged there is still damaged: who pushes it next
    /// may find it and go on it.
    pub(super) fn finish(mut self) -> Vec<Finding> {
        let mut rest: Vec<_> = self
            .contents
            .blobs
            .iter()
            .filter(|(digest, _)| !self.referenced.contains(digest))
            .collect();
        rest.sort_unstable_by_key(|(digest, _)| **digest);
        for (digest, content) in rest {
            self.findings.push(match content.state {
                State::Intact => Finding::new(
                    Severity::Info,
                    FindingKind::Unreferenced,
                    digest,
                    format!("nothing refers to these {} bytes", content.size),
                ),
                _ => damage(digest, content, None),
            });
        }
        self.findings
    }
}

fn own_media_type(content: &Bytes) -> Option<MediaType> {
    let document: serde_json::Value = serde_json::from_slice(content).ok()?;
    let text = document.get("mediaType")?.as_str()?;
    (!text.is_empty()).then(|| MediaType::from_stored(text))
}

/// What is wrong with content that is not intact.
fn damage(digest: &Digest, content: &Content, said: Option<u64>) -> Finding {
    let found = content.size;
    let (kind, message) = match (&content.state, said) {
        (State::Unreadable(why), _) => (FindingKind::Unreadable, why.clone()),
        (_, Some(said)) if found < said => (
            FindingKind::Truncated,
            format!("has only {found} bytes of {said}"),
        ),
        _ => (
            FindingKind::Altered,
            format!("the {found} bytes that are there do not hash to the digest"),
        ),
    };
    Finding::new(Severity::Error, kind, digest, message)
}
