//! Artifacts to copy.

use tranship::*;

pub(crate) fn text(content: &str) -> Descriptor {
    Descriptor::of(
        "text/plain".parse().expect("a media type"),
        content.as_bytes(),
    )
}

pub(crate) async fn push_text(repository: &dyn Repository, content: &str) -> Descriptor {
    let media_type = text("").media_type().clone();
    push_bytes(repository, media_type, content.to_owned())
        .await
        .expect("push text")
}

/// An image for `linux` on `architecture`: a config and one layer for each text.
pub(crate) async fn push_image(
    repository: &dyn Repository,
    architecture: &str,
    layers: &[&str],
) -> Descriptor {
    let config = format!(r#"{{"os":"linux","architecture":"{architecture}"}}"#);
    let config = push_bytes(repository, MediaType::IMAGE_CONFIG, config)
        .await
        .expect("push config");
    let mut pushed = Vec::new();
    for layer in layers {
        pushed.push(push_text(repository, layer).await);
    }
    push_manifest(repository, &Manifest::new(config, pushed)).await
}

pub(crate) async fn push_manifest(repository: &dyn Repository, manifest: &Manifest) -> Descriptor {
    let content = encode_json(manifest).expect("encode");
    push_bytes(repository, MediaType::IMAGE_MANIFEST, content)
        .await
        .expect("push manifest")
}

/// An index of `images`, each with its platform, under `tag`.
pub(crate) async fn push_index(
    repository: &dyn Repository,
    images: &[(&Descriptor, &str)],
    tag: &str,
) -> Descriptor {
    let entries = images
        .iter()
        .map(|(image, platform)| {
            (*image)
                .clone()
                .with_platform(platform.parse().expect("a platform"))
        })
        .collect();
    let content = encode_json(&Index::new(entries)).expect("encode");
    let tags = [tag.parse().expect("a tag")];
    tag_bytes(repository, MediaType::IMAGE_INDEX, content, &tags)
        .await
        .expect("push index")
}

/// Something that refers to `subject`.
pub(crate) async fn push_referrer(
    repository: &dyn Repository,
    subject: &Descriptor,
    artifact_type: &str,
    content: &str,
) -> Descriptor {
    let layer = push_text(repository, content).await;
    let options = PackOptions::new(artifact_type.parse().expect("a media type"))
        .with_layer(layer)
        .with_subject(subject.clone())
        .with_annotation("org.opencontainers.image.created", "2026-01-01T00:00:00Z")
        .with_annotation("content", content);
    pack_manifest(repository, &options).await.expect("pack")
}

/// Two images that share a layer, under an index with the tag `v1`: seven pieces of content besides
/// the index.
pub(crate) struct TwoPlatforms {
    pub(crate) index: Descriptor,
    pub(crate) amd64: Descriptor,
    pub(crate) arm64: Descriptor,
}

pub(crate) async fn push_two_platforms(repository: &dyn Repository) -> TwoPlatforms {
    let amd64 = push_image(repository, "amd64", &["shared", "amd64 only"]).await;
    let arm64 = push_image(repository, "arm64", &["shared", "arm64 only"]).await;
    let images = [(&amd64, "linux/amd64"), (&arm64, "linux/arm64")];
    let index = push_index(repository, &images, "v1").await;
    TwoPlatforms {
        index,
        amd64,
        arm64,
    }
}

/// Everything below `root`, itself included, each once.
pub(crate) async fn everything_below(
    repository: &dyn Repository,
    root: &Descriptor,
) -> Vec<Descriptor> {
    let mut found = vec![root.clone()];
    let mut next = 0;
    while next < found.len() {
        let below = successors(repository, &found[next].clone(), MAX_MANIFEST_SIZE)
            .await
            .expect("successors");
        for child in below {
            if !found.iter().any(|known| known.same_content(&child)) {
                found.push(child);
            }
        }
        next += 1;
    }
    found
}

/// Fails unless `destination` has all that is below `root` in `source`, byte for byte.
pub(crate) async fn assert_same_graph(
    source: &dyn Repository,
    destination: &dyn Repository,
    root: &Descriptor,
) {
    for node in everything_below(source, root).await {
        let expected = source.fetch(&node).await.expect("in the source");
        let actual = destination.fetch(&node).await.expect("in the destination");
        assert_eq!(
            actual.bytes(u64::MAX).await.expect("intact"),
            expected.bytes(u64::MAX).await.expect("intact"),
            "{node}"
        );
    }
}
