use std::sync::Arc;

use async_trait::async_trait;
use tranship::*;
use tranship_memory::{MemoryRegistry, MemoryRepository};

use crate::artifacts::{assert_same_graph, push_text, push_two_platforms};
use crate::recorder::{Call, Faults, Recorder};
use crate::{copy_v1, open, reference, tags};

async fn two_repositories() -> (Arc<dyn Repository>, Arc<dyn Repository>) {
    let registry = MemoryRegistry::new();
    (open(&registry, "from").await, open(&registry, "to").await)
}

#[tokio::test]
async fn inside_a_registry_blobs_are_mounted_and_manifests_pushed() {
    let (from, to) = two_repositories().await;
    let artifact = push_two_platforms(&*from).await;
    let source = Recorder::over(from);
    let destination = Recorder::over(to);

    let report = copy_v1(&source, &destination, &CopyOptions::default())
        .await
        .expect("copy");

    assert_eq!(report.count(CopyAction::Mounted), 5);
    assert_eq!(report.count(CopyAction::Copied), 3);
    let mounts = destination.count(|call| matches!(call, Call::Mount(..)));
    assert_eq!(mounts, 5);
    // Of the source, only the three manifests were read.
    assert_eq!(source.count(|call| matches!(call, Call::Fetch(_))), 3);
    assert_same_graph(&source, &destination, &artifact.index).await;
}

#[tokio::test]
async fn a_mount_that_is_refused_becomes_a_copy() {
    let (from, to) = two_repositories().await;
    let artifact = push_two_platforms(&*from).await;
    let destination = Recorder::over(to).with_faults(Faults {
        refuses_mounts: true,
        ..Faults::default()
    });

    let report = copy_v1(&*from, &destination, &CopyOptions::default())
        .await
        .expect("copy");

    assert_eq!(report.count(CopyAction::Copied), 8);
    assert_same_graph(&*from, &destination, &artifact.index).await;
}

#[tokio::test]
async fn what_is_there_is_not_sent_where_a_mount_is_declined() {
    let (from, to) = two_repositories().await;
    push_two_platforms(&*from).await;
    push_text(&*to, "shared").await;
    let source = Recorder::over(from);
    let destination = Recorder::over(to).with_faults(Faults {
        refuses_mounts: true,
        ..Faults::default()
    });

    copy_v1(&source, &destination, &CopyOptions::default())
        .await
        .expect("copy");

    let fetch = Call::Fetch(Digest::of(b"shared"));
    assert_eq!(source.count(|call| *call == fetch), 0);
}

#[tokio::test]
async fn a_blob_that_another_repository_has_is_mounted_without_a_look() {
    let (elsewhere, to) = two_repositories().await;
    push_two_platforms(&*elsewhere).await;
    push_text(&*to, "shared").await;
    let (source, destination) = (MemoryRepository::new(), Recorder::over(to));
    push_two_platforms(&source).await;
    let hooks = MountFrom(elsewhere.name().clone());
    let options = CopyOptions::default().with_hooks(Arc::new(hooks));

    let report = copy_v1(&source, &destination, &options).await;

    let report = report.expect("copy");
    assert_eq!(report.count(CopyAction::Mounted), 5);
    let of_shared = |call: &&Call| match call {
        Call::Exists(digest) | Call::Mount(digest, _) => *digest == Digest::of(b"shared"),
        _ => false,
    };
    let calls = destination.calls();
    let calls: Vec<_> = calls.iter().filter(of_shared).collect();
    let mount = Call::Mount(Digest::of(b"shared"), elsewhere.name().clone());
    assert_eq!(calls, [&mount]);
}

struct MountFrom(RepositoryName);

#[async_trait]
impl CopyHooks for MountFrom {
    async fn mount_from(&self, _: &Descriptor) -> Result<Vec<RepositoryName>> {
        Ok(vec![self.0.clone()])
    }
}

#[tokio::test]
async fn a_dry_run_foresees_mounts() {
    let (from, to) = two_repositories().await;
    push_two_platforms(&*from).await;
    let plan = copy_v1(&*from, &*to, &CopyOptions::default().with_dry_run(true))
        .await
        .expect("plan");
    assert_eq!(plan.count(CopyAction::Mounted), 5);
    assert_eq!(tranship::tags(&*to).await.expect("tags"), []);
}

#[tokio::test]
async fn within_one_repository_nothing_is_mounted_from_itself() {
    let (repository, _) = two_repositories().await;
    push_two_platforms(&*repository).await;
    let destination = Recorder::over(repository.clone());
    let options = CopyOptions::default().with_existing(Existing::Check);
    let report = copy(
        &*repository,
        &reference("v1"),
        &destination,
        &tags(&["v2"]),
        &options,
    )
    .await
    .expect("copy");
    assert_eq!(report.count(CopyAction::Skipped), 8);
    let mounts = destination.count(|call| matches!(call, Call::Mount(..)));
    assert_eq!(mounts, 0);
}
