//! Finds the files of an artifact.

use std::collections::{BTreeMap, HashSet, VecDeque};

use futures_util::TryStreamExt as _;
use tranship::{
    Descriptor, Digest, Error, ErrorKind, MAX_MANIFEST_SIZE, ManifestDocument, MediaType,
    Printable, Repository, Result, ResultExt as _, fetch_document,
};
use wildmatch::WildMatch;

use super::helm;
use super::pull_options::PullOptions;
use super::title::{SafePath, TAR_DIGEST, TITLE, UNPACK};

/// The most manifests that are read for one pull.
const MAX_MANIFESTS: usize = 10_000;
/// The most files that one pull writes.
const MAX_FILES: usize = 100_000;

/// A file that is to be written.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) path: SafePath,
    pub(super) descriptor: Descriptor,
    /// Set if it is the archive of a directory.
    pub(super) archive: Option<ArchiveOf>,
}

/// What an archive is of.
#[derive(Debug, Clone)]
pub(super) struct ArchiveOf {
    /// With what the names in it begin.
    pub(super) prefix: SafePath,
    /// The digest that it has before compression.
    pub(super) digest: Option<Digest>,
}

/// What an artifact has.
#[derive(Debug, Default)]
pub(super) struct Selected {
    /// The files to write, in the order of the manifests.
    pub(super) files: Vec<Wanted>,
    /// What does not have a name.
    pub(super) unnamed: Vec<Descriptor>,
    /// The titles that no filter lets pass, for a message.
    pub(super) filtered: Vec<String>,
}

/// Reads the manifest `root` and those that it leads to, and returns the files of all of them.
pub(super) async fn select(
    repository: &dyn Repository,
    root: &Descriptor,
    options: &PullOptions,
) -> Result<Selected> {
    let mut search = Search {
        repository,
        options,
        config: options.config.clone().map(|spec| {
            let path = spec.path().to_string_lossy().into_owned();
            (path, spec.media_type().cloned())
        }),
        selected: Selected::default(),
    };
    let mut queue = VecDeque::from([root.clone()]);
    let mut seen = HashSet::from([*root.digest()]);
    while let Some(node) = queue.pop_front() {
        let document = fetch_document(repository, &node, MAX_MANIFEST_SIZE).await?;
        let Some(document) = document else {
            search.add(node)?;
            continue;
        };
        let mut next = search.read(document).await?;
        if options.include_referrers {
            let mut referrers = repository.referrers(&node, None);
            while let Some(referrer) = referrers.try_next().await? {
                next.push(referrer.plain());
                check_count(seen.len() + next.len())?;
            }
        }
        let new = next.into_iter().filter(|node| seen.insert(*node.digest()));
        queue.extend(new);
        check_count(seen.len())?;
    }
    let mut selected = search.selected;
    selected.files = without_collisions(selected.files)?;
    Ok(selected)
}

fn check_count(manifests: usize) -> Result<()> {
    if manifests <= MAX_MANIFESTS {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::SizeExceedsLimit,
        format!("the artifact leads to more than {MAX_MANIFESTS} manifests"),
    )
    .with_hint("pull one of its manifests by its digest, or choose a platform"))
}

struct Search<'a> {
    repository: &'a dyn Repository,
    options: &'a PullOptions,
    /// Where the config is written, until one is found, and its type.
    config: Option<(String, Option<MediaType>)>,
    selected: Selected,
}

impl Search<'_> {
    /// Adds the files of a manifest, and returns the manifests that it leads to.
    async fn read(&mut self, document: ManifestDocument) -> Result<Vec<Descriptor>> {
        let mut next = Vec::new();
        if self.options.include_subject {
            next.extend(document.subject().map(Descriptor::plain));
        }
        match document {
            ManifestDocument::Index(index) => {
                next.extend(index.manifests);
            }
            ManifestDocument::Manifest(mut manifest) => {
                if helm::is_chart(&manifest) {
                    helm::name_layers(self.repository, &mut manifest).await?;
                }
                for layer in manifest.layers {
                    self.add(layer)?;
                }
                self.add_config(manifest.config)?;
            }
            document => {
                let subject = document.subject().cloned();
                for blob in document.into_successors() {
                    if subject.as_ref() != Some(&blob) {
                        self.add(blob)?;
                    }
                }
            }
        }
        Ok(next)
    }

    fn add_config(&mut self, config: Descriptor) -> Result<()> {
        let is_wanted =
            |kind: &Option<MediaType>| kind.as_ref().is_none_or(|kind| kind == config.media_type());
        match &self.config {
            Some((path, kind)) if is_wanted(kind) => {
                let config = config.with_annotation(TITLE, path.clone());
                self.config = None;
                let path = to_path(&config, title_of(&config).unwrap_or_default())?;
                self.push(Wanted {
                    path,
                    descriptor: config,
                    archive: None,
                })
            }
            _ => self.add(config),
        }
    }

    fn add(&mut self, descriptor: Descriptor) -> Result<()> {
        let Some(title) = title_of(&descriptor) else {
            if !descriptor.same_content(&Descriptor::empty_json()) {
                self.selected.unnamed.push(descriptor);
            }
            return Ok(());
        };
        if !self.passes(&descriptor, title) {
            if self.selected.filtered.len() < MAX_FILES {
                self.selected.filtered.push(title.to_owned());
            }
            return Ok(());
        }
        let prefix = to_path(&descriptor, title)?;
        let is_archive = descriptor.annotation(UNPACK) == Some("true");
        let wanted = if is_archive && self.options.keep_tar {
            Wanted {
                path: prefix.with_suffix("directory", ending(descriptor.media_type())),
                descriptor,
                archive: None,
            }
        } else if is_archive {
            let digest = descriptor
                .annotation(TAR_DIGEST)
                .and_then(|digest| digest.parse().ok());
            Wanted {
                path: prefix.clone(),
                descriptor,
                archive: Some(ArchiveOf { prefix, digest }),
            }
        } else {
            Wanted {
                path: prefix,
                descriptor,
                archive: None,
            }
        };
        self.push(wanted)
    }

    fn push(&mut self, wanted: Wanted) -> Result<()> {
        if wanted.archive.is_none() && wanted.path.names().is_empty() {
            return Err(unsafe_title(
                &wanted.descriptor,
                ".",
                "the name is that of a directory",
            ));
        }
        if self.selected.files.len() >= MAX_FILES {
            return Err(Error::new(
                ErrorKind::SizeExceedsLimit,
                format!("the artifact has more than {MAX_FILES} files"),
            ));
        }
        self.selected.files.push(wanted);
        Ok(())
    }

    fn passes(&self, descriptor: &Descriptor, title: &str) -> bool {
        let last = title.rsplit('/').next().unwrap_or(title);
        let (names, media_types) = (&self.options.names, &self.options.media_types);
        let matches = |pattern: &String| {
            let glob = WildMatch::new(pattern);
            glob.matches(title) || !pattern.contains('/') && glob.matches(last)
        };
        (names.is_empty() || names.iter().any(matches))
            && (media_types.is_empty() || media_types.contains(descriptor.media_type()))
    }
}

