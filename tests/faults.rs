//! Copies over connections that break: they end with the right bytes, or with an error that names what
//! happened, and never with other bytes.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tempfile::TempDir;
use tranship::*;
use tranship_conformance::content::Item;
use tranship_conformance::http::{Fault, FaultProxy, Way};
use tranship_layout::{Durability, Layout, LayoutOptions, LayoutRegistry};
use tranship_memory::MemoryRepository;
use tranship_remote::{RemoteOptions, RemoteRegistry, RequestKind, RetryPolicy};
use tranship_server::TestServer;

const MIB: usize = 1024 * 1024;

/// What heads of requests and answers add to the bytes of blobs, at the most.
const HEADS: u64 = 64 * 1024;

/// A server that keeps its content on disk, with a proxy in front.
struct Registry {
    proxy: FaultProxy,
    server: TestServer,
    /// How often clients try again.
    patience: u32,
    _directory: TempDir,
}

impl Registry {
    async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let options = LayoutOptions::default().with_durability(Durability::Relaxed);
        let layouts = LayoutRegistry::create_with(directory.path(), options)
            .await
            .expect("a registry");
        let server = TestServer::start(Arc::new(layouts))
            .await
            .expect("a server");
        let proxy = FaultProxy::start(server.address()).await.expect("a proxy");
        Self {
            proxy,
            server,
            patience: 10,
            _directory: directory,
        }
    }

    /// A client that goes through the proxy, and is quick to try again.
    fn client(&self) -> RemoteRegistry {
        let retry = RetryPolicy::default()
            .with_max_retries(self.patience)
            .with_first_pause(Duration::from_millis(5));
        let options = RemoteOptions::default()
            .with_retry(retry.with_longest_pause(Duration::from_millis(50)))
            .with_silence_timeout(Duration::from_millis(1500));
        RemoteRegistry::with_options(&self.proxy.host().parse().expect("a name"), options)
            .expect("a client")
    }

    fn repository(&self) -> Arc<dyn Repository> {
        Arc::new(self.client().open(&name()))
    }

    /// A client that does not go through the proxy.
    fn behind(&self) -> Arc<dyn Repository> {
        let host = self.server.host().parse().expect("a name");
        Arc::new(RemoteRegistry::new(&host).expect("a client").open(&name()))
    }
}

fn name() -> RepositoryName {
    "library/app".parse().expect("a name")
}

fn tag() -> Tag {
    "v1".parse().expect("a tag")
}

/// An image with a layer of each size.
async fn image(sizes: &[usize]) -> MemoryRepository {
    let repository = MemoryRepository::new();
    let config = Item::new(MediaType::IMAGE_CONFIG, "{}");
    let mut layers = Vec::new();
    for (seed, size) in sizes.iter().enumerate() {
        let layer = Item::noise(seed as u64 + 1, *size);
        push(&repository, &layer).await;
        let layer = layer.descriptor();
        layers.push(Descriptor::new(
            MediaType::IMAGE_LAYER,
            *layer.digest(),
            layer.size(),
        ));
    }
    push(&repository, &config).await;
    let manifest = Manifest::new(config.descriptor().clone(), layers);
    let content = encode_json(&manifest).expect("JSON");
    let descriptor = Descriptor::of(MediaType::IMAGE_MANIFEST, &content);
    repository
        .push_reference(&descriptor, content.into(), &[tag()])
        .await
        .expect("pushed");
    repository
}

async fn push(repository: &dyn Repository, item: &Item) {
    repository
        .push(item.descriptor(), item.source())
        .await
        .expect("pushed");
}

async fn copy_over(source: &dyn Repository, destination: &dyn Repository) -> Result<Descriptor> {
    let options = CopyOptions::default();
    let report = copy(source, &tag().into(), destination, &[tag()], &options).await?;
    Ok(report.root)
}

/// Reads all that belongs to the image, which checks it, and compares what it is.
async fn is_the_same(one: &dyn Repository, other: &dyn Repository) {
    let root = other.resolve(&tag().into()).await.expect("the tag");
    assert_eq!(
        root.digest(),
        one.resolve(&tag().into()).await.expect("the tag").digest()
    );
    let manifest = other.fetch(&root).await.expect("the manifest");
    let manifest = manifest.bytes(MAX_MANIFEST_SIZE).await.expect("whole");
    let manifest: Manifest = serde_json::from_slice(&manifest).expect("a manifest");
    for blob in manifest.layers.iter().chain([&manifest.config]) {
        let content = other.fetch(blob).await.expect("a blob");
        let content = content.bytes(u64::MAX).await.expect("whole");
        assert_eq!(content.len() as u64, blob.size());
    }
}

