//! Manifests: stored byte for byte, and refused when they are none.

use tranship::{Algorithm, ErrorKind, MAX_MANIFEST_SIZE, MediaType};

use crate::check;
use crate::content::{Image, ImageIndex, Item};
use crate::context::Context;
use crate::failure::Verdict;
use crate::scenario::scenario_group;
use crate::source::UnopenedSource;
use crate::steps::{by_digest, from, push, push_image, push_with_tags, resized, tags};

scenario_group! { "manifests":
    an_image_manifest_reads_as_it_was [Push]
        "An OCI manifest is kept byte for byte, and resolves as what it is."
    an_index_reads_as_it_was [Push]
        "An OCI index is kept byte for byte, and resolves as what it is."
    an_index_of_indexes_reads_as_it_was [Push]
        "An index can list indexes."
    an_empty_index_reads_as_it_was [Push]
        "An index can list nothing."
    a_docker_manifest_reads_as_it_was [Push]
        "A Docker manifest is kept byte for byte, and stays a Docker manifest."
    a_docker_manifest_list_reads_as_it_was [Push]
        "A Docker manifest list is kept byte for byte, and stays a Docker manifest list."
    an_artifact_manifest_reads_as_it_was [Push]
        "The withdrawn OCI artifact manifest is kept byte for byte."
    odd_white_space_and_key_order_are_kept [Push]
        "JSON that no encoder would write is read unchanged."
    unknown_fields_are_kept [Push]
        "Fields that no specification defines are read unchanged."
    layers_that_are_null_are_none [Push]
        "`layers: null`, as Go writes an empty slice, is accepted."
    a_manifest_need_not_name_its_own_type [Push]
        "A manifest without a mediaType field keeps the type that it was pushed under."
    an_index_need_not_name_its_own_type [Push]
        "An index without a mediaType field keeps the type that it was pushed under."
    an_untyped_manifest_keeps_its_type_in_an_index [Push]
        "A manifest keeps the type that it was pushed under if an index lists it, pushed before or after."
    a_manifest_has_the_type_it_was_pushed_under_last [Push]
        "An untyped manifest that is pushed again under another type, with a tag or without, is of that type."
    characters_of_all_scripts_are_kept [Push]
        "Annotations in any script, escaped or not, are read unchanged."
    a_manifest_named_by_sha384_is_kept [Push Sha384]
        "A manifest under a sha384 digest is kept, resolves and can be tagged."
    a_manifest_named_by_sha512_is_kept [Push Sha512]
        "A manifest under a sha512 digest is kept, resolves and can be tagged."
    a_manifest_of_absent_layers_is_accepted [Push]
        "A manifest is accepted although its config and layers are not there."
    an_index_of_absent_manifests_is_accepted [Push]
        "An index is accepted although the manifests in it are not there."
    pushing_a_manifest_again_does_not_read_the_source [Push]
        "Pushing a manifest that is there succeeds without reading it again."
    a_manifest_as_large_as_allowed_is_kept [Push]
        "A manifest of exactly 4 MiB is accepted."
    a_manifest_over_the_limit_is_refused [Push]
        "A manifest of a byte more than 4 MiB is refused, and one that claims 2^62 bytes."
    what_is_no_json_is_no_manifest [Push]
        "Content of a manifest's type that is not JSON is refused and not stored."
    json_of_another_shape_is_no_manifest [Push]
        "JSON that is not an object, or lacks what a manifest has, is refused."
    a_manifest_that_says_it_is_an_index_is_refused [Push]
        "A document whose own mediaType is another than its descriptor's is refused."
    a_document_of_two_kinds_is_refused [Push]
        "A document with both manifests and a config or layers is refused, whatever its type."
    deeply_nested_json_is_refused [Push]
        "JSON nested a hundred thousand deep is refused, and the backend lives on."
    an_absent_manifest_is_not_there []
        "An absent manifest does not exist, and cannot be fetched."
    a_wrong_size_names_no_manifest [Push]
        "A descriptor with the digest of a manifest and another size names nothing."
}

/// Pushes `item` and finds it again: by descriptor, by digest and by a tag.
async fn is_kept(context: &Context, item: &Item) -> Verdict {
    let repository = context.repository().await?;
    push_with_tags(&*repository, item, &tags(["kept"])?).await?;
    check::holds(&*repository, item).await?;
    check::holds(&*repository.manifests(), item).await?;
    for reference in ["kept".parse()?, by_digest(item.descriptor())] {
        let resolved = repository.resolve(&reference).await;
        let resolved = check::succeeds(&format!("resolving {reference}"), resolved)?;
        check::same(&reference.to_string(), &resolved, item.descriptor())?;
    }
    Ok(())
}

