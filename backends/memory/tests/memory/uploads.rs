use bytes::Bytes;
use tranship::prelude::*;
use tranship::{BlobStore, ErrorKind, repositories};
use tranship_memory::{MemoryOptions, MemoryRegistry, MemoryRepository};

use crate::{blob, kind, name, read};

fn uploader(repository: &MemoryRepository) -> Box<dyn BlobStore + '_> {
    repository.blobs()
}

#[tokio::test]
async fn an_upload_outlives_every_handle_of_its_repository() {
    let registry = MemoryRegistry::new();
    let repository = registry.open(&name("a"));
    let mut upload = uploader(&repository).start().await.expect("start");
    upload
        .write(0, Bytes::from_static(b"hel"))
        .await
        .expect("write");
    let id = upload.id().clone();
    drop((upload, repository));
    assert_eq!(repositories(&registry).await.expect("a catalog"), []);
    assert_eq!(registry.stored_bytes(), 3);

    let repository = registry.open(&name("a"));
    let mut upload = uploader(&repository).resume(&id).await.expect("resume");
    assert_eq!(upload.offset(), 3);
    upload
        .write(3, Bytes::from_static(b"lo"))
        .await
        .expect("write");
    let (descriptor, content) = blob(b"hello");
    upload.commit(&descriptor).await.expect("commit");
    assert_eq!(
        read(&repository, &descriptor).await.expect("there"),
        content
    );
}

#[tokio::test]
async fn an_upload_belongs_to_its_repository() {
    let registry = MemoryRegistry::new();
    let (owner, other) = (registry.open(&name("owner")), registry.open(&name("other")));
    let upload = uploader(&owner).start().await.expect("start");
    let id = upload.id().clone();
    drop(upload);
    let result = uploader(&other).resume(&id).await.map(drop);
    assert_eq!(kind(result), ErrorKind::NotFound);
    assert!(uploader(&owner).resume(&id).await.is_ok());
}

#[tokio::test]
async fn a_chunk_beyond_the_quota_is_refused_and_the_upload_goes_on() {
    let options = MemoryOptions::default().with_quota(10);
    let registry = MemoryRegistry::with_options(options);
    let repository = registry.open(&name("a"));
    let mut upload = uploader(&repository).start().await.expect("start");
    upload
        .write(0, Bytes::from_static(b"01234567"))
        .await
        .expect("write");
    let result = upload.write(8, Bytes::from_static(b"89x")).await;
    assert_eq!(kind(result), ErrorKind::StorageFull);
    assert_eq!(upload.offset(), 8);
    upload
        .write(8, Bytes::from_static(b"89"))
        .await
        .expect("write");
    assert_eq!(registry.stored_bytes(), 10);
    let (descriptor, _) = blob(b"0123456789");
    upload.commit(&descriptor).await.expect("commit");
    assert_eq!(registry.stored_bytes(), 10);
}

#[tokio::test]
async fn an_upload_that_is_over_frees_its_bytes_and_its_id() {
    let registry = MemoryRegistry::new();
    let repository = registry.open(&name("a"));
    for size in [10, 100_000] {
        let content = Bytes::from(vec![1; size]);
        let (descriptor, _) = blob(&content);
        let mut altered = content.to_vec();
        altered[0] = 2;

        let mut upload = uploader(&repository).start().await.expect("start");
        let id = upload.id().clone();
        upload.write(0, altered.into()).await.expect("write");
        let result = upload.commit(&descriptor).await;
        assert_eq!(kind(result), ErrorKind::DigestMismatch);
        assert_eq!(registry.stored_bytes(), 0);
        let result = uploader(&repository).resume(&id).await.map(drop);
        assert_eq!(kind(result), ErrorKind::NotFound);

        let mut upload = uploader(&repository).start().await.expect("start");
        upload.write(0, content.slice(1..)).await.expect("write");
        let result = upload.commit(&descriptor).await;
        assert_eq!(kind(result), ErrorKind::SizeMismatch);

        let mut upload = uploader(&repository).start().await.expect("start");
        let id = upload.id().clone();
        upload.write(0, content).await.expect("write");
        upload.cancel().await.expect("cancel");
        assert_eq!(registry.stored_bytes(), 0);
        let result = uploader(&repository).resume(&id).await.map(drop);
        assert_eq!(kind(result), ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn an_upload_of_what_is_there_takes_no_room_in_the_end() {
    let registry = MemoryRegistry::new();
    let repository = registry.open(&name("a"));
    let (descriptor, content) = blob(&[5; 100_000]);
    for _ in 0..2 {
        let mut upload = uploader(&repository).start().await.expect("start");
        upload.write(0, content.clone()).await.expect("write");
        upload.commit(&descriptor).await.expect("commit");
    }
    assert_eq!(registry.stored_bytes(), 100_000);
}
