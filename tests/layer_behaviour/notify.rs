use std::sync::{Arc, Mutex};

use tranship::layers::{Notify, Operation};
use tranship::prelude::*;
use tranship_memory::MemoryRegistry;

use crate::{blob, name, push, tag};

#[tokio::test]
async fn calls_that_succeed_are_reported_and_no_others() {
    let seen: Arc<Mutex<Vec<Operation>>> = Arc::default();
    let log = Arc::clone(&seen);
    let registry = Notify::new(MemoryRegistry::new(), move |operation| {
        log.lock().expect("a lock").push(operation.clone());
    });
    let repository = registry.repository(&name("app")).await.expect("opened");
    let pushed = push(&*repository, "one", "v1").await;
    let missing = blob("missing").0;
    repository
        .blobs()
        .fetch(&missing)
        .await
        .expect_err("absent");
    repository
        .resolve(&tag("v2").into())
        .await
        .expect_err("absent");
    repository
        .resolve(&tag("v1").into())
        .await
        .expect("present");

    let seen = seen.lock().expect("a lock");
    let described: Vec<_> = seen
        .iter()
        .map(|operation| (operation.name.as_str(), operation.tag.clone()))
        .collect();
    let v1 = Some(tag("v1"));
    assert_eq!(described, [("write", v1.clone()), ("stat", v1)]);
    assert_eq!(seen[0].digest, Some(*pushed.digest()));
    assert_eq!(seen[0].repository, Some(name("app")));
}