async fn an_image_manifest_reads_as_it_was(context: &Context) -> Verdict {
    let image = Image::new("oci").with_layers(3).build();
    push_image(&*context.repository().await?, &image).await?;
    is_kept(context, image.manifest()).await
}

async fn an_index_reads_as_it_was(context: &Context) -> Verdict {
    let image = Image::new("listed").build();
    push_image(&*context.repository().await?, &image).await?;
    is_kept(context, &ImageIndex::of([image.descriptor()]).build()).await
}

async fn an_index_of_indexes_reads_as_it_was(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("nested").build();
    push_image(&*repository, &image).await?;
    let inner = ImageIndex::of([image.descriptor()]).build();
    push(&*repository, &inner).await?;
    let outer = ImageIndex::of([inner.descriptor(), image.descriptor()]).build();
    is_kept(context, &outer).await
}

async fn an_empty_index_reads_as_it_was(context: &Context) -> Verdict {
    is_kept(context, &ImageIndex::of([]).build()).await
}

async fn a_docker_manifest_reads_as_it_was(context: &Context) -> Verdict {
    let image = Image::new("docker").docker().build();
    push_image(&*context.repository().await?, &image).await?;
    is_kept(context, image.manifest()).await
}

async fn a_docker_manifest_list_reads_as_it_was(context: &Context) -> Verdict {
    let image = Image::new("docker").docker().build();
    push_image(&*context.repository().await?, &image).await?;
    is_kept(
        context,
        &ImageIndex::of([image.descriptor()]).docker().build(),
    )
    .await
}

async fn an_artifact_manifest_reads_as_it_was(context: &Context) -> Verdict {
    let artifact = Image::new("artifact").as_artifact_manifest().build();
    push_image(&*context.repository().await?, &artifact).await?;
    is_kept(context, artifact.manifest()).await
}

