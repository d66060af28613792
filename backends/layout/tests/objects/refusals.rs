//! Stores that refuse, and stores that are refused.

use std::sync::Arc;

use bytes::Bytes;
use object_store::Error;
use tranship::{ErrorKind, Pusher, Resolver};
use tranship_layout::{Layout, LayoutOptions, LayoutRegistry};

use crate::faulty::{Faulty, Op, answer, text};
use crate::support::{described, layout, opened, printed, push_image, tag};

fn not_implemented() -> Error {
    Error::NotImplemented {
        operation: "PutMode::Update".into(),
        implementer: "test".into(),
    }
}

async fn push(layout: &Layout) -> tranship::Result<()> {
    let content = Bytes::from_static(b"x");
    layout
        .push(&described(&content), content.into())
        .await
        .map(drop)
}

#[tokio::test]
async fn a_store_without_conditional_put_is_refused_before_anything_is_written() {
    let store = Arc::new(Faulty::new());
    store.fail(|op, _| (op == Op::Update).then(not_implemented));
    let layout = layout(&store).await;
    let error = push(&layout).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(printed(&error).contains("with_unconditional_put"));
    assert_eq!(store.keys(), [""; 0]);
    let support = tranship::Repository::capabilities(&layout).push;
    assert_eq!(support.reason(), Some("the store has no conditional PUT"));
}

#[tokio::test]
async fn a_store_that_ignores_conditions_is_found_out() {
    let store = Arc::new(Faulty::without_regard());
    let error = push(&layout(&store).await).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(store.keys(), [""; 0]);
}

#[tokio::test]
async fn a_store_without_conditional_put_is_written_to_when_that_is_asked_for() {
    let store = Arc::new(Faulty::new());
    store.fail(|op, _| matches!(op, Op::Update | Op::Create).then(not_implemented));
    let options = LayoutOptions::default().with_unconditional_put(true);
    let layout = Layout::create_in(store, "app", options)
        .await
        .expect("a layout");
    let image = push_image(&layout, "v1").await.expect("pushed");
    tranship::Tagger::tag(&layout, &image, &tag("v2"))
        .await
        .expect("tagged");
    tranship::Deleter::delete(&layout, &image)
        .await
        .expect("deleted");
    let gone = layout.resolve(&tag("v2").into()).await;
    assert!(gone.expect_err("gone").is_not_found());
}

#[tokio::test]
async fn conditions_are_used_where_they_are_even_if_they_need_not_be() {
    let store = Arc::new(Faulty::new());
    let options = LayoutOptions::default().with_unconditional_put(true);
    let opened = Layout::create_in(store.clone(), "app", options).await;
    push_image(&opened.expect("a layout"), "v1")
        .await
        .expect("pushed");
    let asked = store.asked("app/index.json");
    assert!(
        asked.contains(&Op::Update) && !asked.contains(&Op::Put),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_bucket_that_does_not_exist_is_no_empty_layout() {
    let store = Arc::new(Faulty::new());
    store.fail(|_, key| {
        Some(Error::NotFound {
            path: key.into(),
            source: text("404 Not Found", "NoSuchBucket").into(),
        })
    });
    let of_layout = opened(&store).await.expect_err("no bucket");
    let options = LayoutOptions::default;
    let of_registry = LayoutRegistry::create_in(store.clone(), "", options()).await;
    for error in [of_layout, of_registry.expect_err("no bucket")] {
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(
            error.to_string(),
            "open s3://bucket: the bucket or container does not exist"
        );
    }
}

#[tokio::test]
async fn a_bucket_that_goes_away_is_missed_by_the_next_push() {
    let store = Arc::new(Faulty::new());
    let layout = layout(&store).await;
    push_image(&layout, "v1").await.expect("pushed");
    // As S3 answers: a HEAD has no body to say what is missing.
    store.fail(|op, key| {
        let code = if op == Op::Head { "" } else { "NoSuchBucket" };
        Some(Error::NotFound {
            path: key.into(),
            source: text("404 Not Found", code).into(),
        })
    });
    let error = push(&layout).await.expect_err("no bucket");
    assert!(
        error
            .to_string()
            .contains("bucket or container does not exist"),
        "{error}"
    );
}

#[tokio::test]
async fn what_a_store_answers_has_its_kind_and_no_secrets() {
    let path = || "app/blobs".to_owned();
    type Make = fn(String) -> Error;
    let denied: Make = |path| Error::PermissionDenied {
        path,
        source: text("403 Forbidden", "AccessDenied").into(),
    };
    let wrong_key: Make = |path| Error::PermissionDenied {
        path,
        source: text("403 Forbidden", "SignatureDoesNotMatch").into(),
    };
    let unauthenticated: Make = |path| Error::Unauthenticated {
        path,
        source: text("401 Unauthorized", "").into(),
    };
    let expired: Make = |_| answer("400 Bad Request", "ExpiredToken");
    let throttled: Make = |_| answer("503 Service Unavailable", "SlowDown");
    let broken: Make = |_| answer("500 Internal Server Error", "InternalError");
    for (make, kind, is_retryable) in [
        (denied, ErrorKind::PermissionDenied, false),
        (wrong_key, ErrorKind::Unauthorized, false),
        (unauthenticated, ErrorKind::Unauthorized, false),
        (expired, ErrorKind::Unauthorized, false),
        (throttled, ErrorKind::RateLimited, true),
        (broken, ErrorKind::Unavailable, true),
    ] {
        let store = Arc::new(Faulty::new());
        let layout = layout(&store).await;
        store.fail(move |op, key| (op == Op::Put && key.contains("blobs")).then(|| make(path())));
        let error = push(&layout).await.expect_err("refused");
        assert_eq!(
            (error.kind(), error.is_retryable()),
            (kind, is_retryable),
            "{error}"
        );
        let printed = printed(&error);
        assert!(!printed.contains("SECRET"), "{printed}");
        assert!(
            error.to_string().contains("s3://bucket/app/blobs/"),
            "{error}"
        );
    }
}