fn title_of(descriptor: &Descriptor) -> Option<&str> {
    descriptor
        .annotation(TITLE)
        .filter(|title| !title.is_empty())
}

fn to_path(descriptor: &Descriptor, title: &str) -> Result<SafePath> {
    SafePath::parse(title).map_err(|reason| unsafe_title(descriptor, title, reason))
}

fn unsafe_title(descriptor: &Descriptor, title: &str, reason: &str) -> Error {
    Error::unsupported(format!(
        "{}: {reason}, so it is not written",
        descriptor.digest()
    ))
    .with_subject(Printable(title))
    .with_hint(
        "fetch the content by its digest if you trust it, or choose other files by their names",
    )
}

/// Returns what follows the name of an archive.
fn ending(media_type: &MediaType) -> &'static str {
    let text = media_type.as_str();
    if text.ends_with("zstd") {
        ".tar.zst"
    } else if text.ends_with("tar") {
        ".tar"
    } else {
        ".tar.gz"
    }
}

/// Removes repeated files, and fails if two different ones would have one name, or if one would be a directory that
/// another is in.
fn without_collisions(files: Vec<Wanted>) -> Result<Vec<Wanted>> {
    let mut by_path: BTreeMap<SafePath, (Digest, bool)> = BTreeMap::new();
    let mut kept = Vec::new();
    for file in files {
        let this = (*file.descriptor.digest(), file.archive.is_some());
        match by_path.insert(file.path.clone(), this) {
            None => kept.push(file),
            Some(other) if other == this => {}
            Some((other, _)) => {
                return Err(collision(
                    &file,
                    format!("two files have this name: {other} and {}", this.0),
                ));
            }
        }
    }
    for file in &kept {
        let names = file.path.names();
        let above = (1..names.len()).map(|length| names[..length].join("/"));
        for above in above {
            let is_file = SafePath::parse(&above)
                .ok()
                .and_then(|path| by_path.get(&path));
            if is_file.is_some_and(|(_, is_archive)| !is_archive) {
                return Err(collision(
                    file,
                    format!("{above} is the name of a file, and of a directory for this one"),
                ));
            }
        }
    }
    Ok(kept)
}

fn collision(file: &Wanted, message: String) -> Error {
    Error::unsupported(message)
        .with_subject(&file.path)
        .with_hint("choose one of them by a platform, a media type or a name")
}

/// Explains why there is nothing to write.
pub(super) fn explain_nothing(selected: &Selected, root: &Descriptor) -> Result<()> {
    if !selected.filtered.is_empty() {
        let shown: Vec<_> = selected
            .filtered
            .iter()
            .take(10)
            .map(|title| Printable(title).to_string())
            .collect();
        let others = if selected.filtered.len() > shown.len() {
            " and others"
        } else {
            ""
        };
        return Err(
            Error::new(ErrorKind::NotFound, "no file passes the filters")
                .with_subject(root.digest())
                .with_hint(format!("its files are {}{others}", shown.join(", "))),
        );
    }
    if selected.unnamed.is_empty() {
        return Ok(());
    }
    let count = selected.unnamed.len();
    Err(Error::unsupported(format!(
        "none of its {count} blobs has a file name (the annotation {TITLE}), as in an image"
    ))
    .with_hint(
        "copy it to an image layout to get its content, with `tranship cp LOCATION oci:DIR:TAG`",
    ))
    .during("pull", root.digest())
}
