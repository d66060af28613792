//! Redirects of blobs to an object store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::signer::{Method, Signer, Url};
use tranship::layers::ReadOnly;
use tranship_layout::{LayoutOptions, LayoutRegistry, UrlSigner};
use tranship_server::{Access, RedirectOptions, ServerOptions};

use crate::access::users;
use crate::client::{Client, index};

/// Signs URLs, or fails to, and counts how often it is asked.
#[derive(Debug, Default)]
struct FakeSigner {
    is_broken: bool,
    calls: AtomicU32,
}

#[async_trait]
impl Signer for FakeSigner {
    async fn signed_url(
        &self,
        method: Method,
        path: &Path,
        expires_in: Duration,
    ) -> object_store::Result<Url> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.is_broken {
            return Err(object_store::Error::NotImplemented {
                operation: "sign".into(),
                implementer: "test".into(),
            });
        }
        let seconds = expires_in.as_secs();
        let url = format!("https://bucket.example/{path}?{method}&expires={seconds}");
        Ok(Url::parse(&url).expect("a URL"))
    }
}

/// A registry in a bucket whose blobs of at least 5 bytes are redirected for 20 minutes.
async fn client(signer: &Arc<FakeSigner>) -> Client {
    client_with(signer, None).await
}

async fn client_with(signer: &Arc<FakeSigner>, access: Option<Access>) -> Client {
    let signer = UrlSigner::new(Arc::clone(signer) as Arc<dyn Signer>);
    let options = LayoutOptions::default().with_signer(signer);
    let store = Arc::new(InMemory::new());
    let registry = LayoutRegistry::create_in(store, "root", options).await;
    // A layer passes the URLs on.
    let registry = Arc::new(registry.expect("a registry"));
    let redirects = RedirectOptions::default().with_min_size(5);
    let mut options = ServerOptions::default().with_redirects(redirects);
    let writable = Client::of(registry.clone(), options.clone()).await;
    writable.push_blob("app", b"hello").await;
    writable.push_blob("app", b"tiny").await;
    let manifest = index("a manifest of more than five bytes");
    writable.push_manifest("app", "v1", &manifest).await.is(201);
    options.access = access;
    Client::of(Arc::new(ReadOnly::new(registry)), options).await
}

fn blob(content: &[u8]) -> String {
    format!("/v2/app/blobs/{}", tranship::Digest::of(content))
}

#[tokio::test]
async fn a_blob_is_redirected_to_the_store() {
    let client = client(&Arc::default()).await;
    let digest = tranship::Digest::of(b"hello");
    let expected = format!(
        "https://bucket.example/root/app/blobs/sha256/{}?GET&expires=1200",
        digest.hex()
    );
    for headers in [&[][..], &[("Range", "bytes=1-2")]] {
        let reply = client.send("GET", &blob(b"hello"), headers, b"").await;
        assert!(reply.is(307).body.is_empty());
        assert_eq!(reply.header("location"), Some(&*expected));
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        let described = reply.header("docker-content-digest");
        assert_eq!(described, Some(&*digest.to_string()));
    }
}

#[tokio::test]
async fn other_requests_are_not_redirected() {
    let signer = Arc::default();
    let client = client(&signer).await;
    let reply = client.send("HEAD", &blob(b"hello"), &[], b"").await;
    assert_eq!(reply.is(200).header("content-length"), Some("5"));
    assert_eq!(client.get(&blob(b"tiny")).await.is(200).body, b"tiny");
    client
        .get(&blob(b"absent"))
        .await
        .fails(404, "BLOB_UNKNOWN");
    client.get("/v2/app/manifests/v1").await.is(200);
    let known = format!("\"{}\"", tranship::Digest::of(b"hello"));
    let headers = [("If-None-Match", &*known)];
    let reply = client.send("GET", &blob(b"hello"), &headers, b"").await;
    reply.is(304);
    assert_eq!(signer.calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_caller_without_rights_is_not_redirected() {
    let (_directory, access) = users().await;
    let signer = Arc::default();
    let client = client_with(&signer, Some(access)).await;
    let reply = client.get(&blob(b"hello")).await;
    reply.fails(401, "UNAUTHORIZED");
    assert_eq!(reply.header("location"), None);
    assert_eq!(signer.calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_blob_is_sent_if_its_url_cannot_be_signed() {
    let signer = Arc::new(FakeSigner {
        is_broken: true,
        ..FakeSigner::default()
    });
    let client = client(&signer).await;
    for _ in 0..3 {
        assert_eq!(client.get(&blob(b"hello")).await.is(200).body, b"hello");
    }
    let range = [("Range", "bytes=1-2")];
    let reply = client.send("GET", &blob(b"hello"), &range, b"").await;
    assert_eq!(reply.is(206).body, b"el");
    // After the first failure no other URL is asked for, for a while.
    assert_eq!(signer.calls.load(Ordering::SeqCst), 1);
}
