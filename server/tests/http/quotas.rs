//! Quotas over HTTP.

use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tranship::layers::{PerRepository, RepositoryQuota, RepositoryQuotas};
use tranship::{Digest, RepositoryName};
use tranship_memory::MemoryRegistry;
use tranship_server::ServerOptions;

use crate::client::{Client, Reply, head, index};

/// A registry whose repositories may store `limit` bytes together.
async fn client(limit: u64) -> (RepositoryQuotas, Client) {
    let quotas = RepositoryQuotas::new(vec![RepositoryQuota::new("all", limit, |_| true)]);
    let layer = quotas.clone();
    let around = move |_: &RepositoryName, repository| layer.around(repository);
    let registry = PerRepository::new(MemoryRegistry::new(), around);
    let options = ServerOptions::default().with_quotas(quotas.clone());
    (quotas, Client::of(Arc::new(registry), options).await)
}

#[tokio::test]
async fn a_body_that_does_not_fit_is_refused_before_it_is_sent() {
    let (quotas, client) = client(8).await;
    let upload = client.start_upload("app").await;
    let mut request = head("PATCH", &upload, &[]);
    request.push_str("Connection: close\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n");
    let mut stream = client.connect().await;
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    let reply = Reply::parse(&answer);
    reply.fails(403, "DENIED");
    let message = reply.json()["errors"][0]["message"].to_string();
    assert!(message.contains("0 B of 8 B are used"), "{message}");
    assert_eq!(quotas.usage()[0].used, 0);
    client.get(&upload).await.is(404);
}

#[tokio::test]
async fn an_upload_ends_when_its_bytes_exceed_the_quota() {
    let (quotas, client) = client(8).await;
    let upload = client.start_upload("app").await;
    client.send("PATCH", &upload, &[], b"hello").await.is(202);
    assert_eq!(quotas.usage()[0].used, 5);
    let mut request = head("PATCH", &upload, &[]);
    request
        .push_str("Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nworld\r\n0\r\n\r\n");
    let answer = client.raw(request.as_bytes()).await;
    Reply::parse(&answer).fails(403, "DENIED");
    assert_eq!(quotas.usage()[0].used, 0);
    client.get(&upload).await.is(404);
}

#[tokio::test]
async fn manifests_and_mounts_count_and_deletes_make_room() {
    let manifest = index("x");
    let size = manifest.len() as u64;
    let (quotas, client) = client(size + 8).await;
    client.push_manifest("app", "v1", &manifest).await.is(201);
    client.push_manifest("app", "v2", &manifest).await.is(201);
    assert_eq!(quotas.usage()[0].used, size);
    client
        .push_manifest("other", "v1", &manifest)
        .await
        .fails(403, "DENIED");
    let digest = client.push_blob("app", b"hello").await;
    let mount = format!("/v2/other/blobs/uploads/?mount={digest}&from=app");
    client
        .send("POST", &mount, &[], b"")
        .await
        .fails(403, "DENIED");
    let metrics = client.get("/metrics").await;
    let metrics = String::from_utf8(metrics.body).expect("text");
    let line = format!(
        "tranship_quota_used_bytes{{repository=\"all\"}} {}\n",
        size + 5
    );
    assert!(metrics.contains(&line), "{metrics}");
    let target = format!("/v2/app/manifests/{}", Digest::of(&manifest));
    client.send("DELETE", &target, &[], b"").await.is(202);
    client.send("POST", &mount, &[], b"").await.is(201);
    assert_eq!(quotas.usage()[0].used, 10);
}
