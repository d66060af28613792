//! The arguments of `token`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use tranship_server::{Grant, RobotName};

use crate::location::DurationArg;

/// Manage the accounts in a file that `tranship serve --robots` reads
#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    Create(TokenCreate),
    List(TokenList),
    Revoke(TokenRevoke),
}

/// Create an account for a program, and print its secret
///
/// The account logs in with its name and the secret, which is a password. The file has only a digest of the secret, so
/// this is the only time that it is shown. Servers notice the new account within a second.
#[derive(Debug, Args)]
pub(crate) struct TokenCreate {
    /// The name of the account: letters, digits and the characters . _ -
    pub(crate) name: RobotName,
    /// The file of accounts, which is created if it does not exist
    #[arg(long, value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Let the account read, or read and write, the repositories of a pattern in which * matches a part of a component
    /// and ** any components. May be repeated
    #[arg(long = "grant", value_name = "PATTERN:r|rw", required = true)]
    pub(crate) grants: Vec<Grant>,
    /// How long the account is valid, such as 90d [default: until it is revoked]
    #[arg(long, value_name = "DURATION")]
    pub(crate) expires: Option<DurationArg>,
}

/// List the accounts
#[derive(Debug, Args)]
pub(crate) struct TokenList {
    /// The file of accounts
    #[arg(long, value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// Remove an account
///
/// Servers refuse its secret, and the tokens that they have issued to it, within a second.
#[derive(Debug, Args)]
pub(crate) struct TokenRevoke {
    /// The name of the account
    pub(crate) name: RobotName,
    /// The file of accounts
    #[arg(long, value_name = "FILE")]
    pub(crate) file: PathBuf,
}
