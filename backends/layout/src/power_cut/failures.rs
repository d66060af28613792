//! Syncs that fail. The content that could not be written is lost, and later syncs of it succeed, as on Linux.
//! The caller that is told of the failure tries again, in a new process.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use tranship::prelude::*;
use tranship::{Descriptor, MediaType, Result};

use super::checks::Fact;
use super::stage::{Image, Stage, checker, copy, tag};
use crate::{GcOptions, Layout};

/// The facts that a scenario promises if it succeeds.
type Promised = Result<Vec<Fact>>;

/// Runs a scenario as often as it has syncs, with another one failing each time, or that and some more, and
/// cuts the power in the end. With `at_all_moments` also at every moment before, if nothing may be damaged then.
///
/// With `TRANSHIP_POWER_CUTS=all` in the environment more of them fail, and the power is always cut at every
/// moment.
async fn with_each_sync_failing(
    prepare: impl AsyncFn() -> Stage,
    run: impl AsyncFn(&Stage) -> Promised,
    at_all_moments: bool,
) {
    let are_all = std::env::var_os("TRANSHIP_POWER_CUTS").is_some_and(|which| which == "all");
    let counts: &[usize] = if are_all {
        &[1, 2, 3, 4, 5]
    } else {
        &[1, 2, 3]
    };
    for count in counts {
        let at_all_moments = at_all_moments && (are_all || *count == 1);
        with_syncs_failing(&prepare, &run, *count, at_all_moments).await;
    }
}

async fn with_syncs_failing(
    prepare: impl AsyncFn() -> Stage,
    run: impl AsyncFn(&Stage) -> Promised,
    count: usize,
    at_all_moments: bool,
) {
    let mut checker = checker();
    for number in 0.. {
        let stage = prepare().await;
        stage.recorder.fail(number, count);
        let mut outcome = run(&stage).await;
        for _ in 0..4 {
            if outcome.is_err() {
                outcome = run(&stage).await;
            }
        }
        match outcome {
            Ok(facts) => stage.promise(facts),
            // The first attempt has removed it, and was not able to promise that.
            Err(error) if error.is_not_found() => {}
            Err(error) => panic!("with sync {number} failing: {error}"),
        }
        println!("with {count} syncs failing from {number} on");
        match at_all_moments {
            true => stage.check_with(&mut checker).await,
            false => stage.check_now_with(&mut checker).await,
        }
        if stage.recorder.is_waiting() {
            assert!(number > 0, "nothing was synced");
            return;
        }
    }
}

/// Copies `image`, from a layout that is not watched, as a new process.
async fn copied(stage: &Stage, image: &Image) -> Promised {
    let source = stage.source(image, "v1").await;
    copy(&source, &stage.layout().await, "v1").await?;
    Ok(image.tagged("v1"))
}

async fn nothing() -> Stage {
    Stage::new()
}

#[tokio::test]
async fn a_sync_that_fails_during_a_copy_of_few_files_loses_nothing() {
    let image = Image::new("few", 2);
    with_each_sync_failing(nothing, async |stage| copied(stage, &image).await, true).await;
}

#[tokio::test]
async fn a_sync_that_fails_during_a_copy_of_many_files_loses_nothing() {
    let image = Image::new("many", 17);
    with_each_sync_failing(nothing, async |stage| copied(stage, &image).await, false).await;
}

#[tokio::test]
async fn a_sync_that_fails_during_single_pushes_loses_nothing() {
    let image = Image::new("single", 1);
    let push = async |stage: &Stage| {
        image.push(&stage.layout().await, &[tag("v1")]).await?;
        Ok(image.tagged("v1"))
    };
    with_each_sync_failing(nothing, push, true).await;
}

#[tokio::test]
async fn a_sync_that_fails_during_an_upload_loses_nothing() {
    let content = Bytes::from(vec![7; 5_000]);
    let target = Descriptor::of(MediaType::OCTET_STREAM, &content);
    let upload = async |stage: &Stage| {
        let layout = stage.layout().await;
        let uploader = layout.blobs();
        let mut upload = uploader.start().await?;
        upload.write(0, content.slice(..2_000)).await?;
        let id = upload.id().clone();
        drop(upload);
        let mut upload = uploader.resume(&id).await?;
        upload.write(2_000, content.slice(2_000..)).await?;
        upload.commit(&target).await?;
        Ok(vec![Fact::Holds(target.clone())])
    };
    with_each_sync_failing(nothing, upload, true).await;
}

