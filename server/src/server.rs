//! Serving on a socket.

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

#[cfg(feature = "tls")]
use crate::client_certificate;
use crate::peer::Peer;
use crate::request_heads::RequestHeadValidator;
#[cfg(feature = "tls")]
use crate::tls::Tls;
use crate::write_timeout::WriteTimeout;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How long to wait after a connection could not be accepted, for example because too many files are open.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);

/// The size of the buffers of a connection, in bytes, and the largest head of a request.
const BUFFER_SIZE: usize = 64 * 1024;

/// Serves a [`RegistryService`](crate::RegistryService), or a service that wraps one, over HTTP/1.1.
///
/// Dropping the future of [`run`](Self::run) closes all connections at once.
#[derive(Debug)]
pub struct Server<S> {
    listener: TcpListener,
    connections: Arc<Semaphore>,
    settings: ConnectionSettings<S>,
    grace: Duration,
}

/// The settings of each connection.
#[derive(Debug, Clone)]
struct ConnectionSettings<S> {
    service: S,
    header_timeout: Duration,
    write_timeout: Duration,
    #[cfg(feature = "tls")]
    tls: Option<Arc<Tls>>,
}

impl<S> Server<S> {
    /// Accepts up to `count` connections at a time, 10,000 by default. Others wait.
    #[must_use]
    pub fn with_max_connections(mut self, count: usize) -> Self {
        self.connections = Arc::new(Semaphore::new(count.clamp(1, Semaphore::MAX_PERMITS)));
        self
    }

    /// Waits up to `time` for the head of a request, also of the next one on an open connection. 30 seconds by default.
    #[must_use]
    pub fn with_header_timeout(mut self, time: Duration) -> Self {
        self.settings.header_timeout = time;
        self
    }

    /// Waits up to `time` for a client to read the next bytes of a response. One minute by default.
    #[must_use]
    pub fn with_write_timeout(mut self, time: Duration) -> Self {
        self.settings.write_timeout = time;
        self
    }

    /// Gives requests under way up to `time` to finish when the server stops. 30 seconds by default.
    #[must_use]
    pub fn with_grace(mut self, time: Duration) -> Self {
        self.grace = time;
        self
    }

    /// Accepts connections over TLS only.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_tls(mut self, tls: Tls) -> Self {
        self.settings.tls = Some(Arc::new(tls));
        self
    }

    /// Returns the address of the socket.
    ///
    /// # Errors
    /// The error of the system.
    pub fn address(&self) -> Result<SocketAddr> {
        self.listener
            .local_addr()
            .map_err(|error| Error::io("the address of the socket is not known", error))
    }
}

impl<S, B> Server<S>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + 'static,
    B: http_body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    /// Listens on `address`; port 0 chooses a free one.
    ///
    /// # Errors
    /// The error of the system if it refuses the address.
    pub async fn bind(address: impl ToSocketAddrs, service: S) -> Result<Self> {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| Error::io("cannot listen on the address", error))?;
        Ok(Self::on(listener, service))
    }

    /// Accepts connections from `listener`.
    pub fn on(listener: TcpListener, service: S) -> Self {
        Self {
            listener,
            connections: Arc::new(Semaphore::new(10_000)),
            settings: ConnectionSettings {
                service,
                header_timeout: Duration::from_secs(30),
                write_timeout: Duration::from_secs(60),
                #[cfg(feature = "tls")]
                tls: None,
            },
            grace: Duration::from_secs(30),
        }
    }

    /// Serves until `shutdown` completes. From then on no connection is accepted, requests under way get the time of
    /// [`with_grace`](Self::with_grace) to finish, and the remaining connections are closed.
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
                .settings
                .clone()
                .connection(stream, client, graceful.watcher());
            tasks.spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%client, %error, "a connection broke off");
                }
                drop(permit);
            });
            // Frees the memory of tasks that have ended.
            while tasks.try_join_next().is_some() {}
        }
        drop(self.listener);
        let finished = tokio::time::timeout(self.grace, graceful.shutdown()).await;
        if finished.is_err() {
            tracing::warn!("requests under way were cut off");
            // Requests are handled until this has ended.
            tasks.shutdown().await;
        }
    }
}

type Permit = tokio::sync::OwnedSemaphorePermit;

/// Accepts the next connection when there are fewer than the limit.
async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, Option<Permit>) {
    // The semaphore is never closed.
    let permit = Arc::clone(connections).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, client)) => return (stream, client, permit),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }
}

impl<S, B> ConnectionSettings<S>
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
        // Responses are written in large pieces, so Nagle's algorithm would only delay them.
        stream.set_nodelay(true)?;
        let peer = Peer::default().with_address(client);
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            let handshake = tls.acceptor().await.accept(stream);
            let stream = tokio::time::timeout(self.header_timeout, handshake).await??;
            let certificates = stream.get_ref().1.peer_certificates();
            let certificate = certificates.and_then(<[_]>::first);
            let user = certificate.and_then(|certificate| client_certificate::user(certificate));
            let peer = peer.with_tls(true).with_user(user);
            return self.serve(stream, None, peer, watcher).await;
        }
        let (connection, outlet) = Connection::new(stream);
        self.serve(connection, outlet, peer, watcher).await
    }

    async fn serve(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        outlet: Option<Outlet>,
        peer: Peer,
        watcher: Watcher,
    ) -> Result<(), BoxError> {
        let service = self.service;
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer.clone());
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
            .max_buf_size(BUFFER_SIZE)
            .serve_connection(
                TokioIo::new(RequestHeadValidator::new(WriteTimeout::new(
                    stream,
                    self.write_timeout,
                ))),
                service,
            );
        Ok(watcher.watch(connection).await?)
    }
}
