use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tranship::*;
use tranship_memory::{MemoryRegistry, MemoryRepository};

use crate::artifacts::{everything_below, push_text, push_two_platforms, text};
use crate::recorder::{Faults, Recorder};
use crate::{copy_v1, open, reference, tags};

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
    let counts = (
        hooks.count("mounted"),
        hooks.count("pre"),
        hooks.count("post"),
    );
    assert_eq!(counts, (5, 8, 3));

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

#[tokio::test]
async fn a_blob_that_is_left_out_is_not_mounted_either() {
    let registry = MemoryRegistry::new();
    let source = open(&registry, "from").await;
    push_two_platforms(&*source).await;
    let layer = text("shared");
    let hooks = Arc::new(Noting {
        leaves_out: HashSet::from([*layer.digest()]),
        ..Noting::default()
    });
    let destination = open(&registry, "to").await;
    let report = copy_with(&hooks, &*source, &*destination)
        .await
        .expect("copy");
    assert!(!destination.exists(&layer).await.expect("exists"));
    assert_eq!(report.count(CopyAction::LeftOut), 1);
    assert_eq!(report.count(CopyAction::Mounted), 4);
}

#[tokio::test]
async fn an_error_before_a_mount_fails_the_copy() {
    let registry = MemoryRegistry::new();
    let source = open(&registry, "from").await;
    push_two_platforms(&*source).await;
    let hooks = Arc::new(Noting {
        refuses: Some(Digest::of(b"shared")),
        ..Noting::default()
    });
    let destination = open(&registry, "to").await;
    let error = copy_with(&hooks, &*source, &*destination)
        .await
        .expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Aborted);
    let layer = destination.exists(&text("shared")).await;
    assert!(!layer.expect("exists"));
}

#[tokio::test]
async fn a_repository_that_cannot_be_read_is_not_mounted_from() {
    let registry = MemoryRegistry::new();
    push_two_platforms(&*open(&registry, "elsewhere").await).await;
    let source = MemoryRepository::new();
    push_two_platforms(&source).await;
    let hooks = Arc::new(Noting {
        mount_from: ["secret", "elsewhere"]
            .map(|name| name.parse().expect("a name"))
            .into(),
        ..Noting::default()
    });
    let denying = Recorder::over(open(&registry, "to").await).with_faults(Faults {
        denies_mounts_from: Some("secret".parse().expect("a name")),
        ..Faults::default()
    });
    copy_with(&hooks, &source, &denying).await.expect("copy");
    assert_eq!(hooks.count("mounted"), 5);
}

/// The digests of what became of the nodes, by what that is.
fn steps(report: &CopyReport, action: CopyAction) -> Vec<Digest> {
    let steps = report.steps.iter().filter(|step| step.action == action);
    let mut digests: Vec<_> = steps.map(|step| *step.descriptor.digest()).collect();
    digests.sort();
    digests
}

/// Copies `v1` with hooks, after a dry run, and checks that the calls agree with the report.
async fn check_agreement(
    source: &dyn Repository,
    destination: &dyn Repository,
    leaves_out: &[Digest],
) -> (CopyReport, CopyReport) {
    let leaves_out: HashSet<_> = leaves_out.iter().copied().collect();
    let run = async |is_dry: bool| {
        let hooks = Arc::new(Noting {
            leaves_out: leaves_out.clone(),
            ..Noting::default()
        });
        let options = CopyOptions::default()
            .with_hooks(hooks.clone())
            .with_dry_run(is_dry);
        let report = copy_v1(source, destination, &options).await.expect("copy");
        let called = |what: &str| {
            let seen = hooks.seen.lock().expect("not poisoned");
            let called = seen.iter().filter(|(noted, _)| *noted == what);
            let mut called: Vec<_> = called.map(|(_, digest)| *digest).collect();
            called.sort();
            called
        };
        assert_eq!(called("skipped"), steps(&report, CopyAction::Skipped));
        if is_dry {
            assert_eq!((called("post").len(), called("mounted").len()), (0, 0));
        } else {
            assert_eq!(called("post"), steps(&report, CopyAction::Copied));
            assert_eq!(called("mounted"), steps(&report, CopyAction::Mounted));
        }
        for digest in steps(&report, CopyAction::LeftOut) {
            assert!(called("pre").contains(&digest));
        }
        report
    };
    (run(true).await, run(false).await)
}

const ACTIONS: [CopyAction; 4] = [
    CopyAction::Copied,
    CopyAction::Mounted,
    CopyAction::Skipped,
    CopyAction::LeftOut,
];

