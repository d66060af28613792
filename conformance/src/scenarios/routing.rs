//! The two stores of a repository, and how its own operations choose between them.

use tranship::{ErrorKind, MediaType, TagOrDigest};

use crate::check;
use crate::content::{Image, ImageIndex, Item, Packed};
use crate::context::{Context, Repo};
use crate::failure::Verdict;
use crate::scenario::scenario_group;
use crate::source::UnopenedSource;
use crate::steps::{
    all_tags, by_digest, by_tag, from, push, push_image, push_tagged, push_with_tags, tags,
};

scenario_group! { "routing":
    a_pushed_blob_goes_to_the_blobs [Push]
        "What a repository is given under no manifest's type is in its blob store."
    a_pushed_manifest_goes_to_the_manifests [Push]
        "What a repository is given under a manifest's type is in its manifest store."
    a_blob_is_no_manifest [Push]
        "The manifest store neither resolves nor fetches the digest of a blob, JSON or not."
    an_unknown_type_is_a_blob [Push]
        "Content of an unknown type is a blob, even if the type looks like a manifest's."
    a_repository_resolves_manifests_only [Push]
        "A repository does not resolve the digest of a blob."
    a_tag_and_a_digest_resolve_alike [Push]
        "By tag and by digest, a manifest resolves to the same type, digest and size."
    each_kind_of_manifest_resolves_as_itself [Push]
        "Manifests of all five types resolve by digest to the type that they were pushed under."
    an_absent_digest_names_nothing []
        "A digest that is not there does not resolve, and cannot be fetched."
    a_manifest_is_fetched_by_tag [Push]
        "Fetching a tag returns the manifest and its descriptor."
    a_manifest_is_fetched_by_digest [Push]
        "Fetching a digest returns the manifest and its descriptor."
    a_moved_tag_is_fetched_anew [Push]
        "Fetching a tag returns the manifest that it names now."
    a_push_without_tags_is_a_push [Push]
        "Pushing a manifest with no tags stores it and sets none."
    a_push_with_one_tag_sets_it [Push]
        "Pushing a manifest with a tag stores both."
    a_push_with_many_tags_sets_them_all [Push]
        "Pushing a manifest with several tags sets all, and moves those that were there."
    a_push_of_present_content_still_tags [Push]
        "Pushing a manifest that is there sets the tags that come with it."
    a_push_with_a_repeated_tag_sets_it_once [Push]
        "A tag that is given twice is set, and listed once."
    a_blob_is_not_pushed_with_tags [Push]
        "Pushing a blob with tags is refused."
}

async fn a_pushed_blob_goes_to_the_blobs(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let blob = Item::blob("plain");
    push(&*repository, &blob).await?;
    check::holds(&*repository.blobs(), &blob).await?;
    check::lacks(&*repository.manifests(), blob.descriptor()).await
}

async fn a_pushed_manifest_goes_to_the_manifests(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("routed").build();
    push_image(&*repository, &image).await?;
    check::holds(&*repository.manifests(), image.manifest()).await?;
    let other = Image::new("given to the store").build();
    push(&*repository.manifests(), other.manifest()).await?;
    check::holds(&*repository, other.manifest()).await
}

async fn a_blob_is_no_manifest(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let manifests = repository.manifests();
    for text in ["text", r#"{"architecture":"amd64","os":"linux"}"#, ""] {
        let blob = Item::blob(text);
        push(&*repository, &blob).await?;
        let digest = by_digest(blob.descriptor());
        check::not_found("resolving a blob", manifests.resolve(&digest).await)?;
        check::not_found("fetching a blob", manifests.fetch_reference(&digest).await)?;
        check::lacks(&*manifests, blob.descriptor()).await?;
    }
    Ok(())
}

async fn an_unknown_type_is_a_blob(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    for media_type in [
        "application/vnd.example.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.oci.image.manifest.v2+json",
        "text/plain",
    ] {
        let media_type = MediaType::from_static(media_type);
        let item = Item::new(media_type.clone(), format!("no JSON of {media_type}"));
        push(&*repository, &item).await?;
        check::holds(&*repository.blobs(), &item).await?;
        let digest = by_digest(item.descriptor());
        check::not_found("resolving it", repository.resolve(&digest).await)?;
    }
    Ok(())
}

async fn a_repository_resolves_manifests_only(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("with layers").build();
    push_image(&*repository, &image).await?;
    for blob in image.blobs() {
        let digest = by_digest(blob.descriptor());
        check::not_found("resolving a blob", repository.resolve(&digest).await)?;
        check::not_found("fetching a blob", repository.fetch_reference(&digest).await)?;
    }
    Ok(())
}

async fn a_tag_and_a_digest_resolve_alike(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("both ways").with_annotation("a", "b").build();
    push_tagged(&*repository, &image, "v1").await?;
    let tagged = repository.resolve(&by_tag("v1")?).await?;
    let named = repository.resolve(&by_digest(image.descriptor())).await?;
    check::same("by tag and by digest", &tagged, &named)?;
    check::same("by tag and as pushed", &tagged, image.descriptor())?;
    let stored = repository.manifests().resolve(&by_tag("v1")?).await?;
    check::same("in the manifest store", &stored, image.descriptor())
}

