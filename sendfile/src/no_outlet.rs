//! The outlet of systems that cannot send files.

use tranship::{Body, ByteStream};

/// Makes bodies of files for one [`Connection`](crate::Connection). This system cannot send files, so it has no
/// values.
#[derive(Debug, Clone)]
pub enum Outlet {}

impl Outlet {
    /// Returns the bytes of `body` for a message on this connection.
    #[must_use]
    pub fn stream(&self, _body: Body) -> ByteStream {
        match *self {}
    }
}
