//! What is copied, and what that costs.

use tranship::layers::OperationName::{ListTags, Read, ReadReference, Stat};
use tranship::{ContentKind, Platform, PlatformSubset, Result};
use tranship_mirror::jobs::{JobOptions, Outcome};
use tranship_mirror::rules::{Platforms, Referrers};

use crate::support::{mirror, push_index, repositories, rule, source_and_mirror, tagged};

const MANIFEST: Option<ContentKind> = Some(ContentKind::Manifest);
const BLOB: Option<ContentKind> = Some(ContentKind::Blob);

#[tokio::test]
async fn a_namespace_is_copied_with_names_mapped() -> Result<()> {
    let (source, mirrored, opener) = source_and_mirror();
    source.image("team/app", "v1", &["base", "app"]).await;
    source.image("team/tools/cli", "v2", &["base", "cli"]).await;
    source.image("other/app", "v1", &["other"]).await;
    let rules = [rule(
        "source.io/team/**",
        "mirror.io/from/{registry}/{repository}",
    )];
    let report = mirror(&rules, &opener, &JobOptions::default()).await?;
    assert_eq!(report.images.len(), 2);
    let names = ["from/source.io/team/app", "from/source.io/team/tools/cli"];
    assert_eq!(repositories(&mirrored).await, names);
    let copied = mirrored.resolve(names[1], "v2").await;
    assert_eq!(copied, source.resolve("team/tools/cli", "v2").await);
    Ok(())
}

#[tokio::test]
async fn a_second_run_asks_once_for_each_tag() -> Result<()> {
    let (source, mirrored, opener) = source_and_mirror();
    for tag in ["v1", "v2", "v3"] {
        source.image("app", tag, &["base", tag]).await;
    }
    let rules = [tagged(
        rule("source.io/app", "mirror.io"),
        &["v1", "v2", "v3"],
    )];
    mirror(&rules, &opener, &JobOptions::default()).await?;
    source.calls.reset();
    mirrored.calls.reset();
    let report = mirror(&rules, &opener, &JobOptions::default()).await?;
    assert!(
        report
            .images
            .iter()
            .all(|image| matches!(image.outcome, Outcome::UpToDate))
    );
    for registry in [&source, &mirrored] {
        assert_eq!(registry.calls.count(Stat, MANIFEST), 3);
        assert_eq!(registry.calls.count(ListTags, None), 0);
        for read in [Read, ReadReference] {
            assert_eq!(registry.calls.count(read, MANIFEST), 0);
            assert_eq!(registry.calls.count(read, BLOB), 0);
        }
    }
    Ok(())
}

#[tokio::test]
async fn tags_of_one_manifest_are_copied_together() -> Result<()> {
    let (source, mirrored, opener) = source_and_mirror();
    let image = source.image("app", "v1", &["app"]).await;
    let repository = source.repository("app").await;
    repository.tag(&image, &"latest".parse()?).await?;
    source.calls.reset();
    mirror(
        &[rule("source.io/app", "mirror.io")],
        &opener,
        &JobOptions::default(),
    )
    .await?;
    assert_eq!(mirrored.tags("app").await, ["latest", "v1"]);
    let reads = source.calls.count(Read, MANIFEST) + source.calls.count(ReadReference, MANIFEST);
    assert_eq!(reads, 1);
    Ok(())
}

