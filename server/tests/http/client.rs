//! A client that sends what it is told to, right or wrong.

use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tranship::{Digest, Registry};
use tranship_memory::MemoryRegistry;
use tranship_server::{ServerOptions, TestServer, router};

/// A registry in memory, and a client of it.
pub(crate) struct Client {
    server: TestServer,
}

/// What the server answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) async fn new() -> Self {
        Self::with(ServerOptions::default()).await
    }

    pub(crate) async fn with(options: ServerOptions) -> Self {
        Self::of(Arc::new(MemoryRegistry::new()), options).await
    }

    pub(crate) async fn of(registry: Arc<dyn Registry>, options: ServerOptions) -> Self {
        let server = TestServer::serve(router(registry, options)).await;
        Self {
            server: server.expect("a server"),
        }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.server.address()).await;
        stream.expect("connected")
    }

    /// Sends these bytes and reads until the server closes the connection.
    pub(crate) async fn raw(&self, request: &[u8]) -> Vec<u8> {
        let mut stream = self.connect().await;
        // A server that has seen enough may close while we still write.
        let _ = stream.write_all(request).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        answer
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let mut request = head(method, target, headers);
        request.push_str("Connection: close\r\n");
        if !matches!(method, "GET" | "HEAD") {
            request.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        let bytes = [request.as_bytes(), body].concat();
        Reply::parse(&self.raw(&bytes).await)
    }

    pub(crate) async fn get(&self, target: &str) -> Reply {
        self.send("GET", target, &[], b"").await
    }

    /// Pushes a blob in one request, and answers its digest.
    pub(crate) async fn push_blob(&self, name: &str, content: &[u8]) -> Digest {
        let digest = Digest::of(content);
        let target = format!("/v2/{name}/blobs/uploads/?digest={digest}");
        let reply = self.send("POST", &target, &[], content).await;
        reply.is(201);
        digest
    }

    /// Starts an upload, and answers its location.
    pub(crate) async fn start_upload(&self, name: &str) -> String {
        let target = format!("/v2/{name}/blobs/uploads/");
        let reply = self.send("POST", &target, &[], b"").await;
        reply.is(202);
        reply.header("location").expect("a location").to_owned()
    }

    pub(crate) async fn push_manifest(&self, name: &str, reference: &str, content: &[u8]) -> Reply {
        let target = format!("/v2/{name}/manifests/{reference}");
        self.send("PUT", &target, &[("Content-Type", INDEX)], content)
            .await
    }
}

pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// An index without children, told from others by its `note`.
pub(crate) fn index(note: &str) -> Vec<u8> {
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[],"annotations":{{"note":"{note}"}}}}"#
    )
    .into_bytes()
}

pub(crate) fn head(method: &str, target: &str, headers: &[(&str, &str)]) -> String {
    let mut request = format!("{method} {target} HTTP/1.1\r\nHost: registry.example\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request
}

impl Reply {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no answer: {bytes:?}"));
        let head = std::str::from_utf8(&bytes[..end]).expect("a head in ASCII");
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        Self {
            status: status.and_then(|text| text.parse().ok()).expect("a status"),
            headers,
            body: bytes[end + 4..].to_vec(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|(each, _)| each == name);
        header.map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    #[track_caller]
    pub(crate) fn is(&self, status: u16) -> &Self {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, status, "{:?} {text}", self.headers);
        self
    }

    /// An error with this status and code, as the spec writes it.
    #[track_caller]
    pub(crate) fn fails(&self, status: u16, code: &str) -> &Self {
        self.is(status);
        assert_eq!(self.header("content-type"), Some("application/json"));
        let json = self.json();
        assert_eq!(json["errors"][0]["code"], code, "{json}");
        assert!(json["errors"][0]["message"].is_string(), "{json}");
        self
    }
}
