//! Two processes at the same time: one does all it has to do while another is in the middle of something.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tranship::{Deleter, Resolver, Result, Tagger, Untagger};

use super::checks::Fact;
use super::stage::{Image, Stage, checker, copy, relaxed, tag};
use crate::{GcOptions, Layout};

/// Runs `first`, and `second` in the middle of it: before another of its calls that change names or sync
/// each time, unless the index is locked, when the second would have to wait. Whatever one of them promises
/// must be there when the power is cut at any moment after that.
async fn in_the_middle(
    prepare: impl AsyncFn() -> Stage,
    first: impl AsyncFn(&Layout) -> Result<Vec<Fact>>,
    second: fn(&Path) -> Vec<Fact>,
) {
    let mut checker = checker();
    let mut met = 0;
    for call in 0.. {
        let stage = prepare().await;
        let (path, recorder) = (stage.path(), Arc::downgrade(&stage.recorder));
        stage.recorder.interrupt(call, move || {
            let Some(recorder) = recorder.upgrade() else {
                return;
            };
            if is_locked(&path) {
                return;
            }
            // A thread cannot drive two runtimes.
            let facts = std::thread::spawn(move || second(&path)).join();
            recorder.promise_more(facts.expect("it has succeeded"));
        });
        let promised_before = stage.recorder.promised();
        let layout = stage.layout().await;
        let mut outcome = first(&layout).await;
        for _ in 0..3 {
            match outcome {
                Err(error) if error.is_retryable() => outcome = first(&layout).await,
                other => outcome = other,
            }
        }
        met += usize::from(stage.recorder.promised() != promised_before);
        let promised = outcome.unwrap_or_else(|error| panic!("met at call {call}: {error}"));
        stage.recorder.promise_more(promised);
        println!("met at call {call}");
        stage.check_with(&mut checker).await;
        if stage.recorder.is_waiting() {
            assert!(met > 0, "they never met");
            return;
        }
    }
}

#[tokio::test]
async fn what_another_tool_adds_in_the_middle_of_a_change_is_made_durable() {
    let [one, two] = images();
    let mut met = 0;
    for call in 0.. {
        let stage = Stage::with(&[(&one, "v1")]).await;
        let (path, added) = (stage.path(), two.clone());
        stage
            .recorder
            .interrupt(call, move || super::others::write(&path, &added, "v2"));
        let layout = stage.layout().await;
        let tagged = layout.tag(one.descriptor(), &tag("v3")).await;
        tagged.expect("tagged");
        if stage.recorder.is_waiting() {
            assert!(met > 0, "they never met");
            return;
        }
        // In the moment before the rename the tool is not noticed, and its change is lost.
        let is_named = layout.resolve(&tag("v2").into()).await.is_ok();
        if is_named && is_ours(&stage.path()) {
            met += 1;
            stage.promise([one.tagged("v3"), two.tagged("v2")].concat());
            stage.check_now().await;
        }
    }
}

/// Whether the index is the one that was noted as durable.
fn is_ours(layout: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;

    let note = std::fs::read_to_string(layout.join(".tranship/lock")).expect("readable");
    let index = std::fs::metadata(layout.join("index.json")).expect("there");
    note.contains(&format!(" {} {} ", index.ino(), index.len()))
}

fn is_locked(layout: &Path) -> bool {
    File::open(layout.join(".tranship/lock")).is_ok_and(|file| file.try_lock().is_err())
}

/// Runs the work of another process on a new runtime.
fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(work)
}

fn layers() -> Vec<Bytes> {
    vec![Bytes::from("a shared layer"), Bytes::from("another one")]
}

/// Two images that share their layers.
fn images() -> [Image; 2] {
    ["one", "two"].map(|name| Image::with_layers(name, layers()))
}

/// Copies the image `at` of [`images`] from a layout that is not watched.
async fn copy_image(at: usize, name: &str, to: &Layout) -> Result<Vec<Fact>> {
    let image = &images()[at];
    let aside = tempfile::tempdir().expect("a directory");
    let source = relaxed(aside.path()).await;
    image.push(&source, &[tag(name)]).await?;
    copy(&source, to, name).await?;
    Ok(image.tagged(name))
}

fn copy_as_another(at: usize, name: &str, to: &Path) -> Vec<Fact> {
    run(async {
        let layout = Layout::create(to).await.expect("a path");
        copy_image(at, name, &layout).await.expect("copied")
    })
}

async fn nothing() -> Stage {
    Stage::new()
}

#[tokio::test]
async fn two_copies_of_one_image_are_both_durable() {
    let first = async |layout: &Layout| copy_image(0, "v1", layout).await;
    in_the_middle(nothing, first, |path| copy_as_another(0, "v1", path)).await;
}

#[tokio::test]
async fn two_copies_that_share_layers_are_both_durable() {
    let first = async |layout: &Layout| copy_image(0, "v1", layout).await;
    in_the_middle(nothing, first, |path| copy_as_another(1, "v2", path)).await;
}

#[tokio::test]
async fn a_copy_beside_single_pushes_is_durable() {
    let first = async |layout: &Layout| {
        let image = &images()[0];
        image.push(layout, &[tag("v1")]).await?;
        Ok(image.tagged("v1"))
    };
    in_the_middle(nothing, first, |path| copy_as_another(1, "v2", path)).await;
}

#[tokio::test]
async fn single_pushes_beside_a_copy_are_durable() {
    let first = async |layout: &Layout| copy_image(0, "v1", layout).await;
    let second = |path: &Path| {
        run(async {
            let layout = Layout::create(path).await.expect("a path");
            let image = &images()[1];
            image.push(&layout, &[tag("v2")]).await.expect("pushed");
            image.tagged("v2")
        })
    };
    in_the_middle(nothing, first, second).await;
}

#[tokio::test]
async fn changes_of_tags_by_two_processes_are_durable() {
    let [one, two] = images();
    let prepare = async || {
        let stage = Stage::with(&[(&one, "v1"), (&two, "v2")]).await;
        stage.promise([one.held(), two.tagged("v2")].concat());
        stage
    };
    let first = async |layout: &Layout| {
        layout.tag(two.descriptor(), &tag("v3")).await?;
        layout.tag(one.descriptor(), &tag("v4")).await?;
        Ok([two.tagged("v3"), one.tagged("v4")].concat())
    };
    let second = |path: &Path| {
        run(async {
            let layout = Layout::open(path).await.expect("a layout");
            layout.untag(&tag("v1")).await.expect("untagged");
            vec![Fact::Untagged(tag("v1"))]
        })
    };
    in_the_middle(prepare, first, second).await;
}

#[tokio::test]
async fn a_copy_beside_a_garbage_collection_is_durable() {
    let prepare = async || {
        // Layers that the copy needs are there, and nothing leads to them.
        let garbage = &images()[1];
        let stage = Stage::with(&[(garbage, "v2")]).await;
        let deleted = stage.layout().await.delete(garbage.descriptor()).await;
        deleted.expect("deleted");
        stage
    };
    let first = async |layout: &Layout| copy_image(0, "v1", layout).await;
    let second = |path: &Path| {
        run(async {
            let layout = Layout::open(path).await.expect("a layout");
            let options = GcOptions::default().with_grace(Duration::ZERO);
            layout.collect_garbage(&options).await.expect("collected");
            vec![Fact::Lacks(images()[1].descriptor().clone())]
        })
    };
    in_the_middle(prepare, first, second).await;
}
