//! A registry with pages, and a browser without a screen.

use std::io::Write as _;
use std::sync::Arc;

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use tempfile::TempDir;
use tranship::{
    Descriptor, Index, Manifest, MediaType, Platform, Registry as _, Repository, Tag, encode_json,
    push_bytes, tag_bytes,
};
use tranship_memory::MemoryRegistry;
use tranship_page::{Page, PageOptions};
use tranship_server::{Access, Htpasswd, RegistryService, ServerOptions, TestServer, router};

pub(crate) struct Site {
    server: TestServer,
    client: reqwest::Client,
    registry: Arc<MemoryRegistry>,
}

/// The response to a request.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).map(HeaderValue::to_str);
        value.and_then(Result::ok).unwrap_or_default()
    }

    /// Returns the secret that the forms of the page carry.
    pub(crate) fn token(&self) -> String {
        let start = "name=\"token\" value=\"";
        let (_, rest) = self.body.split_once(start).expect("a form with a token");
        let (token, _) = rest.split_once('"').expect("the end of the value");
        token.to_owned()
    }
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::with(ServerOptions::default(), PageOptions::default()).await
    }

    pub(crate) async fn with(server: ServerOptions, page: PageOptions) -> Self {
        let registry = Arc::new(MemoryRegistry::new());
        Self::around(router(registry.clone(), server), registry, page).await
    }

    /// Serves pages around `service`, which has `registry`.
    pub(crate) async fn around(
        service: RegistryService,
        registry: Arc<MemoryRegistry>,
        page: PageOptions,
    ) -> Self {
        let page = Page::new(service, page).expect("random bytes");
        // In a build of the workspace, other crates leave the choice of the cryptography to the program.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().redirect(Policy::none());
        Self {
            server: TestServer::serve(page).await.expect("a port"),
            client: client.build().expect("a client"),
            registry,
        }
    }

    pub(crate) fn host(&self) -> String {
        self.server.host()
    }

    pub(crate) async fn repository(&self, name: &str) -> Arc<dyn Repository> {
        let name = name.parse().expect("a name");
        self.registry.repository(&name).await.expect("opened")
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        let method = method.parse().expect("a method");
        let url = format!("http://{}{path}", self.host());
        let mut request = self.client.request(method, url).body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.expect("a response");
        Reply {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.text().await.expect("a body"),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], "").await
    }

    pub(crate) async fn get_as(&self, cookie: &str, path: &str) -> Reply {
        self.send("GET", path, &[("cookie", cookie)], "").await
    }

    /// Sends a form as a browser does from a page of the site.
    pub(crate) async fn submit(&self, cookie: &str, path: &str, form: &str) -> Reply {
        let origin = format!("http://{}", self.host());
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("origin", &origin),
            ("sec-fetch-site", "same-origin"),
            ("cookie", cookie),
        ];
        self.send("POST", path, &headers, form).await
    }

    /// Logs in, and returns the cookie.
    pub(crate) async fn log_in(&self, user: &str, password: &str) -> String {
        let form = format!("user={user}&password={password}");
        let reply = self.submit("", "/ui/login", &form).await;
        assert_eq!(reply.status, 303, "{}", reply.body);
        let cookie = reply.header("set-cookie");
        let (cookie, _) = cookie.split_once(';').expect("attributes");
        cookie.to_owned()
    }
}

/// The users `ann` and `bob`, whose passwords are their names backwards.
pub(crate) async fn users() -> (TempDir, Access) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("htpasswd");
    let hash = |password| bcrypt::hash(password, 4).expect("hashed");
    let lines = format!("ann:{}\nbob:{}\n", hash("nna"), hash("bob"));
    std::fs::write(&path, lines).expect("written");
    let users = Htpasswd::open(path).await.expect("users");
    (directory, Access::new(users))
}

pub(crate) fn tags(names: &[&str]) -> Vec<Tag> {
    let names = names.iter();
    names.map(|name| name.parse().expect("a tag")).collect()
}

