//! Deleting old tags, in memory and in image layouts.

use std::time::{Duration, SystemTime};

use tranship::layers::{Inject, InjectOptions, OperationName};
use tranship::prelude::*;
use tranship::{
    Descriptor, ErrorKind, Index, MediaType, PackOptions, Repository, Result, Source, Tag,
    encode_json, pack_and_tag, pack_manifest,
};
use tranship_artifact::retention::{Selection, plan, plan_all};
use tranship_artifact::tags::TagFilter;
use tranship_layout::Layout;
use tranship_memory::MemoryRegistry;

const OLD: &str = "2020-01-01T00:00:00Z";
const NEW: &str = "2999-01-01T00:00:00Z";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn options(name: &str, created: &str) -> PackOptions {
    let artifact_type = "application/vnd.example".parse().expect("a type");
    PackOptions::new(artifact_type)
        .with_annotation("name", name)
        .with_annotation("org.opencontainers.image.created", created)
}

/// Pushes an artifact under its name.
async fn artifact(repository: &dyn Repository, name: &str, created: &str) -> Result<Descriptor> {
    let packed = pack_and_tag(repository, &options(name, created), &[name.parse()?]).await?;
    Ok(packed.plain())
}

async fn index(
    repository: &dyn Repository,
    name: &str,
    children: Vec<Descriptor>,
) -> Result<Descriptor> {
    let mut index = Index::new(children);
    let created = "org.opencontainers.image.created";
    index.annotations.insert(created.into(), OLD.into());
    let content = encode_json(&index)?;
    let descriptor = Descriptor::of(MediaType::IMAGE_INDEX, &content);
    let tags: Vec<Tag> = vec![name.parse()?];
    repository
        .push_reference(&descriptor, Source::from(content), &tags)
        .await?;
    Ok(descriptor)
}

async fn names(repository: &dyn Repository) -> Result<Vec<String>> {
    let tags = tranship::tags(repository).await?;
    let mut names: Vec<_> = tags.iter().map(Tag::to_string).collect();
    names.sort();
    Ok(names)
}

