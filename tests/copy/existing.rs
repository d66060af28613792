use std::collections::HashSet;
use std::sync::Arc;

use tranship::*;
use tranship_memory::{MemoryRegistry, MemoryRepository};
use tranship_remote::RemoteRegistry;
use tranship_server::{ServerOptions, TestServer, router};

use crate::artifacts::{assert_same_graph, everything_below, push_two_platforms};
use crate::recorder::{Call, Faults, Recorder};
use crate::{copy_v1, reference, tags};

#[tokio::test]
async fn a_destination_whose_tags_fit_is_asked_one_question() {
    let source = MemoryRepository::new();
    push_two_platforms(&source).await;
    let destination = Recorder::new(MemoryRepository::new());
    let options = CopyOptions::default();
    copy_v1(&source, &destination, &options)
        .await
        .expect("copy");
    let before = destination.calls().len();

    let report = copy_v1(&source, &destination, &options)
        .await
        .expect("copy again");

    assert_eq!(destination.calls()[before..], [Call::Resolve]);
    assert_eq!(report.steps.len(), 1);
    assert_eq!(report.count(CopyAction::Skipped), 1);
}

#[tokio::test]
async fn a_root_that_is_there_gets_its_new_tag() {
    let source = MemoryRepository::new();
    let artifact = push_two_platforms(&source).await;
    let destination = MemoryRepository::new();
    let options = CopyOptions::default();
    copy_graph(&source, &artifact.index, &destination, &options)
        .await
        .expect("copy");

    copy(
        &source,
        &reference("v1"),
        &destination,
        &tags(&["new"]),
        &options,
    )
    .await
    .expect("copy");

    let resolved = destination
        .resolve(&reference("new"))
        .await
        .expect("the tag");
    assert!(resolved.same_content(&artifact.index));
}

#[tokio::test]
async fn a_subtree_that_is_there_is_not_looked_into() {
    let source = MemoryRepository::new();
    let artifact = push_two_platforms(&source).await;
    let destination = Recorder::new(MemoryRepository::new());
    let options = CopyOptions::default();
    copy_graph(&source, &artifact.amd64, &destination, &options)
        .await
        .expect("copy");
    let before = destination.calls().len();

    copy_graph(&source, &artifact.index, &destination, &options)
        .await
        .expect("copy");

    let below = everything_below(&source, &artifact.amd64).await;
    let only_amd64 = below
        .iter()
        .find(|node| node.digest() == &Digest::of(b"amd64 only"))
        .expect("the layer");
    let asked = Call::Exists(*only_amd64.digest());
    assert!(!destination.calls()[before..].contains(&asked));
    assert_same_graph(&source, &destination, &artifact.index).await;
}

#[tokio::test]
async fn a_check_fills_the_holes_below_a_manifest_that_is_there() {
    let source = MemoryRepository::new();
    let artifact = push_two_platforms(&source).await;
    let destination = MemoryRepository::new();
    let trusting = CopyOptions::default();
    copy_v1(&source, &destination, &trusting)
        .await
        .expect("copy");
    let hole = crate::artifacts::text("arm64 only");
    destination.delete(&hole).await.expect("delete");

    let report = copy_v1(&source, &destination, &trusting)
        .await
        .expect("copy");
    assert_eq!(report.count(CopyAction::Copied), 0);
    assert!(!destination.exists(&hole).await.expect("exists"));

    let checking = CopyOptions::default().with_existing(Existing::Check);
    let report = copy_v1(&source, &destination, &checking)
        .await
        .expect("copy");
    assert_eq!(report.count(CopyAction::Copied), 1);
    assert_eq!(report.bytes(CopyAction::Copied), hole.size());
    assert_same_graph(&source, &destination, &artifact.index).await;
}

#[tokio::test]
async fn a_destination_that_claims_what_it_lacks_is_completed_when_it_notices() {
    let source = MemoryRepository::new();
    let artifact = push_two_platforms(&source).await;
    for concurrency in [1, 2, 8] {
        let destination = Recorder::new(MemoryRepository::new()).with_faults(Faults {
            claims: HashSet::from([*artifact.amd64.digest(), *artifact.arm64.digest()]),
            wants_children: true,
            ..Faults::default()
        });

        let report = copy_v1(
            &source,
            &destination,
            &CopyOptions::default().with_concurrency(concurrency),
        )
        .await
        .expect("copy");

        assert_same_graph(&source, &destination, &artifact.index).await;
        let nodes = everything_below(&source, &artifact.index).await.len();
        assert_eq!(report.count(CopyAction::Copied), nodes);
    }
}

#[tokio::test]
async fn a_new_tag_fills_the_holes_below_a_root_that_is_there() {
    let source = MemoryRepository::new();
    let artifact = push_two_platforms(&source).await;
    let hole = crate::artifacts::text("amd64 only");
    for concurrency in [1, 8] {
        let destination = Recorder::new(MemoryRepository::new()).with_faults(Faults {
            wants_children: true,
            ..Faults::default()
        });
        let options = CopyOptions::default().with_concurrency(concurrency);
        let from = reference(&artifact.amd64.digest().to_string());
        let first = copy(&source, &from, &destination, &tags(&["v1"]), &options).await;
        first.expect("copy");
        destination.delete(&hole).await.expect("delete");

        let second = copy(&source, &from, &destination, &tags(&["v2"]), &options).await;

        let report = second.expect("copy");
        let copied = report
            .steps
            .iter()
            .filter(|step| step.action == CopyAction::Copied);
        let mut copied: Vec<_> = copied.map(|step| *step.descriptor.digest()).collect();
        copied.sort_unstable();
        let mut expected = [*hole.digest(), *artifact.amd64.digest()];
        expected.sort_unstable();
        assert_eq!(copied, expected);
        let resolved = destination
            .resolve(&reference("v2"))
            .await
            .expect("the tag");
        assert!(resolved.same_content(&artifact.amd64));
        assert_same_graph(&source, &destination, &artifact.amd64).await;
    }
}