#[tokio::test]
async fn a_moved_tag_is_copied_again_and_reported() -> Result<()> {
    let (source, mirrored, opener) = source_and_mirror();
    let before = source.image("app", "latest", &["one"]).await;
    let rules = [rule("source.io/app", "mirror.io")];
    mirror(&rules, &opener, &JobOptions::default()).await?;
    let after = source.image("app", "latest", &["two"]).await;
    let report = mirror(&rules, &opener, &JobOptions::default()).await?;
    assert_eq!(report.images[0].replaced.as_ref(), Some(before.digest()));
    assert!(matches!(report.images[0].outcome, Outcome::Copied));
    assert_eq!(mirrored.resolve("app", "latest").await, Some(after));
    Ok(())
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_copied_and_changes_nothing() -> Result<()> {
    let (source, mirrored, opener) = source_and_mirror();
    source.image("a", "v1", &["shared", "a"]).await;
    source.image("b", "v1", &["shared", "b"]).await;
    let rules = [rule("source.io/**", "mirror.io/{repository}")];
    let dry = mirror(&rules, &opener, &JobOptions::default().with_dry_run(true)).await?;
    assert!(repositories(&mirrored).await.is_empty());
    let real = mirror(&rules, &opener, &JobOptions::default()).await?;
    assert_eq!(dry.copied_bytes(), real.copied_bytes());
    assert_eq!(dry.images.len(), 2);
    Ok(())
}

#[tokio::test]
async fn an_index_of_some_platforms_is_read_once_while_it_stays() -> Result<()> {
    let (source, _, opener) = source_and_mirror();
    let repository = source.repository("app").await;
    let mut manifests = Vec::new();
    for platform in ["linux/amd64", "linux/arm64", "windows/amd64"] {
        let image = source.image("app", "one", &[platform]).await;
        let platform: Platform = platform.parse()?;
        manifests.push(image.with_platform(platform));
    }
    repository.untag(&"one".parse()?).await?;
    push_index(&*repository, "v1", manifests).await?;
    let mut linux = rule("source.io/app", "mirror.io");
    let platforms = ["linux/amd64".parse()?, "linux/arm64".parse()?];
    linux.images.platforms = Platforms::Subset(PlatformSubset::new(platforms));
    let options = JobOptions::default();
    mirror(std::slice::from_ref(&linux), &opener, &options).await?;
    source.calls.reset();
    let report = mirror(std::slice::from_ref(&linux), &opener, &options).await?;
    assert!(matches!(report.images[0].outcome, Outcome::UpToDate));
    assert_eq!(source.calls.count(Read, MANIFEST), 0);
    assert_eq!(source.calls.count(ReadReference, MANIFEST), 0);
    Ok(())
}

#[tokio::test]
async fn a_new_referrer_of_an_unchanged_image_is_copied() -> Result<()> {
    let (source, mirrored, opener) = source_and_mirror();
    let image = source.image("app", "v1", &["app"]).await;
    let mut with_referrers = rule("source.io/app", "mirror.io");
    with_referrers.images.referrers = Some(Referrers::default());
    let rules = [with_referrers];
    mirror(&rules, &opener, &JobOptions::default()).await?;
    let repository = source.repository("app").await;
    let options = tranship::PackOptions::new("application/vnd.example.signature".parse()?)
        .with_subject(image.clone());
    tranship::pack_manifest(&*repository, &options).await?;
    source.calls.reset();
    let report = mirror(&rules, &opener, &JobOptions::default()).await?;
    assert!(matches!(report.images[0].outcome, Outcome::Copied));
    let copied = mirrored.repository("app").await;
    assert_eq!(tranship::referrers(&*copied, &image, None).await?.len(), 1);
    let unchanged = mirror(&rules, &opener, &JobOptions::default()).await?;
    assert!(matches!(unchanged.images[0].outcome, Outcome::UpToDate));
    Ok(())
}

#[tokio::test]
async fn a_digest_gets_the_tag_beside_it_or_that_of_the_destination() -> Result<()> {
    let (source, mirrored, opener) = source_and_mirror();
    let first = source
        .image("app", "v1", &["first"])
        .await
        .digest()
        .to_owned();
    source.image("app", "v1", &["second"]).await;
    let content = format!(
        "images:
  - {{from: 'source.io/app:v1@{first}', to: mirror.io/pinned}}
  - {{from: 'source.io/app@{first}', to: 'mirror.io/named:old'}}
"
    );
    let rules = tranship_mirror::file::read(&content, "mirror.yaml", None, None)?.rules;
    mirror(&rules, &opener, &JobOptions::default()).await?;
    for (name, tag) in [("pinned/app", "v1"), ("named", "old")] {
        assert_eq!(mirrored.tags(name).await, [tag], "{name}");
        let copied = mirrored.resolve(name, tag).await;
        assert_eq!(copied.map(|copied| *copied.digest()), Some(first), "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn what_has_no_platforms_is_copied_whole_beside_images_of_one() -> Result<()> {
    let (source, mirrored, opener) = source_and_mirror();
    let repository = source.repository("app").await;
    let image = source.image("app", "one", &["app"]).await;
    let platform: Platform = "linux/arm64".parse()?;
    push_index(
        &*repository,
        "v1",
        vec![image.with_platform(platform.clone())],
    )
    .await?;
    repository.untag(&"one".parse()?).await?;
    let options = tranship::PackOptions::new("application/vnd.example.chart".parse()?);
    tranship::pack_and_tag(&*repository, &options, &["chart".parse()?]).await?;
    for platforms in [
        Platforms::One(platform.clone()),
        Platforms::Subset(PlatformSubset::new([platform])),
    ] {
        let mut some = rule("source.io/app", "mirror.io");
        some.images.platforms = platforms;
        let report = mirror(&[some], &opener, &JobOptions::default()).await?;
        assert_eq!(report.failures().count(), 0);
        assert_eq!(mirrored.tags("app").await, ["chart", "v1"]);
    }
    Ok(())
}