async fn delete(repository: &dyn Repository, selection: &Selection) -> Result<()> {
    let plan = plan(repository, selection).await?;
    let outcome = plan.carry_out(repository).await;
    match outcome.failures.into_iter().next() {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Runs each test in memory and in an image layout.
macro_rules! in_every_store {
    ($(async fn $name:ident($repository:ident: &dyn Repository) -> Result<()> $body:block)*) => {$(
        mod $name {
            use super::*;

            async fn check($repository: &dyn Repository) -> Result<()> $body

            #[tokio::test]
            async fn in_memory() -> Result<()> {
                let registry = MemoryRegistry::new();
                let repository = registry.repository(&"app".parse()?).await?;
                check(&*repository).await
            }

            #[tokio::test]
            async fn in_a_layout() -> Result<()> {
                let directory = tempfile::tempdir().expect("a directory");
                let layout = Layout::create(directory.path().join("app")).await?;
                check(&layout).await
            }
        }
    )*};
}

in_every_store! {
    async fn old_tags_go_with_their_manifests(repository: &dyn Repository) -> Result<()> {
        let old = artifact(repository, "old", OLD).await?;
        let new = artifact(repository, "new", NEW).await?;
        delete(repository, &Selection::default().with_older_than(DAY)).await?;
        assert_eq!(names(repository).await?, ["new"]);
        assert!(!repository.exists(&old).await?);
        assert!(repository.exists(&new).await?);
        Ok(())
    }

    async fn what_a_tag_that_stays_names_is_only_untagged(repository: &dyn Repository) -> Result<()> {
        let both = artifact(repository, "pr-1", OLD).await?;
        repository.tag(&both, &"v1".parse()?).await?;
        let selection = Selection::default().with_tags(TagFilter::default().with_glob("pr-*"));
        let planned = plan(repository, &selection).await?;
        assert!(planned.tags()[0].manifest_stays);
        assert!(planned.manifests().is_empty());
        delete(repository, &selection).await?;
        assert_eq!(names(repository).await?, ["v1"]);
        assert!(repository.exists(&both).await?);
        Ok(())
    }

    async fn the_manifests_of_an_index_that_stays_stay(repository: &dyn Repository) -> Result<()> {
        let shared = artifact(repository, "pr-1", OLD).await?;
        let own = artifact(repository, "pr-2", OLD).await?;
        index(repository, "v1", vec![shared.clone()]).await?;
        index(repository, "pr-3", vec![shared.clone(), own.clone()]).await?;
        let selection = Selection::default().with_tags(TagFilter::default().with_glob("pr-*"));
        delete(repository, &selection).await?;
        assert_eq!(names(repository).await?, ["v1"]);
        assert!(repository.exists(&shared).await?);
        assert!(!repository.exists(&own).await?);
        Ok(())
    }

    async fn referrers_and_digest_tags_go_along(repository: &dyn Repository) -> Result<()> {
        let subject = artifact(repository, "old", OLD).await?;
        let signature = options("signature", NEW).with_subject(subject.clone());
        let signature = pack_manifest(repository, &signature).await?;
        let above = options("above", NEW).with_subject(signature.plain());
        let above = pack_manifest(repository, &above).await?;
        let digest_tag = |of: &Descriptor| format!("{}-{}.sig", of.digest().algorithm(), of.digest().hex());
        artifact(repository, &digest_tag(&subject), NEW).await?;
        let stays = artifact(repository, "new", NEW).await?;
        artifact(repository, &digest_tag(&stays), OLD).await?;

        delete(repository, &Selection::default().with_older_than(DAY)).await?;
        assert_eq!(names(repository).await?, ["new".to_owned(), digest_tag(&stays)]);
        for manifest in [&subject, &signature, &above] {
            assert!(!repository.exists(manifest).await?, "{}", manifest.digest());
        }
        Ok(())
    }

    async fn the_subject_of_what_stays_stays(repository: &dyn Repository) -> Result<()> {
        let subject = artifact(repository, "old", OLD).await?;
        let referrer = options("sbom", NEW).with_subject(subject.clone());
        pack_and_tag(repository, &referrer, &["sbom".parse()?]).await?;
        delete(repository, &Selection::default().with_older_than(DAY)).await?;
        assert_eq!(names(repository).await?, ["sbom"]);
        assert!(repository.exists(&subject).await?);
        Ok(())
    }

    async fn a_tag_that_was_moved_since_is_left_alone(repository: &dyn Repository) -> Result<()> {
        let old = artifact(repository, "old", OLD).await?;
        let plan = plan(repository, &Selection::default().with_older_than(DAY)).await?;
        let new = artifact(repository, "new", NEW).await?;
        repository.tag(&new, &"old".parse()?).await?;
        let outcome = plan.carry_out(repository).await;
        assert_eq!(outcome.moved, ["old".parse()?]);
        assert!(repository.exists(&new).await? && repository.exists(&old).await?);
        Ok(())
    }

    async fn what_an_index_that_is_not_deleted_lists_stays(repository: &dyn Repository) -> Result<()> {
        let child = artifact(repository, "child", OLD).await?;
        index(repository, "pr-1", vec![child.clone()]).await?;
        repository.untag(&"child".parse()?).await?;
        let selection = Selection::default().with_tags(TagFilter::default().with_glob("pr-*"));
        let plan = plan(repository, &selection).await?;
        assert_eq!(plan.manifests().len(), 2);
        let refused = InjectOptions::default().with_failing_call(OperationName::Remove, 1, ErrorKind::Denied);
        let refusing = Inject::new(repository, refused);
        let outcome = plan.carry_out(&refusing).await;
        assert_eq!(outcome.failures.len(), 1);
        assert!(repository.exists(&child).await?);
        Ok(())
    }

    async fn an_index_that_took_over_a_tag_keeps_its_manifests(repository: &dyn Repository) -> Result<()> {
        let child = artifact(repository, "child", OLD).await?;
        index(repository, "pr-1", vec![child.clone()]).await?;
        repository.untag(&"child".parse()?).await?;
        let selection = Selection::default().with_tags(TagFilter::default().with_glob("pr-*"));
        let plan = plan(repository, &selection).await?;
        let other = artifact(repository, "other", OLD).await?;
        index(repository, "pr-1", vec![child.clone(), other]).await?;
        let outcome = plan.carry_out(repository).await;
        assert_eq!(outcome.moved, ["pr-1".parse()?]);
        assert!(repository.exists(&child).await?);
        Ok(())
    }

    async fn a_referrer_of_what_stays_stays(repository: &dyn Repository) -> Result<()> {
        let subject = artifact(repository, "v1", NEW).await?;
        let signature = options("signature", OLD).with_subject(subject.clone());
        let signature = pack_manifest(repository, &signature).await?.plain();
        index(repository, "pr-1", vec![signature.clone()]).await?;
        delete(repository, &Selection::default().with_tags(TagFilter::default().with_glob("pr-*"))).await?;
        assert_eq!(names(repository).await?, ["v1"]);
        assert!(repository.exists(&signature).await?);
        Ok(())
    }

    async fn a_plan_differs_from_one_with_another_tag(repository: &dyn Repository) -> Result<()> {
        let old = artifact(repository, "old", OLD).await?;
        let selection = Selection::default().with_older_than(DAY);
        let before = plan(repository, &selection).await?;
        assert!(before.is_same(&plan(repository, &selection).await?));
        repository.tag(&old, &"prod".parse()?).await?;
        assert!(!before.is_same(&plan(repository, &selection).await?));
        Ok(())
    }

    async fn kept_tags_and_manifests_stay(repository: &dyn Repository) -> Result<()> {
        let pinned = artifact(repository, "v1", OLD).await?;
        artifact(repository, "v2", OLD).await?;
        artifact(repository, "v3", NEW).await?;
        let selection = Selection::default()
            .with_kept_tags(["v3".parse()?].into())
            .with_kept_manifests(vec![*pinned.digest()]);
        delete(repository, &selection).await?;
        assert_eq!(names(repository).await?, ["v3"]);
        assert!(repository.exists(&pinned).await?);
        Ok(())
    }

    async fn what_does_not_tell_its_age_stays(repository: &dyn Repository) -> Result<()> {
        artifact(repository, "epoch", "1970-01-01T00:00:00Z").await?;
        let selection = Selection::default().with_older_than(DAY);
        let plan = plan(repository, &selection).await?;
        assert!(plan.tags().is_empty());
        assert_eq!(plan.of_unknown_age(), ["epoch".parse()?]);
        Ok(())
    }
}

#[tokio::test]
async fn the_first_selection_that_matches_decides_about_a_tag() -> Result<()> {
    let registry = MemoryRegistry::new();
    let repository = registry.repository(&"app".parse()?).await?;
    for (name, created) in [
        ("pr-1", OLD),
        ("pr-2", NEW),
        ("v1", OLD),
        ("v2", OLD),
        ("edge", OLD),
    ] {
        artifact(&*repository, name, created).await?;
    }
    let globs = |glob| Selection::default().with_tags(TagFilter::default().with_glob(glob));
    let selections = [
        globs("pr-*").with_older_than(DAY),
        globs("v*").with_keep(1),
        // Would delete everything that is left of the other two.
        Selection::default().with_tags(TagFilter::default().with_glob("*-*").with_glob("v*")),
    ];
    let plan = plan_all(&*repository, &selections, &|_, _| None).await?;
    let going: Vec<_> = plan.tags().iter().map(|tag| tag.tag.as_str()).collect();
    assert_eq!(going, ["pr-1", "v1"]);
    assert_eq!(plan.kept(), 3);
    Ok(())
}

#[tokio::test]
async fn a_pull_keeps_a_tag() -> Result<()> {
    let registry = MemoryRegistry::new();
    let repository = registry.repository(&"app".parse()?).await?;
    for name in ["used", "unused", "by-digest", "unknown"] {
        artifact(&*repository, name, OLD).await?;
    }
    let by_digest = repository
        .resolve(&"by-digest".parse::<Tag>()?.into())
        .await?;
    let selection = Selection::default().with_not_pulled_for(DAY);
    let now = SystemTime::now();
    let pulled = move |tag: &Tag, digest: &tranship::Digest| match tag.as_str() {
        "used" => Some(now),
        "unknown" => None,
        _ if digest == by_digest.digest() => Some(now),
        _ => Some(now - 2 * DAY),
    };
    let plan = plan_all(&*repository, &[selection], &pulled).await?;
    let going: Vec<_> = plan.tags().iter().map(|tag| tag.tag.as_str()).collect();
    assert_eq!(going, ["unused"]);
    assert_eq!(plan.of_unknown_age(), ["unknown".parse::<Tag>()?]);
    Ok(())
}
