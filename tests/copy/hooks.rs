use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tranship::*;
use tranship_memory::{MemoryRegistry, MemoryRepository};

use crate::artifacts::{everything_below, push_two_platforms, text};
use crate::recorder::{Faults, Recorder};
use crate::{open, reference, tags};

/// Notes what it is called for, and leaves out or refuses what it is told to.
#[derive(Default)]
struct Noting {
    seen: Mutex<Vec<(&'static str, Digest)>>,
    leaves_out: HashSet<Digest>,
    refuses: Option<Digest>,
    drops_children: Vec<Digest>,
    mount_from: Vec<RepositoryName>,
    root: Option<Descriptor>,
}

impl Noting {
    fn note(&self, what: &'static str, node: &Descriptor) {
        let entry = (what, *node.digest());
        self.seen.lock().expect("not poisoned").push(entry);
    }

    fn count(&self, what: &str) -> usize {
        let seen = self.seen.lock().expect("not poisoned");
        seen.iter().filter(|(noted, _)| *noted == what).count()
    }
}

#[async_trait]
impl CopyHooks for Noting {
    async fn map_root(&self, _: &dyn Repository, root: Descriptor) -> Result<Descriptor> {
        Ok(self.root.clone().unwrap_or(root))
    }

    async fn successors(
        &self,
        _: &Descriptor,
        mut found: Vec<Descriptor>,
    ) -> Result<Vec<Descriptor>> {
        found.retain(|child| !self.drops_children.contains(child.digest()));
        Ok(found)
    }

    async fn mount_from(&self, _: &Descriptor) -> Result<Vec<RepositoryName>> {
        Ok(self.mount_from.clone())
    }

    async fn pre_copy(&self, node: &Descriptor) -> Result<PreCopy> {
        self.note("pre", node);
        if self.refuses.as_ref() == Some(node.digest()) {
            return Err(Error::new(ErrorKind::Aborted, "not this one"));
        }
        Ok(if self.leaves_out.contains(node.digest()) {
            PreCopy::Skip
        } else {
            PreCopy::Copy
        })
    }

    async fn post_copy(&self, node: &Descriptor) -> Result<()> {
        self.note("post", node);
        Ok(())
    }

    async fn on_skipped(&self, node: &Descriptor) -> Result<()> {
        self.note("skipped", node);
        Ok(())
    }

    async fn on_mounted(&self, node: &Descriptor) -> Result<()> {
        self.note("mounted", node);
        Ok(())
    }
}

async fn copy_with(
    hooks: &Arc<Noting>,
    source: &dyn Repository,
    destination: &dyn Repository,
) -> Result<CopyReport> {
    let options = CopyOptions::default().with_hooks(hooks.clone());
    copy(
        source,
        &reference("v1"),
        destination,
        &tags(&["v1"]),
        &options,
    )
    .await
}

#[tokio::test]
async fn what_is_copied_is_announced_before_and_after() {
    let source = MemoryRepository::new();
    let artifact = push_two_platforms(&source).await;
    let nodes = everything_below(&source, &artifact.index).await.len();
    let hooks = Arc::new(Noting::default());
    copy_with(&hooks, &source, &MemoryRepository::new())
        .await
        .expect("copy");
    assert_eq!((hooks.count("pre"), hooks.count("post")), (nodes, nodes));
    assert_eq!((hooks.count("skipped"), hooks.count("mounted")), (0, 0));
    let seen = hooks.seen.lock().expect("not poisoned");
    assert_eq!(seen.last(), Some(&("post", *artifact.index.digest())));
}

#[tokio::test]
async fn what_is_there_is_said_to_be_skipped() {
    let source = MemoryRepository::new();
    push_two_platforms(&source).await;
    let destination = MemoryRepository::new();
    let hooks = Arc::new(Noting::default());
    copy_with(&hooks, &source, &destination)
        .await
        .expect("copy");
    let again = Arc::new(Noting::default());
    copy_with(&again, &source, &destination)
        .await
        .expect("copy");
    assert_eq!((again.count("skipped"), again.count("pre")), (1, 0));
}

#[tokio::test]
async fn what_is_left_out_is_not_copied_and_not_announced_after() {
    let source = MemoryRepository::new();
    push_two_platforms(&source).await;
    let destination = MemoryRepository::new();
    let layer = text("amd64 only");
    let hooks = Arc::new(Noting {
        leaves_out: HashSet::from([*layer.digest()]),
        ..Noting::default()
    });
    copy_with(&hooks, &source, &destination)
        .await
        .expect("copy");
    assert_eq!(hooks.count("pre"), hooks.count("post") + 1);
    assert!(!destination.exists(&layer).await.expect("exists"));
}

#[tokio::test]
async fn a_root_that_is_left_out_gets_no_tag() {
    let source = MemoryRepository::new();
    let artifact = push_two_platforms(&source).await;
    let destination = MemoryRepository::new();
    let hooks = Arc::new(Noting {
        leaves_out: HashSet::from([*artifact.index.digest()]),
        ..Noting::default()
    });
    copy_with(&hooks, &source, &destination)
        .await
        .expect("copy");
    assert_eq!(tranship::tags(&destination).await.expect("tags"), []);
}

#[tokio::test]
async fn an_error_of_a_hook_is_the_error_of_the_copy() {
    let source = MemoryRepository::new();
    push_two_platforms(&source).await;
    let hooks = Arc::new(Noting {
        refuses: Some(Digest::of(b"shared")),
        ..Noting::default()
    });
    let error = copy_with(&hooks, &source, &MemoryRepository::new())
        .await
        .expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Aborted);
}

