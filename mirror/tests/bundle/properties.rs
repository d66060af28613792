//! Random images: into a bundle, out of it, and in increments.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tranship::*;
use tranship_memory::MemoryRegistry;
use tranship_mirror::bundle::*;

use crate::images::*;

/// An image: its repository and tag, its layers, whether it is below an index, and whether it has a referrer.
#[derive(Debug, Clone)]
struct Image {
    repository: u8,
    tag: u8,
    layers: Vec<(u8, u16)>,
    is_indexed: bool,
    is_signed: bool,
}

fn images() -> impl Strategy<Value = Vec<Image>> {
    let layers = prop::collection::vec((0_u8..6, 0_u16..30_000), 0..4);
    let image = (0_u8..3, 0_u8..4, layers, any::<bool>(), any::<bool>());
    let image = image.prop_map(|(repository, tag, layers, is_indexed, is_signed)| Image {
        repository,
        tag,
        layers,
        is_indexed,
        is_signed,
    });
    prop::collection::vec(image, 1..6)
}

async fn push(images: &[Image], registry: &MemoryRegistry) {
    for image in images {
        let repository = open(registry, &format!("app{}", image.repository));
        let layers: Vec<_> = image
            .layers
            .iter()
            .map(|(seed, length)| noise(u64::from(*seed), usize::from(*length)))
            .collect();
        let tag = as_tag(&format!("v{}", image.tag));
        let pushed = push_image(&*repository, &layers, std::slice::from_ref(&tag)).await;
        if image.is_indexed {
            push_index(&*repository, vec![pushed.clone()], &[tag]).await;
        }
        if image.is_signed {
            push_referrer(
                &*repository,
                &pushed,
                &format!("signature {}", pushed.digest()),
            )
            .await;
        }
    }
}

/// Returns what each tag names, and the referrers of each manifest.
async fn state(registry: &MemoryRegistry) -> BTreeMap<String, (Descriptor, Vec<Descriptor>)> {
    let mut found = BTreeMap::new();
    for name in repositories(registry).await.expect("listed") {
        let repository = registry.open(&name);
        for tag in tags(&repository).await.expect("listed") {
            let root = repository
                .resolve(&tag.clone().into())
                .await
                .expect("tagged");
            let signatures = referrers(&repository, &root, None).await.expect("listed");
            found.insert(format!("{name}:{tag}"), (root, signatures));
        }
    }
    found
}

async fn check(before: Vec<Image>, after: Vec<Image>, volume_size: Option<u64>) {
    let directory = tempfile::tempdir().expect("a directory");
    let source = MemoryRegistry::new();
    push(&before, &source).await;
    let first = planned(&source, None, volume_size).await;
    let first_files = written(&first, &directory.path().join("first.tar")).await;
    let bundle = Bundle::open(first_files.iter().rev())
        .await
        .expect("opened");
    assert!(
        bundle
            .verify(&VerifyOptions::default())
            .await
            .expect("read")
            .is_sound()
    );
    let base = bundle.contents().lock().clone();
    assert_eq!(Lock::decode(&base.encode()).expect("a lock"), base);

    let destination = MemoryRegistry::new();
    let applied = bundle
        .apply(&destination, &ApplyOptions::default())
        .await
        .expect("applied");
    assert!(applied.pending.is_empty());
    assert_eq!(state(&destination).await, state(&source).await);

    push(&after, &source).await;
    let second = planned(&source, Some(base.clone()), volume_size).await;
    let whole = planned(&source, None, None).await;
    assert_eq!(second.contents().lock(), whole.contents().lock());
    let files = written(&second, &directory.path().join("second.tar")).await;
    // Volumes one by one, the last one first.
    let options = ApplyOptions::default().with_parts(directory.path().join("parts"));
    let mut pending = usize::MAX;
    for file in files.iter().rev() {
        let bundle = Bundle::open([file]).await.expect("opened");
        let report = bundle.apply(&destination, &options).await.expect("applied");
        pending = report.pending.len();
    }
    assert_eq!(pending, 0);
    assert_eq!(state(&destination).await, state(&source).await);
    let bundle = Bundle::open(&files).await.expect("opened");
    let report = bundle
        .verify(&VerifyOptions::default().with_base(base))
        .await
        .expect("read");
    assert!(report.is_sound(), "{report:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn images_come_through_whole_and_in_increments(
        before in images(),
        after in images(),
        volume_size in prop::option::of(40_000_u64..120_000),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(check(before, after, volume_size));
    }
}