/// Connections that come to all sorts of ends, again and again.
fn bad_weather() -> Vec<Fault> {
    let mib = |count: u64| count * MIB as u64;
    let mut faults = vec![Fault::slow_start(Duration::from_millis(20))];
    for first in (0..60).step_by(6) {
        faults.extend([
            Fault::reset(Way::Down, mib(9)).on(first..first + 1),
            Fault::reset(Way::Up, mib(14)).on(first + 1..first + 2),
            Fault::answer(StatusCode::SERVICE_UNAVAILABLE).on(first + 2..first + 3),
            Fault::answer(StatusCode::TOO_MANY_REQUESTS).on(first + 3..first + 4),
            Fault::close(Way::Down, mib(21)).on(first + 4..first + 5),
            Fault::close(Way::Up, mib(18)).on(first + 5..first + 6),
        ]);
    }
    faults.push(Fault::stall(Way::Down, mib(5)).on(4..5));
    faults.push(Fault::stall(Way::Up, mib(5)).on(7..8));
    faults
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_megabytes_arrive_through_bad_weather_both_ways() {
    let registry = Registry::start().await;
    let source = image(&[140 * MIB, 30 * MIB, 20 * MIB, 10 * MIB]).await;
    registry.proxy.set_faults(bad_weather());
    copy_over(&source, &*registry.repository())
        .await
        .expect("pushed");
    is_the_same(&source, &*registry.behind()).await;

    let pushed_over = registry.proxy.traffic().connections;
    let directory = tempfile::tempdir().expect("a directory");
    let options = LayoutOptions::default().with_durability(Durability::Relaxed);
    let destination = Layout::create_with(directory.path().join("layout"), options)
        .await
        .expect("a layout");
    copy_over(&*registry.repository(), &destination)
        .await
        .expect("pulled");
    is_the_same(&source, &destination).await;
    let pulled_over = registry.proxy.traffic().connections - pushed_over;
    assert!(pushed_over > 4, "{pushed_over} connections");
    assert!(pulled_over > 4, "{pulled_over} connections");
}

/// Pushes and pulls a small image with faults on all connections or some, and holds each to the right
/// bytes or one of the kinds of error.
async fn outcome_of(fault: Fault, kinds: &[ErrorKind]) {
    let source = image(&[3 * MIB, 100_000]).await;
    let mut registry = Registry::start().await;
    if !kinds.is_empty() {
        // It would be in vain.
        registry.patience = 2;
    }
    registry.proxy.set_faults([fault.clone()]);
    match copy_over(&source, &*registry.repository()).await {
        Ok(_) => is_the_same(&source, &*registry.behind()).await,
        Err(error) => is_one_of(&error, kinds, "push", &fault),
    }
    copy_over(&source, &*registry.behind())
        .await
        .expect("pushed");

    registry.proxy = FaultProxy::start(registry.server.address())
        .await
        .expect("a proxy");
    registry.proxy.set_faults([fault.clone()]);
    let destination = MemoryRepository::new();
    match copy_over(&*registry.repository(), &destination).await {
        Ok(_) => is_the_same(&source, &destination).await,
        Err(error) => is_one_of(&error, kinds, "pull", &fault),
    }
}

fn is_one_of(error: &Error, kinds: &[ErrorKind], what: &str, fault: &Fault) {
    assert!(kinds.contains(&error.kind()), "{what} {fault:?}: {error:?}");
}

#[tokio::test]
async fn a_reset_in_one_connection_harms_nothing() {
    for byte in [0, 10, 300, 1_000_000] {
        for way in [Way::Up, Way::Down] {
            outcome_of(Fault::reset(way, byte).on(0..1), &[]).await;
        }
    }
}

#[tokio::test]
async fn an_early_end_of_one_connection_harms_nothing() {
    for byte in [0, 10, 300, 1_000_000] {
        for way in [Way::Up, Way::Down] {
            outcome_of(Fault::close(way, byte).on(0..1), &[]).await;
        }
    }
}

#[tokio::test]
async fn a_stall_of_one_connection_harms_nothing() {
    for way in [Way::Up, Way::Down] {
        outcome_of(Fault::stall(way, 1_000_000).on(0..1), &[]).await;
    }
}

#[tokio::test]
async fn a_burst_of_refusals_harms_nothing() {
    for status in [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::SERVICE_UNAVAILABLE,
    ] {
        outcome_of(Fault::answer(status).on(0..4), &[]).await;
    }
}

#[tokio::test]
async fn resets_of_all_connections_at_their_start_are_what_the_error_says() {
    for way in [Way::Up, Way::Down] {
        outcome_of(Fault::reset(way, 0), &[ErrorKind::Unavailable]).await;
    }
}

#[tokio::test]
async fn stalls_of_all_connections_are_what_the_error_says() {
    outcome_of(Fault::stall(Way::Down, 0), &[ErrorKind::Timeout]).await;
}

#[tokio::test]
async fn refusals_without_end_are_what_the_error_says() {
    let status = StatusCode::TOO_MANY_REQUESTS;
    outcome_of(Fault::answer(status), &[ErrorKind::RateLimited]).await;
}

#[tokio::test]
async fn a_flipped_bit_on_the_way_up_is_a_wrong_digest_and_nothing_appears() {
    let registry = Registry::start().await;
    let item = Item::noise(1, 2 * MIB);
    registry.proxy.set_faults([Fault::flip(Way::Up, 1_000_000)]);
    let error = registry
        .repository()
        .push(item.descriptor(), item.source())
        .await
        .expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{error:?}");
    let behind = registry.behind();
    assert!(!behind.exists(item.descriptor()).await.expect("an answer"));
}

#[tokio::test]
async fn a_flipped_bit_on_the_way_down_is_a_wrong_digest() {
    let registry = Registry::start().await;
    let item = Item::noise(1, 2 * MIB);
    push(&*registry.behind(), &item).await;
    registry
        .proxy
        .set_faults([Fault::flip(Way::Down, 1_000_000)]);
    let content = registry.repository().fetch(item.descriptor()).await;
    let error = content
        .expect("an answer")
        .bytes(u64::MAX)
        .await
        .expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{error:?}");
}

#[tokio::test]
async fn a_copy_with_a_flipped_bit_leaves_nothing_under_the_tag() {
    let registry = Registry::start().await;
    let source = image(&[2 * MIB]).await;
    copy_over(&source, &*registry.behind())
        .await
        .expect("pushed");
    // Whichever connection carries the layer.
    registry
        .proxy
        .set_faults([Fault::flip(Way::Down, 1_000_000)]);
    let destination = MemoryRepository::new();
    let error = copy_over(&*registry.repository(), &destination)
        .await
        .expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{error:?}");
    let resolved = destination.resolve(&tag().into()).await;
    assert!(resolved.expect_err("no tag").is_not_found());
}

#[tokio::test]
async fn an_interrupted_pull_goes_on_where_it_stopped() {
    let registry = Registry::start().await;
    let item = Item::noise(1, 24 * MIB);
    push(&*registry.behind(), &item).await;
    let size = item.descriptor().size();
    registry
        .proxy
        .set_faults([Fault::close(Way::Down, size / 2).on(0..2)]);
    let client = registry.client();
    let content = client.open(&name()).fetch(item.descriptor()).await;
    let content = content.expect("an answer").bytes(u64::MAX).await;
    assert_eq!(content.expect("whole"), *item.bytes());
    // The first two break in the middle of what they carry.
    assert_eq!(client.request_counts().of(RequestKind::BlobGet), 3);
    let down = registry.proxy.traffic().down;
    assert!((size..size + HEADS).contains(&down), "{down} of {size}");
}

#[tokio::test]
async fn an_interrupted_push_goes_on_where_it_stopped() {
    let registry = Registry::start().await;
    let item = Item::noise(1, 24 * MIB);
    let size = item.descriptor().size();
    registry
        .proxy
        .set_faults([Fault::close(Way::Up, size / 2).on(0..1)]);
    let client = registry.client();
    push(&client.open(&name()), &item).await;
    let behind = registry.behind();
    assert!(behind.exists(item.descriptor()).await.expect("an answer"));
    let counts = client.request_counts();
    assert_eq!(counts.of(RequestKind::UploadStart), 1);
    // More than once, and some bytes twice, if the registry has not noticed yet that the request broke.
    assert!(counts.of(RequestKind::UploadStatus) >= 1);
    let up = registry.proxy.traffic().up;
    assert!((size..2 * size).contains(&up), "{up} of {size}");
}

#[tokio::test]
async fn an_upload_goes_on_in_another_process_where_it_stopped() {
    let registry = Registry::start().await;
    let item = Item::noise(1, 8 * MIB);
    let size = item.descriptor().size();
    let half = item.bytes().len() / 2;
    let id = {
        let repository = registry.client().open(&name());
        let uploader = repository.blobs();
        let mut upload = uploader.start().await.expect("started");
        let first = item.bytes().slice(..half);
        upload.write(0, first).await.expect("written");
        upload.id().as_str().to_owned()
    };
    // Nothing of the first client is left but the text of the id.
    let repository = registry.client().open(&name());
    let uploader = repository.blobs();
    let mut upload = uploader.resume(&UploadId::new(id)).await.expect("resumed");
    assert_eq!(upload.offset(), half as u64);
    let rest = item.bytes().slice(half..);
    upload.write(half as u64, rest).await.expect("written");
    upload.commit(item.descriptor()).await.expect("committed");
    let up = registry.proxy.traffic().up;
    assert!((size..size + HEADS).contains(&up), "{up} of {size}");
}

#[tokio::test]
async fn an_interrupted_push_of_a_file_goes_on_where_it_stopped() {
    let registry = Registry::start().await;
    let item = Item::noise(1, 24 * MIB);
    let size = item.descriptor().size();
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), item.bytes()).expect("written");
    // What is sent from a file may have a connection of its own, which comes second.
    registry
        .proxy
        .set_faults([Fault::close(Way::Up, size / 2).on(0..2)]);
    let client = registry.client();
    client
        .open(&name())
        .push(item.descriptor(), Source::file(file.path()))
        .await
        .expect("pushed");
    let content = registry.behind().fetch(item.descriptor()).await;
    let content = content.expect("there").bytes(u64::MAX).await;
    assert_eq!(content.expect("whole"), *item.bytes());
    assert!(client.request_counts().of(RequestKind::UploadStatus) >= 1);
    let up = registry.proxy.traffic().up;
    assert!((size..2 * size).contains(&up), "{up} of {size}");
}

