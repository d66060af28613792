//! Patterns and templates of repository names.

/// Which repositories of a registry: a name, or a pattern in which `*` matches any text without a slash, `**` any text and `?`
/// one character that is not a slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePattern {
    _text: String,
}

/// How the name of a repository at the destination is made from that in the source.
///
/// | Part | Stands for |
/// |---|---|
/// | `{registry}` | the host of the source, with `-` in place of a colon, such as `docker.io` or `localhost-5000`; empty for a source that is not a registry with a host |
/// | `{repository}` | the name in the source, such as `library/alpine` |
/// | `{namespace}` | the name without its last component, such as `library` |
/// | `{name}` | the last component, such as `alpine` |
///
/// Slashes that an empty part leaves at either end, or two in a row, are removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameTemplate {
    _text: String,
}
