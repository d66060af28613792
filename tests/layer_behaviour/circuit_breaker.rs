//! A circuit breaker leaves a registry alone that cannot be reached.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use tranship::layers::{CircuitBreaker, CircuitBreakerOptions};
use tranship::prelude::*;
use tranship::*;
use tranship_memory::MemoryRepository;

use crate::spy::{Spy, State};
use crate::{push, tag};

const PAUSE: Duration = Duration::from_secs(30);

struct Stage {
    breaker: CircuitBreaker<Spy<MemoryRepository>>,
    asked: Arc<State>,
    changes: Arc<AtomicUsize>,
}

async fn stage() -> Stage {
    let inner = MemoryRepository::new();
    push(&inner, "image", "v1").await;
    let spy = Spy::new(inner);
    let asked = Arc::clone(&spy.state);
    let changes = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&changes);
    let options = CircuitBreakerOptions::default()
        .with_pause(PAUSE)
        .with_on_change(move |_| {
            seen.fetch_add(1, Ordering::SeqCst);
        });
    Stage {
        breaker: CircuitBreaker::new(spy, options),
        asked,
        changes,
    }
}

impl Stage {
    async fn resolve(&self) -> Result<Descriptor> {
        self.breaker.resolve(&tag("v1").into()).await
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_calls_fail_at_once() {
    let stage = stage().await;
    stage.asked.goes_down();
    let first = stage.resolve().await.expect_err("down");
    assert_eq!(first.kind(), ErrorKind::Unavailable);
    let asked = stage.asked.stats();
    let second = stage.resolve().await.expect_err("at once");
    assert_eq!(second.kind(), ErrorKind::Unavailable);
    assert_eq!(second.retry_after(), Some(PAUSE));
    assert_eq!(stage.asked.stats(), asked);
    assert!(stage.breaker.circuit().is_open());
    tokio::time::advance(PAUSE).await;
    stage.asked.comes_back();
    stage.resolve().await.expect("it responds again");
    assert!(!stage.breaker.circuit().is_open());
    assert_eq!(stage.changes.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn one_call_at_a_time_tries_again() {
    let stage = stage().await;
    stage.asked.goes_down();
    stage.resolve().await.expect_err("down");
    tokio::time::advance(PAUSE).await;
    stage.asked.comes_back();
    stage.asked.permits.forget_permits(1000);
    let image = Descriptor::of(MediaType::IMAGE_INDEX, b"x");
    let mut probe = Box::pin(stage.breaker.fetch(&image));
    assert!((&mut probe).now_or_never().is_none());
    stage.resolve().await.expect_err("while another one tries");
    // A caller that leaves early has not found out anything.
    drop(probe);
    stage.resolve().await.expect("the next one tries");
}

/// Begins a call that gets no response, does something else, and gives up.
async fn give_up_after(stage: &Stage, work: impl Future<Output = ()>) {
    stage.asked.permits.forget_permits(1000);
    let image = Descriptor::of(MediaType::IMAGE_INDEX, b"x");
    let mut waiting = Box::pin(stage.breaker.fetch(&image));
    assert!((&mut waiting).now_or_never().is_none());
    tokio::time::advance(Duration::from_secs(10)).await;
    work.await;
}

#[tokio::test(start_paused = true)]
async fn after_a_call_that_is_given_up_the_next_one_tries_alone() {
    let stage = stage().await;
    give_up_after(&stage, async {}).await;
    let image = Descriptor::of(MediaType::IMAGE_INDEX, b"x");
    let mut probe = Box::pin(stage.breaker.fetch(&image));
    assert!((&mut probe).now_or_never().is_none());
    let error = stage.resolve().await.expect_err("at once");
    assert_eq!(error.kind(), ErrorKind::Timeout);
    // What hangs may be one path of the registry.
    tokio::time::advance(Duration::from_secs(1)).await;
    stage.resolve().await.expect("the registry responds");
    assert!(!stage.breaker.circuit().is_open());
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_responds_to_others_is_not_left_alone() {
    let stage = stage().await;
    let other = async {
        stage.resolve().await.expect("it responds");
    };
    give_up_after(&stage, other).await;
    assert!(!stage.breaker.circuit().is_open());
    stage.resolve().await.expect("as before");
}

#[tokio::test]
async fn a_refusal_is_a_response() {
    let stage = stage().await;
    for _ in 0..2 {
        let missing = stage.breaker.resolve(&tag("other").into()).await;
        assert!(missing.expect_err("missing").is_not_found());
    }
    assert!(!stage.breaker.circuit().is_open());
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_another_host_does_not_open_the_circuit() {
    let stage = stage().await;
    stage.asked.is_other_host.store(true, Ordering::SeqCst);
    stage.asked.goes_down();
    let error = stage.resolve().await.expect_err("down");
    assert_eq!(error.other_host(), Some("storage.example"));
    assert!(!stage.breaker.circuit().is_open());
    // What does not need the other host is not refused.
    stage.asked.comes_back();
    stage.resolve().await.expect("as before");
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_another_host_does_not_close_the_circuit() {
    let stage = stage().await;
    stage.asked.goes_down();
    stage.resolve().await.expect_err("down");
    tokio::time::advance(PAUSE).await;
    stage.asked.is_other_host.store(true, Ordering::SeqCst);
    stage.resolve().await.expect_err("another host is down");
    assert!(stage.breaker.circuit().is_open());
    // It has not found out anything about the registry, so the next call tries.
    stage.asked.comes_back();
    stage.resolve().await.expect("the next one tries");
    assert!(!stage.breaker.circuit().is_open());
}

#[tokio::test(start_paused = true)]
async fn a_reader_of_a_blob_that_gives_up_does_not_open_the_circuit() {
    let stage = stage().await;
    stage.asked.permits.forget_permits(1000);
    let (blob, _) = crate::blob("blob");
    let mut waiting = Box::pin(stage.breaker.fetch(&blob));
    assert!((&mut waiting).now_or_never().is_none());
    tokio::time::advance(Duration::from_secs(10)).await;
    drop(waiting);
    assert!(!stage.breaker.circuit().is_open());
}
