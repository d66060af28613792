//! What no rule chooses.

use tranship::Result;
use tranship::layers::OperationName::{Read, Stat};
use tranship::{ContentKind, PlatformSubset, TagOrDigest};
use tranship_artifact::tags::TagFilter;
use tranship_mirror::jobs::{JobOptions, Plan};
use tranship_mirror::prune::PrunePlan;
use tranship_mirror::rules::{Platforms, Rule, TagRule, TagSet};

use crate::support::{Counted, Named, push_index, rule, selected, source_and_mirror, tagged};

async fn mirror_and_prune(rules: &[Rule], opener: &Named) -> Result<PrunePlan> {
    let (_, selection) = selected(rules, opener).await?;
    let options = JobOptions::default();
    let plan = Plan::make(selection.images, &options).await?;
    let report = plan.carry_out(&options).await;
    let plan = PrunePlan::make(&selection.targets, &report).await;
    for (_, outcome) in plan.carry_out().await {
        assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
    }
    Ok(plan)
}

#[tokio::test]
async fn tags_that_no_rule_chooses_go_and_others_stay() -> Result<()> {
    let (source, mirrored, opener) = source_and_mirror();
    source.image("app", "v2", &["base", "v2"]).await;
    mirrored.image("app", "v1", &["base", "v1"]).await;
    mirrored.image("other", "v1", &["other"]).await;
    let plan = mirror_and_prune(&[rule("source.io/**", "mirror.io/{repository}")], &opener).await?;
    assert_eq!(plan.tag_count(), 1);
    assert_eq!(mirrored.tags("app").await, ["v2"]);
    assert_eq!(mirrored.tags("other").await, ["v1"], "no rule leads there");
    Ok(())
}

#[tokio::test]
async fn a_pinned_digest_stays_when_its_tag_goes() -> Result<()> {
    let (source, mirrored, opener) = source_and_mirror();
    let pinned = source.image("app", "v1", &["v1"]).await;
    mirrored.image("app", "v1", &["v1"]).await;
    let mut pin = tagged(rule("source.io/app", "mirror.io"), &[]);
    pin.tags.digests = vec![*pinned.digest()];
    mirror_and_prune(&[pin], &opener).await?;
    assert!(mirrored.tags("app").await.is_empty());
    let digest: TagOrDigest = (*pinned.digest()).into();
    assert!(
        mirrored
            .repository("app")
            .await
            .resolve(&digest)
            .await
            .is_ok()
    );
    Ok(())
}

#[tokio::test]
async fn nothing_goes_where_something_could_not_be_copied_or_listed() -> Result<()> {
    let (source, mirrored, opener) = source_and_mirror();
    source.image("app", "v2", &["v2"]).await;
    mirrored.image("app", "v1", &["v1"]).await;
    let missing = [tagged(rule("source.io/app", "mirror.io"), &["v2", "v3"])];
    let plan = mirror_and_prune(&missing, &opener).await?;
    assert_eq!(plan.skipped, ["mirror.io/app"]);
    assert_eq!(mirrored.tags("app").await, ["v1", "v2"]);
    let unlisted = [
        rule("source.io/app", "mirror.io"),
        rule("gone.io/**", "mirror.io/{repository}"),
    ];
    let plan = mirror_and_prune(&unlisted, &opener).await?;
    assert_eq!(plan.skipped, ["mirror.io/app"], "the rule may lead there");
    let elsewhere = [
        rule("source.io/app", "mirror.io"),
        rule("gone.io/app2", "mirror.io/{repository}"),
        rule("gone.io/**", "another.io/{repository}"),
    ];
    let plan = mirror_and_prune(&elsewhere, &opener).await?;
    assert_eq!(plan.tag_count(), 1);
    Ok(())
}

#[tokio::test]
async fn a_repository_without_other_tags_is_only_listed() -> Result<()> {
    let (source, mirrored, opener) = source_and_mirror();
    source.image("app", "v1", &["v1"]).await;
    let rules = [rule("source.io/app", "mirror.io")];
    mirror_and_prune(&rules, &opener).await?;
    mirrored.calls.reset();
    mirror_and_prune(&rules, &opener).await?;
    let manifest = Some(ContentKind::Manifest);
    assert_eq!(mirrored.calls.count(Stat, manifest), 1);
    assert_eq!(mirrored.calls.count(Read, manifest), 0);
    Ok(())
}