async fn each_kind_of_manifest_resolves_as_itself(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let images = [
        Image::new("oci").build(),
        Image::new("docker").docker().build(),
        Image::new("artifact").as_artifact_manifest().build(),
    ];
    for image in &images {
        push_image(&*repository, image).await?;
    }
    let listed = images.each_ref().map(Packed::descriptor);
    let indexes = [
        ImageIndex::of(listed).build(),
        ImageIndex::of(listed).docker().build(),
    ];
    for index in &indexes {
        push(&*repository, index).await?;
    }
    for item in images.iter().map(Packed::manifest).chain(&indexes) {
        let resolved = repository.resolve(&by_digest(item.descriptor())).await;
        let what = item.descriptor().to_string();
        check::same(&what, &check::succeeds(&what, resolved)?, item.descriptor())?;
    }
    Ok(())
}

async fn an_absent_digest_names_nothing(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let absent = by_digest(Item::blob("absent").descriptor());
    check::not_found("resolving", repository.resolve(&absent).await)?;
    check::not_found("fetching", repository.fetch_reference(&absent).await)
}

async fn is_fetched(repository: &Repo, reference: &TagOrDigest, manifest: &Item) -> Verdict {
    let fetched = repository.fetch_reference(reference).await;
    let content = check::succeeds(&format!("fetching {reference}"), fetched)?;
    check::same(
        "the descriptor",
        content.descriptor(),
        manifest.descriptor(),
    )?;
    check::equal("the length", content.len(), manifest.descriptor().size())?;
    check::equal("the bytes", content.bytes(1 << 20).await?, manifest.bytes())
}

async fn a_manifest_is_fetched_by_tag(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("by tag").build();
    push_tagged(&*repository, &image, "v1").await?;
    is_fetched(&repository, &by_tag("v1")?, image.manifest()).await
}

async fn a_manifest_is_fetched_by_digest(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("by digest").docker().build();
    push_image(&*repository, &image).await?;
    is_fetched(
        &repository,
        &by_digest(image.descriptor()),
        image.manifest(),
    )
    .await
}

async fn a_moved_tag_is_fetched_anew(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let (old, new) = (Image::new("old").build(), Image::new("new").build());
    push_tagged(&*repository, &old, "v1").await?;
    is_fetched(&repository, &by_tag("v1")?, old.manifest()).await?;
    push_tagged(&*repository, &new, "v1").await?;
    is_fetched(&repository, &by_tag("v1")?, new.manifest()).await
}

async fn a_push_without_tags_is_a_push(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let manifest = ImageIndex::of([]).build();
    push_with_tags(&*repository, &manifest, &[]).await?;
    check::holds(&*repository, &manifest).await?;
    check::equal("the number of tags", all_tags(&*repository).await?.len(), 0)
}

async fn a_push_with_one_tag_sets_it(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let manifest = ImageIndex::of([]).build();
    push_with_tags(&*repository, &manifest, &tags(["v1"])?).await?;
    check::equal("the tags", all_tags(&*repository).await?, ["v1"])?;
    is_fetched(&repository, &by_tag("v1")?, &manifest).await
}

async fn a_push_with_many_tags_sets_them_all(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let old = Image::new("old").build();
    push_tagged(&*repository, &old, "v1").await?;
    push_tagged(&*repository, &old, "v0").await?;
    let manifest = ImageIndex::of([old.descriptor()]).build();
    push_with_tags(&*repository, &manifest, &tags(["v2", "v1", "latest"])?).await?;
    check::equal(
        "the tags",
        all_tags(&*repository).await?,
        ["latest", "v0", "v1", "v2"],
    )?;
    for name in ["latest", "v1", "v2"] {
        is_fetched(&repository, &by_tag(name)?, &manifest).await?;
    }
    is_fetched(&repository, &by_tag("v0")?, old.manifest()).await
}

async fn a_push_of_present_content_still_tags(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("present").build();
    push_image(&*repository, &image).await?;
    let pushed = repository
        .push_reference(
            image.descriptor(),
            from(&UnopenedSource),
            &tags(["a", "b"])?,
        )
        .await;
    check::succeeds("pushing a stored manifest with tags", pushed)?;
    check::equal("the tags", all_tags(&*repository).await?, ["a", "b"])?;
    is_fetched(&repository, &by_tag("b")?, image.manifest()).await
}

async fn a_push_with_a_repeated_tag_sets_it_once(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let manifest = ImageIndex::of([]).build();
    push_with_tags(&*repository, &manifest, &tags(["v1", "v1"])?).await?;
    check::equal("the tags", all_tags(&*repository).await?, ["v1"])
}

async fn a_blob_is_not_pushed_with_tags(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let blob = Item::blob("no manifest");
    let pushed = repository
        .push_reference(blob.descriptor(), blob.source(), &tags(["v1"])?)
        .await;
    check::refused(
        "pushing a blob with a tag",
        pushed,
        &[ErrorKind::Unsupported],
    )?;
    check::not_found("resolving v1", repository.resolve(&by_tag("v1")?).await)
}
