//! Small documents from hosts that are not registries.

use bytes::{Bytes, BytesMut};
use http::Method;
use http::header::{ACCEPT, HeaderValue};
use tranship::{Error, ErrorKind, Result};
use url::Url;

use super::connect::clients;
use super::failure;
use crate::options::RemoteOptions;
use crate::resolver::GuardedResolver;

/// Fetches small documents from hosts that are not registries, such as the public keys of an issuer of tokens. Of the
/// options, those about TLS, proxies, addresses and limits apply. Nothing is sent that identifies the caller.
#[derive(Debug, Clone, Default)]
pub struct DocumentClient {
    options: RemoteOptions,
}

impl DocumentClient {
    /// Connects as `options` say.
    #[must_use]
    pub fn new(options: RemoteOptions) -> Self {
        Self { options }
    }

    /// Fetches the document at `url`. Redirects are not followed.
    ///
    /// Dropping the future ends the request.
    ///
    /// # Errors
    /// - [`InvalidInput`](ErrorKind::InvalidInput) if `url` is not a URL, or an option is invalid.
    /// - [`Unavailable`](ErrorKind::Unavailable) if the response has another status than 200.
    /// - [`SizeExceedsLimit`](ErrorKind::SizeExceedsLimit) if the document is larger than
    ///   [`max_token_size`](crate::SecurityPolicy::max_token_size).
    /// - [`Timeout`](ErrorKind::Timeout) if it takes longer than
    ///   [`max_metadata_time`](crate::SecurityPolicy::max_metadata_time).
    /// - The error of the connection.
    pub async fn get(&self, url: &str) -> Result<Bytes> {
        let limit = self.options.policy.max_metadata_time;
        let fetched = tokio::time::timeout(limit, self.fetch(url)).await;
        let fetched = fetched.unwrap_or_else(|_| {
            let message = "the document did not arrive in time";
            Err(Error::new(ErrorKind::Timeout, message))
        });
        fetched.map_err(|error| error.with_subject(url))
    }

    async fn fetch(&self, url: &str) -> Result<Bytes> {
        let url = Url::parse(url)
            .map_err(|_| Error::new(ErrorKind::InvalidInput, "the document has no valid URL"))?;
        let policy = self.options.policy;
        let resolver = GuardedResolver::new(&url, &self.options.resolve, policy);
        let client = clients(&url, &self.options, resolver)?.small;
        let request = client
            .request(Method::GET, &url)
            .header(ACCEPT, HeaderValue::from_static("application/json"));
        let is_http = url.scheme() == "http";
        let sent = client.send(&url, request, is_http).await;
        let mut response = sent.map_err(|failed| failed.error)?;
        if response.status() != http::StatusCode::OK {
            let status = response.status().as_u16();
            let message = format!("the server responded with status {status}");
            return Err(failure::protocol(message).with_http_status(status));
        }
        let mut document = BytesMut::new();
        let failed = |error| failure::of_network(error, is_http);
        while let Some(piece) = response.chunk().await.map_err(failed)? {
            if (document.len() + piece.len()) as u64 > policy.max_token_size {
                let message = "the document is too large";
                return Err(Error::new(ErrorKind::SizeExceedsLimit, message));
            }
            document.extend_from_slice(&piece);
        }
        Ok(document.freeze())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// Fetches a document from a server on this machine that sends `response`.
    async fn get(response: String) -> Result<Bytes> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("an address");
        let server = async {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut request = [0; 4096];
            let length = stream.read(&mut request).await.expect("a request");
            assert!(request[..length].starts_with(b"GET /keys HTTP/1.1\r\n"));
            // The client may close the connection before it has read everything.
            let _ = stream.write_all(response.as_bytes()).await;
        };
        let client = DocumentClient::default();
        let url = format!("http://{address}/keys");
        tokio::join!(client.get(&url), server).0
    }

    fn response(status: &str, length: usize) -> String {
        let body = "a".repeat(length);
        format!(
            "HTTP/1.1 {status}\r\nConnection: close\r\nLocation: /other\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
    }

    #[tokio::test]
    async fn a_document_is_returned_whole() {
        let document = get(response("200 OK", 100_000)).await.expect("a document");
        assert_eq!(document.len(), 100_000);
    }

    #[tokio::test]
    async fn other_statuses_and_large_documents_are_errors() {
        let large = get(response("200 OK", 200_000)).await;
        assert_eq!(
            large.expect_err("large").kind(),
            ErrorKind::SizeExceedsLimit
        );
        for status in ["302 Found", "404 Not Found", "500 Internal Server Error"] {
            let error = get(response(status, 1)).await.expect_err(status);
            let code = status.split(' ').next().and_then(|code| code.parse().ok());
            assert_eq!(error.http_status(), code);
        }
        let error = DocumentClient::default().get("not a URL").await;
        assert_eq!(error.expect_err("no URL").kind(), ErrorKind::InvalidInput);
    }
}
