//! How many requests an operation may cost, kind by kind: nothing that is not in these budgets is sent.

use std::sync::Arc;

use tranship::*;
use tranship_conformance::content::{Image, ImageIndex, Item, Packed};
use tranship_conformance::http::{Quirk, Quirky};
use tranship_layout::Layout;
use tranship_memory::{MemoryRegistry, MemoryRepository};
use tranship_remote::RequestKind::{
    self, BlobGet, BlobHead, ManifestGet, ManifestHead, ManifestPut, Mount, Referrers, Tags, Token,
    UploadChunk, UploadEnd, UploadStart,
};
use tranship_remote::{RemoteOptions, RemoteRegistry, RemoteRepository, RequestCounts, UploadMode};
use tranship_server::{ServerOptions, TestServer, router};

/// Blobs of an image with this many layers: the config is one.
const LAYERS: usize = 4;
const BLOBS: u64 = LAYERS as u64 + 1;

const KINDS: [RequestKind; 18] = [
    RequestKind::Ping,
    ManifestHead,
    ManifestGet,
    ManifestPut,
    RequestKind::ManifestDelete,
    BlobHead,
    BlobGet,
    RequestKind::BlobDelete,
    Mount,
    UploadStart,
    UploadChunk,
    UploadEnd,
    RequestKind::UploadStatus,
    RequestKind::UploadCancel,
    Tags,
    RequestKind::Catalog,
    Referrers,
    Token,
];

struct Registry {
    client: RemoteRegistry,
    _server: TestServer,
}

impl Registry {
    async fn start() -> Self {
        Self::with(RemoteOptions::default(), []).await
    }

    async fn with(options: RemoteOptions, quirks: impl IntoIterator<Item = Quirk>) -> Self {
        let memory = Arc::new(MemoryRegistry::new());
        let service = Quirky::new(router(memory, ServerOptions::default()), quirks);
        let server = TestServer::serve(service).await.expect("a server");
        let host = server.host().parse().expect("a name");
        Self {
            client: RemoteRegistry::with_options(&host, options).expect("a client"),
            _server: server,
        }
    }

    /// A registry that has an image under `v1` already, with a client that has sent nothing yet.
    async fn holding(image: &Packed) -> Self {
        let registry = Self::start().await;
        let source = holding(image).await;
        let repository = registry.repository("library/app");
        copy_to(&source, &repository).await;
        registry.with_new_client()
    }

    /// The same registry, with a client that has sent nothing yet.
    fn with_new_client(self) -> Self {
        let host = self._server.host().parse().expect("a name");
        Self {
            client: RemoteRegistry::new(&host).expect("a client"),
            ..self
        }
    }

    fn repository(&self, name: &str) -> RemoteRepository {
        self.client.open(&name.parse().expect("a name"))
    }

    #[track_caller]
    fn has_sent(&self, expected: &[(RequestKind, u64)]) {
        assert_eq!(sent(self.client.request_counts()), expected);
    }
}

fn sent(counts: RequestCounts) -> Vec<(RequestKind, u64)> {
    let kinds = KINDS.into_iter().map(|kind| (kind, counts.of(kind)));
    let sent: Vec<_> = kinds.filter(|(_, count)| *count > 0).collect();
    let all: u64 = sent.iter().map(|(_, count)| count).sum();
    assert_eq!(all, counts.total(), "a kind is missing here");
    sent
}

fn image() -> Packed {
    Image::new("economy").with_layers(LAYERS).build()
}

fn tag() -> Tag {
    "v1".parse().expect("a tag")
}

async fn put(repository: &dyn Repository, item: &Item) {
    repository
        .push(item.descriptor(), item.source())
        .await
        .expect("pushed");
}

async fn holding(image: &Packed) -> MemoryRepository {
    let repository = MemoryRepository::new();
    for blob in image.blobs() {
        put(&repository, blob).await;
    }
    put(&repository, image.manifest()).await;
    repository
        .tag(image.descriptor(), &tag())
        .await
        .expect("tagged");
    repository
}

