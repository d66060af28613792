use std::sync::Arc;

use tranship::ErrorKind;
use tranship::layers::{CallStats, Inject, InjectOptions, Monitor, OperationName};
use tranship::prelude::*;
use tranship_memory::MemoryRepository;

use crate::{push, tag};

#[tokio::test]
async fn calls_and_bytes_are_counted() {
    let stats = Arc::new(CallStats::default());
    let repository = Monitor::new(MemoryRepository::new(), Arc::clone(&stats));
    let pushed = push(&repository, "one", "v1").await;
    let content = repository.fetch(&pushed).await.expect("fetched");
    content.read().await.expect("read");
    let absent = tag("absent").into();
    repository.resolve(&absent).await.expect_err("absent");
    let calls = stats.calls();
    // That something is missing is a response.
    assert_eq!((calls.succeeded, calls.failed), (3, 0));
    assert_eq!(calls.bytes, pushed.size());
    assert!(calls.last_success.is_some() && calls.last_failure.is_none());
}

#[tokio::test]
async fn failures_and_broken_reads_are_counted() {
    let stats = Arc::new(CallStats::default());
    let inner = MemoryRepository::new();
    let pushed = push(&inner, "one", "v1").await;
    let options = InjectOptions::default()
        .with_failing_call(OperationName::Stat, 1, ErrorKind::Unavailable)
        .with_cuts(|operation| (operation.name == OperationName::Read).then_some(1));
    let repository = Monitor::new(Inject::new(inner, options), Arc::clone(&stats));
    let v1 = tag("v1").into();
    repository.resolve(&v1).await.expect_err("unavailable");
    let failure = stats.calls().last_failure.expect("a failure");
    assert_eq!(failure.1, ErrorKind::Unavailable);
    repository.resolve(&v1).await.expect("resolved");
    let content = repository.fetch(&pushed).await.expect("opened");
    content.read().await.expect_err("it breaks off");
    let calls = stats.calls();
    assert_eq!((calls.succeeded, calls.failed, calls.bytes), (2, 2, 1));
}
