//! What no rule chooses.

use tranship::Result;
use tranship::layers::OperationName::{Read, Stat};
use tranship::{ContentKind, TagOrDigest};
use tranship_mirror::jobs::{JobOptions, Plan};
use tranship_mirror::prune::PrunePlan;
use tranship_mirror::rules::Rule;

use crate::support::{Counted, Named, rule, selected, tagged};

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
    let (source, mirrored) = (Counted::new(), Counted::new());
    source.image("app", "v2", &["base", "v2"]).await;
    mirrored.image("app", "v1", &["base", "v1"]).await;
    mirrored.image("other", "v1", &["other"]).await;
    let opener = Named::default()
        .with("source.io", &source)
        .with("mirror.io", &mirrored);
    let plan = mirror_and_prune(&[rule("source.io/**", "mirror.io/{repository}")], &opener).await?;
    assert_eq!(plan.tag_count(), 1);
    assert_eq!(mirrored.tags("app").await, ["v2"]);
    assert_eq!(mirrored.tags("other").await, ["v1"], "no rule leads there");
    Ok(())
}

#[tokio::test]
async fn a_pinned_digest_stays_when_its_tag_goes() -> Result<()> {
    let (source, mirrored) = (Counted::new(), Counted::new());
    let pinned = source.image("app", "v1", &["v1"]).await;
    mirrored.image("app", "v1", &["v1"]).await;
    let opener = Named::default()
        .with("source.io", &source)
        .with("mirror.io", &mirrored);
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
    let (source, mirrored) = (Counted::new(), Counted::new());
    source.image("app", "v2", &["v2"]).await;
    mirrored.image("app", "v1", &["v1"]).await;
    let opener = Named::default()
        .with("source.io", &source)
        .with("mirror.io", &mirrored);
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
    let (source, mirrored) = (Counted::new(), Counted::new());
    source.image("app", "v1", &["v1"]).await;
    let opener = Named::default()
        .with("source.io", &source)
        .with("mirror.io", &mirrored);
    let rules = [rule("source.io/app", "mirror.io")];
    mirror_and_prune(&rules, &opener).await?;
    mirrored.calls.reset();
    mirror_and_prune(&rules, &opener).await?;
    let manifest = Some(ContentKind::Manifest);
    assert_eq!(mirrored.calls.count(Stat, manifest), 1);
    assert_eq!(mirrored.calls.count(Read, manifest), 0);
    Ok(())
}
