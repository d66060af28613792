//! The audit log of a server.

mod file;
mod log;

use std::path::Path;
use std::sync::Arc;

use tranship::{Error, Result, blocking};
use tranship_server::{AuditOptions, ServerOptions};

use self::file::LogFile;
pub(super) use self::log::AuditLog;
use crate::args::Settings;

/// Opens the audit log that the settings name, if they name one.
///
/// # Errors
/// The error of the file system.
pub(super) fn open(settings: &Settings) -> Result<Option<AuditLog>> {
    let Some(path) = &settings.audit_log else {
        return Ok(None);
    };
    let log = AuditLog::open(path).map_err(|error| failed(path, error))?;
    Ok(Some(log))
}

/// Checks the path of the audit log, without creating the file.
///
/// # Errors
/// The error of the file system if it could not be opened.
pub(super) async fn check(settings: &Settings) -> Result<()> {
    let Some(path) = settings.audit_log.clone() else {
        return Ok(());
    };
    blocking::run(move || LogFile::check(&path).map_err(|error| failed(&path, error))).await
}

/// Makes `log` the audit log of the server.
pub(super) fn subscribe(
    options: ServerOptions,
    log: Option<&AuditLog>,
    settings: &Settings,
) -> ServerOptions {
    match log {
        Some(log) => {
            let audit = AuditOptions::new(Arc::new(log.clone()));
            options.with_audit(audit.with_reads(settings.audit_pulls))
        }
        None => options,
    }
}

fn failed(path: &Path, error: std::io::Error) -> Error {
    Error::io("the audit log cannot be opened", error)
        .with_subject(path.display())
        .with_hint("name a file that the server may create and write with --audit-log; - is standard output")
}
