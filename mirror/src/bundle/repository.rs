//! A repository of a bundle that is read.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tranship::{
    Access, Backend, Body, ByteRange, Content, ContentKind, Descriptor, Error, ErrorKind,
    ListOptions, Listing, MediaType, Presence, PushOptions, PushOutcome, RepositoryInfo,
    RepositoryName, Result, Source, Tag, TagOrDigest, blocking,
};

use super::node::{ContentNode, RepositoryContents};
use super::opened::{OpenBundle, capabilities};
use super::referrers::{self, describe};
use super::stored_part::StoredPart;

/// A repository of a bundle. Manifests that only the base has can be looked up, so that a copy finds them at the
/// destination; they cannot be read.
pub(super) struct BundleRepository {
    bundle: Arc<OpenBundle>,
    name: RepositoryName,
    contents: RepositoryContents,
    blobs: HashSet<u32>,
}

impl BundleRepository {
    pub(super) fn new(
        bundle: Arc<OpenBundle>,
        name: RepositoryName,
        contents: RepositoryContents,
    ) -> Self {
        let blobs = bundle
            .contents
            .lock
            .blobs_of(&contents)
            .into_iter()
            .collect();
        Self {
            bundle,
            name,
            contents,
            blobs,
        }
    }

    /// Returns the number of what a digest or a tag names in this repository.
    fn number(&self, kind: ContentKind, reference: &TagOrDigest) -> Result<u32> {
        let missing = || Error::not_found(reference);
        let digest = match (kind, reference) {
            (ContentKind::Blob, TagOrDigest::Tag(tag)) => {
                let message = "a blob is named by its digest, not by a tag";
                return Err(Error::new(ErrorKind::InvalidReference, message).with_subject(tag));
            }
            (ContentKind::Manifest, TagOrDigest::Tag(tag)) => {
                return self.contents.tags.get(tag).copied().ok_or_else(missing);
            }
            (_, TagOrDigest::Digest(digest)) => digest,
        };
        let number = self.bundle.contents.lock.number(kind, digest);
        let number = number.filter(|number| match kind {
            ContentKind::Manifest => self.contents.has(*number),
            ContentKind::Blob => self.blobs.contains(number),
        });
        number.ok_or_else(missing)
    }

    fn find_target(&self, kind: ContentKind, target: &Descriptor) -> Result<(u32, &ContentNode)> {
        let number = self.number(kind, &(*target.digest()).into())?;
        let node = self.bundle.contents.node(number)?;
        if node.size != target.size() {
            let message = format!(
                "the content has {} bytes, {} were expected",
                node.size,
                target.size()
            );
            return Err(Error::new(ErrorKind::SizeMismatch, message).with_subject(node.digest));
        }
        Ok((number, node))
    }

    fn body(&self, number: u32, range: Range<u64>) -> Result<Body> {
        let mut rest = Vec::new();
        let mut begin = 0;
        for stored in self.bundle.locate(number)? {
            let end = begin + stored.length();
            let (from, to) = (range.start.max(begin), range.end.min(end));
            if from < to {
                rest.push(stored.part(from - begin..to - begin));
            }
            begin = end;
        }
        if rest.len() > 1 {
            // One after the other, since there can be more volumes than a process may open.
            let open = |part: StoredPart| Ok(Body::from_local_file(part.open()?).into_stream());
            return Ok(Body::from_stream(
                stream::iter(rest).map(open).try_flatten(),
            ));
        }
        Ok(match rest.pop() {
            Some(part) => Body::from_local_file(part.open()?),
            None => Body::from_bytes(bytes::Bytes::new()),
        })
    }

