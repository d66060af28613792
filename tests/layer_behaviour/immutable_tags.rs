use futures_util::future::join_all;
use tranship::layers::{ImmutableTags, Prefix};
use tranship::prelude::*;
use tranship::*;
use tranship_layout::Layout;
use tranship_memory::{MemoryRegistry, MemoryRepository};

use crate::{index, push, resolve, tag};

fn releases() -> ImmutableTags<MemoryRepository> {
    ImmutableTags::new(MemoryRepository::new(), ["v*", "!v*-rc?"])
}

async fn set(repository: &dyn Repository, target: &Descriptor, name: &str) -> Result<()> {
    repository.tag(target, &tag(name)).await
}

#[tokio::test]
async fn an_immutable_tag_stays_where_it_was_set() {
    let repository = releases();
    let first = push(&repository, "first", "v1").await;
    let (second, content) = index("second");
    let tags = [tag("v1"), tag("latest")];
    let moved = repository.push_reference(&second, content.into(), &tags);
    let error = moved.await.expect_err("immutable");
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(
        error.to_string().contains(&first.digest().to_string()),
        "{error}"
    );
    assert_eq!(resolve(&repository, "latest").await, None);
    let second = push(&repository, "second", "latest").await;
    assert!(set(&repository, &second, "v1").await.is_err());
    assert!(repository.untag(&tag("v1")).await.is_err());
    assert!(repository.delete(&first).await.is_err());
    assert_eq!(resolve(&repository, "v1").await, Some(first));
}

#[tokio::test]
async fn an_immutable_tag_can_be_set_to_the_same_manifest() {
    let repository = releases();
    let first = push(&repository, "first", "v1").await;
    assert_eq!(push(&repository, "first", "v1").await, first);
    set(&repository, &first, "v1").await.expect("the same");
}

#[tokio::test]
async fn other_tags_move_and_go() {
    let repository = releases();
    push(&repository, "first", "v1-rc1").await;
    let second = push(&repository, "second", "v1-rc1").await;
    assert_eq!(resolve(&repository, "v1-rc1").await, Some(second.clone()));
    repository.untag(&tag("v1-rc1")).await.expect("removed");
    repository.delete(&second).await.expect("deleted");
}

#[tokio::test]
async fn one_of_many_writers_sets_an_immutable_tag() {
    let repository = releases();
    let writers = (0..20).map(|number| {
        let repository = repository.clone();
        async move {
            let (target, content) = index(&number.to_string());
            let tags = [tag("v1")];
            let pushed = repository.push_reference(&target, content.into(), &tags);
            pushed.await.map(|_| target)
        }
    });
    let written: Vec<_> = join_all(writers).await.into_iter().flatten().collect();
    assert_eq!(written.len(), 1);
    assert_eq!(resolve(&repository, "v1").await.as_ref(), written.first());
}

#[tokio::test]
async fn one_of_two_batches_sets_an_immutable_tag() {
    let directory = tempfile::tempdir().expect("a directory");
    let layout = Layout::create(directory.path()).await.expect("a layout");
    let repository = ImmutableTags::new(layout, ["*"]);
    let one = repository.batch().expect("a batch");
    let other = repository.batch().expect("a batch");
    let first = push(&one, "first", "v1").await;
    push(&other, "second", "v1").await;
    one.commit().await.expect("the first");
    let error = other.commit().await.expect_err("the second");
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert_eq!(resolve(&repository, "v1").await, Some(first));
}

#[tokio::test]
async fn a_repository_tells_which_tags_are_immutable() {
    let below = ImmutableTags::new(MemoryRegistry::new(), ["v*", "!v*-rc?"]);
    let registry = Prefix::new(below, "team".parse().expect("a name"));
    let name = "app".parse().expect("a name");
    let repository = registry.repository(&name).await.expect("opened");
    for (name, expected) in [("v1", true), ("v1-rc1", false), ("latest", false)] {
        assert_eq!(repository.is_immutable(&tag(name)), expected, "{name}");
    }
    assert!(!MemoryRepository::new().is_immutable(&tag("v1")));
}
