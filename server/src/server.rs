//! A service on a socket.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::task::JoinSet;
use tower_service::Service;
use tranship::{Error, Result};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How long a client may take for the head of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long to wait after a connection could not be taken, as when the process has no file left.
const PAUSE: Duration = Duration::from_millis(50);

/// How long requests under way may take once the server is to stop.
const GRACE: Duration = Duration::from_secs(30);

/// A service, such as a [`RegistryService`](crate::RegistryService) or what wraps one, on a socket
/// over HTTP/1.1.
///
/// Dropping the future of [`run`](Self::run) closes all connections at once.
#[derive(Debug)]
pub struct Server<S> {
    listener: TcpListener,
    service: S,
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
        Self { listener, service }
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

    /// Serves until `shutdown` is done. Then no connection is taken any more, and requests under way
    /// have half a minute to finish.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            let accept = pin!(self.listener.accept());
            match select(shutdown.as_mut(), accept).await {
                Either::Left(_) => break,
                Either::Right((Ok((stream, _)), _)) => {
                    let connection = serve(stream, self.service.clone());
                    let connection = graceful.watch(connection);
                    connections.spawn(async move {
                        if let Err(error) = connection.await {
                            tracing::debug!(%error, "a connection broke off");
                        }
                    });
                    // What has ended is forgotten.
                    while connections.try_join_next().is_some() {}
                }
                Either::Right((Err(error), _)) => {
                    tracing::warn!(%error, "a connection could not be taken");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        drop(self.listener);
        if tokio::time::timeout(GRACE, graceful.shutdown())
            .await
            .is_err()
        {
            tracing::warn!("requests under way were cut off");
        }
    }
}

type Connection<F> = http1::Connection<TokioIo<TcpStream>, F>;

fn serve<S, B>(
    stream: TcpStream,
    service: S,
) -> Connection<
    impl hyper::service::Service<
        Request<Incoming>,
        Response = Response<B>,
        Error = BoxError,
        Future: Send,
    > + Send,
>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + 'static,
    B: http_body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    // Answers are written whole, so waiting to gather more would only delay them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a socket keeps its delay");
    }
    let service = service_fn(move |request| {
        let mut service = service.clone();
        async move {
            std::future::poll_fn(|context| service.poll_ready(context))
                .await
                .map_err(Into::into)?;
            service.call(request).await.map_err(Into::into)
        }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
}
