//! Registries to talk to: a real one in memory, and one that answers whatever a test wants.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use tokio::runtime::Runtime;
use tranship_conformance::http::FaultProxy;
use tranship_memory::MemoryRegistry;
use tranship_server::{
    Access, Htpasswd, NamePattern, Permission, ServerOptions, TestServer, router,
};

use crate::support::Workplace;

pub(crate) const USER: &str = "tester";
/// It has a colon and a letter beyond ASCII.
pub(crate) const PASSWORD: &str = "not:a sécret";
/// `USER:PASSWORD`, as it is sent and stored.
pub(crate) const BASIC: &str = "dGVzdGVyOm5vdDphIHPDqWNyZXQ=";
/// By bcrypt, at its least cost.
pub(crate) const HTPASSWD: &str =
    "tester:$2b$04$ScGGtpfQw1cqtpM..HY7z.pHpPIY1rEUuTSxrQN4rQZzyY01E7BAq\n";

/// An empty registry on a free port, until it is dropped.
pub(crate) struct TestRegistry {
    server: TestServer,
    runtime: Runtime,
}

impl TestRegistry {
    /// One that lets everybody do everything.
    pub(crate) fn open() -> Self {
        Self::start(|_| ServerOptions::default())
    }

    /// One that wants [`USER`] and [`PASSWORD`].
    pub(crate) fn closed(workplace: &Workplace) -> Self {
        Self::with_access(workplace, |access| access)
    }

    /// One that lets everybody read, and the user too, but nobody write.
    pub(crate) fn readable(workplace: &Workplace) -> Self {
        Self::with_access(workplace, |access| {
            let all = "**".parse().expect("a pattern");
            let access = access.with_anonymous_read(NamePattern::all());
            access.with_grant(USER, all, Permission::Read)
        })
    }

    fn with_access(workplace: &Workplace, access: impl FnOnce(Access) -> Access) -> Self {
        workplace.write("htpasswd", HTPASSWD);
        let path = workplace.path("htpasswd");
        Self::start(|runtime| {
            let users = runtime.block_on(Htpasswd::open(path)).expect("users");
            ServerOptions::default().with_access(access(Access::new(users)))
        })
    }

    fn start(options: impl FnOnce(&Runtime) -> ServerOptions) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let service = router(Arc::new(MemoryRegistry::new()), options(&runtime));
        let server = runtime.block_on(TestServer::serve(service));
        Self {
            server: server.expect("a server"),
            runtime,
        }
    }

    pub(crate) fn host(&self) -> String {
        self.server.host()
    }

    /// A proxy in front of it, until it is dropped.
    pub(crate) fn proxy(&self) -> FaultProxy {
        let proxy = FaultProxy::start(self.server.address());
        self.runtime.block_on(proxy).expect("a proxy")
    }

    pub(crate) fn port(&self) -> u16 {
        self.server.address().port()
    }
}

/// What a client asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Method and target, such as `GET /v2/`.
    pub(crate) line: String,
    /// The header lines, names in lower case.
    pub(crate) headers: Vec<String>,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter_map(|line| line.split_once(": "));
        values.find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

/// A server that answers each request by a function, with an HTTP message or with anything else. It
/// listens until the process ends.
pub(crate) struct Scripted {
    host: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Scripted {
    pub(crate) fn start(answer: impl Fn(&Asked) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let host = listener.local_addr().expect("an address").to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Some((mut stream, request)) = stream.ok().and_then(read) else {
                    continue;
                };
                let answer = answer(&request);
                kept.lock().expect("no panic").push(request);
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { host, asked }
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }
}

fn read(stream: TcpStream) -> Option<(TcpStream, Asked)> {
    let mut reader = BufReader::new(stream);
    // No method begins as TLS does.
    let first = reader.fill_buf().ok()?.first().copied()?;
    if !first.is_ascii_alphabetic() {
        return None;
    }
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let first = head.first()?.rsplit_once(' ')?.0.to_owned();
    let mut asked = Asked {
        line: first,
        headers: head.split_off(1),
        body: String::new(),
    };
    let length = asked.header("content-length").map_or(Ok(0), str::parse);
    let mut body = vec![0; length.ok()?];
    reader.read_exact(&mut body).ok()?;
    asked.body = String::from_utf8(body).ok()?;
    Some((reader.into_inner(), asked))
}

/// An HTTP message that ends the connection.
pub(crate) fn message(status: &str, headers: &[&str], body: &str) -> String {
    let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}
