//! Several platforms of an index: which of its manifests are copied, and the index of these.

use std::collections::HashSet;

use bytes::Bytes;

use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result, ResultExt as _};
use crate::manifest::{ManifestDocument, ManifestEditor};
use crate::platform::Platform;
use crate::resolve::{image_platform, name_platforms};
use crate::storage::Fetcher;

/// The annotation of an attestation in an index, with the digest of the manifest that it describes. BuildKit writes
/// it, beside the platform `unknown/unknown`.
const ATTESTED: &str = "vnd.docker.reference.digest";
/// The annotation that says that an entry is an attestation.
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";

/// Which index a copy of some platforms pushes as its root.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SubsetForm {
    /// A new index, with another digest, that lists what is copied. Every registry accepts it, and readers find
    /// everything that it lists. Signatures of the original index do not cover it.
    #[default]
    NewIndex,
    /// The original index, with its digest, which lists manifests that are not copied. Registries may refuse it.
    Sparse,
}

/// Some platforms of an index, for [`CopyOptions::platforms`](super::CopyOptions::platforms).
///
/// The manifests that satisfy at least one of the platforms are kept, all of them, and so are entries without a
/// platform, which may be for any; an index below the index is such an entry, and is kept or removed as a whole.
/// An attestation of BuildKit is kept if the manifest is kept that it describes. Order, unknown fields and all else
/// stay as they are. If every entry is kept, the index is the original one.
///
/// ```
/// use tranship::{CopyOptions, PlatformSubset};
///
/// let subset = PlatformSubset::new(["linux/amd64".parse()?, "linux/arm64".parse()?]);
/// let options = CopyOptions::default().with_platforms(subset);
/// # Ok::<(), tranship::Error>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct PlatformSubset {
    /// The platforms.
    pub platforms: Vec<Platform>,
    /// Whether some of the platforms may be missing. By default that is an error, because a copy without a platform
    /// that is needed is often noticed only when a machine of that platform fails. It is always an error if all of
    /// them are missing.
    pub allow_missing: bool,
    /// Which index is pushed as the root.
    pub form: SubsetForm,
}

/// The result of [`PlatformSubset::select`].
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectedManifests {
    /// The bytes of the index that lists what is kept: the original bytes, if that is everything.
    pub content: Bytes,
    /// The descriptor of [`content`](Self::content): media type, digest and size.
    pub index: Descriptor,
    /// The entries that are kept, in their order.
    pub kept: Vec<Descriptor>,
    /// The entries that are removed, in their order.
    pub removed: Vec<Descriptor>,
    /// The platforms that the index does not have.
    pub missing: Vec<Platform>,
}

/// How a copy of some platforms chose its root.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubsetReport {
    /// The root in the source. It is also the root at the destination if everything was kept, or if the
    /// copy is sparse.
    pub original: Descriptor,
    /// The entries of the index that were copied, in their order; empty if the root is a single image.
    pub kept: Vec<Descriptor>,
    /// The entries of the index that were not copied, in their order.
    pub removed: Vec<Descriptor>,
    /// The platforms that the source does not have.
    pub missing: Vec<Platform>,
}

/// The entries of a sparse root that are not copied.
pub(super) struct PartialRoot {
    pub(super) digest: Digest,
    left_out: HashSet<Digest>,
}

impl PartialRoot {
    pub(super) fn leaves_out(&self, child: &Descriptor) -> bool {
        self.left_out.contains(child.digest())
    }
}

