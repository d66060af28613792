//! What an error tells of the request that was refused.

use std::sync::Arc;

use tranship::*;
use tranship_remote::{Credential, RemoteOptions, StaticCredentials};

use crate::fake::{Fake, HELLO, Reply, blob, name};

#[tokio::test]
async fn an_error_has_the_request_and_the_details_of_the_registry() {
    let body = r#"{"errors":[{"code":"DENIED","message":"no","detail":{"action":"pull"}}]}"#;
    let fake = Fake::start(move |_| Reply::new(403).body(body)).await;
    let target = blob(HELLO);
    let error = fake.repository().fetch(&target).await.expect_err("denied");
    assert_eq!(error.http_status(), Some(403));
    assert_eq!(error.http_method(), Some("GET"));
    let url = fake.url(&format!("/v2/library/app/blobs/{}", target.digest()));
    assert_eq!(error.url(), Some(url.as_str()));
    let detail = error.registry_errors()[0].detail.as_ref();
    assert_eq!(detail, Some(&serde_json::json!({"action": "pull"})));
    assert!(!format!("{error:?}").contains("action"), "{error:?}");
}

#[tokio::test]
async fn the_url_of_an_error_has_no_signature() {
    let storage = Fake::start(|_| Reply::new(403)).await;
    let location = storage.url("/bucket/blob?X-Amz-Signature=hunter2&n=5");
    let fake = Fake::start(move |_| Reply::redirect(&location)).await;
    let fetched = fake.repository().fetch(&blob(HELLO)).await;
    let error = fetched.expect_err("the signature is too old");
    assert_eq!(error.http_status(), Some(403));
    let url = storage.url("/bucket/blob?X-Amz-Signature=...&n=5");
    assert_eq!(error.url(), Some(url.as_str()));
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
}

#[tokio::test]
async fn an_upload_is_refused_without_its_state() {
    let fake = Fake::start(|seen| match seen.method.as_str() {
        "POST" => {
            Reply::new(202).header("location", "/v2/library/app/blobs/uploads/1?_state=s3cret")
        }
        "PUT" => Reply::new(400),
        _ => Reply::new(404),
    })
    .await;
    let target = blob(HELLO);
    let pushed = fake.repository().push(&target, HELLO.into()).await;
    let error = pushed.expect_err("refused");
    assert_eq!(error.http_method(), Some("PUT"), "{error:?}");
    let url = error.url().expect("a URL");
    assert!(
        url.contains("/blobs/uploads/1?_state=...&digest=sha256"),
        "{url}"
    );
    assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
}

#[tokio::test]
async fn a_token_server_that_refuses_is_named() {
    let fake = Fake::start(|seen| {
        if seen.target.starts_with("/token") {
            return Reply::new(401)
                .body(r#"{"errors":[{"code":"UNAUTHORIZED","detail":"robot:hunter2"}]}"#);
        }
        let host = seen.header("host").expect("a host");
        let challenge = format!("Bearer realm=\"http://{host}/token?key=s3cret\",service=\"it\"");
        Reply::new(401).header("www-authenticate", challenge)
    })
    .await;
    let credentials = StaticCredentials::new(
        fake.host().parse().expect("a name"),
        Credential::basic("robot", "hunter2"),
    );
    let options = RemoteOptions::default().with_credentials(Arc::new(credentials));
    let repository = fake.client(options).open(&name());
    let error = repository.fetch(&blob(HELLO)).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert_eq!(error.http_status(), Some(401));
    assert_eq!(error.http_method(), Some("GET"));
    let url =
        fake.url("/token?key=...&service=it&scope=repository%3Alibrary%2Fapp%3Apull&account=...");
    assert_eq!(error.url(), Some(url.as_str()));
    assert_eq!(error.registry_errors()[0].detail, None);
    for secret in ["hunter2", "s3cret"] {
        assert!(!format!("{error:?}").contains(secret), "{error:?}");
    }
}

#[tokio::test]
async fn a_manifest_without_its_content_keeps_the_exchange() {
    let body = r#"{"errors":[{"code":"BLOB_UNKNOWN","detail":{"digest":"sha256:aa"}}]}"#;
    let fake = Fake::start(move |seen| match seen.method.as_str() {
        "PUT" => Reply::new(404).body(body),
        _ => Reply::new(404),
    })
    .await;
    let config = Descriptor::of(MediaType::EMPTY_JSON, b"{}");
    let content = encode_json(&Manifest::new(config, Vec::new())).expect("JSON");
    let target = Descriptor::of(MediaType::IMAGE_MANIFEST, &content);
    let pushed = fake.repository().push(&target, content.into()).await;
    let error = pushed.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::ManifestBlobUnknown);
    assert_eq!(error.http_status(), Some(404));
    assert_eq!(error.http_method(), Some("PUT"));
    let detail = error.registry_errors()[0].detail.as_ref();
    assert_eq!(detail.expect("a detail")["digest"], "sha256:aa");
}
