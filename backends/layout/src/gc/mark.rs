//! Finds the content in use. Damaged content stops it, since the content below might be in use. Undamaged content
//! that does not have its media type keeps everything that it names.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;
use tranship::blocking;
use tranship::{Descriptor, Digest, Error, ErrorKind, ManifestDocument, MediaType, Result};

use super::text::{named_in_large, named_in_text};
use crate::graph::decode;
use crate::index::{Entry, Snapshot};
use crate::store::Store;

/// How many manifests are read at the same time.
const MANIFESTS: usize = 16;

/// From this size on, in bytes, JSON is read on a blocking thread.
const LARGE: usize = 64 * 1024;

/// A reference to content, and what that is taken for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Link {
    pub(crate) digest: Digest,
    pub(crate) kind: Kind,
}

/// What is known of content before it is read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// A manifest of a type that we can read.
    Manifest(MediaType),
    /// Listed where manifests are, with a type that we do not know.
    Unknown,
    /// Named by something that we do not know.
    Named,
    /// It refers to nothing.
    Leaf,
}

impl Link {
    /// Content that is listed where manifests are.
    pub(crate) fn listed(descriptor: &Descriptor) -> Self {
        let media_type = descriptor.media_type();
        let kind = if media_type.is_manifest() {
            Kind::Manifest(media_type.clone())
        } else if is_leaf(media_type) {
            Kind::Leaf
        } else {
            Kind::Unknown
        };
        let digest = *descriptor.digest();
        Self { digest, kind }
    }

    /// A config, a layer or a blob: of whatever type, unless that is one of manifests.
    fn part(descriptor: &Descriptor) -> Self {
        let media_type = descriptor.media_type();
        let kind = if media_type.is_manifest() {
            Kind::Manifest(media_type.clone())
        } else {
            Kind::Leaf
        };
        let digest = *descriptor.digest();
        Self { digest, kind }
    }
}

/// Types that tools list where manifests are, and that refer to nothing. Others are looked into.
fn is_leaf(media_type: &MediaType) -> bool {
    [
        "application/vnd.oci.image.layer.",
        "application/vnd.oci.image.config.",
        "application/vnd.oci.empty.",
        "application/vnd.docker.image.rootfs.",
        "application/vnd.docker.container.image.",
    ]
    .iter()
    .any(|prefix| media_type.as_str().starts_with(prefix))
}

/// What one manifest refers to.
#[derive(Debug, Default)]
struct Known {
    links: Vec<Link>,
    subject: Option<Digest>,
}

impl Known {
    /// The links of content that mentions the digests `names` and cannot be decoded.
    fn naming(names: HashSet<Digest>, subject: Option<Digest>) -> Self {
        let links = names.into_iter().map(|digest| Link {
            digest,
            kind: Kind::Named,
        });
        Self {
            links: links.collect(),
            subject,
        }
    }
}

/// What is in use.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) digests: HashSet<Digest>,
    followed: HashSet<Link>,
}

/// Reads manifests, each once.
#[derive(Debug)]
pub(crate) struct Marker<'a> {
    store: &'a Store,
    known: HashMap<Link, Known>,
}

/// What `snapshot` lists.
///
/// # Errors
/// `Unsupported` if something is listed by a digest that we cannot look up.
pub(crate) fn roots(snapshot: &Snapshot) -> Result<Vec<(&Entry, Link)>> {
    let mut roots = Vec::with_capacity(snapshot.len());
    for entry in snapshot.entries() {
        match entry {
            Entry::Manifest(descriptor, _) => roots.push((entry, Link::listed(descriptor))),
            Entry::Foreign(value) => {
                let digest = value.get("digest").and_then(Value::as_str);
                return Err(Error::unsupported(
                    "is listed by a digest of an unknown algorithm: what it refers to cannot be told",
                )
                .with_subject(digest.unwrap_or_default().escape_debug())
                .with_hint("nothing was removed"));
            }
        }
    }
    Ok(roots)
}

impl<'a> Marker<'a> {
    pub(crate) fn new(store: &'a Store) -> Self {
        Self {
            store,
            known: HashMap::new(),
        }
    }

    /// The manifest that `link`, which has been reached, refers to as its subject.
    pub(crate) fn subject(&self, link: &Link) -> Option<Digest> {
        self.known.get(link)?.subject
    }

    /// Whether something lies under `digest`.
    pub(crate) async fn is_stored(&self, digest: &Digest) -> Result<bool> {
        let size = self.store.driver().await?.blob_size(digest).await?;
        Ok(size.is_some())
    }