async fn copy_to(source: &dyn Repository, destination: &dyn Repository) -> CopyReport {
    let options = CopyOptions::default();
    copy(source, &tag().into(), destination, &[tag()], &options)
        .await
        .expect("copied")
}

#[tokio::test]
async fn a_pull_reads_the_manifest_and_each_blob_once() {
    let image = image();
    let registry = Registry::holding(&image).await;
    let directory = tempfile::tempdir().expect("a directory");
    let layout = Layout::create(directory.path().join("layout"));
    let layout = layout.await.expect("a layout");
    copy_to(&registry.repository("library/app"), &layout).await;
    registry.has_sent(&[(ManifestGet, 1), (BlobGet, BLOBS)]);
}

#[tokio::test]
async fn a_pull_of_two_platforms_reads_the_index_and_these() {
    let platforms = ["linux/amd64", "linux/arm64", "linux/s390x"];
    let source = MemoryRepository::new();
    let mut entries = Vec::new();
    for name in platforms {
        let image = Image::new(name).with_layers(1).build();
        for item in image.blobs() {
            put(&source, item).await;
        }
        put(&source, image.manifest()).await;
        let platform = name.parse().expect("a platform");
        entries.push(image.descriptor().clone().with_platform(platform));
    }
    let index = encode_json(&Index::new(entries)).expect("json");
    tag_bytes(&source, MediaType::IMAGE_INDEX, index, &[tag()])
        .await
        .expect("pushed");
    let registry = Registry::start().await;
    copy_to(&source, &registry.repository("library/app")).await;

    let wanted = platforms[..2].iter().map(|it| it.parse().expect("valid"));
    let subset = PlatformSubset::new(wanted);
    for form in [SubsetForm::NewIndex, SubsetForm::Sparse] {
        let host = registry._server.host().parse().expect("a name");
        let client = RemoteRegistry::new(&host).expect("a client");
        let source = client.open(&"library/app".parse().expect("a name"));
        let options = CopyOptions::default().with_platforms(subset.clone().with_form(form));
        let destination = MemoryRepository::new();
        copy(&source, &tag().into(), &destination, &[tag()], &options)
            .await
            .expect("copied");
        let expected = [(ManifestGet, 3), (BlobGet, 4)];
        assert_eq!(sent(client.request_counts()), expected);
    }
}

#[tokio::test]
async fn a_pull_with_tokens_asks_for_one_token() {
    let image = image();
    let registry = Registry::with(RemoteOptions::default(), [Quirk::ManyChallenges]).await;
    copy_to(&holding(&image).await, &registry.repository("library/app")).await;
    let registry = registry.with_new_client();
    copy_to(
        &registry.repository("library/app"),
        &MemoryRepository::new(),
    )
    .await;
    // The first request is refused, and tells where tokens are given.
    registry.has_sent(&[(ManifestGet, 2), (BlobGet, BLOBS), (Token, 1)]);
}

/// That the destination lacks the root takes two questions, whatever the size of the image: whether the
/// tag names it, so that a copy of what is there ends with that, and whether it is there under another
/// tag, so that the blobs of what is mirrored under many tags are asked for once and not tag by tag.
const IS_IT_THERE: (RequestKind, u64) = (ManifestHead, 2);

#[tokio::test]
async fn a_push_asks_for_begins_and_ends_each_blob_once() {
    let registry = Registry::start().await;
    let source = holding(&image()).await;
    copy_to(&source, &registry.repository("library/app")).await;
    registry.has_sent(&[
        IS_IT_THERE,
        (ManifestPut, 1),
        (BlobHead, BLOBS),
        (UploadStart, BLOBS),
        (UploadEnd, BLOBS),
    ]);
}

