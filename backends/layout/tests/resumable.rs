//! Pushes that keep what has arrived when they end too early, and continue from there.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use support::{blob, blob_path, directory, leftovers, noise, relaxed};
use tranship::prelude::*;
use tranship::{
    Body, Descriptor, Error, ErrorKind, OpenAt, PushOptions, PushOutcome, Result, Source,
};
use tranship_layout::{Durability, GcOptions, Layout, LayoutOptions};

const SIZE: usize = 6_000_000;
const PIECE: usize = 100_000;

/// Content in pieces, which notes where it is opened, and breaks or stalls after so many bytes.
struct Origin {
    content: Bytes,
    breaks_at: Option<usize>,
    stalls_at: Option<usize>,
    opened_at: Mutex<Vec<u64>>,
}

impl Origin {
    fn new(content: &Bytes) -> Self {
        Self {
            content: content.clone(),
            breaks_at: None,
            stalls_at: None,
            opened_at: Mutex::default(),
        }
    }

    fn breaking_at(content: &Bytes, breaks_at: usize) -> Self {
        Self {
            breaks_at: Some(breaks_at),
            ..Self::new(content)
        }
    }

    fn stalling_at(content: &Bytes, stalls_at: usize) -> Self {
        Self {
            stalls_at: Some(stalls_at),
            ..Self::new(content)
        }
    }

    fn opened_at(&self) -> Vec<u64> {
        self.opened_at.lock().expect("not poisoned").clone()
    }
}

#[async_trait]
impl OpenAt for Origin {
    async fn open_at(&self, offset: u64) -> Result<Body> {
        self.opened_at.lock().expect("not poisoned").push(offset);
        let start = usize::try_from(offset).expect("in memory");
        let end = self.breaks_at.or(self.stalls_at);
        let end = end.unwrap_or(self.content.len()).max(start);
        let content = self.content.slice(start..end);
        let starts = (0..content.len()).step_by(PIECE);
        let pieces: Vec<_> = starts
            .map(|start| Ok(content.slice(start..(start + PIECE).min(content.len()))))
            .collect();
        let pieces = stream::iter(pieces);
        let broken = || Error::new(ErrorKind::Unavailable, "the connection broke");
        Ok(match (self.breaks_at, self.stalls_at) {
            (Some(_), _) => Body::from_stream(pieces.chain(stream::iter([Err(broken())]))),
            (_, Some(_)) => Body::from_stream(pieces.chain(stream::pending())),
            _ => Body::from_stream(pieces),
        })
    }
}

async fn push(layout: &Layout, target: &Descriptor, origin: &Origin) -> Result<PushOutcome> {
    let options = PushOptions::default().with_resumable(true);
    let source = Source::open_at(origin);
    layout.blobs().push_with(target, source, &options).await
}

fn partial(layout: &Path, target: &Descriptor) -> PathBuf {
    let digest = target.digest();
    let name = format!("{}-{}", digest.algorithm(), digest.hex());
    layout.join(".tranship/uploads").join(name)
}

/// A layout with a part of a blob, as a process that died leaves it: opened anew.
async fn broken(path: &Path, content: &Bytes) -> (Layout, Descriptor) {
    let target = blob(content);
    let error = push(
        &relaxed(path).await,
        &target,
        &Origin::breaking_at(content, 4_500_000),
    )
    .await
    .expect_err("broken");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let layout = relaxed(path).await;
    assert!(!layout.exists(&target).await.expect("a look"));
    (layout, target)
}

#[tokio::test]
async fn a_push_that_broke_is_continued_where_it_stopped() {
    for durability in [Durability::Full, Durability::Relaxed] {
        let (directory, content) = (directory(), noise(SIZE));
        let (_, target) = broken(directory.path(), &content).await;
        let arrived = fs::metadata(partial(directory.path(), &target));
        let arrived = arrived.expect("kept").len();
        assert!(arrived > 3_000_000, "{arrived}");

        let options = LayoutOptions::default().with_durability(durability);
        let layout = Layout::create_with(directory.path(), options).await;
        let origin = Origin::new(&content);
        let outcome = push(&layout.expect("a layout"), &target, &origin).await;

        assert_eq!(outcome.expect("pushed"), PushOutcome::Pushed);
        assert_eq!(origin.opened_at(), [arrived]);
        let path = blob_path(directory.path(), target.digest());
        assert_eq!(fs::read(&path).expect("a blob"), content);
        assert!(
            fs::metadata(&path)
                .expect("a blob")
                .permissions()
                .readonly()
        );
        assert_eq!(leftovers(directory.path()), Vec::<PathBuf>::new());
    }
}

#[tokio::test]
async fn a_push_that_is_dropped_is_continued_too() {
    let (directory, content) = (directory(), noise(SIZE));
    let (layout, target) = (relaxed(directory.path()).await, blob(&content));
    let stalling = Origin::stalling_at(&content, 5_000_000);
    let mut pushed = Box::pin(push(&layout, &target, &stalling));
    let length = || fs::metadata(partial(directory.path(), &target)).map_or(0, |file| file.len());
    while length() < 1_000_000 {
        assert!((&mut pushed).now_or_never().is_none(), "it stalls");
        tokio::task::yield_now().await;
    }
    drop(pushed);

    let origin = Origin::new(&content);
    push(&layout, &target, &origin).await.expect("pushed");
    let opened_at = origin.opened_at();
    assert!(opened_at[0] >= 1_000_000, "{opened_at:?}");
    assert_eq!(opened_at.len(), 1);
}