#[tokio::test]
async fn a_sync_that_fails_while_tags_change_loses_nothing() {
    let (one, two) = (Image::new("one", 1), Image::new("two", 1));
    let prepare = async || {
        let stage = Stage::with(&[(&one, "v1"), (&two, "v2")]).await;
        stage.promise([one.held(), two.tagged("v2")].concat());
        stage
    };
    let change = async |stage: &Stage| {
        let layout = stage.layout().await;
        layout.tag(two.descriptor(), &tag("v1")).await?;
        layout.tag(two.descriptor(), &tag("v3")).await?;
        layout.untag(&tag("v1")).await?;
        Ok([one.held(), two.tagged("v2"), two.tagged("v3")].concat())
    };
    with_each_sync_failing(prepare, change, true).await;
}

#[tokio::test]
async fn a_sync_that_fails_during_a_collection_loses_nothing() {
    let (kept, lost) = (Image::new("kept", 1), Image::new("lost", 2));
    let prepare = async || {
        let stage = Stage::with(&[(&kept, "v1"), (&lost, "v2")]).await;
        stage.promise(kept.tagged("v1"));
        stage
    };
    let collect = async |stage: &Stage| {
        let layout = stage.layout().await;
        layout.delete(lost.descriptor()).await?;
        let options = GcOptions::default().with_grace(Duration::ZERO);
        layout.collect_garbage(&options).await?;
        Ok(kept.tagged("v1"))
    };
    with_each_sync_failing(prepare, collect, true).await;
}

#[tokio::test]
async fn a_sync_that_fails_on_what_another_tool_wrote_loses_nothing() {
    for layers in [2, 17] {
        let image = Image::new("there", layers);
        let prepare = async || super::others::written(&[(&image, "v1")]);
        with_each_sync_failing(prepare, async |stage| copied(stage, &image).await, false).await;
    }
}

#[tokio::test]
async fn a_sync_that_fails_on_blobs_that_another_tool_wrote_loses_nothing() {
    for layers in [2, 17] {
        let image = Image::new("there", layers);
        let prepare = async || {
            let stage = super::others::written(&[(&image, "v1")]);
            super::others::list_nothing(&stage.path());
            stage
        };
        with_each_sync_failing(prepare, async |stage| copied(stage, &image).await, false).await;
    }
}

#[tokio::test]
async fn a_sync_that_fails_on_a_linked_layer_loses_nothing() {
    let layers = vec![Bytes::from("one"), Bytes::from("another")];
    let image = Image::with_layers("linked", layers);
    let source = |stage: &Stage| stage.root().join("source");
    let prepare = async || {
        let stage = Stage::new();
        super::others::write_immutable(&source(&stage), &image, "v1");
        stage
    };
    let link = async |stage: &Stage| {
        let path: &Path = &source(stage);
        let from = Layout::open(path).await?;
        copy(&from, &stage.layout().await, "v1").await?;
        Ok(image.tagged("v1"))
    };
    with_each_sync_failing(prepare, link, false).await;
}

#[tokio::test]
async fn a_batch_that_has_lost_a_blob_is_not_committed() {
    let image = Image::new("lost", 1);
    let stage = Stage::new();
    let layout = stage.layout().await;
    let batch = layout.batch().expect("a batch");
    let (part, content) = &image.parts[0];
    let pushed = batch.push(part, content.clone().into()).await;
    pushed.expect("pushed");
    // The blob, and the copy of it that is made then.
    stage.recorder.fail(0, 2);
    let large = Bytes::from(vec![1; 16 * 1024 * 1024]);
    let target = Descriptor::of(MediaType::OCTET_STREAM, &large);
    let pushed = batch.push(&target, large.into()).await;
    pushed.expect_err("the group is lost");
    batch.commit().await.expect_err("the batch is lost");
    stage.check_now().await;
}

#[tokio::test]
async fn what_could_not_be_synced_is_replaced_when_all_is_synced() {
    let image = Image::new("there", 2);
    let stage = super::others::written(&[(&image, "v1")]);
    // The layer, and the copy of it that is made then.
    stage.recorder.fail(0, 2);
    let (part, content) = &image.parts[1];
    let pushed = stage
        .layout()
        .await
        .push(part, content.clone().into())
        .await;
    pushed.expect_err("it cannot be made durable");
    let tagged = stage
        .layout()
        .await
        .tag(image.descriptor(), &tag("v2"))
        .await;
    tagged.expect("tagged");
    stage.promise(image.tagged("v2"));
    stage.check_now().await;
}