#[tokio::test]
async fn a_file_that_is_not_as_long_as_was_said_is_not_pushed() {
    let registry = Registry::start().await;
    let item = Item::noise(1, 3 * MIB);
    for length in [2 * MIB, 3 * MIB - 1, 3 * MIB + 1, 4 * MIB] {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let mut content = item.bytes().to_vec();
        content.resize(length, 0);
        std::fs::write(file.path(), content).expect("written");
        let client = registry.client();
        let pushed = client
            .open(&name())
            .push(item.descriptor(), Source::file(file.path()))
            .await;
        assert_eq!(pushed.expect_err("refused").kind(), ErrorKind::SizeMismatch);
        let behind = registry.behind();
        assert!(!behind.exists(item.descriptor()).await.expect("an answer"));
    }
}

#[tokio::test]
async fn a_copy_that_is_made_again_moves_what_was_missing() {
    let registry = Registry::start().await;
    let source = image(&[4 * MIB, 4 * MIB, 4 * MIB]).await;
    let one_by_one = CopyOptions::default().with_concurrency(1);
    let impatient = RetryPolicy::default().with_max_retries(0);
    let options = RemoteOptions::default().with_retry(impatient);
    let host = registry.proxy.host().parse().expect("a name");
    let client = RemoteRegistry::with_options(&host, options).expect("a client");
    // In the middle of the second layer.
    registry
        .proxy
        .set_faults([Fault::reset(Way::Up, 6 * MIB as u64).on(0..1)]);
    let destination = client.open(&name());
    copy(&source, &tag().into(), &destination, &[tag()], &one_by_one)
        .await
        .expect_err("broken");
    let before = registry.proxy.traffic().up;
    copy(&source, &tag().into(), &destination, &[tag()], &one_by_one)
        .await
        .expect("pushed");
    is_the_same(&source, &*registry.behind()).await;
    let again = registry.proxy.traffic().up - before;
    let missing = 8 * MIB as u64;
    assert!(again < missing + HEADS, "{again} of {missing}");
}
