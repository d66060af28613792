//! Two handles on one store, as two processes have them.

use std::sync::Arc;

use tokio::task::JoinSet;
use tranship::{Descriptor, MediaType, UploadId};

use crate::check;
use crate::content::{Image, Item};
use crate::context::Context;
use crate::failure::{Failure, Verdict};
use crate::scenario::scenario_group;
use crate::steps::{
    all_tags, by_digest, by_tag, digests, push, push_image, push_tagged, referrers, tag,
};

scenario_group! { "peers":
    what_one_pushes_the_other_reads [Push Peer]
        "A blob, a manifest and a tag of one handle are there for the other at once."
    what_one_moves_the_other_sees_moved [Push Peer]
        "A tag that one handle moves is moved for the other, even if that has looked before."
    what_one_untags_the_other_misses [Push Untag Peer]
        "A tag that one handle removes is gone for the other."
    what_one_deletes_the_other_misses [Push DeleteManifests Peer]
        "A manifest that one handle deletes is gone for the other, with its tags."
    referrers_of_one_are_listed_by_the_other [Push Referrers Peer]
        "A referrer that one handle pushes is listed by the other."
    an_untagged_manifest_of_one_resolves_for_the_other [Push Peer]
        "A manifest without a tag resolves by digest for the other handle, as the type it was pushed."
    tags_of_both_are_kept [Push Peer]
        "Both handles set sixteen tags at the same time: none is lost."
    an_upload_of_one_is_resumed_by_the_other [Push Uploads Peer]
        "An upload of one handle is resumed, by its id as text, with the other."
    an_upload_cancelled_by_one_is_over_for_the_other [Push Uploads Peer]
        "A cancelled upload cannot be resumed through the other handle."
}

async fn what_one_pushes_the_other_reads(context: &Context) -> Verdict {
    let (one, other) = (context.repository().await?, context.peer().await?);
    let image = Image::new("shared").build();
    check::lacks(&*other, image.descriptor()).await?;
    push_tagged(&*one, &image, "v1").await?;
    for item in image.blobs().iter().chain([image.manifest()]) {
        check::holds(&*other, item).await?;
    }
    let resolved = other.resolve(&by_tag("v1")?).await?;
    check::same("v1", &resolved, image.descriptor())?;
    check::equal("the tags", all_tags(&*other).await?, ["v1"])
}

async fn what_one_moves_the_other_sees_moved(context: &Context) -> Verdict {
    let (one, other) = (context.repository().await?, context.peer().await?);
    let images = [Image::new("first").build(), Image::new("second").build()];
    for image in [&images[0], &images[1], &images[0]] {
        push_tagged(&*one, image, "latest").await?;
        let resolved = other.resolve(&by_tag("latest")?).await?;
        check::same("latest", &resolved, image.descriptor())?;
    }
    Ok(())
}

async fn what_one_untags_the_other_misses(context: &Context) -> Verdict {
    let (one, other) = (context.repository().await?, context.peer().await?);
    let image = Image::new("untagged").build();
    push_tagged(&*one, &image, "v1").await?;
    check::equal("the tags", all_tags(&*other).await?, ["v1"])?;
    other.untag(&tag("v1")?).await?;
    check::not_found("resolving v1", one.resolve(&by_tag("v1")?).await)?;
    check::holds(&*one, image.manifest()).await
}

async fn what_one_deletes_the_other_misses(context: &Context) -> Verdict {
    let (one, other) = (context.repository().await?, context.peer().await?);
    let image = Image::new("deleted").build();
    push_tagged(&*one, &image, "v1").await?;
    check::holds(&*other, image.manifest()).await?;
    other.delete(image.descriptor()).await?;
    check::lacks(&*one, image.descriptor()).await?;
    check::equal("the number of tags", all_tags(&*one).await?.len(), 0)
}

async fn referrers_of_one_are_listed_by_the_other(context: &Context) -> Verdict {
    let (one, other) = (context.repository().await?, context.peer().await?);
    let subject = Image::new("subject").build();
    push_image(&*one, &subject).await?;
    let mut expected: Vec<Descriptor> = Vec::new();
    for (number, repository) in [&one, &other, &one].into_iter().enumerate() {
        let image = Image::new(format!("referrer {number}"));
        let referrer = image.with_subject(subject.descriptor()).build();
        push_image(&**repository, &referrer).await?;
        expected.push(referrer.descriptor().clone());
        for reader in [&one, &other] {
            let found = referrers(&**reader, subject.descriptor()).await?;
            check::equal("the referrers", digests(&found), digests(&expected))?;
        }
    }
    Ok(())
}

async fn an_untagged_manifest_of_one_resolves_for_the_other(context: &Context) -> Verdict {
    let (one, other) = (context.repository().await?, context.peer().await?);
    let image = Image::new("docker").docker().build();
    push_image(&*one, &image).await?;
    let resolved = other.resolve(&by_digest(image.descriptor())).await?;
    check::same("the manifest", &resolved, image.descriptor())
}

async fn tags_of_both_are_kept(context: &Context) -> Verdict {
    let handles = [context.repository().await?, context.peer().await?];
    let image = Image::new("tagged").build();
    push_image(&*handles[0], &image).await?;
    let mut tasks: JoinSet<Verdict> = JoinSet::new();
    let names: Vec<String> = (0..32).map(|number| format!("tag-{number:02}")).collect();
    for (number, name) in names.iter().enumerate() {
        let handle = Arc::clone(&handles[number % 2]);
        let (descriptor, name) = (image.descriptor().clone(), tag(name)?);
        tasks.spawn(async move { Ok(handle.tag(&descriptor, &name).await?) });
    }
    while let Some(joined) = tasks.join_next().await {
        joined.map_err(|error| Failure::new(format!("a task panicked: {error}")))??;
    }
    for handle in &handles {
        check::equal("the tags", &all_tags(&**handle).await?, &names)?;
    }
    Ok(())
}

async fn an_upload_of_one_is_resumed_by_the_other(context: &Context) -> Verdict {
    let (one, other) = (context.repository().await?, context.peer().await?);
    let item = Item::noise(1, 300_000);
    let mut upload = one.blobs().start().await?;
    upload.write(0, item.bytes().slice(..100_000)).await?;
    let id = UploadId::new(upload.id().as_str().to_owned());
    drop(upload);
    let uploader = other.blobs();
    let resumed = uploader.resume(&id).await;
    let mut upload = check::succeeds("resuming with the other handle", resumed)?;
    check::equal("the offset", upload.offset(), 100_000)?;
    upload.write(100_000, item.bytes().slice(100_000..)).await?;
    upload.commit(item.descriptor()).await?;
    check::holds(&*one, &item).await
}

async fn an_upload_cancelled_by_one_is_over_for_the_other(context: &Context) -> Verdict {
    let (one, other) = (context.repository().await?, context.peer().await?);
    let upload = one.blobs().start().await?;
    let id = upload.id().clone();
    upload.cancel().await?;
    let resumed = other.blobs().resume(&id).await;
    check::not_found("resuming a cancelled upload", resumed.map(|_| ()))?;
    let blob = Item::new(MediaType::IMAGE_LAYER, "still alive");
    push(&*other, &blob).await?;
    check::holds(&*one, &blob).await
}
