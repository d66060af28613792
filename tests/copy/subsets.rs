//! Copies of several platforms of an index.

use tranship::*;
use tranship_memory::MemoryRepository;

use crate::artifacts::{assert_same_graph, push_image, push_referrer};
use crate::recorder::{Call, Faults, Recorder};
use crate::{copy_v1, extended_copy_v1, reference, tags};

fn platform(text: &str) -> Platform {
    text.parse().expect("a platform")
}

fn subset(platforms: &[&str]) -> PlatformSubset {
    PlatformSubset::new(platforms.iter().map(|text| platform(text)))
}

fn choose(platforms: &[&str]) -> CopyOptions {
    CopyOptions::default().with_platforms(subset(platforms))
}

fn sparse(platforms: &[&str]) -> CopyOptions {
    CopyOptions::default().with_platforms(subset(platforms).with_form(SubsetForm::Sparse))
}

fn attestation(subject: &str) -> String {
    format!(
        r#""platform":{{"architecture":"unknown","os":"unknown"}},"annotations":{{"vnd.docker.reference.type":"attestation-manifest","vnd.docker.reference.digest":"{subject}"}}"#
    )
}

/// Images for amd64, arm64 and s390x, an attestation of the first and one of the last, one of nothing, and an image
/// without a platform, in an index with unknown fields.
struct Fixture {
    images: Vec<Descriptor>,
    content: String,
    media_type: MediaType,
}

impl Fixture {
    async fn push(repository: &dyn Repository, media_type: MediaType) -> Self {
        let mut images = Vec::new();
        for name in ["amd64", "arm64", "s390x", "first", "last", "lost", "none"] {
            images.push(push_image(repository, name, &[name, "shared"]).await);
        }
        let nothing = Digest::of(b"nothing").to_string();
        let rest = [
            r#""platform":{"os":"linux","architecture":"amd64","future":1.50}"#.to_owned(),
            r#""platform":{"os":"linux","architecture":"arm64","variant":"v8"}"#.to_owned(),
            r#""platform":{"os":"linux","architecture":"s390x"}"#.to_owned(),
            attestation(&images[0].digest().to_string()),
            attestation(&images[2].digest().to_string()),
            attestation(&nothing),
            r#""x":null"#.to_owned(),
        ];
        let entries: Vec<String> = images
            .iter()
            .zip(rest)
            .map(|(image, rest)| {
                format!(
                    r#"{{"size": {},"digest":"{}","mediaType":"{}",{rest}}}"#,
                    image.size(),
                    image.digest(),
                    image.media_type()
                )
            })
            .collect();
        let fixture = Self {
            images,
            content: Self::index(&media_type, &entries.iter().collect::<Vec<_>>()),
            media_type,
        };
        tag_bytes(
            repository,
            fixture.media_type.clone(),
            fixture.content.clone(),
            &tags(&["v1"]),
        )
        .await
        .expect("push");
        fixture
    }

    fn index(media_type: &MediaType, entries: &[&String]) -> String {
        let entries: Vec<&str> = entries.iter().map(|entry| entry.as_str()).collect();
        format!(
            "{{\n \"zzz\": 1.00,\n \"manifests\": [\n  {}\n ],\n \"schemaVersion\": 2,\n \"mediaType\": \"{media_type}\"\n}}\n",
            entries.join(",\n  ")
        )
    }

    /// The index with only the entries of these numbers.
    fn only(&self, numbers: &[usize]) -> String {
        let list = self.content.split("[\n  ").nth(1).expect("a list");
        let list = list.split("\n ]").next().expect("a list");
        let entries: Vec<String> = list.split(",\n  ").map(ToOwned::to_owned).collect();
        let kept: Vec<&String> = numbers.iter().map(|number| &entries[*number]).collect();
        Self::index(&self.media_type, &kept)
    }

    fn descriptor(&self) -> Descriptor {
        Descriptor::of(self.media_type.clone(), self.content.as_bytes())
    }

    async fn copied(&self, repository: &dyn Repository) -> Vec<usize> {
        let mut found = Vec::new();
        for (number, image) in self.images.iter().enumerate() {
            if repository.exists(image).await.expect("a look") {
                found.push(number);
            }
        }
        found
    }
}

