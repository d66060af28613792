//! Blobs that several repositories have.

use std::time::Duration;

use tranship::layers::InjectOptions;
use tranship::layers::OperationName::{MountBlob, Read, Write};
use tranship::{ContentKind, Result};
use tranship_layout::LayoutRegistry;
use tranship_mirror::jobs::JobOptions;

use crate::support::{Counted, Named, mirror, rule};

const BLOB: Option<ContentKind> = Some(ContentKind::Blob);

#[tokio::test]
async fn a_shared_blob_is_read_once_and_mounted_elsewhere() -> Result<()> {
    let slow = InjectOptions::default().with_latency(Duration::from_millis(5));
    let (source, mirrored) = (Counted::new(), Counted::with(slow));
    for name in ["a", "b", "c", "d", "e"] {
        source.image(name, "v1", &["base", "runtime", name]).await;
    }
    let opener = Named::default()
        .with("source.io", &source)
        .with("mirror.io", &mirrored);
    source.calls.reset();
    let rules = [rule("source.io/**", "mirror.io/{repository}")];
    let report = mirror(&rules, &opener, &JobOptions::default()).await?;
    assert_eq!(report.failures().count(), 0);
    // Five configs, five layers of their own, and the two that are shared.
    assert_eq!(source.calls.count(Read, BLOB), 12);
    assert_eq!(mirrored.calls.count(Write, BLOB), 12);
    assert_eq!(mirrored.calls.count(MountBlob, BLOB), 8);
    let mounted: usize = report.images.iter().map(|image| image.mounted).sum();
    assert_eq!(mounted, 8);
    Ok(())
}

#[tokio::test]
async fn a_copy_that_waited_takes_over_when_the_first_one_fails() -> Result<()> {
    let slow = InjectOptions::default()
        .with_latency(Duration::from_millis(5))
        .with_failing_call(Write, 1, tranship::ErrorKind::Denied);
    let (source, mirrored) = (Counted::new(), Counted::with(slow));
    for name in ["a", "b", "c"] {
        source.image(name, "v1", &["base"]).await;
    }
    let opener = Named::default()
        .with("source.io", &source)
        .with("mirror.io", &mirrored);
    let rules = [rule("source.io/**", "mirror.io/{repository}")];
    let report = mirror(&rules, &opener, &JobOptions::default()).await?;
    assert_eq!(report.failures().count(), 1);
    let again = mirror(&rules, &opener, &JobOptions::default()).await?;
    assert_eq!(again.failures().count(), 0);
    for name in ["a", "b", "c"] {
        assert_eq!(mirrored.tags(name).await, ["v1"]);
    }
    Ok(())
}

#[tokio::test]
async fn a_shared_blob_is_read_once_for_a_directory_of_layouts() -> Result<()> {
    let directory = tempfile::tempdir().expect("a directory");
    let source = Counted::new();
    for number in 0..30 {
        let name = format!("app{number}");
        let shared = ["base", "runtime", "tools"];
        let layers = [&shared[..1 + number % 3], &[name.as_str()]].concat();
        source.image(&name, "v1", &layers).await;
    }
    let layouts = LayoutRegistry::create(directory.path().join("layouts")).await?;
    let opener = Named::default()
        .with("source.io", &source)
        .with_layouts("layouts:here", layouts);
    source.calls.reset();
    let rules = [rule("source.io/**", "layouts:here")];
    let report = mirror(&rules, &opener, &JobOptions::default()).await?;
    assert_eq!(report.failures().count(), 0);
    // Thirty configs, thirty layers of their own, and the three that are shared.
    assert_eq!(source.calls.count(Read, BLOB), 63);
    Ok(())
}
