//! Pages of listings at another origin.

use tranship::*;

use super::{is_refused, repository, wanting_credentials};
use crate::fake::{Fake, Reply, blob};

#[tokio::test]
async fn a_page_at_another_origin_is_refused() {
    let other = Fake::start(|_| Reply::new(200).body(r#"{"tags":[]}"#)).await;
    let target = other.url("/tags?page=2");
    let registry = wanting_credentials(move |_| {
        Reply::new(200)
            .header("link", format!("<{target}>; rel=\"next\""))
            .body(r#"{"tags":["v1"]}"#)
    })
    .await;
    let error = tags(&repository(&registry)).await.expect_err("refused");
    is_refused(&error);
    other.was_not_asked();
}

#[tokio::test]
async fn a_page_that_is_named_by_another_host_is_read_at_the_registry() {
    let other = Fake::start(|_| Reply::new(200).body(r#"{"tags":[]}"#)).await;
    let target = other.url("/v2/library/app/tags/list?page=2");
    let registry = wanting_credentials(move |seen| match seen.target.as_str() {
        "/v2/library/app/tags/list" => Reply::new(200)
            .header("link", format!("<{target}>; rel=\"next\""))
            .body(r#"{"tags":["v1"]}"#),
        "/v2/library/app/tags/list?page=2" => Reply::new(200).body(r#"{"tags":["v2"]}"#),
        _ => Reply::new(404),
    })
    .await;
    let listed = tags(&repository(&registry)).await.expect("listed");
    assert_eq!(listed.len(), 2);
    other.was_not_asked();
}

#[tokio::test]
async fn a_page_of_referrers_at_another_origin_is_refused() {
    let other = Fake::start(|_| Reply::new(404)).await;
    let target = other.url("/referrers/2");
    let registry = wanting_credentials(move |_| {
        Reply::new(200)
            .header("content-type", "application/vnd.oci.image.index.v1+json")
            .header("link", format!("<{target}>; rel=\"next\""))
            .body(r#"{"schemaVersion":2,"manifests":[]}"#)
    })
    .await;
    let subject = blob(b"subject");
    let error = referrers(&repository(&registry), &subject, None)
        .await
        .expect_err("refused");
    is_refused(&error);
    other.was_not_asked();
}
