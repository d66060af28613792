//! Why a command did not go through to its end.

use std::fmt;
use std::io;

use tranship::{Error, ErrorKind};
use tranship_backends::Location;

use crate::exit::Status;
use crate::location::{is_stream, quoted};

/// The result of a command.
pub(crate) type Outcome<T = ()> = Result<T, CommandError>;

#[derive(Debug)]
pub(crate) enum CommandError {
    /// An operation failed, perhaps with a hint about a location that the error does not know.
    Error(Error, Option<String>),
    /// A part of many failed, as was reported, and the rest was done. If nothing was done, with the code of a failure.
    Incomplete(String, Status),
    /// The reader of standard output has closed it, which is not an error.
    OutputClosed,
    /// The user or the system asked to stop.
    Stopped(Status),
}

impl CommandError {
    /// A failed write to standard output.
    pub(crate) fn output(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Error::io("cannot write to standard output", error).into(),
        }
    }
}

impl From<Error> for CommandError {
    fn from(error: Error) -> Self {
        Self::Error(error, None)
    }
}

/// Says where something failed: an error knows the tag or the digest, but not the location.
pub(crate) trait At<T> {
    /// At a place that is not a repository.
    fn at(self, place: impl fmt::Display) -> Outcome<T>;

    /// In the repository of `location`. If its tag was not found, the user is told how to list the
    /// tags.
    fn within(self, location: &Location) -> Outcome<T>;

    /// In the repository of `location`, to which something is pushed.
    fn pushed_to(self, location: &Location) -> Outcome<T>;
}

impl<T> At<T> for Result<T, Error> {
    fn at(self, place: impl fmt::Display) -> Outcome<T> {
        self.map_err(|error| CommandError::Error(error, Some(place.to_string())))
    }

    fn within(self, location: &Location) -> Outcome<T> {
        self.map_err(|error| suggest_listing(error, location))
            .at(location.clone().without_reference())
    }

    fn pushed_to(self, location: &Location) -> Outcome<T> {
        self.map_err(|error| suggest_destination(error, location))
            .at(location.clone().without_reference())
    }
}

/// Adds to an error about a missing tag how to list the tags, or the full name of an image of Docker Hub.
pub(crate) fn suggest_listing(error: Error, location: &Location) -> Error {
    let error = suggest_docker_hub(error, location);
    let Some(tag) = location.reference().and_then(|name| name.tag()) else {
        return error;
    };
    if !error.is_not_found() || error.subject() != Some(tag.as_str()) {
        return error;
    }
    let hint = match error.hint() {
        Some(hint) => hint.to_owned(),
        None if is_stream(location) => {
            "keep the archive in a FILE: `tranship repo tags oci-archive:FILE`, or docker-archive:FILE, lists the tags".to_owned()
        }
        None => format!(
            "`tranship repo tags {}` lists the tags",
            quoted(&location.clone().without_reference())
        ),
    };
    // The status of the response says nothing more; -vv shows it.
    Error::not_found(tag)
        .with_hint(hint)
        .with_registry_errors(error.registry_errors().to_vec())
}

/// Adds to an error of a push how to name the destination.
pub(crate) fn suggest_destination(error: Error, location: &Location) -> Error {
    if let Some(name) = refused_at_docker_hub(&error, location) {
        return error.with_hint(format!(
            "Docker Hub keeps images below the name of a user or an organization: write docker.io/USER/{name}"
        ));
    }
    if let Location::Remote(reference) = location
        && error.operation() == Some("push")
        && error.is_not_found()
        && error.hint().is_none()
    {
        let name = reference.repository();
        return error.with_hint(format!(
            "look at the spelling of {name}; some registries want a repository, or its project, to be created before the first push"
        ));
    }
    suggest_for_bare_host(error, location)
}

/// Docker adds `docker.io/` and `library/` to names, and here they are written.
fn suggest_docker_hub(error: Error, location: &Location) -> Error {
    if refused_at_docker_hub(&error, location).is_some() {
        let full = location
            .to_string()
            .replacen("docker.io/", "docker.io/library/", 1);
        return error.with_hint(format!(
            "the official images of Docker Hub are in library/: write {full}"
        ));
    }
    suggest_for_bare_host(error, location)
}

/// Returns the name of an image that Docker Hub refuses, if it lacks the part before a slash.
fn refused_at_docker_hub<'l>(error: &Error, location: &'l Location) -> Option<&'l str> {
    let Location::Remote(reference) = location else {
        return None;
    };
    let is_refused = matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::Unauthorized | ErrorKind::Denied
    );
    let name = reference.repository().as_str();
    let is_meant = reference.registry().as_str() == "docker.io" && !name.contains('/');
    (is_refused && is_meant).then_some(name)
}

/// Docker takes the first part of a name without a dot for a user's at Docker Hub, and here it is a host.
fn suggest_for_bare_host(error: Error, location: &Location) -> Error {
    let Location::Remote(reference) = location else {
        return error;
    };
    let host = reference.registry().as_str();
    let is_bare = host != "localhost" && !host.contains(['.', ':']);
    if is_bare && error.http_status().is_none() && error.kind() == ErrorKind::Unavailable {
        return error.with_hint(format!(
            "{host} was taken for the name of a registry; for an image of Docker Hub write docker.io/{location}"
        ));
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_met_with_where_one_can_push() {
        let location: Location = "docker.io/app:v1".parse().expect("a location");
        let hint = |kind| {
            let error = suggest_destination(Error::new(kind, "no"), &location);
            error.hint().map(ToOwned::to_owned)
        };
        let denied = hint(ErrorKind::Denied).unwrap_or_default();
        assert!(denied.contains("docker.io/USER/app"), "{denied}");
        assert_eq!(hint(ErrorKind::Io), None);
    }

    fn hint(error: Error, location: &str) -> Option<String> {
        let location = location.parse().expect("a location");
        match Err::<(), _>(error).within(&location) {
            Err(CommandError::Error(error, _)) => error.hint().map(ToOwned::to_owned),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_a_tag_that_was_not_found_is_met_with_the_list_of_tags() {
        let tag = hint(Error::not_found("v1"), "oci:a b:v1");
        let listing = "`tranship repo tags 'oci:a b'` lists the tags";
        assert_eq!(tag.as_deref(), Some(listing));
        assert_eq!(hint(Error::not_found("sha256:aa"), "oci:dir:v1"), None);
        assert_eq!(
            hint(Error::unsupported("no").with_subject("v1"), "oci:dir:v1"),
            None
        );
        let own = Error::not_found("v1").with_hint("look closer");
        assert_eq!(hint(own, "oci:dir:v1").as_deref(), Some("look closer"));
    }
}
