//! What goes wrong stays where it is.

use tranship::layers::InjectOptions;
use tranship::layers::OperationName::Stat;
use tranship::{Error, ErrorKind, Result};
use tranship_mirror::jobs::{JobOptions, Outcome};
use tranship_mirror::select;

use crate::support::{Counted, Named, mirror, rule, source_and_mirror, tagged};

#[tokio::test]
async fn a_broken_image_does_not_stop_the_others() -> Result<()> {
    let (source, mirrored, opener) = source_and_mirror();
    let broken = source.image("a", "v1", &["lost"]).await;
    source.image("b", "v1", &["b"]).await;
    let repository = source.repository("a").await;
    let layers = tranship::successors(&*repository, &broken, 1 << 20).await?;
    repository.blobs().delete(&layers[1]).await?;
    let rules = [rule("source.io/**", "mirror.io/{repository}")];
    let report = mirror(&rules, &opener, &JobOptions::default()).await?;
    let failures: Vec<_> = report.failures().collect();
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].0.source_name(), "source.io/a:v1");
    assert_eq!(failures[0].1.kind(), ErrorKind::NotFound);
    assert!(mirrored.tags("a").await.is_empty());
    assert_eq!(mirrored.tags("b").await, ["v1"]);
    Ok(())
}

#[tokio::test]
async fn a_repeated_run_continues_after_failures() -> Result<()> {
    let flaky = InjectOptions::default().with_failure_rate(0.2, 7, ErrorKind::Unavailable);
    let (source, mirrored) = (Counted::new(), Counted::with(flaky));
    for number in 0..10 {
        source
            .image(
                &format!("app{number}"),
                "v1",
                &["base", &number.to_string()],
            )
            .await;
    }
    let opener = Named::default()
        .with("source.io", &source)
        .with("mirror.io", &mirrored);
    let rules = [rule("source.io/**", "mirror.io/{repository}")];
    let mut runs = 0;
    loop {
        let report = mirror(&rules, &opener, &JobOptions::default()).await?;
        if report.failures().count() == 0 {
            break;
        }
        runs += 1;
        assert!(runs < 100, "it never ends");
    }
    assert!(runs > 0, "nothing failed");
    Ok(())
}

#[tokio::test]
async fn a_registry_out_of_reach_is_not_tried_for_every_image() -> Result<()> {
    let down = InjectOptions::default().with_errors(|operation| {
        (operation.name == Stat).then(|| Error::new(ErrorKind::Unavailable, "no route to host"))
    });
    let (source, mirrored) = (Counted::new(), Counted::with(down));
    for number in 0..100 {
        source.image("app", &format!("v{number}"), &["app"]).await;
    }
    let opener = Named::default()
        .with("source.io", &source)
        .with("mirror.io", &mirrored);
    let rules = [rule("source.io/app", "mirror.io")];
    let report = mirror(&rules, &opener, &JobOptions::default()).await?;
    assert_eq!(report.failures().count(), 100);
    let tried = mirrored
        .calls
        .count(Stat, Some(tranship::ContentKind::Manifest));
    assert!(tried < 40, "{tried}");
    Ok(())
}

#[tokio::test]
async fn two_images_with_one_destination_are_refused_before_anything_is_copied() -> Result<()> {
    let (source, mirrored, opener) = source_and_mirror();
    source.image("a/app", "v1", &["a"]).await;
    source.image("b/app", "v1", &["b"]).await;
    let rules = [rule("source.io/**", "mirror.io/{name}")];
    let error = mirror(&rules, &opener, &JobOptions::default())
        .await
        .expect_err("a collision");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let text = error.to_string();
    assert!(
        text.contains("source.io/a/app:v1") && text.contains("source.io/b/app:v1"),
        "{text}"
    );
    assert!(mirrored.tags("app").await.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_registry_that_cannot_be_listed_does_not_stop_other_rules() -> Result<()> {
    let (source, _, opener) = source_and_mirror();
    source.image("a", "v1", &["a"]).await;
    let rules = [
        rule("gone.io/**", "mirror.io/{repository}"),
        tagged(rule("source.io/a", "mirror.io"), &["v1", "missing"]),
    ];
    let choice = select::choose(&rules, &opener).await?;
    assert_eq!(choice.failures.len(), 1);
    assert_eq!(choice.failures[0].name, "gone.io/**");
    let report = mirror(&rules, &opener, &JobOptions::default()).await?;
    let outcomes: Vec<bool> = report
        .images
        .iter()
        .map(|image| matches!(image.outcome, Outcome::Copied))
        .collect();
    assert_eq!(outcomes, [false, true]);
    let missing = &report.failures().collect::<Vec<_>>()[0];
    assert_eq!(missing.0.source_name(), "source.io/a:missing");
    assert!(missing.1.is_not_found());
    Ok(())
}

#[tokio::test]
async fn altered_content_is_not_copied() -> Result<()> {
    let cut = InjectOptions::default()
        .with_cuts(|operation| (operation.kind == Some(tranship::ContentKind::Blob)).then_some(3));
    let (source, mirrored) = (Counted::with(cut), Counted::new());
    let image = source.image("a", "v1", &["a long layer"]).await;
    let opener = Named::default()
        .with("source.io", &source)
        .with("mirror.io", &mirrored);
    let rules = [rule("source.io/a", "mirror.io")];
    let report = mirror(&rules, &opener, &JobOptions::default()).await?;
    assert_eq!(report.failures().count(), 1);
    let copied = mirrored.repository("a").await;
    assert!(copied.fetch(&image).await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_repository_that_does_not_exist_is_a_failure_and_one_without_matches_is_not() -> Result<()>
{
    let source = Counted::new();
    source.image("app", "v1", &["app"]).await;
    let opener = Named::default().with("source.io", &source);
    let mut unmatched = rule("source.io/app", "mirror.io");
    unmatched.tags = tranship_mirror::rules::TagRule::of_set(
        tranship_mirror::rules::TagSet::default()
            .with_filter(tranship_artifact::tags::TagFilter::default().with_glob("x*")),
    );
    let rules = [
        rule("source.io/ap", "mirror.io"),
        unmatched,
        rule("source.io/nothing/**", "mirror.io"),
    ];
    let choice = select::choose(&rules, &opener).await?;
    assert_eq!(choice.failures.len(), 1);
    assert_eq!(choice.failures[0].name, "source.io/ap");
    let empty: Vec<&str> = choice
        .empty
        .iter()
        .map(|empty| empty.name.as_str())
        .collect();
    assert_eq!(empty, ["source.io/app", "source.io/nothing/**"]);
    Ok(())
}
