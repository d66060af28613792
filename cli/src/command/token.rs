//! `token`: the robot accounts of a server.

use std::fmt;
use std::time::{Duration, SystemTime};

use humantime::format_rfc3339_seconds;
use serde::Serialize;
use tranship::{Error, ErrorKind};
use tranship_server::{Grant, RobotAccount, RobotFile};

use crate::args::{Token, TokenCreate, TokenList, TokenRevoke};
use crate::command_error::Outcome;
use crate::output::Output;
use crate::table::Table;

/// The longest time after which an account expires: 100 years.
const LONGEST_LIFETIME: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

#[derive(Debug, Serialize)]
struct Created {
    name: String,
    secret: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
}

/// Only the secret, for a pipe.
impl fmt::Display for Created {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.secret)
    }
}

#[derive(Debug, Serialize)]
struct Accounts {
    accounts: Vec<Account>,
}

#[derive(Debug, Serialize)]
struct Account {
    name: String,
    grants: Vec<String>,
    created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    expired: bool,
}

impl fmt::Display for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::default();
        table.push(["NAME", "GRANTS", "CREATED", "EXPIRES"]);
        for account in &self.accounts {
            let expires = match (&account.expires, account.expired) {
                (None, _) => "never".to_owned(),
                (Some(time), false) => time.clone(),
                (Some(time), true) => format!("{time} (expired)"),
            };
            let grants = account.grants.join(" ");
            table.push([&account.name, &grants, &account.created, &expires]);
        }
        f.write_str(&table.lines(""))
    }
}

#[derive(Debug, Serialize)]
struct Revoked {
    revoked: String,
}

impl fmt::Display for Revoked {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

pub(super) async fn run(command: Token, output: Output) -> Outcome {
    match command {
        Token::Create(args) => create(args, output).await,
        Token::List(args) => list(args, output).await,
        Token::Revoke(args) => revoke(args, output).await,
    }
}

async fn create(args: TokenCreate, output: Output) -> Outcome {
    let expires = match args.expires {
        None => None,
        Some(after) if after.0 > LONGEST_LIFETIME => {
            let message = "an account expires after at most 100 years";
            let error = Error::new(ErrorKind::InvalidInput, message)
                .with_hint("leave out --expires for an account that does not expire");
            return Err(error.into());
        }
        Some(after) => SystemTime::now().checked_add(after.0),
    };
    let file = RobotFile::new(&args.file);
    let name = args.name.to_string();
    let secret = file.create(args.name, args.grants, expires).await?;
    output.note(format_args!(
        "created the account {name}; its secret is not shown again"
    ));
    let expires = expires.map(|time| format_rfc3339_seconds(time).to_string());
    output
        .print(&Created {
            name,
            secret,
            expires,
        })
        .await
}

async fn list(args: TokenList, output: Output) -> Outcome {
    let accounts = RobotFile::new(args.file).list().await?;
    let accounts = accounts.iter().map(describe).collect();
    output.print(&Accounts { accounts }).await
}

fn describe(account: &RobotAccount) -> Account {
    Account {
        name: account.name.to_string(),
        grants: account.grants.iter().map(Grant::to_string).collect(),
        created: format_rfc3339_seconds(account.created).to_string(),
        expires: account
            .expires
            .map(|time| format_rfc3339_seconds(time).to_string()),
        expired: account.is_expired(),
    }
}

async fn revoke(args: TokenRevoke, output: Output) -> Outcome {
    let revoked = args.name.to_string();
    RobotFile::new(args.file).revoke(args.name).await?;
    output.note(format_args!("revoked the account {revoked}"));
    output.print(&Revoked { revoked }).await
}