#[tokio::test]
async fn a_repository_that_two_rules_spell_differently_keeps_what_both_choose() -> Result<()> {
    let (source, mirrored, opener) = source_and_mirror();
    source.image("app", "v1", &["v1"]).await;
    source.image("app", "v2", &["v2"]).await;
    mirrored.image("app", "stale", &["stale"]).await;
    let opener = opener.with("localhost:5000", &mirrored);
    let rules = [
        tagged(rule("source.io/app", "mirror.io"), &["v1"]),
        tagged(rule("source.io/app", "localhost:5000"), &["v2"]),
    ];
    mirror_and_prune(&rules, &opener).await?;
    assert_eq!(mirrored.tags("app").await, ["v1", "v2"]);
    Ok(())
}

#[tokio::test]
async fn nothing_goes_where_a_rule_chooses_nothing() -> Result<()> {
    let (source, mirrored, opener) = source_and_mirror();
    source.image("app", "v1", &["v1"]).await;
    mirrored.image("app", "r9", &["r9"]).await;
    let unmatched = rule("source.io/app", "mirror.io").with_tags(TagRule::of_set(
        TagSet::default().with_filter(TagFilter::default().with_glob("r*")),
    ));
    for other in [unmatched, rule("source.io/gone/**", "mirror.io/{name}")] {
        let rules = [tagged(rule("source.io/app", "mirror.io"), &["v1"]), other];
        let plan = mirror_and_prune(&rules, &opener).await?;
        assert_eq!(plan.skipped, ["mirror.io/app"]);
        assert_eq!(mirrored.tags("app").await, ["r9", "v1"]);
    }
    Ok(())
}

#[tokio::test]
async fn an_image_of_some_platforms_that_is_chosen_by_digest_stays() -> Result<()> {
    let (source, mirrored, opener) = source_and_mirror();
    let repository = source.repository("app").await;
    let mut manifests = Vec::new();
    for platform in ["linux/amd64", "linux/arm64"] {
        let image = source.image("app", "one", &[platform]).await;
        manifests.push(image.with_platform(platform.parse()?));
    }
    repository.untag(&"one".parse()?).await?;
    let index = push_index(&*repository, "v1", manifests).await?;
    source.image("app", "v2", &["v2"]).await;
    let platforms = Platforms::Subset(PlatformSubset::new(["linux/amd64".parse()?]));
    let mut by_tag = tagged(rule("source.io/app", "mirror.io"), &["v1"]);
    by_tag.images.platforms = platforms.clone();
    mirror_and_prune(&[by_tag], &opener).await?;
    let copied = mirrored.resolve("app", "v1").await.expect("copied");
    let mut by_digest = tagged(rule("source.io/app", "mirror.io"), &[]);
    by_digest.tags.digests = vec![*index.digest()];
    by_digest.images.platforms = platforms;
    let rules = [
        by_digest,
        tagged(rule("source.io/app", "mirror.io"), &["v2"]),
    ];
    mirror_and_prune(&rules, &opener).await?;
    assert_eq!(mirrored.tags("app").await, ["v2"]);
    let digest: TagOrDigest = (*copied.digest()).into();
    assert!(
        mirrored
            .repository("app")
            .await
            .resolve(&digest)
            .await
            .is_ok()
    );
    Ok(())
}

#[tokio::test]
async fn a_referrer_of_what_stays_loses_only_its_tag() -> Result<()> {
    let (source, mirrored, opener) = source_and_mirror();
    let image = source.image("app", "v1", &["v1"]).await;
    let repository = source.repository("app").await;
    let options = tranship::PackOptions::new("application/vnd.example.sbom".parse()?)
        .with_subject(image.clone());
    tranship::pack_and_tag(&*repository, &options, &["sbom-v1".parse()?]).await?;
    mirror_and_prune(&[rule("source.io/app", "mirror.io")], &opener).await?;
    mirror_and_prune(
        &[tagged(rule("source.io/app", "mirror.io"), &["v1"])],
        &opener,
    )
    .await?;
    assert_eq!(mirrored.tags("app").await, ["v1"]);
    let copied = mirrored.repository("app").await;
    assert_eq!(tranship::referrers(&*copied, &image, None).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_tag_that_a_rule_reads_stays() -> Result<()> {
    let registry = Counted::new();
    registry.image("app", "v1", &["v1"]).await;
    registry.image("app", "v0", &["v0"]).await;
    let opener = Named::default().with("source.io", &registry);
    let promoted = rule("source.io/app", "source.io/app:stable");
    mirror_and_prune(&[tagged(promoted, &["v1"])], &opener).await?;
    assert_eq!(registry.tags("app").await, ["stable", "v1"]);
    Ok(())
}
