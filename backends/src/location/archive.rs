//! Archives on a disk: files that hold an image layout, or what `docker save` writes.

use std::fmt;
use std::path::{Path, PathBuf, is_separator};
use std::str::FromStr;

use tranship::{Error, RegistryName, RepositoryName, Result, Tag, TagOrDigest};

use super::layout::LayoutPath;
use super::suffix::{Suffix, invalid, last_component, split_digest, tag_or_digest};
use super::url::url_scheme;

const OCI_FORMS: &str = "write oci-archive:FILE, with :TAG or @DIGEST behind it where one is meant; a FILE whose path has a colon needs a slash behind it";
const DOCKER_FORMS: &str = "write docker-archive:FILE, with :NAME:TAG, :TAG or @DIGEST behind it where one is meant; a FILE whose path has a colon needs a slash behind it";

/// A tar of an image layout: the part behind `oci-archive:` of a [`Location`](crate::Location).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OciArchiveLocation {
    path: PathBuf,
    reference: Option<TagOrDigest>,
}

impl OciArchiveLocation {
    /// The archive at `path`, and perhaps a tag or digest in it. A slash behind the path is left out.
    #[must_use]
    pub fn new(path: LayoutPath, reference: Option<TagOrDigest>) -> Self {
        Self {
            path: of_file(&path),
            reference,
        }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    tag_or_digest!("archive", "archive");
}

impl FromStr for OciArchiveLocation {
    type Err = Error;

    /// Reads `FILE[:TAG|@DIGEST]`, as the table of [`Location`](crate::Location) says.
    ///
    /// # Errors
    /// [`InvalidReference`](tranship::ErrorKind::InvalidReference) for a bad tag or digest, or the name
    /// of an image; and those of [`LayoutPath::new`].
    fn from_str(text: &str) -> Result<Self> {
        let parts = Parts::of(text, OCI_FORMS)?;
        if let Some(name) = parts.name {
            let why = "an image in an OCI archive has a tag and no name";
            return Err(invalid(name, why).with_hint(OCI_FORMS));
        }
        Ok(Self::new(parts.path.parse()?, parts.reference))
    }
}

impl fmt::Display for OciArchiveLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_parts(f, &self.path, None, self.reference())
    }
}

/// A tar as `docker save` writes it: the part behind `docker-archive:` of a
/// [`Location`](crate::Location).
///
/// An image in it is named as Docker does, such as `docker.io/library/alpine:3.18`. Here the part in
/// front of the tag is the [`name`](Self::name), and the rest is the [`reference`](Self::reference).
/// The name may be left out: then the tag alone says which image, whatever its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DockerArchiveLocation {
    path: PathBuf,
    // Never without a tag behind it.
    name: Option<String>,
    reference: Option<TagOrDigest>,
}

impl DockerArchiveLocation {
    /// The archive at `path`, and perhaps a tag or digest in it. A slash behind the path is left out.
    #[must_use]
    pub fn new(path: LayoutPath, reference: Option<TagOrDigest>) -> Self {
        Self {
            path: of_file(&path),
            name: None,
            reference,
        }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The name of the image in front of its tag, if one was given: as it was written, so
    /// `alpine` and `docker.io/library/alpine` are two names. Where there is a name, the reference is
    /// a tag.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The tag or digest, if one was given.
    #[must_use]
    pub fn reference(&self) -> Option<&TagOrDigest> {
        self.reference.as_ref()
    }

    /// The image `name:tag` in the same archive.
    ///
    /// # Errors
    /// [`InvalidReference`](tranship::ErrorKind::InvalidReference) if `name` is not what Docker takes for
    /// a name: that of a repository, perhaps with a host in front that has a `.` or a port or is
    /// `localhost`.
    pub fn with_image(mut self, name: &str, tag: Tag) -> Result<Self> {
        if !is_image_name(name) {
            return Err(invalid(name, "this is no name of an image"));
        }
        self.name = Some(name.to_owned());
        self.reference = Some(tag.into());
        Ok(self)
    }

    /// The same archive with another tag or digest. A name stays in front of a tag, and goes with a
    /// digest.
    #[must_use]
    pub fn with_reference(mut self, reference: impl Into<TagOrDigest>) -> Self {
        let reference = reference.into();
        self.name = self.name.filter(|_| reference.tag().is_some());
        self.reference = Some(reference);
        self
    }

    /// The archive alone, without a name too.
    #[must_use]
    pub fn without_reference(mut self) -> Self {
        self.name = None;
        self.reference = None;
        self
    }
}

impl FromStr for DockerArchiveLocation {
    type Err = Error;

    /// Reads `FILE[:NAME:TAG|:TAG|@DIGEST]`, as the table of [`Location`](crate::Location) says.
    ///
    /// # Errors
    /// [`InvalidReference`](tranship::ErrorKind::InvalidReference) for a bad name, tag or digest, and
    /// those of [`LayoutPath::new`].
    fn from_str(text: &str) -> Result<Self> {
        let parts = Parts::of(text, DOCKER_FORMS)?;
        let location = Self::new(parts.path.parse()?, parts.reference);
        let is_tag = location
            .reference()
            .is_some_and(|name| name.tag().is_some());
        let name = parts.name.filter(|_| is_tag).map(ToOwned::to_owned);
        Ok(Self { name, ..location })
    }
}

impl fmt::Display for DockerArchiveLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_parts(f, &self.path, self.name(), self.reference())
    }
}

