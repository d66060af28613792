//! Large bodies over bare connections. A file is sent by the system, and the process never has its bytes;
//! what comes is read off the socket, and nothing else has a hand in it. No connection of a client that others
//! share can do either, so each such request has one of its own.

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use http::header::{HOST, TRANSFER_ENCODING, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use http_body::Body as _;
use hyper::client::conn::http1::{self, Builder, SendRequest};
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::error::Elapsed;
use tranship_sendfile::{Connection, Outlet};
use url::{Host, Url};

use super::gate::{Gate, Opener};
use super::proxies::Proxies;
use super::{connect, incoming};
use crate::options::RemoteOptions;
use crate::resolver::GuardedResolver;

/// From how many bytes on a connection of its own pays off.
const LARGE: u64 = 1024 * 1024;

/// What a request goes over.
pub(super) enum Route {
    /// A connection of its own, for a body that the system sends.
    Upload(DirectUpload),
    /// A connection of its own, for an answer that is read off the socket.
    Download(Box<DirectDownload>),
    /// Any connection that there is.
    Shared,
}

impl Route {
    /// What makes a body that the system sends.
    pub(super) fn outlet(&self) -> Option<&Outlet> {
        match self {
            Self::Upload(upload) => Some(&upload.outlet),
            Self::Download(_) | Self::Shared => None,
        }
    }
}

/// Makes connections to where nothing is between: no TLS, and no proxy.
#[derive(Debug)]
pub(super) struct Direct {
    resolver: GuardedResolver,
    resolve: Vec<(String, SocketAddr)>,
    connect_timeout: Duration,
    max_headers: usize,
    proxies: Proxies,
}

impl Direct {
    pub(super) fn new(
        options: &RemoteOptions,
        resolver: GuardedResolver,
        proxies: Proxies,
    ) -> Self {
        Self {
            resolver,
            resolve: options.resolve.clone(),
            connect_timeout: options.connect_timeout,
            max_headers: options.policy.max_headers,
            proxies,
        }
    }

    /// What a request to `url` goes over, whose body is a file of `outgoing` bytes, or whose answer has `expected`.
    ///
    /// # Errors
    /// When no connection was made in time, for which another client would only wait as long again.
    pub(super) async fn route(
        &self,
        url: &Url,
        outgoing: Option<u64>,
        expected: u64,
    ) -> Result<Route, Elapsed> {
        let stream = match self.connect(url, outgoing.unwrap_or(expected)).await? {
            Some(stream) => stream,
            None => return Ok(Route::Shared),
        };
        let made = match outgoing {
            Some(_) => self.upload(stream).await.map(Route::Upload),
            None => {
                let download = self.download(stream).await;
                download.map(|download| Route::Download(Box::new(download)))
            }
        };
        Ok(made.unwrap_or(Route::Shared))
    }

    async fn upload(&self, stream: TcpStream) -> Option<DirectUpload> {
        let (connection, outlet) = Connection::new(stream);
        let outlet = outlet?;
        let (sender, connection) = self.handshake(connection).await?;
        drive(connection);
        Some(DirectUpload { sender, outlet })
    }

    async fn download(&self, stream: TcpStream) -> Option<DirectDownload> {
        let (gate, opener) = Gate::new(stream);
        let (sender, connection) = self.handshake(gate).await?;
        Some(DirectDownload {
            sender,
            connection,
            opener,
        })
    }

    /// `None` where a connection of its own would be no better than any other, or cannot be had: another client
    /// has more ways, and says better what is wrong.
    async fn connect(&self, url: &Url, length: u64) -> Result<Option<TcpStream>, Elapsed> {
        if length < LARGE || url.scheme() != "http" || self.has_proxy(url) {
            return Ok(None);
        }
        let connecting = async {
            let addresses = self.addresses(url).await?;
            let stream = TcpStream::connect(addresses.as_slice()).await.ok()?;
            stream.set_nodelay(true).ok()?;
            Some(stream)
        };
        tokio::time::timeout(self.connect_timeout, connecting).await
    }

    async fn handshake<T: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
        &self,
        connection: T,
    ) -> Option<(
        SendRequest<reqwest::Body>,
        http1::Connection<TokioIo<T>, reqwest::Body>,
    )> {
        let mut builder = Builder::new();
        let builder = builder.max_headers(self.max_headers);
        builder.handshake(TokioIo::new(connection)).await.ok()
    }

    fn has_proxy(&self, url: &Url) -> bool {
        self.proxies.for_url(url).is_some()
    }

    async fn addresses(&self, url: &Url) -> Option<Vec<SocketAddr>> {
        let port = url.port_or_known_default()?;
        let name = match url.host()? {
            Host::Ipv4(address) => return Some(vec![(IpAddr::from(address), port).into()]),
            Host::Ipv6(address) => return Some(vec![(IpAddr::from(address), port).into()]),
            Host::Domain(name) => name,
        };
        let given = self.resolve.iter().rev().find(|(given, _)| given == name);
        let mut addresses = match given {
            Some((_, address)) => vec![*address],
            None => self.resolver.addresses(name).await.ok()?,
        };
        for address in &mut addresses {
            if url.port().is_some() || address.port() == 0 {
                address.set_port(port);
            }
        }
        Some(addresses)
    }
}