#[tokio::test]
async fn the_root_and_the_successors_can_be_chosen() {
    let source = MemoryRepository::new();
    let artifact = push_two_platforms(&source).await;
    let destination = MemoryRepository::new();
    let hooks = Arc::new(Noting {
        root: Some(artifact.amd64.clone()),
        drops_children: vec![Digest::of(b"shared")],
        ..Noting::default()
    });
    let report = copy_with(&hooks, &source, &destination)
        .await
        .expect("copy");
    assert_eq!(report.root, artifact.amd64);
    let exists = async |node: &Descriptor| destination.exists(node).await.expect("exists");
    assert!(exists(&text("amd64 only")).await);
    assert!(!exists(&text("shared")).await);
    assert!(!exists(&artifact.index).await);
}

#[tokio::test]
async fn mounts_are_announced_as_mounts_and_fallbacks_as_copies() {
    let registry = MemoryRegistry::new();
    let source = open(&registry, "from").await;
    push_two_platforms(&*source).await;

    let hooks = Arc::new(Noting::default());
    copy_with(&hooks, &*source, &*open(&registry, "mounted").await)
        .await
        .expect("copy");
    assert_eq!((hooks.count("mounted"), hooks.count("pre")), (5, 3));

    let hooks = Arc::new(Noting::default());
    let refusing = Recorder::over(open(&registry, "pushed").await).with_faults(Faults {
        refuses_mounts: true,
        ..Faults::default()
    });
    copy_with(&hooks, &*source, &refusing).await.expect("copy");
    let counts = (
        hooks.count("mounted"),
        hooks.count("pre"),
        hooks.count("post"),
    );
    assert_eq!(counts, (0, 8, 8));
}

#[tokio::test]
async fn a_layer_left_out_of_a_mounts_fallback_is_left_out() {
    let registry = MemoryRegistry::new();
    let source = open(&registry, "from").await;
    push_two_platforms(&*source).await;
    let layer = text("shared");
    let hooks = Arc::new(Noting {
        leaves_out: HashSet::from([*layer.digest()]),
        ..Noting::default()
    });
    let refusing = Recorder::over(open(&registry, "to").await).with_faults(Faults {
        refuses_mounts: true,
        ..Faults::default()
    });
    copy_with(&hooks, &*source, &refusing).await.expect("copy");
    assert!(!refusing.exists(&layer).await.expect("exists"));
}

#[tokio::test]
async fn the_caller_knows_other_repositories_to_mount_from() {
    let registry = MemoryRegistry::new();
    push_two_platforms(&*open(&registry, "elsewhere").await).await;
    let source = MemoryRepository::new();
    push_two_platforms(&source).await;
    let hooks = Arc::new(Noting {
        mount_from: vec![
            "nowhere".parse().expect("a name"),
            "elsewhere".parse().expect("a name"),
        ],
        ..Noting::default()
    });
    copy_with(&hooks, &source, &*open(&registry, "to").await)
        .await
        .expect("copy");
    assert_eq!(hooks.count("mounted"), 5);
}
