//! Credentials, and the places that they are read from and stored in.

mod credential;
mod disk;
mod document;
mod environment;
mod files;
mod helper;
mod memory;
mod named_helper;
mod provider;
mod secret;
mod server;
mod store;
#[cfg(all(test, unix))]
mod test_helper;

pub use credential::Credential;
pub use environment::{Environment, EnvironmentCredentials};
pub use files::CredentialFiles;
pub use memory::MemoryCredentials;
pub use named_helper::HelperCredentials;
pub use provider::{CredentialProvider, Credentials, NoCredentials, StaticCredentials};
pub use secret::Secret;
pub use store::{CredentialStore, StoredIn};
