//! The arguments of `annotate`.

use std::str::FromStr;

use clap::Args;
use tranship::{Error, ErrorKind, Printable, Result, Tag};
use tranship_artifact::index::EntrySelector;
use tranship_backends::Location;

use super::platform::parse_platform;

/// Set and remove annotations of a manifest or an index
///
/// All else in it stays as it is. The changed manifest has a new digest, and if LOCATION has a tag, the tag moves to it.
/// Signatures and other artifacts that refer to the old digest do not cover the new one, and an index that lists the
/// old digest still lists it: --entry changes annotations in the index itself. Prints the digest.
#[derive(Debug, Args)]
pub(crate) struct Annotate {
    /// A location with a tag or digest
    #[arg(value_name = "LOCATION")]
    pub(crate) location: Location,
    /// Annotations to set, and KEY- to remove one
    #[arg(value_name = "KEY=VALUE|KEY-", required_unless_present = "remove")]
    pub(crate) changes: Vec<ChangeArg>,
    /// Remove this annotation, if it exists; may be repeated
    #[arg(long, value_name = "KEY")]
    pub(crate) remove: Vec<String>,
    /// Annotate this entry of the index, or this layer or config of the manifest, and not the whole
    #[arg(long, value_name = "DIGEST|PLATFORM", value_parser = parse_selector)]
    pub(crate) entry: Option<EntrySelector>,
    /// A further tag to set; may be repeated
    #[arg(long = "tag", short, value_name = "TAG")]
    pub(crate) tags: Vec<Tag>,
}

impl Annotate {
    /// The keys, each with its new value or to be removed.
    pub(crate) fn all_changes(&self) -> Vec<(String, Option<String>)> {
        let changes = self.changes.iter().map(|change| change.0.clone());
        let removed = self.remove.iter().map(|key| (key.clone(), None));
        changes.chain(removed).collect()
    }
}

/// `KEY=VALUE` or `KEY-`.
#[derive(Debug, Clone)]
pub(crate) struct ChangeArg((String, Option<String>));

impl FromStr for ChangeArg {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if !text.contains('=')
            && let Some(key) = text.strip_suffix('-').filter(|key| !key.is_empty())
        {
            return Ok(Self((key.to_owned(), None)));
        }
        let AnnotationArg { key, value } = text.parse()?;
        Ok(Self((key, Some(value))))
    }
}

/// `KEY=VALUE`.
#[derive(Debug, Clone)]
pub(crate) struct AnnotationArg {
    pub(crate) key: String,
    pub(crate) value: String,
}

impl FromStr for AnnotationArg {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok(Self {
                key: key.to_owned(),
                value: value.to_owned(),
            }),
            _ => Err(
                Error::new(ErrorKind::InvalidInput, "an annotation is KEY=VALUE")
                    .with_subject(Printable(text))
                    .with_hint("write for example org.opencontainers.image.version=1.2"),
            ),
        }
    }
}

/// Parses the digest or the platform of an entry.
pub(crate) fn parse_selector(text: &str) -> Result<EntrySelector> {
    if let Ok(digest) = text.parse() {
        return Ok(EntrySelector::Digest(digest));
    }
    let platform = parse_platform(text).map_err(|_| {
        Error::new(
            ErrorKind::InvalidInput,
            "an entry is named by its digest or its platform",
        )
        .with_subject(tranship::Printable(text))
        .with_hint("write for example linux/amd64, or sha256: and 64 hexadecimal digits")
    });
    platform.map(EntrySelector::Platform)
}