    /// Adds to `kept` what `roots` lead to. What is absent is passed over.
    ///
    /// # Errors
    /// What keeps a manifest from being read, with its digest.
    pub(crate) async fn reach(&mut self, roots: Vec<Link>, kept: &mut Kept) -> Result<()> {
        let mut next = roots;
        loop {
            let mut unknown = Vec::new();
            while let Some(link) = next.pop() {
                kept.digests.insert(link.digest);
                if link.kind == Kind::Leaf || !kept.followed.insert(link.clone()) {
                    continue;
                }
                match self.known.get(&link) {
                    Some(known) => next.extend(known.links.iter().cloned()),
                    None => unknown.push(link),
                }
            }
            if unknown.is_empty() {
                return Ok(());
            }
            let store = self.store;
            let mut loads = stream::iter(unknown)
                .map(|link| async move {
                    let known = load(store, &link).await.map_err(|error| {
                        error
                            .with_operation("read")
                            .with_subject(link.digest)
                            .with_hint("nothing was removed: repair it, or delete it, first")
                    })?;
                    Ok::<_, Error>((link, known))
                })
                .buffer_unordered(MANIFESTS);
            while let Some((link, known)) = loads.try_next().await? {
                next.extend(known.links.iter().cloned());
                self.known.insert(link, known);
            }
        }
    }
}

async fn load(store: &Store, link: &Link) -> Result<Known> {
    let digest = link.digest;
    let content = match store.read_manifest(&digest).await {
        // Too large to be what leads on to others.
        Err(error) if link.kind == Kind::Named && error.kind() == ErrorKind::SizeExceedsLimit => {
            None
        }
        // A blob that is listed as a manifest, or a manifest from when the limit was another one.
        Err(error) if error.kind() == ErrorKind::SizeExceedsLimit => {
            let names = named_in_large(store, &digest).await?;
            return Ok(Known::naming(names, None));
        }
        content => content?,
    };
    let Some(content) = content else {
        return Ok(Known::default());
    };
    let kind = link.kind.clone();
    if content.len() < LARGE {
        look_into(&digest, &kind, &content)
    } else {
        blocking::run(move || look_into(&digest, &kind, &content)).await
    }
}

fn look_into(digest: &Digest, kind: &Kind, content: &Bytes) -> Result<Known> {
    let media_type = match kind {
        Kind::Leaf => return Ok(Known::default()),
        Kind::Manifest(media_type) => Some(media_type.clone()),
        Kind::Unknown | Kind::Named => ManifestDocument::sniff(content),
    };
    if let Some(media_type) = media_type
        && let Some((_, document)) = decode(digest, &media_type, content)?
    {
        return Ok(Known {
            links: links(&document),
            subject: document.subject().map(|subject| *subject.digest()),
        });
    }
    if !digest.matches(content) {
        return Err(Error::new(
            ErrorKind::Corrupt,
            "the content does not hash to its digest",
        ));
    }
    // A format that we do not know. Where it is JSON, whatever it names is taken for needed.
    let mut names = HashSet::new();
    let document: Option<Value> = serde_json::from_slice(content).ok();
    if let Some(document) = &document {
        digests_in(document, &mut names);
    }
    let mut subject = None;
    if let Kind::Manifest(_) = kind {
        // Something says that this is a manifest, and it cannot be decoded as one. Another program might: one
        // that takes the first of two fields of one name, or nests deeper than our parser. Its text is
        // searched, too.
        names.extend(named_in_text(content));
        subject = document
            .as_ref()
            .and_then(|document| document.get("subject")?.get("digest")?.as_str())
            .and_then(|digest| digest.parse().ok());
    }
    Ok(Known::naming(names, subject))
}

fn links(document: &ManifestDocument) -> Vec<Link> {
    let subject = document.subject().map(Link::listed);
    let rest: Vec<_> = match document {
        ManifestDocument::Index(index) => index.manifests.iter().map(Link::listed).collect(),
        document => {
            let successors = document.successors();
            let skipped = usize::from(subject.is_some());
            successors.iter().skip(skipped).map(Link::part).collect()
        }
    };
    subject.into_iter().chain(rest).collect()
}

/// All digests that the document names. Its depth is bounded by the parser.
fn digests_in(document: &Value, found: &mut HashSet<Digest>) {
    match document {
        Value::String(text) => found.extend(text.parse::<Digest>()),
        Value::Array(values) => {
            for value in values {
                digests_in(value, found);
            }
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                found.extend(key.parse::<Digest>());
                digests_in(value, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