#[tokio::test]
async fn a_new_tag_fills_the_holes_of_an_extended_copy() {
    let source = MemoryRepository::new();
    let artifact = push_two_platforms(&source).await;
    let destination = Recorder::new(MemoryRepository::new()).with_faults(Faults {
        wants_children: true,
        ..Faults::default()
    });
    let options = ExtendedCopyOptions::default();
    let from = reference(&artifact.amd64.digest().to_string());
    let first = extended_copy(&source, &from, &destination, &tags(&["v1"]), &options).await;
    first.expect("copy");
    let hole = crate::artifacts::text("amd64 only");
    destination.delete(&hole).await.expect("delete");

    let second = extended_copy(&source, &from, &destination, &tags(&["v2"]), &options).await;

    second.expect("copy");
    destination
        .resolve(&reference("v2"))
        .await
        .expect("the tag");
    assert_same_graph(&source, &destination, &artifact.amd64).await;
}

#[tokio::test]
async fn a_new_tag_fills_the_holes_in_a_registry_over_http() {
    let source = MemoryRepository::new();
    let artifact = push_two_platforms(&source).await;
    let router = router(Arc::new(MemoryRegistry::new()), ServerOptions::default());
    let server = TestServer::serve(router).await.expect("a server");
    let registry = RemoteRegistry::new(&server.host().parse().expect("a host"));
    let name = "hole".parse().expect("a name");
    let destination = registry
        .expect("a client")
        .repository(&name)
        .await
        .expect("a repository");
    let options = CopyOptions::default();
    let from = reference(&artifact.amd64.digest().to_string());
    let first = copy(&source, &from, &*destination, &tags(&["v1"]), &options).await;
    first.expect("copy");
    let hole = crate::artifacts::text("amd64 only");
    destination.delete(&hole).await.expect("delete");

    let second = copy(&source, &from, &*destination, &tags(&["v2"]), &options).await;

    second.expect("copy");
    destination
        .resolve(&reference("v2"))
        .await
        .expect("the tag");
    assert_same_graph(&source, &*destination, &artifact.amd64).await;
}

#[tokio::test]
async fn a_destination_that_keeps_refusing_a_tag_has_the_last_word() {
    let source = MemoryRepository::new();
    let artifact = push_two_platforms(&source).await;
    let destination = Recorder::new(MemoryRepository::new()).with_faults(Faults {
        claims: HashSet::from([*artifact.amd64.digest(), Digest::of(b"shared")]),
        wants_children: true,
        ..Faults::default()
    });
    let from = reference(&artifact.amd64.digest().to_string());
    let options = CopyOptions::default();
    let copied = copy(&source, &from, &destination, &tags(&["v2"]), &options).await;
    let error = copied.expect_err("incomplete");
    assert_eq!(error.kind(), ErrorKind::ManifestBlobUnknown);
    assert!(destination.resolve(&reference("v2")).await.is_err());
}

#[tokio::test]
async fn a_destination_that_keeps_refusing_has_the_last_word() {
    let source = MemoryRepository::new();
    let artifact = push_two_platforms(&source).await;
    // It claims a blob, which is never pushed again.
    let destination = Recorder::new(MemoryRepository::new()).with_faults(Faults {
        claims: HashSet::from([Digest::of(b"shared")]),
        wants_children: true,
        ..Faults::default()
    });
    let error = copy_graph(
        &source,
        &artifact.index,
        &destination,
        &CopyOptions::default(),
    )
    .await
    .expect_err("incomplete");
    assert_eq!(error.kind(), ErrorKind::ManifestBlobUnknown);
}

#[tokio::test]
async fn a_dry_run_tells_what_a_copy_then_does() {
    let source = MemoryRepository::new();
    let artifact = push_two_platforms(&source).await;
    let destination = Recorder::new(MemoryRepository::new());
    let options = CopyOptions::default();
    copy_graph(&source, &artifact.amd64, &destination, &options)
        .await
        .expect("copy");
    let pushed_before = destination.pushes().len();

    let plan = copy_v1(&source, &destination, &options.clone().with_dry_run(true))
        .await
        .expect("plan");
    assert_eq!(destination.pushes().len(), pushed_before);
    assert!(destination.resolve(&reference("v1")).await.is_err());

    let done = copy_v1(&source, &destination, &options)
        .await
        .expect("copy");
    let sorted = |report: &CopyReport| {
        let mut steps: Vec<String> = report
            .steps
            .iter()
            .map(|step| format!("{} {:?}", step.descriptor, step.action))
            .collect();
        steps.sort();
        steps
    };
    assert_eq!(sorted(&plan), sorted(&done));
    assert!(plan.bytes(CopyAction::Copied) > 0);
}