    /// Returns the manifests whose subject is `subject`, in the order of their digests.
    async fn referrers_of(
        &self,
        subject: Descriptor,
        artifact_type: Option<MediaType>,
    ) -> Result<Vec<Descriptor>> {
        let bundle = &self.bundle;
        let read = || {
            let bundle = Arc::clone(bundle);
            blocking::run(move || referrers::read(&bundle))
        };
        let known = bundle.referrers.get_or_try_init(read).await?;
        let mut found = Vec::new();
        for number in known.get(subject.digest()).into_iter().flatten() {
            if !self.contents.has(*number) {
                continue;
            }
            let (bundle, number) = (Arc::clone(bundle), *number);
            let described = blocking::run(move || describe(&bundle, number)).await?;
            let is_wanted = |wanted: &MediaType| described.artifact_type() == Some(wanted);
            if artifact_type.as_ref().is_none_or(is_wanted) {
                found.push(described);
            }
        }
        found.sort_by(|one, other| one.digest().cmp(other.digest()));
        Ok(found)
    }
}

impl fmt::Debug for BundleRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BundleRepository")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Backend for BundleRepository {
    fn info(&self) -> RepositoryInfo<'_> {
        RepositoryInfo::new(&self.name, capabilities()).with_registry(&self.bundle.identity)
    }

    async fn read(&self, kind: ContentKind, target: &Descriptor) -> Result<Content> {
        let (number, node) = self.find_target(kind, target)?;
        let body = self.body(number, 0..node.size)?;
        Ok(Content::new(target.clone(), body))
    }

    async fn read_range(
        &self,
        kind: ContentKind,
        target: &Descriptor,
        range: ByteRange,
    ) -> Result<Content> {
        let (number, node) = self.find_target(kind, target)?;
        let range = range.resolve(node.size)?;
        let body = self.body(number, range.clone())?;
        Ok(Content::partial(target.clone(), range, body))
    }

    async fn stat(&self, kind: ContentKind, reference: &TagOrDigest) -> Result<Descriptor> {
        let number = self.number(kind, reference)?;
        if kind == ContentKind::Blob {
            self.bundle.locate(number)?;
        }
        Ok(self.bundle.contents.node(number)?.descriptor())
    }

    async fn find(
        &self,
        kind: ContentKind,
        target: &Descriptor,
        access: Access,
    ) -> Result<Presence> {
        let _ = access;
        match self.find_target(kind, target) {
            Ok((number, _)) if self.bundle.locate(number).is_ok() => Ok(Presence::Whole),
            Ok(_) => Ok(Presence::Absent),
            Err(error) if error.kind() == ErrorKind::SizeMismatch => Ok(Presence::OtherSize),
            Err(error) if error.is_not_found() => Ok(Presence::Absent),
            Err(error) => Err(error),
        }
    }

    async fn write(
        &self,
        kind: ContentKind,
        expected: &Descriptor,
        source: Source<'_>,
        options: &PushOptions<'_>,
    ) -> Result<PushOutcome> {
        let _ = (kind, expected, source, options);
        let reason = capabilities().push.reason();
        Err(Error::unsupported(
            reason.unwrap_or("a bundle is read-only"),
        ))
    }

    fn list_tags(&self, options: ListOptions) -> Listing<'_, Tag> {
        let last = options.last.unwrap_or_default();
        let tags = self.contents.tags.keys();
        let rest = tags.filter(move |tag| tag.as_str() > last.as_str());
        Box::pin(stream::iter(rest.cloned().map(Ok)))
    }

    fn list_referrers<'a>(
        &'a self,
        subject: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Listing<'a, Descriptor> {
        let found = self.referrers_of(subject.clone(), artifact_type.cloned());
        let items = stream::once(found).map_ok(|found| stream::iter(found.into_iter().map(Ok)));
        Box::pin(items.try_flatten())
    }

    async fn list_predecessors(&self, node: &Descriptor) -> Result<Vec<Descriptor>> {
        let lock = &self.bundle.contents.lock;
        let kinds = [ContentKind::Manifest, ContentKind::Blob];
        let numbers: Vec<u32> = kinds
            .into_iter()
            .filter_map(|kind| lock.number(kind, node.digest()))
            .collect();
        let manifests = self
            .contents
            .manifests
            .iter()
            .filter_map(|number| lock.get(*number));
        let above =
            manifests.filter(|node| node.children.iter().any(|child| numbers.contains(child)));
        let mut found: Vec<Descriptor> = above.map(ContentNode::descriptor).collect();
        found.sort_by(|one, other| one.digest().cmp(other.digest()));
        Ok(found)
    }
}
