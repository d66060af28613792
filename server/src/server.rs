//! A service on a socket.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tower_service::Service;
use tranship::{Error, Result};
use tranship_sendfile::{Connection, Outlet};

use crate::heads::StrictHeads;
use crate::record::ClientAddress;
use crate::stall::Stallable;
#[cfg(feature = "tls")]
use crate::tls::Tls;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How long to wait after a connection could not be taken, as when the process has no file left.
const PAUSE: Duration = Duration::from_millis(50);

/// How much of what comes and goes a connection holds, in bytes; no head of a request is larger.
const BUFFER: usize = 64 * 1024;

/// A service, such as a [`RegistryService`](crate::RegistryService) or what wraps one, on a socket
/// over HTTP/1.1.
///
/// Dropping the future of [`run`](Self::run) closes all connections at once.
#[derive(Debug)]
pub struct Server<S> {
    listener: TcpListener,
    connections: Arc<Semaphore>,
    protocol: Protocol<S>,
    grace: Duration,
}

/// What each connection needs.
#[derive(Debug, Clone)]
struct Protocol<S> {
    service: S,
    header_timeout: Duration,
    write_timeout: Duration,
    #[cfg(feature = "tls")]
    tls: Option<Arc<Tls>>,
}

impl<S, B> Server<S>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + 'static,
    B: http_body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    /// Listens on `address`; port 0 is any that is free.
    ///
    /// # Errors
    /// What the system refuses the address with.
    pub async fn bind(address: impl ToSocketAddrs, service: S) -> Result<Self> {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| Error::io("the address cannot be listened on", error))?;
        Ok(Self::on(listener, service))
    }

    /// Takes connections from `listener`.
    pub fn on(listener: TcpListener, service: S) -> Self {
        Self {
            listener,
            connections: Arc::new(Semaphore::new(10_000)),
            protocol: Protocol {
                service,
                header_timeout: Duration::from_secs(30),
                write_timeout: Duration::from_secs(60),
                #[cfg(feature = "tls")]
                tls: None,
            },
            grace: Duration::from_secs(30),
        }
    }

    /// Has up to `count` connections open at a time, 10,000 unless set. Others wait.
    #[must_use]
    pub fn with_max_connections(mut self, count: usize) -> Self {
        self.connections = Arc::new(Semaphore::new(count.clamp(1, Semaphore::MAX_PERMITS)));
        self
    }

    /// Waits for `time` for the head of a request, the next one on an open connection too: half a
    /// minute unless set.
    #[must_use]
    pub fn with_header_timeout(mut self, time: Duration) -> Self {
        self.protocol.header_timeout = time;
        self
    }

    /// Waits for `time` for a client to take the next bytes of an answer: one minute unless set.
    #[must_use]
    pub fn with_write_timeout(mut self, time: Duration) -> Self {
        self.protocol.write_timeout = time;
        self
    }

    /// Gives requests under way `time` to finish when the server is to stop: half a minute unless set.
    #[must_use]
    pub fn with_grace(mut self, time: Duration) -> Self {
        self.grace = time;
        self
    }

    /// Takes connections over TLS only.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_tls(mut self, tls: Tls) -> Self {
        self.protocol.tls = Some(Arc::new(tls));
        self
    }

    /// The address that is listened on.
    ///
    /// # Errors
    /// What the system fails with.
    pub fn address(&self) -> Result<SocketAddr> {
        self.listener
            .local_addr()
            .map_err(|error| Error::io("the address of the socket is not known", error))
    }

    /// Serves until `shutdown` is done. Then no connection is taken any more, requests under way
    /// finish as [`with_grace`](Self::with_grace) says, and what is left is cut off.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let graceful = GracefulShutdown::new();
        let mut tasks = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            let accept = pin!(accept(&self.listener, &self.connections));
            let (stream, client, permit) = match select(shutdown.as_mut(), accept).await {
                Either::Left(_) => break,
                Either::Right((accepted, _)) => accepted,
            };
            let connection = self
                .protocol
                .clone()
                .connection(stream, client, graceful.watcher());
            tasks.spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%client, %error, "a connection broke off");
                }
                drop(permit);
            });
            // What has ended is forgotten.
            while tasks.try_join_next().is_some() {}
        }
        drop(self.listener);
        let finished = tokio::time::timeout(self.grace, graceful.shutdown()).await;
        if finished.is_err() {
            tracing::warn!("requests under way were cut off");
        }
    }
}

type Permit = tokio::sync::OwnedSemaphorePermit;

/// The next connection, when there is room for one.
async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, Option<Permit>) {
    // Nobody closes the semaphore.
    let permit = Arc::clone(connections).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, client)) => return (stream, client, permit),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

impl<S, B> Protocol<S>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + 'static,
    B: http_body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    async fn connection(
        self,
        stream: TcpStream,
        client: SocketAddr,
        watcher: Watcher,
    ) -> Result<(), BoxError> {
        // Answers are written whole, so waiting to gather more would only delay them.
        stream.set_nodelay(true)?;
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            let handshake = tls.acceptor().await.accept(stream);
            let stream = tokio::time::timeout(self.header_timeout, handshake).await??;
            return self.serve(stream, None, client, watcher).await;
        }
        let (connection, outlet) = Connection::new(stream);
        self.serve(connection, outlet, client, watcher).await
    }

    async fn serve(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        outlet: Option<Outlet>,
        client: SocketAddr,
        watcher: Watcher,
    ) -> Result<(), BoxError> {
        let service = self.service;
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ClientAddress(client));
            if let Some(outlet) = &outlet {
                request.extensions_mut().insert(outlet.clone());
            }
            let mut service = service.clone();
            async move {
                std::future::poll_fn(|context| service.poll_ready(context)).await?;
                service.call(request).await
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.header_timeout)
            .max_buf_size(BUFFER)
            .serve_connection(
                TokioIo::new(StrictHeads::new(Stallable::new(stream, self.write_timeout))),
                service,
            );
        Ok(watcher.watch(connection).await?)
    }
}
