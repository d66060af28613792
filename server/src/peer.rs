//! The other end of a connection.

use std::net::SocketAddr;
use std::sync::Arc;

use http::Extensions;

/// The other end of the connection on which a request arrived.
///
/// [`Server`](crate::Server) puts it into the extensions of every request. A program that runs the service in another
/// server does the same, so that addresses are in the log and limits per address apply:
///
/// ```
/// use tranship_server::Peer;
///
/// let address = ([192, 0, 2, 1], 50_000).into();
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(Peer::default().with_address(address));
/// assert_eq!(Peer::of(request.extensions()).address, Some(address));
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Default)]
pub struct Peer {
    /// The address of the client. It is that of the nearest proxy, if there is one. None by default.
    pub address: Option<SocketAddr>,
    /// Whether the connection uses TLS. False by default.
    pub is_tls: bool,
    /// The user that the certificate of the client names, if the server has verified one. [`Access`](crate::Access)
    /// trusts it like a password. None by default.
    pub user: Option<Arc<str>>,
}

impl Peer {
    /// Returns the peer in the extensions of a request, or the default if there is none.
    #[must_use]
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get().cloned().unwrap_or_default()
    }

    /// Sets the address of the client.
    #[must_use]
    pub fn with_address(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// Sets whether the connection uses TLS.
    #[must_use]
    pub fn with_tls(mut self, is_tls: bool) -> Self {
        self.is_tls = is_tls;
        self
    }

    /// Sets the user that the certificate of the client names. The certificate must have been verified.
    #[must_use]
    pub fn with_user(mut self, user: Option<Arc<str>>) -> Self {
        self.user = user;
        self
    }
}