/// A path without a slash behind it.
fn of_file(path: &LayoutPath) -> PathBuf {
    let path = path.as_path();
    match path
        .to_str()
        .map(|text| text.trim_end_matches(is_separator))
    {
        None | Some("") => path.to_owned(),
        Some(trimmed) => trimmed.into(),
    }
}

/// The path of an archive, and what was found behind it.
struct Parts<'a> {
    path: &'a str,
    name: Option<&'a str>,
    reference: Option<TagOrDigest>,
}

impl<'a> Parts<'a> {
    /// The path ends at the first colon that an image's name or a tag follows, and nothing else.
    fn of(text: &'a str, forms: &'static str) -> Result<Self> {
        // What is in a URL may be secret: that error does not repeat it.
        if url_scheme(text).is_some() || text.starts_with("//") {
            LayoutPath::new(text)?;
        }
        let (tagged, digest) = split_digest(text);
        let digest = digest.map(str::parse::<TagOrDigest>).transpose()?;
        let found = colons(tagged).find_map(|at| {
            let image = Image::of(&tagged[at + 1..])?;
            Some((&tagged[..at], image))
        });
        let (path, name, tag) = match found {
            None => (tagged, None, None),
            Some((path, Image::Tag(tag))) => (path, None, Some(tag)),
            Some((path, Image::Named(name, tag))) => (path, Some(name), Some(tag)),
            Some((_, Image::Untagged(name))) => {
                let why = "the tag behind the name of the image is missing";
                return Err(invalid(name, why).with_hint(forms));
            }
        };
        if let Some(rest) = behind_the_file(path) {
            let why = "what stands behind the colon is no tag and no image";
            let rest = &tagged[path.len() - rest.len()..];
            return Err(invalid(rest, why).with_hint(forms));
        }
        let reference = digest.or(tag.map(Into::into));
        Ok(Self {
            path,
            name,
            reference,
        })
    }
}

/// What Docker, and tools that do as it does, would read behind a colon.
enum Image<'a> {
    Tag(Tag),
    Named(&'a str, Tag),
    /// With a slash, so that it is not a tag.
    Untagged(&'a str),
}

impl<'a> Image<'a> {
    fn of(text: &'a str) -> Option<Self> {
        if let Ok(tag) = text.parse() {
            return Some(Self::Tag(tag));
        }
        if let Some((name, tag)) = text.rsplit_once(':')
            && is_image_name(name)
            && let Ok(tag) = tag.parse()
        {
            return Some(Self::Named(name, tag));
        }
        is_image_name(text).then_some(Self::Untagged(text))
    }
}

/// Where colons stand, but for that of a drive.
fn colons(path: &str) -> impl Iterator<Item = usize> {
    let has_drive = matches!(
        path.as_bytes(),
        [b'A'..=b'Z' | b'a'..=b'z', b':', b'/' | b'\\', ..]
    );
    let colons = path.match_indices(':').map(|(at, _)| at);
    colons.skip(usize::from(has_drive))
}

/// What stands in a path behind a colon that most likely is to end it. A slash behind the path says
/// that it is not.
fn behind_the_file(path: &str) -> Option<&str> {
    const EXTENSIONS: [&str; 6] = [".tar", ".tar.gz", ".tgz", ".tar.zst", ".tar.xz", ".tar.bz2"];
    let last = last_component(path);
    if last == path.len() {
        return None;
    }
    let is_end =
        |at: &usize| *at >= last || EXTENSIONS.iter().any(|end| path[..*at].ends_with(end));
    colons(path).find(is_end).map(|at| &path[at + 1..])
}

/// Whether Docker takes it for the name of an image.
fn is_image_name(text: &str) -> bool {
    let is_repository = |text: &str| text.parse::<RepositoryName>().is_ok();
    is_repository(text)
        || text
            .split_once('/')
            .is_some_and(|(host, name)| is_host(host) && is_repository(name))
}

fn is_host(text: &str) -> bool {
    let is_label = |label: &str| {
        let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(is_inner)
    };
    // Without one of these it would be the first component of the name.
    (text == "localhost" || text.contains(['.', ':']))
        && text.parse::<RegistryName>().is_ok()
        && !text.ends_with(':')
        && (text.starts_with('[') || text.split(['.', ':']).all(is_label))
}

/// Writes a path and what follows it, with a slash between them where it is needed.
fn write_parts(
    f: &mut fmt::Formatter<'_>,
    path: &Path,
    name: Option<&str>,
    reference: Option<&TagOrDigest>,
) -> fmt::Result {
    let path = path.display().to_string();
    let name = name.map(|name| format!(":{name}")).unwrap_or_default();
    let suffix = format!("{name}{}", Suffix(reference));
    let is_plain = Parts::of(&format!("{path}{suffix}"), "").is_ok_and(|parts| {
        parts.path == path && parts.name == name.get(1..) && parts.reference.as_ref() == reference
    });
    let slash = if is_plain { "" } else { "/" };
    write!(f, "{path}{slash}{suffix}")
}
