//! The files of a bundle, and writes that fail.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use tranship::*;
use tranship_layout::{Layout, LayoutOptions};
use tranship_memory::MemoryRegistry;
use tranship_mirror::bundle::*;

use crate::images::*;

#[tokio::test]
async fn a_bundle_has_every_image_and_each_piece_of_content_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let source = some_images().await;
    let plan = planned(&source, None, None).await;
    assert_eq!(plan.totals().bytes, source.stored_bytes());
    assert_eq!(plan.totals().images, 3);
    assert_eq!(plan.totals().manifests, 5);
    let files = written(&plan, &directory.path().join("bundle.tar")).await;
    assert_eq!(files, [directory.path().join("bundle.tar")]);
    let size = std::fs::metadata(&files[0]).expect("written").len();
    assert_eq!(size, plan.totals().file_bytes);
    let bundle = Bundle::open(&files).await.expect("opened");
    assert_has_all(&bundle, &source).await;
    let report = bundle
        .verify(&VerifyOptions::default())
        .await
        .expect("read");
    assert!(report.is_sound(), "{report:?}");
}

#[tokio::test]
async fn the_first_member_is_the_description() {
    let directory = tempfile::tempdir().expect("a directory");
    let plan = planned(&some_images().await, None, None).await;
    let files = written(&plan, &directory.path().join("bundle.tar")).await;
    let bytes = std::fs::read(&files[0]).expect("readable");
    assert!(bytes.starts_with(b"bundle.json\0"));
    assert!(!directory.path().join("bundle.tar.partial").exists());
}

#[tokio::test]
async fn the_same_images_make_the_same_bytes_whatever_the_concurrency() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut all = Vec::new();
    for concurrency in [1, 2, 20] {
        let plan = planned(&some_images().await, None, Some(49_152)).await;
        let path = directory.path().join(format!("{concurrency}.tar"));
        let options = WriteOptions::default().with_concurrency(concurrency);
        let report = plan.write_files(&path, &options).await.expect("written");
        let volumes = report.volumes.iter();
        let bytes: Vec<_> = volumes
            .map(|volume| std::fs::read(&volume.path).expect("readable"))
            .collect();
        all.push(bytes);
    }
    assert!(all[0].len() > 1);
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test]
async fn other_programs_find_an_image_layout() {
    let directory = tempfile::tempdir().expect("a directory");
    let source = some_images().await;
    let plan = planned(&source, None, None).await;
    let files = written(&plan, &directory.path().join("bundle.tar")).await;
    let layout = Layout::open_archive(&files[0], LayoutOptions::default())
        .await
        .expect("a layout");
    let app = open(&source, "team/app")
        .resolve(&as_tag("v1").into())
        .await
        .expect("tagged");
    assert_eq!(
        layout.resolve(&as_tag("v1").into()).await.expect("named"),
        app
    );
    let alpine = open(&source, "library/alpine");
    let index = alpine
        .resolve(&as_tag("latest").into())
        .await
        .expect("tagged");
    let children = successors(&*alpine, &index, MAX_MANIFEST_SIZE)
        .await
        .expect("readable");
    let found = referrers(&layout, &children[0], None)
        .await
        .expect("listed");
    assert_eq!(found.len(), 1, "the signature is an entry");
}

#[tokio::test]
async fn a_sink_gets_the_same_bytes_as_a_file() {
    /// The bytes of a volume, and whether it is finished.
    type Volume = (Vec<u8>, bool);
    #[derive(Clone, Default)]
    struct Collected(Arc<Mutex<Vec<Volume>>>);
    struct One(Collected, usize);
    #[async_trait]
    impl Sink for One {
        async fn write(&mut self, bytes: Bytes) -> Result<()> {
            self.0.0.lock().expect("not poisoned")[self.1]
                .0
                .extend_from_slice(&bytes);
            Ok(())
        }
        async fn finish(self: Box<Self>) -> Result<()> {
            self.0.0.lock().expect("not poisoned")[self.1].1 = true;
            Ok(())
        }
    }
    #[async_trait]
    impl OpenSink for Collected {
        async fn open(&self, _: u32, _: u32, _: u64) -> Result<Box<dyn Sink>> {
            let mut all = self.0.lock().expect("not poisoned");
            all.push((Vec::new(), false));
            Ok(Box::new(One(self.clone(), all.len() - 1)))
        }
    }
    let directory = tempfile::tempdir().expect("a directory");
    for volume_size in [None, Some(49_152)] {
        let plan = planned(&some_images().await, None, volume_size).await;
        let collected = Collected::default();
        plan.write_sinks(&collected, &WriteOptions::default())
            .await
            .expect("written");
        let files = written(&plan, &directory.path().join("bundle.tar")).await;
        let collected = collected.0.lock().expect("not poisoned");
        assert_eq!(collected.len(), files.len());
        for ((bytes, finished), file) in collected.iter().zip(&files) {
            assert!(*finished && *bytes == std::fs::read(file).expect("readable"));
        }
    }
}

/// A repository whose blobs of 10,000 bytes and more have another first byte.
#[derive(Debug)]
struct Lying(Arc<dyn Repository>);

