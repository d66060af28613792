//! What the arguments are read as, where the core has no type for it, and what locations need here.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::foreign;
use tranship::{ByteRange, Digest, Error, ErrorKind, RepositoryName, Result, Tag, TagOrDigest};
use tranship_backends::{LayoutPath, Location, RegistryLocation};
use tranship_server::Grant;

/// The tag or digest, which must be there.
pub(crate) fn required_reference(location: &Location) -> Result<&TagOrDigest> {
    location.reference().ok_or_else(|| {
        Error::new(ErrorKind::InvalidReference, "a tag or a digest is missing")
            .with_subject(location)
            .with_hint(format!(
                "write :TAG or @DIGEST behind it; `tranship repo tags {}` lists the tags",
                quoted(location)
            ))
    })
}

/// The digest, which must be there.
pub(crate) fn required_digest(location: &Location) -> Result<Digest> {
    match location.reference() {
        Some(TagOrDigest::Digest(digest)) => Ok(*digest),
        _ => Err(
            Error::new(ErrorKind::InvalidReference, "a digest is missing")
                .with_subject(location)
                .with_hint("blobs have no tags: write @DIGEST behind the location"),
        ),
    }
}

/// The tag, which must be there.
pub(crate) fn required_tag(location: &Location) -> Result<&Tag> {
    match required_reference(location)? {
        TagOrDigest::Tag(tag) => Ok(tag),
        TagOrDigest::Digest(_) => Err(Error::new(
            ErrorKind::InvalidReference,
            "this is a digest, and only tags can be removed",
        )
        .with_subject(location)
        .with_hint("`tranship manifest delete` deletes what a digest names")),
    }
}

/// That there is neither tag nor digest.
pub(crate) fn no_reference(location: &Location) -> Result<()> {
    match location.reference() {
        None => Ok(()),
        Some(_) => Err(Error::new(
            ErrorKind::InvalidReference,
            "a repository is meant, without a tag or digest",
        )
        .with_subject(location)),
    }
}

/// Where a copy goes. Other tools take several tags with commas between them.
pub(crate) fn parse_destination(text: &str) -> Result<Location> {
    foreign::parse_written(text).map_err(|error| {
        if text.contains(',') {
            error.with_hint("give further tags with --tag")
        } else {
            error
        }
    })
}

/// Whether `location` is an archive on a standard stream.
pub(crate) fn is_stream(location: &Location) -> bool {
    let path = match location {
        Location::OciArchive(archive) => archive.path(),
        Location::DockerArchive(archive) => archive.path(),
        _ => return false,
    };
    path == std::path::Path::new("-")
}

