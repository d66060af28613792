//! Many tasks that write at the same time.

use std::future::Future;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::check;
use crate::content::{Image, Item, Packed};
use crate::context::{Context, Repo};
use crate::failure::{Failure, Verdict};
use crate::scenario::scenario_group;
use crate::steps::{
    all_tags, by_tag, digests, push, push_image, push_tagged, push_with_tags, referrers, tag,
};

pub(super) const TASKS: usize = 32;

scenario_group! { "concurrency":
    one_blob_from_many_tasks_is_stored [Push]
        "32 tasks push the same blob: all succeed, and it is there."
    many_blobs_from_many_tasks_are_stored [Push]
        "32 tasks push a blob each: all are there."
    one_manifest_from_many_tasks_is_stored [Push]
        "32 tasks push the same manifest with a tag each: no tag is lost."
    one_tag_from_many_tasks_ends_at_one_of_them [Push]
        "32 tasks set one tag on different manifests: it ends at one, and is listed once."
    no_tag_of_many_tasks_is_lost [Push]
        "32 tasks set a tag each: all are listed, each on its manifest."
    images_of_many_tasks_are_whole [Push]
        "16 tasks push an image each, blobs, manifest and tag: all are whole."
    no_referrer_of_many_tasks_is_lost [Push Referrers]
        "32 tasks push a referrer of one subject each: all are listed."
}

/// Waits for all of `tasks`, and returns the first failure.
async fn join_all(mut tasks: JoinSet<Verdict>) -> Verdict {
    while let Some(joined) = tasks.join_next().await {
        joined.map_err(|error| Failure::new(format!("a task panicked: {error}")))??;
    }
    Ok(())
}

/// Runs `task` concurrently for each number below `count`.
pub(super) async fn run_concurrently<T>(
    repository: &Repo,
    count: usize,
    task: impl Fn(Repo, usize) -> T,
) -> Verdict
where
    T: Future<Output = Verdict> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for number in 0..count {
        tasks.spawn(task(Arc::clone(repository), number));
    }
    join_all(tasks).await
}

async fn one_blob_from_many_tasks_is_stored(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let item = Item::noise(1, 300_000);
    run_concurrently(&repository, TASKS, |repository, _| {
        let item = item.clone();
        async move {
            push(&*repository, &item).await?;
            check::holds(&*repository, &item).await
        }
    })
    .await?;
    check::holds(&*repository, &item).await
}

async fn many_blobs_from_many_tasks_are_stored(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let item = |number: usize| Item::noise(number as u64, 20_000 + number);
    run_concurrently(&repository, TASKS, |repository, number| {
        let item = item(number);
        async move { push(&*repository, &item).await }
    })
    .await?;
    for number in 0..TASKS {
        check::holds(&*repository, &item(number)).await?;
    }
    Ok(())
}

pub(super) fn names(count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("tag-{number:02}"))
        .collect()
}

async fn one_manifest_from_many_tasks_is_stored(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("one for all").build();
    push_image(&*repository, &image).await?;
    let manifest = Image::new("pushed run_concurrently")
        .build()
        .manifest()
        .clone();
    run_concurrently(&repository, TASKS, |repository, number| {
        let manifest = manifest.clone();
        async move {
            let tags = [tag(&names(TASKS)[number])?];
            push_with_tags(&*repository, &manifest, &tags).await
        }
    })
    .await?;
    check::holds(&*repository, &manifest).await?;
    check::equal("the tags", all_tags(&*repository).await?, names(TASKS))
}

pub(super) async fn pushed(repository: &Repo, count: usize) -> Verdict<Vec<Packed>> {
    let mut images = Vec::new();
    for number in 0..count {
        let image = Image::new(format!("image {number}")).build();
        push_image(&**repository, &image).await?;
        images.push(image);
    }
    Ok(images)
}

async fn one_tag_from_many_tasks_ends_at_one_of_them(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let images = pushed(&repository, 8).await?;
    run_concurrently(&repository, TASKS, |repository, number| {
        let descriptor = images[number % images.len()].descriptor().clone();
        async move { Ok(repository.tag(&descriptor, &tag("latest")?).await?) }
    })
    .await?;
    let resolved = repository.resolve(&by_tag("latest")?).await?;
    check::that(
        images
            .iter()
            .any(|image| resolved.same_content(image.descriptor())),
        format!("the tag ended at {resolved}, to which no task set it"),
    )?;
    check::equal("the tags", all_tags(&*repository).await?, ["latest"])
}

async fn no_tag_of_many_tasks_is_lost(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let images = pushed(&repository, 4).await?;
    let names = names(TASKS);
    run_concurrently(&repository, TASKS, |repository, number| {
        let descriptor = images[number % images.len()].descriptor().clone();
        let name = names[number].clone();
        async move { Ok(repository.tag(&descriptor, &tag(&name)?).await?) }
    })
    .await?;
    check::equal("the tags", &all_tags(&*repository).await?, &names)?;
    for (number, name) in names.iter().enumerate() {
        let resolved = repository.resolve(&by_tag(name)?).await?;
        check::same(name, &resolved, images[number % images.len()].descriptor())?;
    }
    Ok(())
}

async fn images_of_many_tasks_are_whole(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = |number: usize| Image::new(format!("whole {number}")).with_layers(2).build();
    run_concurrently(&repository, TASKS / 2, |repository, number| {
        let (image, name) = (image(number), names(TASKS)[number].clone());
        async move { push_tagged(&*repository, &image, &name).await }
    })
    .await?;
    check::equal("the tags", all_tags(&*repository).await?, names(TASKS / 2))?;
    for number in 0..TASKS / 2 {
        let image = image(number);
        for item in image.blobs().iter().chain([image.manifest()]) {
            check::holds(&*repository, item).await?;
        }
    }
    Ok(())
}

async fn no_referrer_of_many_tasks_is_lost(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let subject = Image::new("subject").build();
    push_image(&*repository, &subject).await?;
    let referrer = |number: usize| {
        let image = Image::new(format!("referrer {number}"));
        image.with_subject(subject.descriptor()).build()
    };
    run_concurrently(&repository, TASKS, |repository, number| {
        let referrer = referrer(number);
        async move { push_image(&*repository, &referrer).await }
    })
    .await?;
    let found = digests(&referrers(&*repository, subject.descriptor()).await?);
    let mut expected: Vec<_> = (0..TASKS)
        .map(|number| *referrer(number).manifest().digest())
        .collect();
    expected.sort();
    check::equal("the referrers", found, expected)
}
