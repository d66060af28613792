//! Files on their way over a bare connection: the system sends them, and the process never has their
//! bytes. No connection of a client that others share can do that, so each upload has one of its own.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http::header::{HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tranship_sendfile::{Connection, Outlet};
use url::{Host, Url};

use super::connect;
use crate::options::RemoteOptions;
use crate::policy::is_this_machine;
use crate::resolver::GuardedResolver;

/// From how many bytes on a connection of its own pays off.
const LARGE: u64 = 1024 * 1024;

/// Makes connections to where nothing is between: no TLS, and no proxy.
#[derive(Debug)]
pub(super) struct Direct {
    resolver: GuardedResolver,
    resolve: Vec<(String, SocketAddr)>,
    connect_timeout: Duration,
    max_headers: usize,
    /// `None` where the options name a proxy.
    proxies: Option<Matcher>,
}

impl Direct {
    pub(super) fn new(options: &RemoteOptions, resolver: GuardedResolver) -> Self {
        Self {
            resolver,
            resolve: options.resolve.clone(),
            connect_timeout: options.connect_timeout,
            max_headers: options.policy.max_headers,
            proxies: options.proxy.is_none().then(Matcher::from_env),
        }
    }

    /// A connection to `url` for `length` bytes. `None` where one would be no better than any other, or
    /// cannot be had: another client has more ways, and says better what is wrong.
    pub(super) async fn connect(&self, url: &Url, length: u64) -> Option<DirectConnection> {
        if length < LARGE || url.scheme() != "http" || self.has_proxy(url) {
            return None;
        }
        let connecting = async {
            let addresses = self.addresses(url).await?;
            TcpStream::connect(addresses.as_slice()).await.ok()
        };
        let connecting = tokio::time::timeout(self.connect_timeout, connecting);
        let stream = connecting.await.ok()??;
        stream.set_nodelay(true).ok()?;
        let (connection, outlet) = Connection::new(stream);
        let outlet = outlet?;
        let (sender, connection) = Builder::new()
            .max_headers(self.max_headers)
            .handshake(TokioIo::new(connection))
            .await
            .ok()?;
        // It ends with the request, or when nobody waits for the answer any more.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection broke off");
            }
        });
        Some(DirectConnection { sender, outlet })
    }

    fn has_proxy(&self, url: &Url) -> bool {
        let Some(proxies) = &self.proxies else {
            return true;
        };
        if url.host().is_some_and(is_this_machine) {
            return false;
        }
        let uri = url.as_str().parse::<Uri>();
        uri.map_or(true, |uri| proxies.intercept(&uri).is_some())
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

/// A connection for one request.
#[derive(Debug)]
pub(super) struct DirectConnection {
    sender: SendRequest<reqwest::Body>,
    /// What makes the body of that request.
    pub(super) outlet: Outlet,
}

impl DirectConnection {
    /// Sends the request and waits for the head of the answer.
    pub(super) async fn send(
        mut self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: reqwest::Body,
    ) -> Result<reqwest::Response, hyper::Error> {
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
        let response = self.sender.send_request(request).await?;
        Ok(response.map(reqwest::Body::wrap).into())
    }
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
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().expect("a URL")
    }

    fn direct(options: &RemoteOptions) -> Direct {
        Direct::new(options, GuardedResolver::new("localhost", false))
    }

    #[test]
    fn a_request_names_its_path_and_query_and_the_host_with_an_unusual_port() {
        for (text, target, named) in [
            (
                "http://localhost:5000/v2/a/?b=c%2F#d",
                "/v2/a/?b=c%2F",
                "localhost:5000",
            ),
            ("http://localhost:80/", "/", "localhost"),
            ("http://user:secret@[::1]:5000", "/", "[::1]:5000"),
        ] {
            assert_eq!(origin_form(&url(text)), target);
            assert_eq!(host(&url(text)).expect("a host"), named);
        }
    }

    #[tokio::test]
    async fn names_lead_where_the_options_say() {
        let address = "127.0.0.9:0".parse().expect("an address");
        let options = RemoteOptions::default().with_resolve("registry.test", address);
        let found = direct(&options)
            .addresses(&url("http://registry.test:5000/"))
            .await;
        assert_eq!(found, Some(vec!["127.0.0.9:5000".parse().expect("one")]));
    }

    #[tokio::test]
    async fn addresses_are_what_they_are() {
        for (text, expected) in [
            ("http://127.0.0.1:5000/", "127.0.0.1:5000"),
            ("http://[::1]/", "[::1]:80"),
        ] {
            let found = direct(&RemoteOptions::default())
                .addresses(&url(text))
                .await;
            assert_eq!(found, Some(vec![expected.parse().expect("one")]));
        }
    }

    #[test]
    fn nothing_goes_past_a_proxy_that_the_options_name() {
        let options =
            RemoteOptions::default().with_proxy(Some("http://proxy.test:3128".to_owned()));
        assert!(direct(&options).has_proxy(&url("http://localhost:5000/")));
        assert!(!direct(&RemoteOptions::default()).has_proxy(&url("http://localhost:5000/")));
    }

    #[tokio::test]
    async fn small_bodies_and_tls_have_no_connection_of_their_own() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let address = listener.local_addr().expect("an address");
        let direct = direct(&RemoteOptions::default());
        let plain = url(&format!("http://{address}/"));
        assert!(direct.connect(&plain, LARGE - 1).await.is_none());
        assert!(
            direct
                .connect(&url(&format!("https://{address}/")), LARGE)
                .await
                .is_none()
        );
        let connection = direct.connect(&plain, LARGE).await;
        assert_eq!(connection.is_some(), cfg!(target_os = "linux"));
    }
}