/// A location as one word of a shell.
pub(crate) fn quoted(location: &Location) -> String {
    let text = location.to_string();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/:.@_-+%,=".contains(&byte);
    if text.bytes().all(is_plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// One layout, or all in a directory or below a prefix of an object store.
#[derive(Debug, Clone)]
pub(crate) enum LayoutLocations {
    One(Location),
    All(RegistryLocation),
}

impl FromStr for LayoutLocations {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.starts_with("layouts:") && !names_a_layout(text) {
            true => text.parse().map(Self::All),
            false => text.parse().map(Self::One),
        }
    }
}

/// Whether a location of the kind `layouts:` has the name of a layout after its root. Two slashes separate them, and the
/// scheme of a URL from the rest.
fn names_a_layout(text: &str) -> bool {
    let Some(root) = text.strip_prefix("layouts:") else {
        return false;
    };
    let path = root.split_once("://").map_or(root, |(_, path)| path);
    path.contains("//")
}

/// A registry, or the part of one whose names begin with `prefix`.
#[derive(Debug, Clone)]
pub(crate) struct RegistryPart {
    pub(crate) registry: RegistryLocation,
    pub(crate) prefix: Option<RepositoryName>,
}

impl RegistryPart {
    /// Whether the repository `name` belongs to the part.
    pub(crate) fn has(&self, name: &RepositoryName) -> bool {
        self.prefix.as_ref().is_none_or(|prefix| {
            let rest = name.as_str().strip_prefix(prefix.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }
}

impl FromStr for RegistryPart {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.strip_suffix("//").unwrap_or(text);
        let no_registry = match text.parse() {
            Ok(registry) if !names_a_layout(text) => {
                return Ok(Self {
                    registry,
                    prefix: None,
                });
            }
            Ok(_) => no_prefix(),
            Err(error) => error,
        };
        let Ok(repository) = text.trim_end_matches('/').parse::<Location>() else {
            return Err(no_registry);
        };
        if repository.reference().is_some() {
            return Err(no_registry);
        }
        let (registry, prefix) = match &repository {
            Location::Remote(name) => (
                RegistryLocation::Remote(name.registry().clone()),
                name.repository(),
            ),
            Location::LayoutRegistry(layout) => (
                RegistryLocation::LayoutRegistry(LayoutPath::new(layout.root())?),
                layout.repository(),
            ),
            Location::ObjectLayoutRegistry(layout) => (
                RegistryLocation::ObjectLayoutRegistry(layout.root().clone()),
                layout.repository(),
            ),
            _ => return Err(no_registry),
        };
        let prefix = Some(prefix.clone());
        Ok(Self { registry, prefix })
    }
}

fn no_prefix() -> Error {
    Error::new(
        ErrorKind::InvalidReference,
        "what follows the two slashes is not the beginning of a repository's name",
    )
    .with_hint("write for example layouts:ROOT//team")
}

impl fmt::Display for RegistryPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.registry.fmt(f)
    }
}

/// What `ls` lists.
#[derive(Debug, Clone)]
pub(crate) enum Listed {
    Repositories(RegistryPart),
    Tags(Location),
}

impl FromStr for Listed {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let is_registry = text.parse::<RegistryLocation>().is_ok() && !names_a_layout(text);
        match is_registry || text.ends_with('/') {
            true => text.parse().map(Self::Repositories),
            false => text.parse().map(Self::Tags),
        }
    }
}

/// A duration, such as `90s`, `24h` or `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DurationArg(pub(crate) Duration);

impl FromStr for DurationArg {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = || {
            Error::new(
                ErrorKind::InvalidInput,
                format!("invalid duration {text:?}: expected numbers and units"),
            )
            .with_hint("write for example 90s, 30m, 24h or 7d")
        };
        // `humantime` reads 30M as thirty months, where minutes may be meant.
        if text.contains('M') {
            return Err(invalid());
        }
        humantime::parse_duration(text)
            .map(Self)
            .map_err(|_| invalid())
    }
}

/// `KEY[=VALUE]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AnnotationFilter {
    pub(crate) key: String,
    pub(crate) value: Option<String>,
}

impl FromStr for AnnotationFilter {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None => (text, None),
        };
        if key.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "the key of the annotation is empty",
            ));
        }
        let key = key.to_owned();
        Ok(Self { key, value })
    }
}

/// `KEY=VALUE`, a setting of an object store. The value may be secret: neither an error nor `Debug`
/// shows it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct StoreOption {
    pub(crate) key: String,
    pub(crate) value: String,
}

impl FromStr for StoreOption {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok(Self {
                key: key.to_owned(),
                value: value.to_owned(),
            }),
            _ => Err(Error::new(
                ErrorKind::InvalidInput,
                "a setting of an object store has a name, an equals sign and a value",
            )
            .with_hint("write for example --store-option region=eu-central-1")),
        }
    }
}

impl fmt::Debug for StoreOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=…", self.key)
    }
}

/// What is to be served. A path or a URL stands for the directory of layouts there; a word is the host of
/// a registry only where it could not be anything else.
pub(crate) fn parse_root(text: &str) -> Result<RegistryLocation> {
    let is_url = text
        .split_once("://")
        .is_some_and(|(scheme, _)| !scheme.contains(':'));
    let (first, is_nested) = match text.split_once('/') {
        Some((first, _)) => (first, true),
        None => (text, false),
    };
    let may_be_host = first.contains('.') || first == "localhost";
    let is_path = !first.contains(':') && (is_nested || !may_be_host);
    if is_url || is_path || text.starts_with('.') {
        return format!("layouts:{text}").parse();
    }
    text.parse()
}

