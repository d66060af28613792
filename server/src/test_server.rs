//! A server for tests.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::task::JoinHandle;
use tower_service::Service;
use tranship::{Registry, Result};

use crate::{Server, ServerOptions, router};

/// A server on a free port of this machine, which stops when it is dropped.
#[derive(Debug)]
pub struct TestServer {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl TestServer {
    /// Serves `registry` with the default options.
    ///
    /// # Errors
    /// The error of the system if it refuses a port.
    pub async fn start(registry: Arc<dyn Registry>) -> Result<Self> {
        Self::serve(router(registry, ServerOptions::default())).await
    }

    /// Serves `service`: a [`RegistryService`](crate::RegistryService), or a service that wraps one.
    ///
    /// # Errors
    /// The error of the system if it refuses a port.
    pub async fn serve<S, B>(service: S) -> Result<Self>
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>, Future: Send>
            + Clone
            + Send
            + 'static,
        B: http_body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        let server = Server::bind((Ipv4Addr::LOCALHOST, 0), service).await?;
        let address = server.address()?;
        let task = tokio::spawn(server.run(std::future::pending()));
        Ok(Self { address, task })
    }

    /// Returns the address of the server.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address as the host of a URL or a reference: `127.0.0.1:PORT`.
    #[must_use]
    pub fn host(&self) -> String {
        self.address.to_string()
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Drop for TestServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
