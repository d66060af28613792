//! Writes that were interrupted.

use std::fs::OpenOptions;
use std::path::Path;

use tranship::*;
use tranship_mirror::bundle::*;

use crate::images::*;

fn partial_of(path: &Path) -> std::path::PathBuf {
    let name = path.file_name().expect("a name").to_string_lossy();
    path.with_file_name(format!("{name}.partial"))
}

#[tokio::test]
async fn a_file_that_was_cut_anywhere_is_continued_to_the_same_bytes() {
    let directory = tempfile::tempdir().expect("a directory");
    let plan = planned(&some_images().await, None, None).await;
    let path = directory.path().join("bundle.tar");
    let expected = std::fs::read(&written(&plan, &path).await[0]).expect("readable");
    let places = (0..expected.len())
        .step_by(1111)
        .chain([1, 511, 512, 513, expected.len()]);
    for place in places {
        std::fs::remove_file(&path).expect("removed");
        std::fs::write(partial_of(&path), &expected[..place]).expect("written");
        written(&plan, &path).await;
        assert!(
            std::fs::read(&path).expect("readable") == expected,
            "cut at {place}"
        );
        assert!(!partial_of(&path).exists());
    }
}

#[tokio::test]
async fn what_is_damaged_in_a_partial_file_is_written_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let plan = planned(&some_images().await, None, Some(49_152)).await;
    let files = written(&plan, &directory.path().join("bundle.tar")).await;
    let expected: Vec<_> = files
        .iter()
        .map(|file| std::fs::read(file).expect("readable"))
        .collect();
    for (file, content) in files.iter().zip(&expected) {
        for place in (0..content.len()).step_by(509) {
            let mut damaged = content.clone();
            damaged[place] ^= 0x55;
            std::fs::remove_file(file).expect("removed");
            std::fs::write(partial_of(file), damaged).expect("written");
            let outcome = plan
                .write_files(
                    directory.path().join("bundle.tar"),
                    &WriteOptions::default(),
                )
                .await;
            outcome.unwrap_or_else(|error| {
                panic!("damaged at {place} of {}: {error}", file.display())
            });
            assert!(
                std::fs::read(file).expect("readable") == *content,
                "damaged at {place}"
            );
        }
    }
}

#[tokio::test]
async fn finished_volumes_are_kept_and_others_continued() {
    let directory = tempfile::tempdir().expect("a directory");
    let plan = planned(&some_images().await, None, Some(32_768)).await;
    let path = directory.path().join("bundle.tar");
    let files = written(&plan, &path).await;
    let expected: Vec<_> = files
        .iter()
        .map(|file| std::fs::read(file).expect("readable"))
        .collect();
    assert!(files.len() >= 3);
    for lost in 0..files.len() {
        for kept in [0, 700, 25_000, expected[lost].len()] {
            std::fs::remove_file(&files[lost]).expect("removed");
            let kept = kept.min(expected[lost].len());
            std::fs::write(partial_of(&files[lost]), &expected[lost][..kept]).expect("written");
            let report = plan
                .write_files(&path, &WriteOptions::default())
                .await
                .expect("written");
            let was_kept: Vec<bool> = report.volumes.iter().map(|volume| volume.kept).collect();
            let others = (0..files.len())
                .map(|number| number != lost)
                .collect::<Vec<_>>();
            assert_eq!(was_kept, others);
            assert!(std::fs::read(&files[lost]).expect("readable") == expected[lost]);
        }
    }
}

#[tokio::test]
async fn a_partial_file_of_another_plan_is_started_over() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("bundle.tar");
    let plan = planned(&some_images().await, None, None).await;
    let source = some_images().await;
    push_image(&*open(&source, "other"), &[noise(9, 900)], &[as_tag("v2")]).await;
    let other = planned(&source, None, None).await;
    assert_ne!(plan.contents().set(), other.contents().set());
    let expected = std::fs::read(&written(&plan, &path).await[0]).expect("readable");
    std::fs::rename(&path, partial_of(&path)).expect("renamed");
    written(&other, &path).await;
    Bundle::open([&path]).await.expect("a bundle");
    assert!(std::fs::read(&path).expect("readable") != expected);
    // A finished file of another plan is replaced.
    written(&plan, &path).await;
    assert!(std::fs::read(&path).expect("readable") == expected);
}

#[tokio::test]
async fn what_follows_the_end_is_removed() {
    let directory = tempfile::tempdir().expect("a directory");
    let plan = planned(&some_images().await, None, None).await;
    let path = directory.path().join("bundle.tar");
    let expected = std::fs::read(&written(&plan, &path).await[0]).expect("readable");
    std::fs::remove_file(&path).expect("removed");
    let longer = [&expected[..], &[7; 5000]].concat();
    std::fs::write(partial_of(&path), longer).expect("written");
    written(&plan, &path).await;
    assert!(std::fs::read(&path).expect("readable") == expected);
}

#[tokio::test]
async fn a_directory_is_not_overwritten() {
    let directory = tempfile::tempdir().expect("a directory");
    let plan = planned(&some_images().await, None, None).await;
    let written = plan
        .write_files(directory.path(), &WriteOptions::default())
        .await;
    assert_eq!(
        written.expect_err("a directory").kind(),
        ErrorKind::InvalidInput
    );
}

#[tokio::test]
async fn two_writers_of_one_file_do_not_meet() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("bundle.tar");
    let plan = planned(&some_images().await, None, None).await;
    let other = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(false)
        .open(partial_of(&path))
        .expect("created");
    other.lock().expect("locked");
    let error = plan
        .write_files(&path, &WriteOptions::default())
        .await
        .expect_err("locked");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    drop(other);
    written(&plan, &path).await;
}

#[tokio::test]
async fn a_write_that_was_dropped_is_continued() {
    let directory = tempfile::tempdir().expect("a directory");
    let plan = planned(&some_images().await, None, Some(49_152)).await;
    let expected = written(&plan, &directory.path().join("whole.tar")).await;
    let path = directory.path().join("bundle.tar");
    for polls in 1.. {
        let options = WriteOptions::default();
        let mut writing = Box::pin(plan.write_files(&path, &options));
        let mut outcome = None;
        for _ in 0..polls {
            // Blocking threads do a part of the work between two polls.
            tokio::task::yield_now().await;
            if let Some(done) = futures_util::FutureExt::now_or_never(&mut writing) {
                outcome = Some(done);
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        drop(writing);
        match outcome {
            None => {}
            // The lock of a write that was dropped ends with its last step, on another thread.
            Some(Err(error)) if error.kind() == ErrorKind::Conflict => {}
            Some(done) => {
                let report = done.expect("written");
                for (volume, expected) in report.volumes.iter().zip(&expected) {
                    let found = std::fs::read(&volume.path).expect("readable");
                    assert!(found == std::fs::read(expected).expect("readable"));
                }
                break;
            }
        }
    }
}
