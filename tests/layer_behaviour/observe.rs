use std::io;
use std::sync::{Arc, LazyLock, Mutex};

use futures_util::{FutureExt as _, StreamExt as _};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use tracing_subscriber::filter::LevelFilter;
use tranship::layers::{Inject, InjectOptions, Observe, OperationName};
use tranship::prelude::*;
use tranship::{ErrorKind, ListOptions, MediaType, push_bytes, tag_bytes, tags};
use tranship_layout::Layout;
use tranship_memory::{MemoryRegistry, MemoryRepository};

use crate::{blob, name};

/// What the subscriber of all tests has written. There is one for all of them, set before the first call, since tracing
/// remembers for each place in the code whether a subscriber wants its events.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn of_all_tests() -> &'static Self {
        static LOG: LazyLock<Log> = LazyLock::new(|| {
            let log = Log::default();
            let writer = log.clone();
            tracing_subscriber::fmt()
                .with_max_level(LevelFilter::DEBUG)
                .with_ansi(false)
                .with_writer(move || writer.clone())
                .init();
            log
        });
        &LOG
    }
}

impl io::Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("a log").write(text)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs `calls`, and returns what was counted, as sorted lines such as `tranship_bytes_total{direction=read} 5`.
fn counted(calls: impl Future<Output = ()>) -> Vec<String> {
    Log::of_all_tests();
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        let runtime = tokio::runtime::Builder::new_current_thread();
        { runtime }
            .enable_all()
            .build()
            .expect("a runtime")
            .block_on(calls);
    });
    lines(&snapshotter)
}

fn lines(snapshotter: &Snapshotter) -> Vec<String> {
    let metrics = snapshotter.snapshot().into_vec().into_iter();
    let mut lines: Vec<String> = metrics
        .map(|(key, _, _, value)| {
            let labels = key.key().labels();
            let labels = labels.map(|label| format!("{}={}", label.key(), label.value()));
            let labels = labels.collect::<Vec<_>>().join(",");
            let value = match value {
                DebugValue::Counter(count) => count.to_string(),
                DebugValue::Histogram(durations) => {
                    assert!(
                        durations
                            .iter()
                            .all(|seconds| (0.0..60.0).contains(&**seconds))
                    );
                    format!("{} durations", durations.len())
                }
                DebugValue::Gauge(_) => panic!("there are no gauges"),
            };
            format!("{}{{{labels}}} {value}", key.key().name())
        })
        .collect();
    lines.sort();
    lines
}

/// Returns how often each operation was called with which outcome.
fn operations(calls: impl Future<Output = ()>) -> Vec<String> {
    let lines = counted(calls).into_iter();
    let lines =
        lines.filter_map(|line| Some(line.strip_prefix("tranship_operations_total")?.to_owned()));
    lines.collect()
}

#[test]
fn calls_durations_and_bytes_are_counted() {
    let counted = counted(async {
        let repository = Observe::new(MemoryRepository::new());
        let (descriptor, content) = blob("hello");
        repository
            .push(&descriptor, content.clone().into())
            .await
            .expect("a push");
        repository
            .push(&descriptor, content.into())
            .await
            .expect("present");
        let part = repository
            .fetch_range(&descriptor, (2..).into())
            .await
            .expect("a part");
        part.bytes(9).await.expect("read");
        let _ = repository
            .fetch(&blob("absent").0)
            .await
            .expect_err("absent");
    });
    assert_eq!(
        counted,
        [
            "tranship_bytes_total{direction=read} 3",
            "tranship_bytes_total{direction=write} 5",
            "tranship_operation_duration_seconds{operation=read,kind=blob,outcome=not_found} 1 durations",
            "tranship_operation_duration_seconds{operation=read_range,kind=blob,outcome=ok} 1 durations",
            "tranship_operation_duration_seconds{operation=write,kind=blob,outcome=ok} 2 durations",
            "tranship_operations_total{operation=read,kind=blob,outcome=not_found} 1",
            "tranship_operations_total{operation=read_range,kind=blob,outcome=ok} 1",
            "tranship_operations_total{operation=write,kind=blob,outcome=ok} 2",
        ]
    );
}