/// A manifest of the empty config, with `more` written into it.
fn handwritten(more: &str) -> Item {
    let digest = Item::blob("{}").digest().to_string();
    let config = format!(
        r#"{{"mediaType":"application/vnd.oci.empty.v1+json","digest":"{digest}","size":2}}"#
    );
    let text = format!(r#"{{"schemaVersion":2,"config":{config}{more}}}"#);
    Item::new(MediaType::IMAGE_MANIFEST, text)
}

async fn with_empty_config(context: &Context, item: &Item) -> Verdict {
    push(&*context.repository().await?, &Item::blob("{}")).await?;
    is_kept(context, item).await
}

async fn odd_white_space_and_key_order_are_kept(context: &Context) -> Verdict {
    let digest = Item::blob("{}").digest().to_string();
    let text = format!(
        "\n{{ \"layers\" : [ ],\r\n\t\"config\": {{\"size\":  2 , \"digest\":\"{digest}\",\
         \"mediaType\":\"application/vnd.oci.empty.v1+json\"}} ,\"schemaVersion\":2 }}\n\n"
    );
    with_empty_config(context, &Item::new(MediaType::IMAGE_MANIFEST, text)).await
}

async fn unknown_fields_are_kept(context: &Context) -> Verdict {
    let more = r#","layers":[],"x-zeta":{"b":1,"a":[null,1e3,-0.0]},"x-alpha":"\u00e9""#;
    with_empty_config(context, &handwritten(more)).await
}

async fn layers_that_are_null_are_none(context: &Context) -> Verdict {
    let more = r#","mediaType":"application/vnd.oci.image.manifest.v1+json","layers":null"#;
    with_empty_config(context, &handwritten(more)).await
}

async fn a_manifest_need_not_name_its_own_type(context: &Context) -> Verdict {
    with_empty_config(context, &handwritten(r#","layers":[]"#)).await
}

async fn an_index_need_not_name_its_own_type(context: &Context) -> Verdict {
    let index = Item::new(
        MediaType::IMAGE_INDEX,
        r#"{"schemaVersion":2,"manifests":[]}"#,
    );
    is_kept(context, &index).await
}

/// A manifest that does not name its type and looks like one of OCI, as one of Docker.
fn untyped(note: &str) -> Item {
    let more = format!(r#","layers":[],"annotations":{{"note":"{note}"}}"#);
    Item::new(
        MediaType::DOCKER_MANIFEST,
        handwritten(&more).bytes().clone(),
    )
}

async fn an_untyped_manifest_keeps_its_type_in_an_index(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    push(&*repository, &Item::blob("{}")).await?;
    for (note, is_index_first) in [("listed later", false), ("listed before", true)] {
        let child = untyped(note);
        let index = ImageIndex::of([child.descriptor()]).build();
        if is_index_first {
            push(&*repository, &index).await?;
        }
        push(&*repository, &child).await?;
        push(&*repository, &index).await?;
        let resolved = repository.resolve(&by_digest(child.descriptor())).await;
        let resolved = check::succeeds("resolving a listed manifest", resolved)?;
        check::same(note, &resolved, child.descriptor())?;
    }
    Ok(())
}

async fn a_manifest_has_the_type_it_was_pushed_under_last(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    push(&*repository, &Item::blob("{}")).await?;
    for names in [&[][..], &["old"], &["old", "new"]] {
        let docker = untyped(&names.concat());
        let oci = Item::new(MediaType::IMAGE_MANIFEST, docker.bytes().clone());
        push_with_tags(&*repository, &oci, &tags(names.iter().copied().take(1))?).await?;
        push_with_tags(&*repository, &docker, &tags(names.iter().copied().skip(1))?).await?;
        let by_tags = names.iter().map(|name| name.parse());
        let references = by_tags.chain([Ok(by_digest(docker.descriptor()))]);
        for reference in references {
            let reference = reference?;
            let resolved = repository.resolve(&reference).await;
            let resolved = check::succeeds(&format!("resolving {reference}"), resolved)?;
            check::same(&reference.to_string(), &resolved, docker.descriptor())?;
        }
    }
    Ok(())
}

async fn characters_of_all_scripts_are_kept(context: &Context) -> Verdict {
    let more = r#","layers":[],"annotations":{"ключ":"値 🚢","a\/b":"\ud83d\udea2\t\u0000"}"#;
    with_empty_config(context, &handwritten(more)).await
}

async fn named_by(context: &Context, algorithm: Algorithm) -> Verdict {
    let image = Image::new("long digest").named_by(algorithm).build();
    push_image(&*context.repository().await?, &image).await?;
    is_kept(context, image.manifest()).await
}

async fn a_manifest_named_by_sha384_is_kept(context: &Context) -> Verdict {
    named_by(context, Algorithm::Sha384).await
}

async fn a_manifest_named_by_sha512_is_kept(context: &Context) -> Verdict {
    named_by(context, Algorithm::Sha512).await
}

async fn a_manifest_of_absent_layers_is_accepted(context: &Context) -> Verdict {
    is_kept(context, Image::new("without blobs").build().manifest()).await
}

async fn an_index_of_absent_manifests_is_accepted(context: &Context) -> Verdict {
    let absent = Image::new("absent").build();
    is_kept(context, &ImageIndex::of([absent.descriptor()]).build()).await
}

async fn pushing_a_manifest_again_does_not_read_the_source(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("again").build();
    push_image(&*repository, &image).await?;
    let again = repository
        .push(image.descriptor(), from(&UnopenedSource))
        .await;
    check::succeeds("pushing a stored manifest", again)?;
    let tagged = repository
        .push_reference(image.descriptor(), from(&UnopenedSource), &tags(["v1"])?)
        .await;
    check::succeeds("pushing a stored manifest with a tag", tagged)?;
    let resolved = repository.resolve(&"v1".parse()?).await?;
    check::same("v1", &resolved, image.descriptor())
}

/// A manifest of `size` bytes.
fn manifest_of(size: u64) -> Item {
    let padded =
        |length: usize| handwritten(&format!(r#","layers":[],"x":"{}""#, "x".repeat(length)));
    let frame = padded(0).bytes().len();
    padded(usize::try_from(size).unwrap_or_default() - frame)
}

async fn a_manifest_as_large_as_allowed_is_kept(context: &Context) -> Verdict {
    with_empty_config(context, &manifest_of(MAX_MANIFEST_SIZE)).await
}

async fn a_manifest_over_the_limit_is_refused(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let kinds = [ErrorKind::SizeExceedsLimit];
    let large = manifest_of(MAX_MANIFEST_SIZE + 1);
    let pushed = repository.push(large.descriptor(), large.source()).await;
    check::refused("pushing a manifest over the limit", pushed, &kinds)?;
    check::lacks(&*repository, large.descriptor()).await?;
    let claimed = resized(manifest_of(1000).descriptor(), 1 << 62);
    let pushed = repository.push(&claimed, large.source()).await;
    check::refused("pushing a manifest of 2^62 bytes", pushed, &kinds)
}

/// `item` is refused as a manifest and not stored, with a tag or without.
async fn is_no_manifest(context: &Context, item: &Item) -> Verdict {
    let repository = context.repository().await?;
    let kinds = [ErrorKind::InvalidManifest];
    let start: String = String::from_utf8_lossy(item.bytes())
        .chars()
        .take(60)
        .collect();
    let what = format!("pushing {start:?} as {}", item.descriptor().media_type());
    let pushed = repository.push(item.descriptor(), item.source()).await;
    check::refused(&what, pushed, &kinds)?;
    let tagged = repository
        .push_reference(item.descriptor(), item.source(), &tags(["bad"])?)
        .await;
    check::refused(&what, tagged, &kinds)?;
    check::lacks(&*repository, item.descriptor()).await?;
    check::not_found(
        "resolving its tag",
        repository.resolve(&"bad".parse()?).await,
    )
}

async fn what_is_no_json_is_no_manifest(context: &Context) -> Verdict {
    for media_type in MediaType::MANIFESTS {
        for text in ["", "hello", "{\"schemaVersion\":2", "{}{}", "\u{0}"] {
            is_no_manifest(context, &Item::new(media_type.clone(), text)).await?;
        }
    }
    Ok(())
}

async fn json_of_another_shape_is_no_manifest(context: &Context) -> Verdict {
    let manifest = MediaType::IMAGE_MANIFEST;
    for text in [
        "[]",
        "null",
        "2",
        "\"manifest\"",
        "{}",
        r#"{"schemaVersion":2}"#,
    ] {
        is_no_manifest(context, &Item::new(manifest.clone(), text)).await?;
    }
    let mistyped =
        r#"{"schemaVersion":2,"manifests":[{"mediaType":"a/b","digest":"sha256:xyz","size":1}]}"#;
    is_no_manifest(context, &Item::new(MediaType::IMAGE_INDEX, mistyped)).await
}

async fn a_manifest_that_says_it_is_an_index_is_refused(context: &Context) -> Verdict {
    let more = format!(r#","layers":[],"mediaType":"{}""#, MediaType::IMAGE_INDEX);
    is_no_manifest(context, &handwritten(&more)).await
}

async fn a_document_of_two_kinds_is_refused(context: &Context) -> Verdict {
    for more in [r#","layers":[],"manifests":[]"#, r#","manifests":[]"#] {
        for media_type in MediaType::MANIFESTS {
            let both = handwritten(more).bytes().clone();
            is_no_manifest(context, &Item::new(media_type, both)).await?;
        }
    }
    Ok(())
}

async fn deeply_nested_json_is_refused(context: &Context) -> Verdict {
    let deep = "[".repeat(100_000);
    is_no_manifest(context, &Item::new(MediaType::IMAGE_MANIFEST, deep.clone())).await?;
    let field = format!(r#","layers":[],"x":{deep}{}"#, "]".repeat(100_000));
    is_no_manifest(context, &handwritten(&field)).await
}

async fn an_absent_manifest_is_not_there(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    for media_type in MediaType::MANIFESTS {
        let absent = Item::new(media_type, "absent");
        check::lacks(&*repository, absent.descriptor()).await?;
        check::lacks(&*repository.manifests(), absent.descriptor()).await?;
    }
    Ok(())
}

async fn a_wrong_size_names_no_manifest(context: &Context) -> Verdict {
    let repository = context.repository().await?;
    let image = Image::new("of a size").build();
    push_image(&*repository, &image).await?;
    let size = image.descriptor().size();
    for size in [0, size - 1, size + 1] {
        let wrong = resized(image.descriptor(), size);
        check::that(
            !repository.exists(&wrong).await?,
            format!("{} exists as {wrong}", image.descriptor()),
        )?;
        let read = async { repository.fetch(&wrong).await?.bytes(u64::MAX).await };
        check::refused(
            &format!("reading a manifest as {size} bytes"),
            read.await,
            &[ErrorKind::NotFound, ErrorKind::SizeMismatch],
        )?;
    }
    Ok(())
}
