//! Registries that are reached over HTTP (distribution-spec).

mod auth;
mod credentials;

pub use credentials::{
    Credential, CredentialFiles, CredentialProvider, Credentials, Environment,
    EnvironmentCredentials, NoCredentials, Secret, StaticCredentials, StoredIn,
};
