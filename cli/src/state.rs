//! Where the program keeps what outlives it, by the XDG Base Directory Specification.

use std::ffi::OsString;
use std::path::PathBuf;

/// The directory of uploads that can be continued; `None` if the user has no home.
pub(crate) fn uploads() -> Option<PathBuf> {
    let directory = state(|name| std::env::var_os(name))?;
    Some(directory.join("uploads"))
}

/// The directory of parts of bundles; `None` if the user has no home.
pub(crate) fn bundle_parts() -> Option<PathBuf> {
    let directory = state(|name| std::env::var_os(name))?;
    Some(directory.join("bundles"))
}

/// The directory of servers, with a directory for each; `None` if the user has no home.
pub(crate) fn servers() -> Option<PathBuf> {
    let directory = state(|name| std::env::var_os(name))?;
    Some(directory.join("serve"))
}

fn state(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    // The specification wants a relative path ignored.
    let absolute = |name| {
        variable(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let base = absolute("XDG_STATE_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".local/state")))
        .or_else(|| absolute("LOCALAPPDATA"))?;
    Some(base.join("tranship"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_kept_where_the_environment_says() {
        let state = |given: &[(&str, &str)]| {
            let found = state(|name| {
                let found = given.iter().find(|(given, _)| *given == name);
                found.map(|(_, value)| OsString::from(value))
            });
            found.map(|path| path.to_string_lossy().into_owned())
        };
        let home = ("HOME", "/home/ann");
        let in_home = Some("/home/ann/.local/state/tranship".to_owned());
        assert_eq!(state(&[home]), in_home);
        for ignored in ["", "relative"] {
            assert_eq!(state(&[("XDG_STATE_HOME", ignored), home]), in_home);
        }
        let elsewhere = ("XDG_STATE_HOME", "/var/state");
        let expected = Some("/var/state/tranship".to_owned());
        assert_eq!(state(&[elsewhere, home]), expected);
        assert_eq!(state(&[("HOME", "")]), None);
        assert_eq!(state(&[]), None);
    }
}
