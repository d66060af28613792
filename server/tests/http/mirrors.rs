//! Mirrors of other registries.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tranship::layers::{CacheOptions, Inject, InjectOptions};
use tranship::prelude::*;
use tranship::{
    Capabilities, Error, ErrorKind, Registry, RegistryIdentity, Repository, RepositoryName, Result,
};
use tranship_memory::MemoryRegistry;
use tranship_server::{Mirror, Mirrors, Permission, ServerOptions};

use crate::access::{send, users};
use crate::client::{Client, index};

/// A registry that may be down.
#[derive(Debug, Clone, Default)]
struct Upstream {
    inner: MemoryRegistry,
    is_down: Arc<AtomicBool>,
}

#[async_trait]
impl Registry for Upstream {
    fn identity(&self) -> &RegistryIdentity {
        self.inner.identity()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn repository(&self, name: &RepositoryName) -> Result<Arc<dyn Repository>> {
        let is_down = Arc::clone(&self.is_down);
        let options = InjectOptions::default().with_errors(move |_| {
            let error = || Error::new(ErrorKind::Unavailable, "it is down");
            is_down.load(Ordering::SeqCst).then(error)
        });
        let repository = self.inner.repository(name).await?;
        Ok(Arc::new(Inject::new(repository, options)))
    }
}

struct Stage {
    upstream: Upstream,
    local: MemoryRegistry,
    client: Client,
}

async fn stage() -> Stage {
    stage_with(|options| options).await
}

async fn stage_with(configure: impl FnOnce(ServerOptions) -> ServerOptions) -> Stage {
    let (upstream, local) = (Upstream::default(), MemoryRegistry::new());
    let registry = Arc::new(upstream.clone());
    let mirrors = vec![
        Mirror::new("docker.io", Arc::clone(&registry) as _).expect("a mirror"),
        Mirror::new("quay.io:8443", registry).expect("a mirror"),
    ];
    let options = CacheOptions::default().with_tag_ttl(Duration::ZERO);
    let mirrors = Mirrors::new(Arc::new(local.clone()), mirrors, options).expect("mirrors");
    let mirrors = Arc::new(mirrors.with_fallback("docker.io").expect("a fallback"));
    let options = ServerOptions::default().with_mirrors(Arc::clone(&mirrors));
    let client = Client::of(mirrors, configure(options)).await;
    Stage {
        upstream,
        local,
        client,
    }
}

/// Pushes an empty index with this annotation as `v1`.
async fn push(registry: &dyn Registry, name: &str, text: &str) {
    let repository = registry.repository(&name.parse().expect("a name")).await;
    let repository = repository.expect("opened");
    let media_type = tranship::MediaType::IMAGE_INDEX;
    let manifest = tranship::push_bytes(&*repository, media_type, index(text)).await;
    let tag = "v1".parse().expect("a tag");
    let tagged = repository.tag(&manifest.expect("pushed"), &tag).await;
    tagged.expect("tagged");
}

#[tokio::test]
async fn a_prefix_or_a_namespace_selects_the_mirror() {
    let stage = stage().await;
    push(&stage.upstream.inner, "library/alpine", "alpine").await;
    for target in [
        "/v2/docker.io/library/alpine/manifests/v1",
        "/v2/docker.io/alpine/manifests/v1",
        "/v2/library/alpine/manifests/v1?ns=docker.io",
        "/v2/library/alpine/manifests/v1?ns=Quay.io:8443",
        "/v2/docker.io/library/alpine/manifests/v1?ns=docker.io",
        "/v2/quay.io_8443/library/alpine/manifests/v1?ns=quay.io:8443",
        "/v2/quay.io_8443/library/alpine/manifests/v1",
        "/v2/library/alpine/manifests/v1",
        "/v2/alpine/manifests/v1",
    ] {
        let reply = stage.client.get(target).await;
        assert_eq!(reply.is(200).body, index("alpine"), "{target}");
    }
    let catalog = stage.client.get("/v2/_catalog").await;
    let stored = ["docker.io/library/alpine", "quay.io_8443/library/alpine"];
    assert_eq!(catalog.is(200).json(), json!({"repositories": stored}));
}

#[tokio::test]
async fn an_unknown_namespace_is_not_the_local_repository() {
    let stage = stage().await;
    push(&stage.local, "team/app", "local").await;
    let local = stage.client.get("/v2/team/app/manifests/v1").await;
    assert_eq!(local.is(200).body, index("local"));
    let other = stage
        .client
        .get("/v2/team/app/manifests/v1?ns=gcr.io")
        .await;
    other.fails(404, "NAME_UNKNOWN");
}

#[tokio::test]
async fn a_local_repository_hides_that_of_the_fallback() {
    let stage = stage().await;
    push(&stage.upstream.inner, "team/app", "upstream").await;
    let reply = stage.client.get("/v2/team/app/tags/list").await;
    assert_eq!(reply.is(200).json()["tags"], json!(["v1"]));

    let pushed = stage
        .client
        .push_manifest("team/app", "v2", &index("local"))
        .await;
    pushed.is(201);
    let reply = stage.client.get("/v2/team/app/tags/list").await;
    assert_eq!(reply.is(200).json()["tags"], json!(["v2"]));
    stage.client.get("/v2/team/app/manifests/v1").await.is(404);
    let deleted = stage
        .client
        .send("DELETE", "/v2/team/app/manifests/v2", &[], b"")
        .await;
    deleted.is(202);
}

#[tokio::test]
async fn a_client_that_pushes_sees_the_local_repository() {
    let stage = stage().await;
    push(&stage.upstream.inner, "team/new", "upstream").await;
    let digest = tranship::Algorithm::default().digest(&index("upstream"));
    for (method, status) in [("HEAD", 404), ("GET", 200)] {
        let target = format!("/v2/team/new/manifests/{digest}");
        stage
            .client
            .send(method, &target, &[], b"")
            .await
            .is(status);
    }
    let tag = stage
        .client
        .send("HEAD", "/v2/team/new/manifests/v1", &[], b"");
    tag.await.is(200);
}

#[tokio::test]
async fn a_grant_for_local_repositories_is_not_one_for_the_fallback() {
    let (_directory, access) = users().await;
    let access = access.with_grant(
        "ann",
        "team/**".parse().expect("a pattern"),
        Permission::Write,
    );
    let stage = stage_with(|options| options.with_access(access)).await;
    push(&stage.upstream.inner, "team/secret", "private").await;
    push(&stage.local, "team/app", "local").await;
    let get = |target: &'static str| send(&stage.client, "GET", target, "ann:nna");
    get("/v2/team/app/manifests/v1").await.is(200);
    get("/v2/team/secret/manifests/v1").await.is(404);
    get("/v2/docker.io/team/secret/manifests/v1").await.is(403);
}

#[tokio::test]
async fn nothing_is_pushed_to_a_mirror() {
    let stage = stage().await;
    let pushed = stage
        .client
        .push_manifest("docker.io/library/alpine", "v1", &index("mine"))
        .await;
    pushed.is(405);
    let upload = stage
        .client
        .send(
            "POST",
            "/v2/docker.io/library/alpine/blobs/uploads/",
            &[],
            b"",
        )
        .await;
    upload.is(405);
    let name = "library/alpine".parse().expect("a name");
    let repository = stage.upstream.inner.repository(&name).await;
    let tags = tranship::tags(&*repository.expect("opened")).await;
    assert!(tags.is_ok_and(|tags| tags.is_empty()));
}

#[tokio::test]
async fn a_stale_tag_has_a_warning() {
    let stage = stage().await;
    push(&stage.upstream.inner, "library/alpine", "alpine").await;
    let targets = [
        "/v2/docker.io/library/alpine/manifests/v1",
        "/v2/library/alpine/manifests/v1?ns=docker.io",
        "/v2/alpine/manifests/v1",
    ];
    for target in targets {
        let reply = stage.client.get(target).await;
        assert_eq!(reply.is(200).header("warning"), None);
    }
    stage.upstream.is_down.store(true, Ordering::SeqCst);
    for target in targets {
        for method in ["GET", "HEAD"] {
            let reply = stage.client.send(method, target, &[], b"").await;
            let warning = reply.is(200).header("warning");
            assert_eq!(warning, Some("110 - \"Response is Stale\""), "{target}");
        }
    }
    let metrics = stage.client.get("/metrics").await;
    let metrics = String::from_utf8(metrics.is(200).body.clone()).expect("text");
    for line in [
        "tranship_mirror_stale_total 6",
        "tranship_mirror_misses_total 1",
    ] {
        assert!(
            metrics.lines().any(|each| each == line),
            "{line}: {metrics}"
        );
    }
    let unknown = stage
        .client
        .get("/v2/docker.io/library/other/manifests/v1")
        .await;
    unknown.is(503);
    stage.upstream.is_down.store(false, Ordering::SeqCst);
    let reply = stage.client.get(targets[0]).await;
    assert_eq!(reply.is(200).header("warning"), None);
}

#[tokio::test]
async fn content_of_an_earlier_process_is_found() {
    let upstream = MemoryRegistry::new();
    let local = MemoryRegistry::new();
    push(&local, "docker.io/library/old", "old content").await;
    push(&local, "docker.io-other/app", "not of a mirror").await;
    push(&local, "zeta/app", "not of a mirror").await;
    let mirror = Mirror::new("docker.io", Arc::new(upstream)).expect("a mirror");
    let options = CacheOptions::default().with_max_size(1 << 20);
    let mirrors = Mirrors::new(Arc::new(local), vec![mirror], options).expect("mirrors");
    let found = async {
        while mirrors.stored().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = mirrors.run() => unreachable!("it never ends"),
        () = found => {}
    }
    let stored = mirrors.stored();
    let names: Vec<_> = stored.iter().map(|it| it.repository.as_str()).collect();
    assert_eq!(names, ["docker.io/library/old"]);
}