/// Goes on with a connection, which ends with its request, or when nobody waits for the answer any more.
fn drive<T: Read + Write + Send + Unpin + 'static>(
    connection: http1::Connection<T, reqwest::Body>,
) {
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection broke off");
        }
    });
}

/// A connection for one request with a body.
#[derive(Debug)]
pub(super) struct DirectUpload {
    sender: SendRequest<reqwest::Body>,
    outlet: Outlet,
}

impl DirectUpload {
    /// Sends the request and waits for the head of the answer.
    pub(super) async fn send(
        mut self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: reqwest::Body,
    ) -> hyper::Result<reqwest::Response> {
        let request = request(method, url, headers, body);
        let response = self.sender.send_request(request).await?;
        Ok(response.map(reqwest::Body::wrap).into())
    }
}

/// A connection for one request without a body.
#[derive(Debug)]
pub(super) struct DirectDownload {
    sender: SendRequest<reqwest::Body>,
    connection: http1::Connection<TokioIo<Gate>, reqwest::Body>,
    opener: Opener,
}

impl DirectDownload {
    /// Sends the request and waits for the head of the answer.
    pub(super) async fn send(
        mut self,
        url: &Url,
        headers: HeaderMap,
    ) -> hyper::Result<reqwest::Response> {
        let request = request(Method::GET, url, headers, reqwest::Body::default());
        let sending = pin!(self.sender.send_request(request));
        let response = match select(sending, &mut self.connection).await {
            Either::Left((response, _)) => response?,
            // There was nothing behind the head.
            Either::Right((ended, sending)) => {
                ended?;
                return Ok(sending.await?.map(reqwest::Body::wrap).into());
            }
        };
        let is_coded = response.headers().contains_key(TRANSFER_ENCODING);
        let Some(length) = response.body().size_hint().exact().filter(|_| !is_coded) else {
            self.opener.open();
            drive(self.connection);
            return Ok(response.map(reqwest::Body::wrap).into());
        };
        let (head, _) = response.into_parts();
        let (stream, ahead) = self.connection.into_parts().io.into_inner().into_parts();
        let body = reqwest::Body::wrap_stream(incoming::body(stream, ahead, length));
        Ok(http::Response::from_parts(head, body).into())
    }
}

fn request(
    method: Method,
    url: &Url,
    headers: HeaderMap,
    body: reqwest::Body,
) -> Request<reqwest::Body> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = origin_form(url);
    *request.headers_mut() = headers;
    let headers = request.headers_mut();
    if let Some(host) = host(url) {
        headers.entry(HOST).or_insert(host);
    }
    let agent = HeaderValue::from_static(connect::USER_AGENT);
    headers.entry(USER_AGENT).or_insert(agent);
    request
}

/// The path and the query, which is all that a server wants of a URL. Each URL has one.
fn origin_form(url: &Url) -> Uri {
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    target.parse().unwrap_or_default()
}

fn host(url: &Url) -> Option<HeaderValue> {
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    host.parse().ok()
}

#[cfg(test)]
mod tests;
