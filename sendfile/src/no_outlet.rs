//! Where the system cannot send files, nothing is made of them.

use tranship::{Body, ByteStream};

/// Makes bodies of files for one [`Connection`](crate::Connection). This system cannot send files, so
/// there is none.
#[derive(Debug, Clone)]
pub enum Outlet {}

impl Outlet {
    /// The bytes of `body` for a message on this connection.
    #[must_use]
    pub fn stream(&self, _body: Body) -> ByteStream {
        match *self {}
    }
}
