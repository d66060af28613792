//! Archives, which are replaced as a whole.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use tranship::{ReadOnlyStorage, Resolver, Result, Tagger, Untagger};

use super::checks::{Checker, Fact, Kind, Soundness};
use super::recorder::Recorder;
use super::stage::{Image, copy, relaxed, tag};
use crate::{Layout, LayoutOptions};

const NAME: &str = "new/parent/app.tar";

/// A directory that is watched, and a layout beside it with an image.
struct Shelf {
    watched: TempDir,
    aside: TempDir,
    recorder: Arc<Recorder>,
}

impl Shelf {
    fn new() -> Self {
        let watched = tempfile::tempdir().expect("a directory");
        Self {
            aside: tempfile::tempdir().expect("a directory"),
            recorder: Recorder::watch(watched.path()),
            watched,
        }
    }

    fn path(&self) -> PathBuf {
        self.watched.path().join(NAME)
    }

    async fn source(&self, image: &Image, name: &str) -> Layout {
        let layout = relaxed(&self.aside.path().join("source")).await;
        image.push(&layout, &[tag(name)]).await.expect("pushed");
        layout
    }

    async fn check(&self, kind: Kind, checker: &mut Option<Checker>) {
        let checker = checker.get_or_insert_with(|| Checker::new(kind, NAME));
        let moments = self.recorder.moments();
        checker.check(&moments, Soundness::Checked).await;
    }
}

async fn archive(path: &Path) -> Layout {
    let layout = Layout::create_archive(path, LayoutOptions::default()).await;
    layout.expect("an archive")
}

/// What is done with an archive, and what that promises.
async fn write(shelf: &Shelf, one: &Image, two: &Image) -> Result<Vec<Fact>> {
    copy(
        &shelf.source(one, "v1").await,
        &archive(&shelf.path()).await,
        "v1",
    )
    .await?;
    shelf.recorder.promise(one.tagged("v1"));
    copy(
        &shelf.source(two, "v2").await,
        &archive(&shelf.path()).await,
        "v2",
    )
    .await?;
    let held = [one.held(), two.tagged("v2")].concat();
    shelf.recorder.promise(held.clone());
    let layout = archive(&shelf.path()).await;
    layout.tag(two.descriptor(), &tag("v3")).await?;
    layout.untag(&tag("v1")).await?;
    let changed = [two.tagged("v3"), vec![Fact::Untagged(tag("v1"))]].concat();
    Ok([held, changed].concat())
}

#[tokio::test]
async fn what_is_done_to_an_archive_is_durable() {
    let (one, two) = (Image::new("one", 2), Image::new("two", 1));
    let shelf = Shelf::new();
    let promised = write(&shelf, &one, &two).await.expect("written");
    shelf.recorder.promise(promised);
    shelf.check(Kind::Archive, &mut None).await;
}

#[tokio::test]
async fn a_sync_of_an_archive_that_fails_loses_nothing() {
    let (one, two) = (Image::new("one", 1), Image::new("two", 1));
    let mut checker = None;
    for number in 0.. {
        let shelf = Shelf::new();
        shelf.recorder.fail(number, 1);
        let mut outcome = write(&shelf, &one, &two).await;
        if outcome.is_err() {
            outcome = write(&shelf, &one, &two).await;
        }
        shelf.recorder.promise(outcome.expect("written"));
        shelf.check(Kind::Archive, &mut checker).await;
        if shelf.recorder.is_waiting() {
            assert!(number > 0, "nothing was synced");
            return;
        }
    }
}

#[tokio::test]
async fn a_copy_of_what_another_tool_wrote_makes_the_archive_durable() {
    let image = Image::new("there", 2);
    for failing in [None, Some(0)] {
        let shelf = Shelf::new();
        let source = shelf.source(&image, "v1").await;
        let other = shelf.aside.path().join("app.tar");
        copy(&source, &archive(&other).await, "v1")
            .await
            .expect("copied");
        std::fs::create_dir_all(shelf.path().parent().expect("a parent")).expect("created");
        std::fs::copy(other, shelf.path()).expect("copied");
        if let Some(failing) = failing {
            shelf.recorder.fail(failing, 1);
        }
        let copied = copy(&source, &archive(&shelf.path()).await, "v1").await;
        copied.expect("copied");
        shelf.recorder.promise(image.tagged("v1"));
        let moments = shelf.recorder.last_moment();
        let mut checker = Checker::new(Kind::Archive, NAME);
        checker.check(&moments, Soundness::Checked).await;
    }
}

#[tokio::test]
async fn an_archive_of_docker_is_durable() {
    let (one, two) = (Image::new("one", 1), Image::new("two", 1));
    let shelf = Shelf::new();
    let mut facts = Vec::new();
    for (image, name) in [(&one, "v1"), (&two, "v2")] {
        let source = shelf.source(image, name).await;
        let options = LayoutOptions::default();
        let opened = Layout::create_docker_archive(shelf.path(), None, options).await;
        let docker = opened.expect("an archive");
        copy(&source, &docker, name).await.expect("copied");
        let found = docker.resolve(&tag(name).into()).await.expect("tagged");
        assert!(docker.exists(&found).await.expect("asked"));
        facts.push(Fact::Tagged(tag(name), found));
        shelf.recorder.promise(facts.clone());
    }
    shelf.check(Kind::DockerArchive, &mut None).await;
}
