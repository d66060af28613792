//! Exit codes, which scripts rely on: once released, a code keeps its meaning.

use std::process::ExitCode;

use tranship::{Error, ErrorKind};

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Success = 0,
    CommandError = 1,
    Usage = 2,
    NotFound = 3,
    BadContent = 4,
    Refused = 5,
    Unsupported = 6,
    TooMuch = 7,
    TryAgain = 8,
    Incomplete = 9,
    Interrupted = 130,
    Terminated = 143,
}

/// What `--help` and the manual page say about the codes.
pub(crate) const HELP: &str = "\
Exit codes:
    0  success; also when nobody reads the output any more, as in `| head`
    1  any other failure
    2  wrong usage: an unknown option, a malformed location, tag or digest
    3  not found: a tag, content, repository, platform or file
    4  wrong content: another digest or size, a damaged store
    5  refused: credentials are missing, wrong or not enough
    6  not supported by this kind of store, or not yet
    7  too much: a full disk or quota, content over a limit
    8  may work later: a conflict, a timeout, a registry that is down
    9  of many images, some failed, and the rest was done
  130  interrupted with Ctrl-C; what was under way is cleaned up
  143  terminated; the same";

impl From<&Error> for Status {
    fn from(error: &Error) -> Self {
        match error.kind() {
            // A registry found something wrong with a request. The command line is not to blame for that.
            ErrorKind::InvalidReference
            | ErrorKind::InvalidDigest
            | ErrorKind::InvalidMediaType
            | ErrorKind::InvalidInput
            | ErrorKind::RangeInvalid
                if error.http_status().is_some() =>
            {
                Self::CommandError
            }
            ErrorKind::InvalidReference
            | ErrorKind::InvalidDigest
            | ErrorKind::InvalidMediaType
            | ErrorKind::InvalidInput
            | ErrorKind::RangeInvalid => Self::Usage,
            ErrorKind::NotFound | ErrorKind::ManifestBlobUnknown => Self::NotFound,
            ErrorKind::DigestMismatch
            | ErrorKind::SizeMismatch
            | ErrorKind::InvalidManifest
            | ErrorKind::Corrupt => Self::BadContent,
            ErrorKind::PermissionDenied | ErrorKind::Unauthorized | ErrorKind::Denied => {
                Self::Refused
            }
            ErrorKind::Unsupported | ErrorKind::UnsupportedVersion => Self::Unsupported,
            ErrorKind::SizeExceedsLimit | ErrorKind::StorageFull => Self::TooMuch,
            ErrorKind::Conflict
            | ErrorKind::RateLimited
            | ErrorKind::Timeout
            | ErrorKind::Unavailable => Self::TryAgain,
            _ if error.is_retryable() => Self::TryAgain,
            _ => Self::CommandError,
        }
    }
}

impl Status {
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_a_kind_without_a_code_may_still_be_worth_a_retry() {
        let lost = Error::new(ErrorKind::Io, "the connection was reset");
        assert_eq!(Status::from(&lost), Status::CommandError);
        assert_eq!(Status::from(&lost.with_retryable(true)), Status::TryAgain);
    }

    #[test]
    fn what_a_registry_refuses_is_not_wrong_usage() {
        for kind in [
            ErrorKind::InvalidInput,
            ErrorKind::InvalidReference,
            ErrorKind::RangeInvalid,
        ] {
            let here = Error::new(kind, "no");
            assert_eq!(Status::from(&here), Status::Usage);
            let refused = here.with_http_status(400);
            assert_eq!(Status::from(&refused), Status::CommandError);
        }
    }

    #[test]
    fn the_help_names_every_code() {
        for status in [
            Status::Success,
            Status::CommandError,
            Status::Usage,
            Status::NotFound,
            Status::BadContent,
            Status::Refused,
            Status::Unsupported,
            Status::TooMuch,
            Status::TryAgain,
            Status::Incomplete,
            Status::Interrupted,
            Status::Terminated,
        ] {
            let code = format!(" {} ", status.code());
            assert!(HELP.contains(&code), "{status:?}");
        }
    }
}