async fn content_of(repository: &dyn Repository, name: &str) -> String {
    let options = ResolveOptions::default();
    let (_, bytes) = fetch_bytes(repository, &reference(name), &options)
        .await
        .expect("there");
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

#[tokio::test]
async fn several_platforms_get_an_index_of_their_own() {
    for media_type in [MediaType::IMAGE_INDEX, MediaType::DOCKER_MANIFEST_LIST] {
        for (wanted, kept) in [
            (&["linux/amd64", "linux/arm64"][..], &[0, 1, 3, 6][..]),
            (&["linux/arm64", "linux/amd64"], &[0, 1, 3, 6]),
            (&["linux/arm64/v8", "linux/s390x"], &[1, 2, 4, 6]),
            (&["linux/arm64"], &[1, 6]),
            (&["linux/arm64", "unknown/unknown"], &[1, 3, 4, 5, 6]),
        ] {
            let source = MemoryRepository::new();
            let fixture = Fixture::push(&source, media_type.clone()).await;
            let destination = MemoryRepository::new();
            let report = copy_v1(&source, &destination, &choose(wanted))
                .await
                .expect("copy");

            let expected = fixture.only(kept);
            assert_eq!(content_of(&destination, "v1").await, expected, "{wanted:?}");
            assert_eq!(fixture.copied(&destination).await, kept, "{wanted:?}");
            assert_eq!(
                report.root,
                Descriptor::of(media_type.clone(), expected.as_bytes())
            );
            let subset = report.subset.expect("a subset");
            assert_eq!(subset.original, fixture.descriptor());
            assert_eq!(subset.kept.len(), kept.len());
            assert_eq!(subset.removed.len(), 7 - kept.len());
            for number in kept {
                assert_same_graph(&source, &destination, &fixture.images[*number]).await;
            }
        }
    }
}

#[tokio::test]
async fn an_index_of_which_everything_is_kept_stays_the_same() {
    let source = MemoryRepository::new();
    let fixture = Fixture::push(&source, MediaType::IMAGE_INDEX).await;
    let all = [
        "linux/amd64",
        "linux/arm64",
        "linux/s390x",
        "unknown/unknown",
    ];
    let destination = MemoryRepository::new();
    let report = copy_v1(&source, &destination, &choose(&all))
        .await
        .expect("copy");
    assert_eq!(report.root, fixture.descriptor());
    assert_eq!(content_of(&destination, "v1").await, fixture.content);
}

#[tokio::test]
async fn a_missing_platform_is_an_error_unless_allowed() {
    let source = MemoryRepository::new();
    let fixture = Fixture::push(&source, MediaType::IMAGE_INDEX).await;
    let destination = MemoryRepository::new();
    let wanted = ["linux/amd64", "windows/amd64"];
    let error = copy_v1(&source, &destination, &choose(&wanted))
        .await
        .expect_err("one is missing");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("windows/amd64"), "{error}");
    let hint = error.hint().expect("a hint");
    assert!(hint.contains("linux/arm64/v8, linux/s390x"), "{hint}");
    assert!(fixture.copied(&destination).await.is_empty());

    let allowed = subset(&wanted).with_allow_missing(true);
    let options = CopyOptions::default().with_platforms(allowed);
    let report = copy_v1(&source, &destination, &options)
        .await
        .expect("copy");
    let missing = report.subset.expect("a subset").missing;
    assert_eq!(missing, [platform("windows/amd64")]);
    assert_eq!(fixture.copied(&destination).await, [0, 3, 6]);

    for none in [&["windows/amd64", "linux/mips"][..], &[]] {
        let allowed = subset(none).with_allow_missing(true);
        let options = CopyOptions::default().with_platforms(allowed);
        copy_v1(&source, &MemoryRepository::new(), &options)
            .await
            .expect_err("nothing is wanted");
    }
}

#[tokio::test]
async fn an_image_without_an_index_must_be_for_one_of_the_platforms() {
    let source = MemoryRepository::new();
    let fixture = Fixture::push(&source, MediaType::IMAGE_INDEX).await;
    source
        .tag(&fixture.images[0], &tags(&["v1"])[0])
        .await
        .expect("tag");
    let wanted = ["linux/amd64", "linux/arm64"];
    let error = copy_v1(&source, &MemoryRepository::new(), &choose(&wanted))
        .await
        .expect_err("one is missing");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let allowed = subset(&wanted).with_allow_missing(true);
    let options = CopyOptions::default().with_platforms(allowed);
    let report = copy_v1(&source, &MemoryRepository::new(), &options)
        .await
        .expect("copy");
    assert!(report.root.same_content(&fixture.images[0]));
}

#[tokio::test]
async fn a_sparse_copy_keeps_the_index_and_grows_by_further_copies() {
    let source = MemoryRepository::new();
    let fixture = Fixture::push(&source, MediaType::IMAGE_INDEX).await;
    let destination = MemoryRepository::new();
    for (wanted, copied) in [
        ("linux/amd64", &[0, 3, 6][..]),
        ("linux/s390x", &[0, 2, 3, 4, 6]),
    ] {
        let report = copy_v1(&source, &destination, &sparse(&[wanted]))
            .await
            .expect("copy");
        assert_eq!(report.root, fixture.descriptor());
        assert_eq!(content_of(&destination, "v1").await, fixture.content);
        assert_eq!(fixture.copied(&destination).await, copied);
    }
}

