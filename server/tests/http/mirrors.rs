//! Mirrors of other registries.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tranship::layers::{CacheOptions, Inject, InjectOptions};
use tranship::prelude::*;
use tranship::{
    Capabilities, Digest, Error, ErrorKind, Registry, RegistryIdentity, Repository, RepositoryName,
    Result,
};
use tranship_memory::MemoryRegistry;
use tranship_server::{Mirror, Mirrors, Permission, ServerOptions, TokenKey, TokenOptions};

use crate::access::{send, users};
use crate::client::{Client, Reply, index};
use crate::tokens::{bear, challenge, text};

type Failure = fn() -> Error;

/// A registry that may fail.
#[derive(Debug, Clone, Default)]
struct Upstream {
    inner: MemoryRegistry,
    error: Arc<Mutex<Option<Failure>>>,
    asked: Arc<AtomicUsize>,
}

impl Upstream {
    fn fails_with(&self, error: Failure) {
        *self.error.lock().expect("a lock") = Some(error);
    }

    fn goes_down(&self) {
        self.fails_with(|| Error::new(ErrorKind::Unavailable, "https://10.0.0.1 is down"));
    }

    fn recovers(&self) {
        *self.error.lock().expect("a lock") = None;
    }
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
        let (error, asked) = (Arc::clone(&self.error), Arc::clone(&self.asked));
        let options = InjectOptions::default().with_errors(move |_| {
            asked.fetch_add(1, Ordering::SeqCst);
            error.lock().expect("a lock").map(|error| error())
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

impl Stage {
    /// Checks that the metrics have this line.
    async fn counts(&self, line: &str) {
        let metrics = self.client.get("/metrics").await;
        let metrics = String::from_utf8(metrics.is(200).body.clone()).expect("text");
        assert!(
            metrics.lines().any(|each| each == line),
            "{line}: {metrics}"
        );
    }
}

async fn stage() -> Stage {
    stage_with(|options| options).await
}

async fn stage_with(configure: impl FnOnce(ServerOptions) -> ServerOptions) -> Stage {
    stage_of(Duration::ZERO, configure).await
}

/// A server whose mirrors leave a registry alone for `pause` after it could not be reached.
async fn stage_of(
    pause: Duration,
    configure: impl FnOnce(ServerOptions) -> ServerOptions,
) -> Stage {
    let (upstream, local) = (Upstream::default(), MemoryRegistry::new());
    let registry = Arc::new(upstream.clone());
    let mirrors = vec![
        Mirror::new("docker.io", Arc::clone(&registry) as _).expect("a mirror"),
        Mirror::new("quay.io:8443", registry).expect("a mirror"),
    ];
    let mirrors = mirrors.into_iter().map(|it| it.with_pause(pause)).collect();
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
    let text = pushed.is(405).json().to_string();
    assert!(
        text.contains("push library/alpine to the registry docker.io"),
        "{text}"
    );
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
    stage.upstream.goes_down();
    for target in targets {
        for method in ["GET", "HEAD"] {
            let reply = stage.client.send(method, target, &[], b"").await;
            let warning = reply.is(200).header("warning");
            assert_eq!(warning, Some("110 - \"Response is Stale\""), "{target}");
        }
    }
    stage.counts("tranship_mirror_stale_total 6").await;
    stage.counts("tranship_mirror_misses_total 1").await;
    let unknown = stage
        .client
        .get("/v2/docker.io/library/other/manifests/v1")
        .await;
    unknown.is(503);
    stage.upstream.recovers();
    let reply = stage.client.get(targets[0]).await;
    assert_eq!(reply.is(200).header("warning"), None);
}

#[tokio::test]
async fn stale_lists_have_a_warning() {
    let stage = stage().await;
    push(&stage.upstream.inner, "library/alpine", "alpine").await;
    let image = "/v2/docker.io/library/alpine";
    let digest = Digest::of(&index("alpine"));
    let list = tranship::encode_json(&json!({
        "schemaVersion": 2,
        "mediaType": tranship::MediaType::IMAGE_INDEX,
        "manifests": [],
        "subject": {"mediaType": tranship::MediaType::IMAGE_INDEX, "digest": digest, "size": 1},
    }));
    let list = list.expect("encoded");
    let name = "library/alpine".parse().expect("a name");
    let repository = stage.upstream.inner.repository(&name).await;
    let repository = repository.expect("opened");
    let media_type = tranship::MediaType::IMAGE_INDEX;
    let pushed = tranship::push_bytes(&*repository, media_type, list.clone()).await;
    pushed.expect("pushed");

    let referrer = Digest::of(&list);
    let fallback = format!(
        "{image}/manifests/{}",
        referrer.to_string().replace(':', "-")
    );
    let targets = [
        (format!("{image}/tags/list"), 200),
        (format!("{image}/referrers/{digest}"), 200),
        (format!("{image}/referrers/{referrer}"), 200),
        (fallback, 404),
    ];
    for target in [
        format!("{image}/manifests/v1"),
        format!("{image}/manifests/{referrer}"),
    ] {
        stage.client.get(&target).await.is(200);
    }
    for (is_down, warning) in [
        (false, None),
        (true, Some("110 - \"Response is Stale\"")),
        (false, None),
    ] {
        match is_down {
            true => stage.upstream.goes_down(),
            false => stage.upstream.recovers(),
        }
        for (target, status) in &targets {
            let reply = stage.client.get(target).await;
            assert_eq!(reply.is(*status).header("warning"), warning, "{target}");
        }
        let list = stage.client.get(&targets[1].0).await;
        assert_eq!(list.json()["manifests"][0]["digest"], json!(referrer));
        let empty = stage.client.get(&targets[2].0).await;
        assert_eq!(empty.json()["manifests"], json!([]));
    }
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

/// A server with users whose mirrors `ann` may read, and tokens.
async fn with_tokens() -> (tempfile::TempDir, Stage) {
    let (directory, access) = users().await;
    let access = access
        .with_grant(
            "ann",
            "docker.io/**".parse().expect("a pattern"),
            Permission::Read,
        )
        .with_grant(
            "bob",
            "library/**".parse().expect("a pattern"),
            Permission::Read,
        )
        .with_tokens(
            TokenKey::generate().expect("a key"),
            TokenOptions::default(),
        );
    let stage = stage_with(|options| options.with_access(access)).await;
    push(&stage.upstream.inner, "library/alpine", "alpine").await;
    (directory, stage)
}

/// Requests a token for `scope`, which the client chooses by the name that it knows, and reads `target` with it.
async fn read_with_token(stage: &Stage, user: &str, scope: &str, target: &str) -> Reply {
    let endpoint = format!("/v2/auth/token?service=tranship&scope=repository:{scope}");
    let token = text(&send(&stage.client, "GET", &endpoint, user).await, "token");
    bear(&stage.client, "GET", target, &token).await
}

#[tokio::test]
async fn a_token_for_the_name_of_the_client_reads_the_mirror() {
    let (_directory, stage) = with_tokens().await;
    for name in [
        "library/alpine",
        "alpine",
        "docker.io/alpine",
        "docker.io/library/alpine",
    ] {
        let target = format!("/v2/{name}/manifests/v1");
        let reply = read_with_token(&stage, "ann:nna", &format!("{name}:pull"), &target).await;
        assert_eq!(reply.is(200).body, index("alpine"), "{name}");
        let reply = read_with_token(&stage, "bob:bob", &format!("{name}:pull"), &target).await;
        assert!([401, 403, 404].contains(&reply.status), "{}", reply.status);
    }
}

#[tokio::test]
async fn a_token_for_one_name_does_not_read_another_repository() {
    let (_directory, stage) = with_tokens().await;
    push(&stage.upstream.inner, "library/other", "other").await;
    for (scope, target) in [
        ("library/alpine:pull", "/v2/library/other/manifests/v1"),
        (
            "library/alpine:pull",
            "/v2/library/alpine/manifests/v1?ns=docker.io",
        ),
        ("library/alpine:push", "/v2/library/alpine/manifests/v1"),
    ] {
        let reply = read_with_token(&stage, "ann:nna", scope, target).await;
        assert!([401, 403].contains(&reply.status), "{target}");
    }
}

#[tokio::test]
async fn the_scope_of_a_challenge_reads_the_mirror() {
    let (_directory, stage) = with_tokens().await;
    for target in [
        "/v2/library/alpine/manifests/v1",
        "/v2/library/alpine/manifests/v1?ns=docker.io",
        "/v2/docker.io/alpine/manifests/v1",
    ] {
        let refused = stage.client.get(target).await;
        let asked = challenge(&refused).to_owned();
        let (_, scope) = asked.split_once("scope=\"repository:").expect("a scope");
        let (scope, _) = scope.split_once('"').expect("quoted");
        read_with_token(&stage, "ann:nna", scope, target)
            .await
            .is(200);
    }
}

#[tokio::test]
async fn a_registry_that_is_down_is_left_alone_for_a_while() {
    let stage = stage_of(Duration::from_secs(600), |options| options).await;
    push(&stage.upstream.inner, "library/alpine", "alpine").await;
    let target = "/v2/docker.io/library/alpine/manifests/v1";
    stage.client.get(target).await.is(200);
    stage.upstream.goes_down();
    let unknown = "/v2/docker.io/library/other/manifests/v1";
    stage.client.get(unknown).await.is(503);
    stage
        .counts("tranship_mirror_down{registry=\"docker.io\"} 1")
        .await;
    let asked = stage.upstream.asked.load(Ordering::SeqCst);
    let stale = stage.client.get(target).await;
    assert_eq!(
        stale.is(200).header("warning"),
        Some("110 - \"Response is Stale\"")
    );
    let refused = stage.client.get(unknown).await;
    assert_eq!(stage.upstream.asked.load(Ordering::SeqCst), asked);
    let wait = refused.is(503).header("retry-after").expect("a time");
    let wait: u64 = wait.parse().expect("seconds");
    assert!((2..=600).contains(&wait), "{wait}");
    // Each registry has a state.
    stage
        .counts("tranship_mirror_down{registry=\"quay.io:8443\"} 0")
        .await;
}

#[tokio::test]
async fn errors_of_a_mirror_name_registry_and_repository() {
    let stage = stage().await;
    let failures: [(Failure, u16); 9] = [
        (
            || {
                let error = Error::new(ErrorKind::Unavailable, "it is down");
                error.with_other_host("10.0.0.1")
            },
            503,
        ),
        (
            || Error::new(ErrorKind::Unavailable, "https://10.0.0.1"),
            503,
        ),
        (
            || Error::new(ErrorKind::Unavailable, "10.0.0.1").with_retryable(false),
            502,
        ),
        (|| Error::new(ErrorKind::DigestMismatch, "10.0.0.1"), 502),
        (|| Error::new(ErrorKind::InvalidManifest, "10.0.0.1"), 502),
        (
            || Error::new(ErrorKind::Unauthorized, "10.0.0.1").with_http_status(401),
            403,
        ),
        (
            || Error::new(ErrorKind::Denied, "10.0.0.1").with_http_status(403),
            403,
        ),
        (|| Error::new(ErrorKind::Timeout, "10.0.0.1"), 504),
        (
            || {
                let wait = Duration::from_millis(61_500);
                Error::new(ErrorKind::RateLimited, "10.0.0.1").with_retry_after(wait)
            },
            429,
        ),
    ];
    for (error, status) in failures {
        stage.upstream.fails_with(error);
        for target in [
            "manifests/v1".to_owned(),
            format!("blobs/{}", Digest::of(b"")),
        ] {
            let target = format!("/v2/docker.io/library/alpine/{target}");
            let reply = stage.client.get(&target).await;
            let text = reply.is(status).json().to_string();
            assert!(text.contains("docker.io"), "{text}");
            assert!(text.contains("library/alpine"), "{text}");
            assert!(!text.contains("10.0.0.1"), "{text}");
            if status == 429 {
                assert_eq!(reply.header("retry-after"), Some("62"));
            }
        }
    }
    stage.upstream.fails_with(|| Error::not_found("v1"));
    let target = "/v2/docker.io/library/alpine/manifests/v1";
    let reply = stage.client.get(target).await;
    reply.fails(404, "MANIFEST_UNKNOWN");
}

#[tokio::test]
async fn a_mount_uses_what_is_stored_and_asks_no_registry() {
    let stage = stage().await;
    push(&stage.upstream.inner, "library/alpine", "alpine").await;
    let alpine = "library/alpine".parse().expect("a name");
    let alpine = stage.upstream.inner.repository(&alpine).await;
    let alpine = alpine.expect("opened");
    let (stored, missing) = (b"stored".as_slice(), b"missing".as_slice());
    let media_type = tranship::MediaType::OCTET_STREAM;
    for content in [stored, missing] {
        let pushed = tranship::push_bytes(&*alpine, media_type.clone(), content).await;
        pushed.expect("pushed");
    }
    let image = "/v2/docker.io/library/alpine";
    stage
        .client
        .get(&format!("{image}/manifests/v1"))
        .await
        .is(200);
    let blob = format!("{image}/blobs/{}", Digest::of(stored));
    stage.client.get(&blob).await.is(200);

    stage.upstream.goes_down();
    let asked = stage.upstream.asked.load(Ordering::SeqCst);
    for (content, from, status) in [
        (missing, "", 202),
        (missing, "&from=docker.io/library/alpine", 202),
        (stored, "&from=docker.io/alpine", 201),
        (stored, "", 201),
    ] {
        let repository = format!("team/app{}", from.len());
        let target = format!(
            "/v2/{repository}/blobs/uploads/?mount={}{from}",
            Digest::of(content)
        );
        stage
            .client
            .send("POST", &target, &[], b"")
            .await
            .is(status);
    }
    assert_eq!(stage.upstream.asked.load(Ordering::SeqCst), asked);
}
