//! The arguments of `login` and `logout`.

use clap::Args;
use tranship::RegistryName;
use tranship_backends::remote::Secret;

/// Keep the credentials for a registry, once it has accepted them
///
/// Asks for what is not given. They are kept where docker and podman look for them, by their credential helper if one
/// is configured.
#[derive(Debug, Args)]
pub(crate) struct Login {
    /// The registry's host, as ghcr.io or localhost:5000
    #[arg(value_name = "REGISTRY")]
    pub(crate) registry: RegistryName,
    /// The user name
    #[arg(long, short, value_name = "NAME")]
    pub(crate) username: Option<String>,
    /// The password. Other users of this machine can see it, and the shell may keep it: better use --password-stdin
    #[arg(long, short, value_name = "PASSWORD", conflicts_with_all = ["password_stdin", "identity_token_stdin"])]
    pub(crate) password: Option<Secret>,
    /// Read the password from standard input
    #[arg(long)]
    pub(crate) password_stdin: bool,
    /// Read an identity token from standard input, instead of a name and a password
    #[arg(long, conflicts_with_all = ["username", "password_stdin"])]
    pub(crate) identity_token_stdin: bool,
    /// Fail rather than store the credentials unencrypted in a file, where no credential helper is set up
    #[arg(long)]
    pub(crate) no_plain_text: bool,
}

/// Forget the credentials for a registry
#[derive(Debug, Args)]
pub(crate) struct Logout {
    /// The registry's host
    #[arg(value_name = "REGISTRY")]
    pub(crate) registry: RegistryName,
}