/// `USER=PATTERN:r|rw`, what a user may do where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GrantArg {
    pub(crate) user: String,
    pub(crate) grant: Grant,
}

impl FromStr for GrantArg {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let malformed = || {
            Error::new(
                ErrorKind::InvalidInput,
                "a grant names a user, a pattern of repositories, and r or rw",
            )
            .with_hint("write for example --grant 'ann=team/**:rw'")
        };
        // The name of a user may have an equals sign; a pattern does not.
        let (user, rest) = text.rsplit_once('=').ok_or_else(malformed)?;
        if user.is_empty() {
            return Err(malformed());
        }
        Ok(Self {
            user: user.to_owned(),
            grant: rest.parse()?,
        })
    }
}

/// `START-[END]`, both inclusive, as in HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RangeArg(pub(crate) ByteRange);

impl FromStr for RangeArg {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = || {
            Error::new(
                ErrorKind::InvalidInput,
                format!("{text:?} is no range of bytes"),
            )
            .with_hint("write for example 0-99 for the first hundred bytes, or 100- for the rest")
        };
        let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
            true => text.parse::<u64>().map_err(|_| invalid()),
            false => Err(invalid()),
        };
        let (start, end) = text.split_once('-').ok_or_else(invalid)?;
        let start = number(start)?;
        if end.is_empty() {
            return Ok(Self(ByteRange::from(start..)));
        }
        let end = number(end)?;
        if end < start {
            return Err(invalid());
        }
        Ok(Self(ByteRange::from(start..=end)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_inclusive_at_both_ends() {
        let range = |text: &str| text.parse::<RangeArg>().map(|range| range.0).ok();
        assert_eq!(range("0-99"), Some((0..100).into()));
        assert_eq!(range("7-7"), Some((7..8).into()));
        assert_eq!(range("7-"), Some((7..).into()));
        for text in ["", "-", "7", "-7", "9-7", "a-b", "+1-2", "1-2-3"] {
            assert_eq!(range(text), None, "{text}");
        }
    }

    #[test]
    fn a_duration_has_units() {
        let seconds = |text: &str| {
            let parsed = text.parse::<DurationArg>().ok()?;
            Some(parsed.0.as_secs_f64())
        };
        assert_eq!(seconds("90s"), Some(90.0));
        assert_eq!(seconds("30m"), Some(1800.0));
        assert_eq!(seconds("24h"), Some(86_400.0));
        assert_eq!(seconds("7d"), Some(604_800.0));
        assert_eq!(seconds("1d 12h"), Some(129_600.0));
        assert_eq!(seconds("500ms"), Some(0.5));
        assert_eq!(seconds("0s"), Some(0.0));
        for text in ["", "7", "-1h", "1 fortnight", "30M"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn a_root_may_be_a_path() {
        let root = |text| parse_root(text).map(|root| root.to_string()).ok();
        assert_eq!(root("/srv/x").as_deref(), Some("layouts:/srv/x"));
        assert_eq!(root("./x").as_deref(), Some("layouts:./x"));
        assert_eq!(root("..").as_deref(), Some("layouts:.."));
        assert_eq!(root("x").as_deref(), Some("layouts:x"));
        assert_eq!(root("x.d/y").as_deref(), Some("layouts:x.d/y"));
        assert_eq!(root("layouts:x").as_deref(), Some("layouts:x"));
        assert_eq!(
            root("layouts:s3://bucket/x").as_deref(),
            Some("layouts:s3://bucket/x")
        );
        assert_eq!(
            root("s3://bucket/x").as_deref(),
            Some("layouts:s3://bucket/x")
        );
        assert_eq!(
            root("registry.example").as_deref(),
            Some("registry.example")
        );
        assert_eq!(root("registry:5000").as_deref(), Some("registry:5000"));
        assert_eq!(root("localhost").as_deref(), Some("localhost"));
        assert_eq!(root("oci:x"), None);
    }

    #[test]
    fn a_grant_is_for_a_user_a_pattern_and_a_permission() {
        let grant: GrantArg = "ann=team/**:rw".parse().expect("a grant");
        assert_eq!(grant.user, "ann");
        assert_eq!(grant.grant.to_string(), "team/**:rw");
        for text in ["", "ann", "ann=x", "=x:r", "ann=:r", "ann=x:w", "ann=X:r"] {
            text.parse::<GrantArg>().expect_err(text);
        }
    }

    #[test]
    fn a_place_is_a_layout_or_a_directory_of_them() {
        let is_all = |text: &str| match text.parse::<LayoutLocations>() {
            Ok(LayoutLocations::All(_)) => Some(true),
            Ok(LayoutLocations::One(_)) => Some(false),
            Err(_) => None,
        };
        assert_eq!(is_all("layouts:root"), Some(true));
        assert_eq!(is_all("layouts:root//team/app"), Some(false));
        assert_eq!(is_all("layouts:s3://bucket"), Some(true));
        assert_eq!(is_all("layouts:s3://bucket/prefix"), Some(true));
        assert_eq!(is_all("layouts:s3://bucket/prefix//team/app"), Some(false));
        assert_eq!(is_all("oci:s3://bucket/prefix"), Some(false));
        assert_eq!(is_all("oci:dir"), Some(false));
        assert_eq!(is_all("localhost:5000/app"), Some(false));
        for text in [
            "layouts:root//",
            "layouts:root//UPPER",
            "layouts:",
            "layouts:s3://bucket/prefix//",
            "layouts:s3://",
            "layouts:odd://bucket",
            "oci:",
            "localhost",
        ] {
            assert_eq!(is_all(text), None, "{text}");
        }
    }

    #[test]
    fn a_part_of_a_registry_ends_between_components() {
        let part = |text: &str| text.parse::<RegistryPart>().ok();
        let name = |text: &str| text.parse::<RepositoryName>().expect(text);
        for text in [
            "localhost:5000/team",
            "localhost:5000/team/",
            "layouts:root//team",
            "layouts:s3://bucket/x//team",
        ] {
            let part = part(text).expect(text);
            assert!(
                part.has(&name("team")) && part.has(&name("team/app")),
                "{text}"
            );
            assert!(
                !part.has(&name("teams")) && !part.has(&name("other/team")),
                "{text}"
            );
        }
        let all = part("localhost:5000").expect("a registry");
        assert!(all.has(&name("any/thing")));
        for text in ["oci:dir", "localhost:5000/team:v1", "oci-archive:a.tar"] {
            assert!(part(text).is_none(), "{text}");
        }
    }

    #[test]
    fn an_annotation_filter_has_a_key_and_perhaps_a_value() {
        let parse = |text: &str| {
            text.parse::<AnnotationFilter>()
                .map(|filter| (filter.key, filter.value))
                .ok()
        };
        assert_eq!(parse("a"), Some(("a".into(), None)));
        assert_eq!(parse("a="), Some(("a".into(), Some(String::new()))));
        assert_eq!(parse("a=b=c"), Some(("a".into(), Some("b=c".into()))));
        assert_eq!(parse("=b"), None);
    }

    #[test]
    fn a_setting_of_a_store_shows_its_name_alone() {
        let setting: StoreOption = "sas_key=a=b&c".parse().expect("a setting");
        assert_eq!((&*setting.key, &*setting.value), ("sas_key", "a=b&c"));
        assert_eq!(format!("{setting:?}"), "sas_key=…");
        for text in ["hunter2", "=hunter2", ""] {
            let error = text.parse::<StoreOption>().expect_err("no name");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[test]
    fn what_a_shell_would_split_is_quoted() -> Result<()> {
        assert_eq!(quoted(&"oci:dir:v1".parse()?), "oci:dir:v1");
        assert_eq!(quoted(&"oci:a b".parse()?), "'oci:a b'");
        assert_eq!(quoted(&"oci:it's".parse()?), r"'oci:it'\''s'");
        Ok(())
    }
}