#[async_trait]
impl Backend for Lying {
    async fn read(&self, kind: ContentKind, target: &Descriptor) -> Result<Content> {
        let content = self.0.read(kind, target).await?;
        if kind == ContentKind::Manifest || target.size() < 10_000 {
            return Ok(content);
        }
        let mut bytes = content.bytes(u64::MAX).await?.to_vec();
        bytes[0] ^= 1;
        Ok(Content::from_bytes(target.clone(), bytes.into()))
    }

    async fn read_range(
        &self,
        kind: ContentKind,
        target: &Descriptor,
        range: ByteRange,
    ) -> Result<Content> {
        let range = range.resolve(target.size())?;
        Ok(self.read(kind, target).await?.into_part(range))
    }

    tranship::forward_backend!(self, self.0;
        info stat write read_reference find mount_blob remove set_tag remove_tag list_tags
        list_referrers list_predecessors start_upload resume_upload begin_batch prepare_for_pushes);
}

#[tokio::test]
async fn a_blob_that_is_not_what_its_manifest_says_ends_the_write() {
    let directory = tempfile::tempdir().expect("a directory");
    let registry = MemoryRegistry::new();
    let repository = open(&registry, "app");
    push_image(
        &*repository,
        &[noise(1, 50), noise(2, 60_000)],
        &[as_tag("v1")],
    )
    .await;
    for volume_size in [None, Some(20_000)] {
        let planner = BundlePlanner::new(PlannerOptions::default());
        let to = planner.repository_from(
            &name("r.example/app"),
            Arc::new(Lying(Arc::clone(&repository))),
        );
        let v1 = as_tag("v1");
        let copied = copy(
            &*repository,
            &v1.clone().into(),
            &*to,
            &[v1],
            &CopyOptions::default(),
        )
        .await;
        copied.expect("copied");
        let mut options = PlanOptions::default();
        if let Some(size) = volume_size.and_then(std::num::NonZeroU64::new) {
            options = options.with_volume_size(size);
        }
        let plan = planner.plan(&options).await.expect("planned");
        let path = directory
            .path()
            .join(format!("{}.tar", volume_size.is_some()));
        let written = plan.write_files(&path, &WriteOptions::default()).await;
        let error = written.expect_err("wrong content");
        assert_eq!(error.kind(), ErrorKind::DigestMismatch);
        let text = error.to_string();
        assert!(text.contains("r.example/app:v1"), "{text}");
        assert!(
            text.contains(&Digest::of(&noise(2, 60_000)).to_string()),
            "{text}"
        );
    }
    let mut left: Vec<_> = std::fs::read_dir(directory.path())
        .expect("readable")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("text")
        })
        .collect();
    left.sort();
    assert!(
        left.iter().all(|name| name.ends_with(".partial")),
        "{left:?}"
    );
}

#[tokio::test]
async fn a_lock_of_thirty_images_is_small() {
    let registry = MemoryRegistry::new();
    for number in 0..30 {
        let repository = open(&registry, &format!("team/app{number}"));
        let layers = [
            noise(1, 100),
            noise(2, 100),
            noise(100 + number, 100),
            noise(200 + number, 100),
        ];
        push_image(&*repository, &layers, &[as_tag("v1")]).await;
    }
    let plan = planned(&registry, None, None).await;
    let text = plan.contents().lock().encode();
    assert!(text.len() < 14 * 1024, "{} bytes", text.len());
    assert_eq!(
        Lock::decode(&text).expect("a lock"),
        *plan.contents().lock()
    );
}

/// A repository that notes how many blobs are read at the same time.
#[derive(Debug)]
struct Slow {
    inner: Arc<dyn Repository>,
    reading: AtomicUsize,
    most: AtomicUsize,
}

#[async_trait]
impl Backend for Slow {
    async fn read(&self, kind: ContentKind, target: &Descriptor) -> Result<Content> {
        let reading = self.reading.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(reading, Ordering::SeqCst);
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        self.reading.fetch_sub(1, Ordering::SeqCst);
        self.inner.read(kind, target).await
    }

    tranship::forward_backend!(self, self.inner;
        info stat write read_range read_reference find mount_blob remove set_tag remove_tag list_tags
        list_referrers list_predecessors start_upload resume_upload begin_batch prepare_for_pushes);
}

#[tokio::test]
async fn small_blobs_are_read_at_the_same_time() {
    let directory = tempfile::tempdir().expect("a directory");
    let registry = MemoryRegistry::new();
    let repository = open(&registry, "app");
    let layers: Vec<Bytes> = (0..30).map(|seed| noise(seed, 100)).collect();
    push_image(&*repository, &layers, &[as_tag("v1")]).await;
    let slow = Arc::new(Slow {
        inner: repository,
        reading: AtomicUsize::new(0),
        most: AtomicUsize::new(0),
    });
    let planner = BundlePlanner::new(PlannerOptions::default());
    let source: Arc<dyn Repository> = slow.clone();
    let to = planner.repository_from(&name("app"), Arc::clone(&source));
    let v1 = as_tag("v1");
    let options = CopyOptions::default();
    copy(&*source, &v1.clone().into(), &*to, &[v1], &options)
        .await
        .expect("copied");
    let plan = planner
        .plan(&PlanOptions::default())
        .await
        .expect("planned");
    slow.most.store(0, Ordering::SeqCst);
    let options = WriteOptions::default().with_concurrency(4);
    let path = directory.path().join("b.tar");
    plan.write_files(&path, &options).await.expect("written");
    assert_eq!(slow.most.load(Ordering::SeqCst), 4);
}