/// A compressed layer with files.
pub(crate) fn layer(files: &[(&str, &str)]) -> (Vec<u8>, tranship::Digest) {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_760_000_000);
        let added = archive.append_data(&mut header, path, content.as_bytes());
        added.expect("added");
    }
    let archive = archive.into_inner().expect("an archive");
    (gzip(&archive), tranship::Digest::of(&archive))
}

pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).expect("compressed");
    encoder.finish().expect("compressed")
}

/// Pushes an image with one layer, and a config with the given fields besides.
pub(crate) async fn push_image(
    repository: &dyn Repository,
    files: &[(&str, &str)],
    config: serde_json::Value,
    names: &[&str],
) -> Descriptor {
    push_layered(repository, layer(files), config, names).await
}

/// Pushes an image with one layer that consists of any bytes, and has the given digest when it is decompressed.
pub(crate) async fn push_layered(
    repository: &dyn Repository,
    (layer, diff_id): (Vec<u8>, tranship::Digest),
    config: serde_json::Value,
    names: &[&str],
) -> Descriptor {
    let mut document = serde_json::json!({
        "os": "linux", "architecture": "amd64", "created": "2026-01-02T03:04:05Z",
        "rootfs": {"type": "layers", "diff_ids": [diff_id.to_string()]},
    });
    for (key, value) in config.as_object().expect("fields") {
        document[key] = value.clone();
    }
    let config = serde_json::to_vec(&document).expect("json");
    let config = push_bytes(repository, MediaType::IMAGE_CONFIG, config).await;
    let layer = push_bytes(repository, MediaType::IMAGE_LAYER_GZIP, layer).await;
    let mut manifest = Manifest::new(config.expect("pushed"), vec![layer.expect("pushed")]);
    manifest.media_type = Some(MediaType::IMAGE_MANIFEST);
    let manifest = encode_json(&manifest).expect("json");
    let pushed = push_manifest(repository, MediaType::IMAGE_MANIFEST, manifest, names).await;
    let platform = Platform::new("linux", "amd64");
    pushed.expect("pushed").with_platform(platform)
}

/// Pushes a manifest without changing it.
pub(crate) async fn push_manifest(
    repository: &dyn Repository,
    media_type: MediaType,
    content: impl Into<bytes::Bytes>,
    names: &[&str],
) -> tranship::Result<Descriptor> {
    tag_bytes(repository, media_type, content, &tags(names)).await
}

/// Pushes an index.
pub(crate) async fn push_index(
    repository: &dyn Repository,
    manifests: Vec<Descriptor>,
    names: &[&str],
) -> Descriptor {
    let mut index = Index::new(manifests);
    index.media_type = Some(MediaType::IMAGE_INDEX);
    let index = encode_json(&index).expect("json");
    let pushed = push_manifest(repository, MediaType::IMAGE_INDEX, index, names).await;
    pushed.expect("pushed")
}

/// Attaches a file to `subject`.
pub(crate) async fn attach(
    repository: &dyn Repository,
    subject: &Descriptor,
    artifact_type: &'static str,
    content: impl Into<bytes::Bytes>,
) -> Descriptor {
    let artifact_type = MediaType::from_static(artifact_type);
    let file = push_bytes(repository, artifact_type.clone(), content).await;
    let config = push_bytes(repository, MediaType::EMPTY_JSON, "{}").await;
    let mut manifest = Manifest::new(config.expect("pushed"), vec![file.expect("pushed")]);
    manifest.media_type = Some(MediaType::IMAGE_MANIFEST);
    manifest.artifact_type = Some(artifact_type);
    manifest.subject = Some(subject.plain());
    let manifest = encode_json(&manifest).expect("json");
    let pushed = push_bytes(repository, MediaType::IMAGE_MANIFEST, manifest).await;
    pushed.expect("pushed")
}