impl PlatformSubset {
    /// Returns the subset of `platforms` that makes a new index and in which all of them must exist.
    #[must_use]
    pub fn new(platforms: impl IntoIterator<Item = Platform>) -> Self {
        Self {
            platforms: platforms.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Sets [`allow_missing`](Self::allow_missing).
    #[must_use]
    pub fn with_allow_missing(mut self, allow: bool) -> Self {
        self.allow_missing = allow;
        self
    }

    /// Sets [`form`](Self::form).
    #[must_use]
    pub fn with_form(mut self, form: SubsetForm) -> Self {
        self.form = form;
        self
    }

    /// Selects from the index or Docker manifest list `index`, whose bytes are `content`. Reads nothing else.
    ///
    /// The digest of a new index is of the same algorithm as that of `index`. [`form`](Self::form) does not matter
    /// here.
    ///
    /// # Errors
    /// - [`ErrorKind::NotFound`] if one of the platforms is missing and that is not
    ///   [allowed](Self::allow_missing), or if all of them are. The hint lists the platforms that the index has.
    /// - [`ErrorKind::InvalidManifest`] if the content cannot be decoded.
    /// - [`ErrorKind::Unsupported`] if it is not an index.
    pub fn select(&self, index: &Descriptor, content: &Bytes) -> Result<SelectedManifests> {
        let document = ManifestDocument::decode(index.media_type(), content)
            .during("decode", index.digest())?;
        let Some(ManifestDocument::Index(decoded)) = document else {
            return Err(Error::unsupported(format!(
                "content of type {} does not have several platforms",
                index.media_type()
            ))
            .with_subject(index.digest()));
        };
        let entries = decoded.manifests;
        let missing = self.missing(entries.iter().filter_map(platform_of));
        self.check_missing(&missing, || name_platforms(&entries))
            .map_err(|error| error.with_subject(index.digest()))?;
        let keep = self.kept(&entries);
        let (content, index) = if keep.contains(&false) {
            let mut editor = ManifestEditor::new(index.media_type(), content)?;
            let mut numbers = 0..;
            editor.retain_manifests(|_| numbers.next().is_some_and(|number| keep[number]))?;
            let content = editor.into_bytes();
            let algorithm = index.digest().algorithm();
            let index = Descriptor::of_with(algorithm, index.media_type().clone(), &content);
            (content, index)
        } else {
            (content.clone(), index.plain())
        };
        let (mut kept, mut removed) = (Vec::new(), Vec::new());
        for (entry, keep) in entries.into_iter().zip(keep) {
            if keep {
                kept.push(entry);
            } else {
                removed.push(entry);
            }
        }
        Ok(SelectedManifests {
            content,
            index,
            kept,
            removed,
            missing,
        })
    }

    /// Returns for each entry whether it is kept.
    fn kept(&self, entries: &[Descriptor]) -> Vec<bool> {
        let is_kept = |entry: &Descriptor| {
            !is_attestation(entry) && (platform_of(entry).is_none() || self.matches(entry))
        };
        let mut keep: Vec<bool> = entries.iter().map(is_kept).collect();
        let with_content: HashSet<Digest> = entries
            .iter()
            .filter(|entry| is_kept(entry))
            .map(|entry| *entry.digest())
            .collect();
        for (entry, keep) in entries.iter().zip(&mut keep) {
            if is_attestation(entry) {
                let subject = attested_digest(entry);
                *keep = subject.is_some_and(|subject| with_content.contains(&subject))
                    || self.matches(entry);
            }
        }
        keep
    }

    /// Whether the platform of an entry is one of those that are wanted.
    fn matches(&self, entry: &Descriptor) -> bool {
        platform_of(entry)
            .is_some_and(|it| self.platforms.iter().any(|wanted| it.satisfies(wanted)))
    }

    /// Returns the wanted platforms that no offered one satisfies.
    fn missing<'p>(&self, offered: impl Iterator<Item = &'p Platform> + Clone) -> Vec<Platform> {
        let is_missing = |wanted: &&Platform| !offered.clone().any(|it| it.satisfies(wanted));
        self.platforms.iter().filter(is_missing).cloned().collect()
    }

    fn check_missing(&self, missing: &[Platform], offered: impl FnOnce() -> String) -> Result<()> {
        let is_all = missing.len() == self.platforms.len();
        if !is_all && (missing.is_empty() || self.allow_missing) {
            return Ok(());
        }
        let names: Vec<String> = missing.iter().map(ToString::to_string).collect();
        let message = match names.as_slice() {
            [] => "no platform is given".to_owned(),
            [name] => format!("there is no manifest for the platform {name}"),
            names => format!(
                "there are no manifests for the platforms {}",
                names.join(", ")
            ),
        };
        let kind = if names.is_empty() {
            ErrorKind::InvalidInput
        } else {
            ErrorKind::NotFound
        };
        let error = Error::new(kind, message);
        let offered = offered();
        Err(match (offered.is_empty(), is_all) {
            (true, _) => error,
            (false, true) => error.with_hint(format!("it has {offered}")),
            (false, false) => error.with_hint(format!("it has {offered}; leave out the others")),
        })
    }

    /// Selects the root of a copy. An image that is not in an index must be for one of the platforms.
    pub(super) async fn select_root(
        &self,
        source: &dyn Fetcher,
        root: Descriptor,
        content: Bytes,
        limit: u64,
    ) -> Result<(Descriptor, Bytes, SubsetReport, Option<PartialRoot>)> {
        let report = |selected: SelectedManifests| SubsetReport {
            original: root.clone(),
            kept: selected.kept,
            removed: selected.removed,
            missing: selected.missing,
        };
        if !root.media_type().is_index() {
            let platform = image_platform(source, &root, &content, limit).await?;
            let missing = self.missing(std::iter::once(&platform));
            self.check_missing(&missing, || platform.to_string())
                .map_err(|error| error.with_subject(root.digest()))?;
            let report = SubsetReport {
                original: root.clone(),
                kept: Vec::new(),
                removed: Vec::new(),
                missing,
            };
            return Ok((root, content, report, None));
        }
        let selected = self.select(&root, &content)?;
        match self.form {
            SubsetForm::NewIndex => {
                let (index, content) = (selected.index.clone(), selected.content.clone());
                Ok((index, content, report(selected), None))
            }
            SubsetForm::Sparse => {
                let kept: HashSet<&Digest> = selected.kept.iter().map(Descriptor::digest).collect();
                let left_out = selected.removed.iter().map(Descriptor::digest);
                let partial = PartialRoot {
                    digest: *root.digest(),
                    left_out: left_out.filter(|it| !kept.contains(it)).copied().collect(),
                };
                let report = report(selected);
                Ok((root.clone(), content, report, Some(partial)))
            }
        }
    }
}

/// Returns the digest of the manifest that `entry` of an index attests, if `entry` is an attestation as BuildKit
/// writes them and names one.
///
/// ```
/// use tranship::{Descriptor, Digest, attested_digest};
///
/// let image = Digest::of(b"an image");
/// let entry = Descriptor::empty_json();
/// assert_eq!(attested_digest(&entry), None);
/// let entry = entry.with_annotation("vnd.docker.reference.digest", image.to_string());
/// assert_eq!(attested_digest(&entry), Some(image));
/// ```
#[must_use]
pub fn attested_digest(entry: &Descriptor) -> Option<Digest> {
    entry.annotation(ATTESTED)?.parse().ok()
}

fn is_attestation(entry: &Descriptor) -> bool {
    entry.annotation(ATTESTED).is_some()
        || entry.annotation(REFERENCE_TYPE) == Some("attestation-manifest")
}

/// Returns the platform of an entry, if it says one.
fn platform_of(entry: &Descriptor) -> Option<&Platform> {
    entry
        .platform()
        .filter(|platform| !platform.os.is_empty() || !platform.architecture.is_empty())
}
