//! Functions work with the smallest store that has what they need.

use std::collections::HashMap;
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use tranship::prelude::*;
use tranship::*;
use tranship_memory::MemoryRepository;

/// A backend with the required methods and nothing else.
#[derive(Debug)]
struct Small {
    name: RepositoryName,
    contents: Mutex<HashMap<(ContentKind, String), (Descriptor, Bytes)>>,
}

impl Small {
    fn new() -> Self {
        Self {
            name: "small".parse().expect("a name"),
            contents: Mutex::default(),
        }
    }

    fn get(&self, kind: ContentKind, reference: &TagOrDigest) -> Result<(Descriptor, Bytes)> {
        let contents = self.contents.lock().expect("not poisoned");
        let found = contents.get(&(kind, reference.to_string()));
        found.cloned().ok_or_else(|| Error::not_found(reference))
    }
}

#[async_trait]
impl Backend for Small {
    fn info(&self) -> RepositoryInfo<'_> {
        RepositoryInfo::new(&self.name, Capabilities::default())
    }

    async fn read(&self, kind: ContentKind, target: &Descriptor) -> Result<Content> {
        let (stored, bytes) = self.get(kind, &(*target.digest()).into())?;
        Ok(Content::from_bytes(stored, bytes))
    }

    async fn stat(&self, kind: ContentKind, reference: &TagOrDigest) -> Result<Descriptor> {
        Ok(self.get(kind, reference)?.0)
    }

    async fn write(
        &self,
        kind: ContentKind,
        expected: &Descriptor,
        source: Source<'_>,
        options: &PushOptions<'_>,
    ) -> Result<PushOutcome> {
        let bytes = source.bytes(expected, u64::MAX).await?;
        let names = options.tags.iter().map(ToString::to_string);
        let names = names.chain([expected.digest().to_string()]);
        let mut contents = self.contents.lock().expect("not poisoned");
        for name in names {
            contents.insert((kind, name), (expected.plain(), bytes.clone()));
        }
        Ok(PushOutcome::Pushed)
    }
}

async fn image(store: &dyn Repository) -> Descriptor {
    let layer = push_bytes(store, MediaType::IMAGE_LAYER, "layer").await;
    let options = PackOptions::new("application/vnd.example".parse().expect("a type"))
        .with_layer(layer.expect("pushed"));
    let tags = ["v1".parse().expect("a tag")];
    pack_and_tag(store, &options, &tags).await.expect("packed")
}

fn v1() -> Tag {
    "v1".parse().expect("a tag")
}

#[tokio::test]
async fn a_backend_of_four_methods_is_a_destination() {
    let (source, small) = (MemoryRepository::new(), Small::new());
    let root = image(&source).await;
    let copied = copy_tag(&source, &small, &v1(), &CopyOptions::default()).await;
    assert_eq!(copied.expect("copied").count(CopyAction::Copied), 3);
    assert_eq!(
        small.resolve(&v1().into()).await.expect("tagged"),
        root.plain()
    );
    let again = copy_tag(&source, &small, &v1(), &CopyOptions::default()).await;
    assert_eq!(again.expect("copied").count(CopyAction::Skipped), 1);
}

#[tokio::test]
async fn a_backend_of_four_methods_is_a_source() {
    let (small, destination) = (Small::new(), MemoryRepository::new());
    let root = image(&small).await;
    copy_tag(&small, &destination, &v1(), &CopyOptions::default())
        .await
        .expect("copied");
    let found = destination.resolve(&v1().into()).await.expect("tagged");
    assert_eq!(found, root.plain());
}

#[tokio::test]
async fn defaults_read_parts_and_set_tags() {
    let small = Small::new();
    let root = image(&small).await;
    let part = small.fetch_range(&root, (2..15).into()).await.expect("cut");
    assert_eq!(part.bytes(100).await.expect("whole"), "schemaVersion");
    let tag = "other".parse().expect("a tag");
    small.tag(&root, &tag).await.expect("tagged");
    let found = small.resolve(&tag.into()).await.expect("tagged");
    assert_eq!(found, root.plain());
}

#[tokio::test]
async fn what_a_small_backend_lacks_is_unsupported() {
    let small = Small::new();
    let root = image(&small).await;
    assert!(small.untag(&v1()).await.expect_err("no").is_unsupported());
    assert!(small.delete(&root).await.expect_err("no").is_unsupported());
    let listed = tags(&small).await.expect_err("no");
    assert!(listed.is_unsupported());
    assert_eq!(
        listed.to_string(),
        "list the tags of small: this store does not list its tags"
    );
    let uploads = small.blobs().start().await;
    assert!(uploads.err().is_some_and(|error| error.is_unsupported()));
    let from = "other".parse().expect("a name");
    let mounted = small.mount(&root, &from, None).await;
    assert!(mounted.expect_err("no").is_unsupported());
    assert!(small.batch().is_none());
}

#[tokio::test]
async fn a_mount_without_support_pushes_the_fallback() {
    let small = Small::new();
    let blob = Descriptor::of(MediaType::OCTET_STREAM, b"hello");
    let from = "other".parse().expect("a name");
    let mounted = small.mount(&blob, &from, Some("hello".into())).await;
    assert_eq!(mounted.expect("pushed"), PushOutcome::Pushed);
    assert!(small.exists(&blob).await.expect("looked"));
}

/// A type that takes content, and is not a backend.
#[derive(Default)]
struct Sink(Mutex<Vec<Digest>>);

#[async_trait]
impl Pusher for Sink {
    async fn push(&self, expected: &Descriptor, source: Source<'_>) -> Result<PushOutcome> {
        source.bytes(expected, 1024).await?;
        self.0
            .lock()
            .expect("not poisoned")
            .push(*expected.digest());
        Ok(PushOutcome::Pushed)
    }
}

#[tokio::test]
async fn packing_needs_no_more_than_a_pusher() {
    let sink = Sink::default();
    let options = PackOptions::new("application/vnd.example".parse().expect("a type"));
    let packed = pack_manifest(&sink, &options).await.expect("packed");
    let pushed = sink.0.into_inner().expect("not poisoned");
    assert_eq!(
        pushed,
        [*Descriptor::empty_json().digest(), *packed.digest()]
    );
}