#[tokio::test]
async fn the_report_the_hooks_and_a_dry_run_agree() {
    let registry = MemoryRegistry::new();
    let source = open(&registry, "from").await;
    let artifact = push_two_platforms(&*source).await;
    let layer = text("shared");
    let present = [
        None,
        Some(&layer),
        Some(&artifact.amd64),
        Some(&artifact.index),
    ];
    for (number, present) in present.into_iter().enumerate() {
        for leaves_out in [&[][..], &[*layer.digest()]] {
            let name = format!("to/{number}/{}", leaves_out.len());
            let destinations: [Arc<dyn Repository>; 2] = [
                Arc::new(MemoryRepository::new()),
                open(&registry, &name).await,
            ];
            for destination in destinations {
                if let Some(present) = present {
                    let options = CopyOptions::default();
                    copy_graph(&*source, present, &*destination, &options)
                        .await
                        .expect("copy");
                }
                // The second time the tag is there, too.
                for _ in 0..2 {
                    let (plan, done) = check_agreement(&*source, &*destination, leaves_out).await;
                    for action in ACTIONS {
                        assert_eq!(steps(&plan, action), steps(&done, action), "{action:?}");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn the_report_and_the_hooks_agree_where_mounts_are_declined() {
    let registry = MemoryRegistry::new();
    let source = open(&registry, "from").await;
    push_two_platforms(&*source).await;
    let inner = open(&registry, "to").await;
    push_text(&*inner, "shared").await;
    let refusing = Recorder::over(inner).with_faults(Faults {
        refuses_mounts: true,
        ..Faults::default()
    });
    let (_, done) = check_agreement(&*source, &refusing, &[]).await;
    assert_eq!(steps(&done, CopyAction::Skipped), [Digest::of(b"shared")]);
    assert_eq!(done.count(CopyAction::Copied), 7);
}

#[tokio::test]
async fn a_manifest_that_is_copied_after_all_ends_as_copied() {
    let source = MemoryRepository::new();
    let artifact = push_two_platforms(&source).await;
    let claiming = Recorder::new(MemoryRepository::new()).with_faults(Faults {
        claims: HashSet::from([*artifact.amd64.digest()]),
        wants_children: true,
        ..Faults::default()
    });
    let hooks = Arc::new(Noting::default());
    let report = copy_with(&hooks, &source, &claiming).await.expect("copy");
    assert_eq!(report.count(CopyAction::Copied), report.steps.len());
    let seen = hooks.seen.lock().expect("not poisoned");
    let of_amd64 = seen
        .iter()
        .filter(|(_, node)| node == artifact.amd64.digest());
    let of_amd64: Vec<_> = of_amd64.map(|(what, _)| *what).collect();
    assert_eq!(of_amd64, ["skipped", "pre", "post"]);
    let of_index = seen
        .iter()
        .filter(|(_, node)| node == artifact.index.digest());
    let of_index: Vec<_> = of_index.map(|(what, _)| *what).collect();
    assert_eq!(of_index, ["pre", "post"]);
}

#[tokio::test]
async fn each_hook_can_be_a_closure() {
    let source = MemoryRepository::new();
    push_two_platforms(&source).await;
    let seen = Arc::new(Mutex::new(BTreeMap::<&str, usize>::new()));
    let count = |what: &'static str| {
        let seen = Arc::clone(&seen);
        move || *seen.lock().expect("not poisoned").entry(what).or_default() += 1
    };
    let (roots, nodes, before, after) = (count("root"), count("node"), count("pre"), count("post"));
    let (skipped, events) = (count("skipped"), count("event"));
    let callbacks = CopyCallbacks::new()
        .map_root(move |root| {
            roots();
            Ok(root)
        })
        .successors(move |_, found| {
            nodes();
            Ok(found)
        })
        .pre_copy(move |_| {
            before();
            Ok(PreCopy::Copy)
        })
        .post_copy(move |_| {
            after();
            Ok(())
        })
        .on_skipped(move |_| {
            skipped();
            Ok(())
        })
        .on_event(move |_| events());
    let options = CopyOptions::default().with_hooks(Arc::new(callbacks));
    let destination = MemoryRepository::new();
    let tag = "v1".parse().expect("a tag");
    let report = copy_tag(&source, &destination, &tag, &options).await;
    let copied = report.expect("copied").count(CopyAction::Copied);
    copy_tag(&source, &destination, &tag, &options)
        .await
        .expect("copied again");

    let seen = seen.lock().expect("not poisoned");
    assert_eq!((seen["root"], seen["node"]), (2, 3));
    assert_eq!((seen["pre"], seen["post"]), (copied, copied));
    assert_eq!(seen["skipped"], 1);
    assert!(seen["event"] > copied, "{seen:?}");
}
