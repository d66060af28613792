//! A server that sends the responses of a test, and records the requests.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use rustls::crypto::ring;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ConfigBuilder, ServerConfig, WantsVerifier};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tranship::{Descriptor, Digest, MediaType, RepositoryName};
use tranship_remote::{RemoteOptions, RemoteRegistry, RemoteRepository, RetryPolicy};

/// The host name of servers that speak TLS.
pub(crate) const SECURE_NAME: &str = "registry.example.com";

/// The begin of a server's configuration, over ring whatever provider the client uses.
pub(crate) fn server_config() -> ConfigBuilder<ServerConfig, WantsVerifier> {
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has the suites")
}

/// A received request.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// The path and the query.
    pub(crate) target: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let (_, value) = headers.find(|(found, _)| found.eq_ignore_ascii_case(name))?;
        Some(value)
    }

    /// Everything that was sent, to look for what should not be in it.
    pub(crate) fn text(&self) -> String {
        format!("{self:?}{}", String::from_utf8_lossy(&self.body))
    }
}

/// A response.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Body,
}

#[derive(Debug, Clone)]
enum Body {
    Whole(Vec<u8>),
    /// The piece again and again.
    Endless(Vec<u8>),
    /// No end of the head: this header again and again.
    EndlessHead(String),
}

impl Reply {
    pub(crate) fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Body::Whole(Vec::new()),
        }
    }

    pub(crate) fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Body::Whole(body.into());
        self
    }

    pub(crate) fn endless(mut self, piece: impl Into<Vec<u8>>) -> Self {
        self.body = Body::Endless(piece.into());
        self
    }

    pub(crate) fn endless_head(mut self, header: &str) -> Self {
        self.body = Body::EndlessHead(header.to_owned());
        self
    }

    pub(crate) fn redirect(location: impl ToString) -> Self {
        Self::new(307).header("location", location)
    }
}

type Handler = dyn Fn(&Seen) -> Reply + Send + Sync;

/// A server on a free port of this machine.
pub(crate) struct Fake {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    seen: Mutex<Vec<Seen>>,
    sent: AtomicU64,
    handler: Box<Handler>,
}

impl Fake {
    pub(crate) async fn start(handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_on(Ipv4Addr::LOCALHOST.into(), handler).await
    }

    pub(crate) async fn start_on(
        address: IpAddr,
        handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::listen(address, None, handler).await
    }

    /// Over TLS, and the certificate of whom it is to be trusted for the name [`SECURE_NAME`].
    pub(crate) async fn start_secure(
        handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> (Self, String) {
        let names = vec![SECURE_NAME.to_owned()];
        let certified = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let key = PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
        let config = server_config()
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key.into())
            .expect("a configuration");
        let fake = Self::start_over_tls(config, handler).await;
        (fake, certified.cert.pem())
    }

    pub(crate) async fn start_over_tls(
        config: ServerConfig,
        handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let tls = TlsAcceptor::from(Arc::new(config));
        Self::listen(Ipv4Addr::LOCALHOST.into(), Some(tls), handler).await
    }

    async fn listen(
        address: IpAddr,
        tls: Option<TlsAcceptor>,
        handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((address, 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            seen: Mutex::default(),
            sent: AtomicU64::new(0),
            handler: Box::new(handler),
        });
        let serving = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (serving, tls) = (Arc::clone(&serving), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, serving).await,
                        Some(tls) => {
                            // It fails where the client does not want the certificate.
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, serving).await;
                            }
                        }
                    }
                });
            }
        });
        Self {
            address,
            shared,
            task,
        }
    }

    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().expect("no panic").clone()
    }

    /// Returns how many bytes of responses the server has written.
    pub(crate) fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Relaxed)
    }

    #[track_caller]
    pub(crate) fn was_not_asked(&self) {
        assert!(self.seen().is_empty(), "{:?}", self.seen());
    }

    /// A client that does not try again for long.
    pub(crate) fn client(&self, options: RemoteOptions) -> RemoteRegistry {
        let retry = RetryPolicy::default()
            .with_max_retries(2)
            .with_first_pause(std::time::Duration::from_millis(1));
        let host = self.host().parse().expect("a name");
        RemoteRegistry::with_options(&host, options.with_retry(retry)).expect("a client")
    }

    pub(crate) fn repository(&self) -> RemoteRepository {
        self.client(RemoteOptions::default()).open(&name())
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn serve(stream: impl Stream, shared: Arc<Shared>) {
    let mut stream = BufReader::new(stream);
    while let Some(seen) = read(&mut stream).await {
        let reply = (shared.handler)(&seen);
        let is_head = seen.method == "HEAD";
        let is_last = reply.headers.iter().any(|(name, _)| name == "connection");
        shared.seen.lock().expect("no panic").push(seen);
        let written = write(stream.get_mut(), reply, is_head, &shared.sent).await;
        if written.is_err() || is_last {
            return;
        }
    }
}

async fn read(stream: &mut BufReader<impl Stream>) -> Option<Seen> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
        // No method begins like this, and TLS does.
        if !head[0].is_ascii_alphabetic() {
            return None;
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut seen = Seen {
        method,
        target,
        headers: headers.collect(),
        body: Vec::new(),
    };
    let length = seen.header("content-length");
    let length = length.map_or(0, |length| length.parse().expect("a length"));
    seen.body = vec![0; length];
    stream.read_exact(&mut seen.body).await.ok()?;
    Some(seen)
}

async fn write(
    stream: &mut impl Stream,
    reply: Reply,
    is_head: bool,
    sent: &AtomicU64,
) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} Whatever\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let has_length = reply
        .headers
        .iter()
        .any(|(name, _)| name == "content-length" || name == "transfer-encoding");
    match &reply.body {
        Body::Whole(body) if !has_length => {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        Body::Endless(_) if !has_length => head.push_str("transfer-encoding: chunked\r\n"),
        _ => {}
    }
    let mut put = async |bytes: &[u8]| {
        stream.write_all(bytes).await?;
        sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        std::io::Result::Ok(())
    };
    if let Body::EndlessHead(header) = &reply.body {
        put(head.as_bytes()).await?;
        for number in 0_u64.. {
            put(format!("x-{number}: {header}\r\n").as_bytes()).await?;
        }
    }
    put(format!("{head}\r\n").as_bytes()).await?;
    match &reply.body {
        _ if is_head => stream.flush().await,
        Body::Endless(piece) if has_length => loop {
            put(piece).await?;
        },
        Body::Endless(piece) => {
            let length = format!("{:x}\r\n", piece.len());
            let chunk = [length.as_bytes(), piece, b"\r\n"].concat();
            loop {
                put(&chunk).await?;
            }
        }
        Body::Whole(body) => {
            put(body).await?;
            stream.flush().await
        }
        Body::EndlessHead(_) => Ok(()),
    }
}

pub(crate) fn name() -> RepositoryName {
    "library/app".parse().expect("a name")
}

/// The content of a blob.
pub(crate) const HELLO: &[u8] = b"hello";

/// The descriptor of a blob.
pub(crate) fn blob(content: &[u8]) -> Descriptor {
    Descriptor::of(MediaType::OCTET_STREAM, content)
}

/// Returns a descriptor that claims `size` bytes.
pub(crate) fn claimed(size: u64) -> Descriptor {
    Descriptor::new(MediaType::OCTET_STREAM, Digest::of(b"claimed"), size)
}