#[tokio::test]
async fn a_push_of_one_manifest_and_its_blobs_by_hand_asks_for_no_manifest() {
    let registry = Registry::start().await;
    let repository = registry.repository("library/app");
    let image = image();
    for blob in image.blobs() {
        put(&repository, blob).await;
    }
    let manifest = image.manifest();
    repository
        .push_reference(manifest.descriptor(), manifest.source(), &[tag()])
        .await
        .expect("pushed");
    registry.has_sent(&[
        (ManifestPut, 1),
        (BlobHead, BLOBS),
        (UploadStart, BLOBS),
        (UploadEnd, BLOBS),
    ]);
}

#[tokio::test]
async fn a_push_in_chunks_sends_each_chunk_once() {
    let options = RemoteOptions::default()
        .with_upload(UploadMode::Chunked)
        .with_chunk_size(100_000);
    let registry = Registry::with(options, []).await;
    let item = Item::noise(1, 250_000);
    put(&registry.repository("library/app"), &item).await;
    registry.has_sent(&[
        (BlobHead, 1),
        (UploadStart, 1),
        (UploadChunk, 3),
        (UploadEnd, 1),
    ]);
}

#[tokio::test]
async fn a_push_of_a_blob_that_is_there_is_one_question() {
    let image = image();
    let registry = Registry::holding(&image).await;
    put(&registry.repository("library/app"), &image.blobs()[0]).await;
    registry.has_sent(&[(BlobHead, 1)]);
}

#[tokio::test]
async fn a_push_with_many_tags_is_one_request() {
    let registry = Registry::start().await;
    let repository = registry.repository("library/app");
    let manifest = ImageIndex::of([]).build();
    let tags: [Tag; 3] = ["v1", "v1.2", "latest"].map(|tag| tag.parse().expect("a tag"));
    repository
        .push_reference(manifest.descriptor(), manifest.source(), &tags)
        .await
        .expect("pushed");
    registry.has_sent(&[(ManifestPut, 1)]);
}

#[tokio::test]
async fn a_copy_of_what_is_there_is_one_request_on_each_side() {
    let image = image();
    let (here, there) = (
        Registry::holding(&image).await,
        Registry::holding(&image).await,
    );
    copy_to(
        &here.repository("library/app"),
        &there.repository("library/app"),
    )
    .await;
    here.has_sent(&[(ManifestGet, 1)]);
    there.has_sent(&[(ManifestHead, 1)]);
}

#[tokio::test]
async fn a_new_tag_for_what_is_there_asks_for_no_blob() {
    let image = image();
    let registry = Registry::holding(&image).await;
    let repository = registry.repository("library/app");
    let stable: Tag = "stable".parse().expect("a tag");
    let options = CopyOptions::default();
    copy(&repository, &tag().into(), &repository, &[stable], &options)
        .await
        .expect("copied");
    registry.has_sent(&[IS_IT_THERE, (ManifestGet, 1), (ManifestPut, 1)]);
}

#[tokio::test]
async fn a_copy_inside_a_registry_mounts_each_blob_and_moves_no_byte_of_them() {
    let image = image();
    let registry = Registry::holding(&image).await;
    copy_to(
        &registry.repository("library/app"),
        &registry.repository("released/app"),
    )
    .await;
    registry.has_sent(&[
        IS_IT_THERE,
        (ManifestGet, 1),
        (ManifestPut, 1),
        (Mount, BLOBS),
    ]);
}

/// A registry that declines mounts may have the blobs all the same, so it is asked before they are sent.
#[tokio::test]
async fn where_mounts_are_declined_each_blob_is_looked_for_before_it_is_sent() {
    let image = image();
    let registry = Registry::with(RemoteOptions::default(), [Quirk::NoMountAccepted]).await;
    let origin = registry.repository("library/app");
    copy_to(&holding(&image).await, &origin).await;
    let registry = registry.with_new_client();
    copy_to(
        &registry.repository("library/app"),
        &registry.repository("released/app"),
    )
    .await;
    registry.has_sent(&[
        IS_IT_THERE,
        (ManifestGet, 1),
        (ManifestPut, 1),
        (BlobHead, BLOBS),
        (BlobGet, BLOBS),
        (Mount, BLOBS),
        (UploadEnd, BLOBS),
    ]);
}

