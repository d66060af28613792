//! Which side failed, as the error of a copy says.

use std::collections::{HashMap, HashSet};

use tranship::*;
use tranship_memory::{MemoryOptions, MemoryRepository};

use crate::artifacts::push_two_platforms;
use crate::copy_v1;
use crate::recorder::{Faults, Recorder};

async fn failing(faults: Faults, destination: &dyn Repository) -> Error {
    let inner = MemoryRepository::new();
    push_two_platforms(&inner).await;
    let source = Recorder::new(inner).with_faults(faults);
    let copied = copy_v1(&source, destination, &CopyOptions::default()).await;
    copied.expect_err("one side fails")
}

#[tokio::test]
async fn a_missing_tag_is_an_error_of_the_source() {
    let (source, destination) = (MemoryRepository::new(), MemoryRepository::new());
    let copied = copy_v1(&source, &destination, &CopyOptions::default()).await;
    let error = copied.expect_err("nothing to copy");
    assert_eq!(error.copy_side(), Some(CopySide::Source));
}

#[tokio::test]
async fn content_that_cannot_be_read_is_an_error_of_the_source() {
    let layer = Digest::of(b"amd64 only");
    let unreadable = Faults {
        unreadable: HashSet::from([layer]),
        ..Faults::default()
    };
    let error = failing(unreadable, &MemoryRepository::new()).await;
    assert_eq!(error.copy_side(), Some(CopySide::Source));
}

#[tokio::test]
async fn a_body_that_breaks_is_an_error_of_the_source() {
    let inner = MemoryRepository::new();
    let layer = push_bytes(&inner, MediaType::OCTET_STREAM, vec![7; 3 << 20]).await;
    let layer = layer.expect("pushed");
    let source = Recorder::new(inner).with_faults(Faults {
        breaks_after: HashMap::from([(*layer.digest(), 1 << 20)]),
        ..Faults::default()
    });
    let destination = MemoryRepository::new();
    let copied = copy_graph(&source, &layer, &destination, &CopyOptions::default()).await;
    let error = copied.expect_err("the body breaks");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.copy_side(), Some(CopySide::Source));
}

#[tokio::test]
async fn a_full_destination_is_an_error_of_the_destination() {
    let full = MemoryRepository::with_options(MemoryOptions::default().with_quota(10));
    let error = failing(Faults::default(), &full).await;
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert_eq!(error.copy_side(), Some(CopySide::Destination));
}

#[tokio::test]
async fn an_error_of_a_hook_has_no_side() {
    let inner = MemoryRepository::new();
    push_two_platforms(&inner).await;
    let stop = |_: &Descriptor| Err(Error::new(ErrorKind::Aborted, "stop"));
    let hooks = CopyCallbacks::new().pre_copy(stop);
    let options = CopyOptions::default().with_hooks(std::sync::Arc::new(hooks));
    let copied = copy_v1(&inner, &MemoryRepository::new(), &options).await;
    assert_eq!(copied.expect_err("stopped").copy_side(), None);
}