#[test]
fn calls_that_are_dropped_are_counted_as_such() {
    let counted = operations(async {
        let options = InjectOptions::default().with_latency(std::time::Duration::from_secs(60));
        let repository = Observe::new(Inject::new(MemoryRepository::new(), options));
        assert!(repository.exists(&blob("x").0).now_or_never().is_none());
        assert!(
            repository
                .tags(ListOptions::default())
                .next()
                .now_or_never()
                .is_none()
        );
        // One that has not begun is not a call.
        drop(repository.tags(ListOptions::default()));
    });
    assert_eq!(
        counted,
        [
            "{operation=find,kind=blob,outcome=dropped} 1",
            "{operation=list_tags,kind=none,outcome=dropped} 1",
        ]
    );
}

#[test]
fn repositories_uploads_and_batches_are_observed() {
    let directory = tempfile::tempdir().expect("a directory");
    let counted = operations(async {
        let registry = Observe::new(MemoryRegistry::new());
        let repository = registry
            .repository(&name("some/name"))
            .await
            .expect("a repository");
        let mut upload = repository.blobs().start().await.expect("an upload");
        upload.write(0, "hel".into()).await.expect("written");
        upload.write(3, "lo".into()).await.expect("written");
        upload.commit(&blob("hello").0).await.expect("committed");
        tranship::repositories(&registry).await.expect("names");

        let layout = Layout::create(directory.path()).await.expect("a layout");
        let layout = Observe::new(layout);
        let batch = layout.batch().expect("a batch");
        push_bytes(&batch, MediaType::OCTET_STREAM, "x")
            .await
            .expect("a push");
        batch.commit().await.expect("committed");
        tags(&layout).await.expect("tags");
    });
    assert_eq!(
        counted,
        [
            "{operation=commit_batch,kind=none,outcome=ok} 1",
            "{operation=commit_upload,kind=blob,outcome=ok} 1",
            "{operation=list_repositories,kind=none,outcome=ok} 1",
            "{operation=list_tags,kind=none,outcome=ok} 1",
            "{operation=start_upload,kind=none,outcome=ok} 1",
            "{operation=write,kind=blob,outcome=ok} 1",
            "{operation=write_upload,kind=blob,outcome=ok} 2",
        ]
    );
}

#[test]
fn a_local_file_stays_one_and_its_bytes_count() {
    let directory = tempfile::tempdir().expect("a directory");
    let counted = counted(async {
        let layout = Layout::create(directory.path()).await.expect("a layout");
        let (descriptor, content) = blob("hello");
        layout
            .push(&descriptor, content.into())
            .await
            .expect("a push");
        let body = Observe::new(layout)
            .fetch(&descriptor)
            .await
            .expect("opened")
            .into_body();
        body.local_file().expect("a local file").observe(5);
    });
    assert_eq!(counted[0], "tranship_bytes_total{direction=read} 5");
}

#[test]
fn spans_say_what_was_called_on_what() {
    operations(async {
        let failing =
            InjectOptions::default().with_failing_call(OperationName::Stat, 1, ErrorKind::Timeout);
        let registry = Observe::new(Inject::new(MemoryRegistry::new(), failing));
        let repository = registry
            .repository(&name("of/spans"))
            .await
            .expect("a repository");
        let index = r#"{"schemaVersion":2,"manifests":[]}"#;
        let latest = "latest".parse().expect("a tag");
        let tags = std::slice::from_ref(&latest);
        let pushed = tag_bytes(&repository, MediaType::IMAGE_INDEX, index, tags).await;
        pushed.expect("a push");
        repository
            .resolve(&latest.into())
            .await
            .expect_err("refused");
    });
    let log = Log::of_all_tests().0.lock().expect("a log").clone();
    let log = String::from_utf8(log).expect("text");
    let lines = log
        .lines()
        .filter(|line| line.contains("repository=of/spans"));
    let lines: Vec<&str> = lines.collect();
    let [written, refused] = lines[..] else {
        panic!("{log}");
    };
    for part in [
        "DEBUG registry_operation{operation=\"write\" kind=\"manifest\" repository=",
        " digest=sha256:",
        " tag=latest}",
        "outcome=\"ok\" duration_seconds=",
    ] {
        assert!(written.contains(part), "{written}");
    }
    for part in [
        " WARN ",
        "operation=\"stat\"",
        "outcome=\"timeout\"",
        " error=timeout",
    ] {
        assert!(refused.contains(part), "{refused}");
    }
}
