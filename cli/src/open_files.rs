//! How many files, which sockets are too, the process may have open.

use std::io;

/// Raises the limit to the highest that the system allows this process, and returns it; `None` if there is no
/// limit. The usual one of 1024 is less than a server's connections need.
#[cfg(unix)]
pub(crate) fn raise_limit() -> io::Result<Option<u64>> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        let raised = Rlimit {
            current: maximum,
            maximum,
        };
        setrlimit(Resource::Nofile, raised)?;
    }
    Ok(maximum)
}

/// Does nothing: this system has no such limit.
#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps, reason = "it is fallible elsewhere")]
pub(crate) fn raise_limit() -> io::Result<Option<u64>> {
    Ok(None)
}
