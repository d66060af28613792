//! A warning of a registry.

use std::fmt;

use tranship::{RegistryName, RepositoryName};

/// What a registry has to say about a request beside its response (distribution-spec, "Warnings"): that a repository will
/// be removed, say. [`RemoteOptions::with_warnings`](crate::RemoteOptions::with_warnings) receives them.
///
/// [`Display`](fmt::Display) prints the registry, the repository and the text, on one line.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Warning {
    /// The registry that sent it.
    pub registry: RegistryName,
    /// The repository that the request was about; `None` if it was about the registry, such as a list of repositories.
    pub repository: Option<RepositoryName>,
    /// The text for the user, not empty and without control characters.
    pub text: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.registry.as_str())?;
        if let Some(repository) = &self.repository {
            write!(f, "/{repository}")?;
        }
        write!(f, ": {}", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_names_where_it_is_from() {
        let mut warning = Warning {
            registry: "registry.example:5000".parse().expect("a name"),
            repository: None,
            text: "soon".to_owned(),
        };
        assert_eq!(warning.to_string(), "registry.example:5000: soon");
        warning.repository = Some("team/app".parse().expect("a name"));
        assert_eq!(warning.to_string(), "registry.example:5000/team/app: soon");
    }
}