#[tokio::test]
async fn what_is_there_is_not_sent_again_where_mounts_are_declined() {
    let image = image();
    let registry = Registry::with(RemoteOptions::default(), [Quirk::NoMountAccepted]).await;
    let origin = registry.repository("library/app");
    copy_to(&holding(&image).await, &origin).await;
    let released = registry.repository("released/app");
    for blob in image.blobs() {
        put(&released, blob).await;
    }
    let registry = registry.with_new_client();
    let report = copy_to(
        &registry.repository("library/app"),
        &registry.repository("released/app"),
    )
    .await;
    assert_eq!(report.count(CopyAction::Skipped), image.blobs().len());
    registry.has_sent(&[
        IS_IT_THERE,
        (ManifestGet, 1),
        (ManifestPut, 1),
        (BlobHead, BLOBS),
        (Mount, BLOBS),
        (RequestKind::UploadCancel, BLOBS),
    ]);
}

#[tokio::test]
async fn what_is_there_is_one_question_each_where_the_source_is_elsewhere() {
    let image = image();
    let registry = Registry::start().await;
    let repository = registry.repository("library/app");
    for blob in image.blobs() {
        put(&repository, blob).await;
    }
    let registry = registry.with_new_client();
    let source = holding(&image).await;
    let report = copy_to(&source, &registry.repository("library/app")).await;
    assert_eq!(report.count(CopyAction::Skipped), image.blobs().len());
    registry.has_sent(&[IS_IT_THERE, (ManifestPut, 1), (BlobHead, BLOBS)]);
}

#[tokio::test]
async fn what_a_registry_mounts_unasked_is_reported_as_mounted() {
    let image = image();
    let registry = Registry::holding(&image).await;
    let source = holding(&image).await;
    let report = copy_to(&source, &registry.repository("another/app")).await;
    assert_eq!(report.count(CopyAction::Mounted), image.blobs().len());
    registry.has_sent(&[
        IS_IT_THERE,
        (ManifestPut, 1),
        (BlobHead, BLOBS),
        (UploadStart, BLOBS),
    ]);
}

#[tokio::test]
async fn a_fetch_of_a_blob_is_one_request() {
    let image = image();
    let registry = Registry::holding(&image).await;
    let repository = registry.repository("library/app");
    let blob = image.blobs()[0].descriptor();
    let content = repository.fetch(blob).await.expect("an answer");
    content.bytes(u64::MAX).await.expect("whole");
    registry.has_sent(&[(BlobGet, 1)]);
}

#[tokio::test]
async fn a_tag_is_resolved_by_one_request() {
    let image = image();
    let registry = Registry::holding(&image).await;
    let repository = registry.repository("library/app");
    repository.resolve(&tag().into()).await.expect("there");
    registry.has_sent(&[(ManifestHead, 1)]);
}

#[tokio::test]
async fn a_tag_is_set_by_reading_the_manifest_and_pushing_it() {
    let image = image();
    let registry = Registry::holding(&image).await;
    let repository = registry.repository("library/app");
    let stable: Tag = "stable".parse().expect("a tag");
    repository
        .tag(image.descriptor(), &stable)
        .await
        .expect("tagged");
    registry.has_sent(&[(ManifestGet, 1), (ManifestPut, 1)]);
}

#[tokio::test]
async fn tags_and_referrers_are_listed_by_one_request_a_page() {
    let image = image();
    let registry = Registry::holding(&image).await;
    let repository = registry.repository("library/app");
    tags(&repository).await.expect("tags");
    referrers(&repository, image.descriptor(), None)
        .await
        .expect("referrers");
    registry.has_sent(&[(Tags, 1), (Referrers, 1)]);
}
