//! A whole backend over a hash map. `cargo run -p tranship --example custom_backend` runs the conformance suite
//! on it.

use std::collections::{BTreeMap, HashMap};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use tranship::*;
use tranship_conformance::{Fixture, Suite};

fn main() -> ExitCode {
    Suite::new("hash-map", || async {
        let (name, contents) = ("example".parse()?, Mutex::default());
        Ok(Fixture::repository(Arc::new(HashRepository {
            name,
            contents,
        })))
    })
    .run()
}

#[derive(Debug)]
struct HashRepository {
    name: RepositoryName,
    contents: Mutex<Contents>,
}

#[derive(Debug, Default)]
struct Contents {
    stored: HashMap<(ContentKind, Digest), (Descriptor, Bytes)>,
    tags: BTreeMap<Tag, Digest>,
}

impl HashRepository {
    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Contents {
    fn get(&self, kind: ContentKind, target: &Descriptor) -> Result<&(Descriptor, Bytes)> {
        match self.stored.get(&(kind, *target.digest())) {
            None => Err(Error::not_found(target.digest())),
            Some(found) if found.0.size() == target.size() => Ok(found),
            Some(_) => Err(Error::new(ErrorKind::SizeMismatch, "it has another size")),
        }
    }
}

#[async_trait]
impl Backend for HashRepository {
    fn info(&self) -> RepositoryInfo<'_> {
        let capabilities = Capabilities::all()
            .with_mount(Support::No("this is the only repository"))
            .with_catalog(Support::No("this is the only repository"))
            .with_uploads(Support::No("content is pushed as a whole"));
        RepositoryInfo::new(&self.name, capabilities)
    }

    async fn read(&self, kind: ContentKind, target: &Descriptor) -> Result<Content> {
        let (_, bytes) = self.contents().get(kind, target)?.clone();
        Ok(Content::from_bytes(target.clone(), bytes))
    }

    async fn stat(&self, kind: ContentKind, reference: &TagOrDigest) -> Result<Descriptor> {
        let contents = self.contents();
        let digest = match (reference, kind) {
            (TagOrDigest::Digest(digest), _) => Some(digest),
            (TagOrDigest::Tag(tag), ContentKind::Manifest) => contents.tags.get(tag),
            (TagOrDigest::Tag(_), ContentKind::Blob) => {
                return Err(Error::new(ErrorKind::InvalidReference, "a blob has no tag"));
            }
        };
        let found = digest.and_then(|digest| contents.stored.get(&(kind, *digest)));
        Ok(found.ok_or_else(|| Error::not_found(reference))?.0.clone())
    }

    async fn write(
        &self,
        kind: ContentKind,
        expected: &Descriptor,
        source: Source<'_>,
        options: &PushOptions<'_>,
    ) -> Result<PushOutcome> {
        let (media_type, limit) = match kind {
            ContentKind::Blob => (MediaType::OCTET_STREAM, u64::MAX),
            ContentKind::Manifest => (expected.media_type().clone(), MAX_MANIFEST_SIZE),
        };
        let stored = self.contents().get(kind, expected).cloned();
        let (bytes, outcome) = match stored {
            Ok((_, bytes)) => (bytes, PushOutcome::Present),
            Err(_) => (source.bytes(expected, limit).await?, PushOutcome::Pushed),
        };
        let is_manifest = ManifestDocument::decode(&media_type, &bytes)?.is_some();
        if kind == ContentKind::Manifest && !is_manifest {
            return Err(Error::unsupported("it is not a manifest"));
        }
        let digest = *expected.digest();
        let stored = Descriptor::new(media_type, digest, expected.size());
        let tags = options.tags.iter().map(|tag| (tag.clone(), digest));
        let mut contents = self.contents();
        contents.stored.insert((kind, digest), (stored, bytes));
        contents.tags.extend(tags);
        Ok(outcome)
    }

    async fn remove(&self, kind: ContentKind, target: &Descriptor) -> Result<()> {
        let mut contents = self.contents();
        let missing = |_| Error::not_found(target.digest());
        contents.get(kind, target).map_err(missing)?;
        contents.stored.remove(&(kind, *target.digest()));
        if kind == ContentKind::Manifest {
            contents.tags.retain(|_, digest| digest != target.digest());
        }
        Ok(())
    }

    async fn remove_tag(&self, tag: &Tag) -> Result<()> {
        let removed = self.contents().tags.remove(tag);
        removed.map(drop).ok_or_else(|| Error::not_found(tag))
    }

    fn list_tags(&self, options: ListOptions) -> Listing<'_, Tag> {
        let mut tags: Vec<_> = self.contents().tags.keys().cloned().collect();
        tags.retain(|tag| Some(tag.as_str()) > options.last.as_deref());
        Box::pin(stream::iter(tags.into_iter().map(Ok)))
    }

    fn list_referrers<'a>(
        &'a self,
        subject: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Listing<'a, Descriptor> {
        let mut found = Vec::new();
        for (node, bytes) in self.contents().stored.values() {
            if let Ok(Some(document)) = ManifestDocument::decode(node.media_type(), bytes) {
                let referrer = describe_referrer(node, &document);
                let refers = document.subject().map(Descriptor::digest) == Some(subject.digest());
                if refers && artifact_type.is_none_or(|of| referrer.artifact_type() == Some(of)) {
                    found.push(Ok(referrer));
                }
            }
        }
        Box::pin(stream::iter(found))
    }
}
