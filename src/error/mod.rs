//! The one error type of every backend: a kind to match on, and what failed, on what, and why.

mod http_request;
mod kind;
mod registry_error;
mod value;

pub use kind::ErrorKind;
pub use registry_error::RegistryError;
pub use value::{CopySide, Error, Result, ResultExt};