#[tokio::test]
async fn a_destination_that_refuses_a_sparse_index_is_explained() {
    let source = MemoryRepository::new();
    Fixture::push(&source, MediaType::IMAGE_INDEX).await;
    let destination = Recorder::new(MemoryRepository::new()).with_faults(Faults {
        wants_children: true,
        ..Faults::default()
    });
    let error = copy_v1(&source, &destination, &sparse(&["linux/amd64"]))
        .await
        .expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::ManifestBlobUnknown);
    assert!(
        error.hint().is_some_and(|hint| hint.contains("sparse")),
        "{error:?}"
    );
    copy_v1(&source, &destination, &choose(&["linux/amd64"]))
        .await
        .expect("a new index is complete");
}

#[tokio::test]
async fn referrers_of_what_is_kept_are_copied_with_it() {
    let source = MemoryRepository::new();
    let fixture = Fixture::push(&source, MediaType::IMAGE_INDEX).await;
    let kept = push_referrer(&source, &fixture.images[0], "a/sig", "kept").await;
    let removed = push_referrer(&source, &fixture.images[2], "a/sig", "removed").await;
    let of_index = push_referrer(&source, &fixture.descriptor(), "a/sig", "index").await;
    for (options, expected) in [
        (choose(&["linux/amd64"]), [true, false, false]),
        (sparse(&["linux/amd64"]), [true, false, true]),
    ] {
        let destination = MemoryRepository::new();
        let options = ExtendedCopyOptions::default().with_copy(options);
        extended_copy_v1(&source, &destination, &options)
            .await
            .expect("copy");
        let mut found = [false; 3];
        for (found, node) in found.iter_mut().zip([&kept, &removed, &of_index]) {
            *found = destination.exists(&node.plain()).await.expect("a look");
        }
        assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn a_dry_run_of_some_platforms_foresees_the_copy() {
    let source = MemoryRepository::new();
    let fixture = Fixture::push(&source, MediaType::IMAGE_INDEX).await;
    for options in [choose(&["linux/amd64"]), sparse(&["linux/amd64"])] {
        let destination = MemoryRepository::new();
        let dry = options.clone().with_dry_run(true);
        let foreseen = copy_v1(&source, &destination, &dry)
            .await
            .expect("a dry run");
        assert!(fixture.copied(&destination).await.is_empty());
        let done = copy_v1(&source, &destination, &options)
            .await
            .expect("copy");
        assert_eq!(foreseen, done);
    }
}

#[tokio::test]
async fn a_second_copy_of_the_same_platforms_does_nothing() {
    let source = MemoryRepository::new();
    Fixture::push(&source, MediaType::IMAGE_INDEX).await;
    let source = Recorder::new(source);
    let destination = MemoryRepository::new();
    let options = choose(&["linux/amd64", "linux/arm64"]);
    copy_v1(&source, &destination, &options)
        .await
        .expect("copy");
    let is_fetch = |call: &Call| matches!(call, Call::Fetch(_));
    let before = source.count(is_fetch);
    let report = copy_v1(&source, &destination, &options)
        .await
        .expect("copy");
    assert_eq!(report.count(CopyAction::Skipped), report.steps.len());
    assert_eq!(source.count(is_fetch), before + 1, "only the index is read");
}

#[tokio::test]
async fn a_nested_index_is_kept_or_removed_as_a_whole() {
    let source = MemoryRepository::new();
    let amd64 = push_image(&source, "amd64", &["a"]).await;
    let arm64 = push_image(&source, "arm64", &["b"]).await;
    let nested = encode_json(&Index::new(vec![arm64.clone()])).expect("json");
    let nested = push_bytes(&source, MediaType::IMAGE_INDEX, nested)
        .await
        .expect("push");
    for (nested, is_kept) in [
        (nested.clone(), true),
        (nested.with_platform(platform("linux/arm64")), false),
    ] {
        let entry = amd64.clone().with_platform(platform("linux/amd64"));
        let index = encode_json(&Index::new(vec![entry, nested])).expect("json");
        tag_bytes(&source, MediaType::IMAGE_INDEX, index, &tags(&["v1"]))
            .await
            .expect("push");
        let destination = MemoryRepository::new();
        copy_v1(&source, &destination, &choose(&["linux/amd64"]))
            .await
            .expect("copy");
        assert_eq!(destination.exists(&arm64).await.expect("a look"), is_kept);
    }
}