#[tokio::test]
async fn in_a_batch_it_is_continued_as_well() {
    let (directory, content) = (directory(), noise(SIZE));
    let (layout, target) = broken(directory.path(), &content).await;
    let batch = layout.batch().expect("a batch");
    let origin = Origin::new(&content);
    let options = PushOptions::default().with_resumable(true);
    batch
        .blobs()
        .push_with(&target, Source::open_at(&origin), &options)
        .await
        .expect("pushed");
    batch.commit().await.expect("committed");
    assert!(origin.opened_at()[0] > 3_000_000);
    assert!(layout.exists(&target).await.expect("a look"));
    assert_eq!(leftovers(directory.path()), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn what_is_not_the_beginning_of_the_blob_is_thrown_away() {
    let content = noise(SIZE);
    for damage in ["other bytes", "too long"] {
        let directory = directory();
        let (layout, target) = broken(directory.path(), &content).await;
        let path = partial(directory.path(), &target);
        let mut bytes = fs::read(&path).expect("kept");
        match damage {
            "too long" => bytes.resize(SIZE + 1, 0),
            _ => bytes[2_000_000] ^= 1,
        }
        fs::write(&path, &bytes).expect("written");

        let origin = Origin::new(&content);
        push(&layout, &target, &origin).await.expect("pushed");
        assert_eq!(origin.opened_at().last(), Some(&0), "{damage}");
        assert!(layout.exists(&target).await.expect("a look"));
        assert_eq!(leftovers(directory.path()), Vec::<PathBuf>::new());
    }
}

#[tokio::test]
async fn wrong_content_leaves_nothing_behind() {
    let (directory, content) = (directory(), noise(SIZE));
    let layout = relaxed(directory.path()).await;
    let origin = Origin::new(&Bytes::from(vec![7; SIZE]));
    let error = push(&layout, &blob(&content), &origin).await;
    assert_eq!(error.expect_err("wrong").kind(), ErrorKind::DigestMismatch);
    assert_eq!(leftovers(directory.path()), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn two_pushes_of_one_blob_do_not_write_to_one_file() {
    let (directory, content) = (directory(), noise(SIZE));
    let (layout, target) = (relaxed(directory.path()).await, blob(&content));
    let stalling = Origin::stalling_at(&content, 4_000_000);
    let mut first = Box::pin(push(&layout, &target, &stalling));
    // Until it has the file and stalls.
    while stalling.opened_at().is_empty() || !partial(directory.path(), &target).exists() {
        assert!((&mut first).now_or_never().is_none());
        tokio::task::yield_now().await;
    }

    let another_process = relaxed(directory.path()).await;
    let origin = Origin::new(&content);
    let second = push(&another_process, &target, &origin);
    let outcome = tokio::select! {
        _ = &mut first => unreachable!("it stalls"),
        outcome = second => outcome,
    };
    assert_eq!(outcome.expect("pushed"), PushOutcome::Pushed);
    assert_eq!(origin.opened_at(), [0]);
    drop(first);
    let path = blob_path(directory.path(), target.digest());
    assert_eq!(fs::read(&path).expect("a blob"), content);
}

#[tokio::test]
async fn a_part_that_cannot_be_used_does_not_stop_a_push() {
    let (directory, content) = (directory(), noise(SIZE));
    let (layout, target) = broken(directory.path(), &content).await;
    let path = partial(directory.path(), &target);
    for obstacle in ["a directory", "a link"] {
        fs::remove_file(&path).expect("removed");
        match obstacle {
            "a directory" => fs::create_dir(&path).expect("created"),
            _ => std::os::unix::fs::symlink("/dev/null", &path).expect("linked"),
        }
        push(&layout, &target, &Origin::new(&content))
            .await
            .expect("pushed");
        assert!(layout.exists(&target).await.expect("a look"));
        layout.delete(&target).await.expect("deleted");
        if obstacle == "a directory" {
            fs::remove_dir(&path).expect("empty");
            fs::write(&path, "").expect("written");
        }
    }
}

#[tokio::test]
async fn garbage_collection_removes_what_nobody_continues() {
    let (directory, content) = (directory(), noise(SIZE));
    let (layout, target) = broken(directory.path(), &content).await;
    support::push_blob(&layout, &noise(1)).await;
    let young = GcOptions::default();
    layout.collect_garbage(&young).await.expect("collected");
    assert!(partial(directory.path(), &target).exists());

    let old = GcOptions::default().with_grace(Duration::ZERO);
    layout.collect_garbage(&old).await.expect("collected");
    assert_eq!(leftovers(directory.path()), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_file_is_linked_or_cloned_and_not_kept_in_part() {
    let (from, to, content) = (directory(), directory(), noise(SIZE));
    let target = support::push_blob(&relaxed(from.path()).await, &content).await;
    let (source, destination) = (relaxed(from.path()).await, relaxed(to.path()).await);
    let options = PushOptions::default().with_resumable(true);
    destination
        .blobs()
        .push_with(&target, Source::stored(&source, &target), &options)
        .await
        .expect("pushed");
    assert!(!to.path().join(".tranship/uploads").exists());
}
