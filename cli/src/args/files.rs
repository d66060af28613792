//! The arguments of `push`, `pull` and `attach`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tranship::{MediaType, PackVersion, Platform, Tag, TagOrDigest};
use tranship_artifact::files::FileSpec;
use tranship_backends::Location;

use super::annotate::AnnotationArg;
use super::platform::PlatformArg;
use crate::foreign;
use crate::location;

/// Store files and directories as an artifact
///
/// Each file is stored with its name, and a directory as an archive that is unpacked when it is pulled. The formats are
/// those of oras, which can pull the artifact. A directory that is pushed again, also on another machine, has the same
/// digest; so has the artifact if the annotation org.opencontainers.image.created is given, or SOURCE_DATE_EPOCH is set
/// to a number of seconds since 1970.
///
/// Prints the digest of the manifest.
#[derive(Debug, Args)]
pub(crate) struct Push {
    /// Where to; with a tag, or without one
    #[arg(value_name = "LOCATION", value_parser = location::parse_destination)]
    pub(crate) location: Location,
    #[command(flatten)]
    pub(crate) files: FilesArgs,
    /// What the artifact is [default: application/vnd.unknown.artifact.v1]
    #[arg(long, value_name = "TYPE")]
    pub(crate) artifact_type: Option<MediaType>,
    /// A file that becomes the config of the artifact
    #[arg(long, value_name = "FILE[:TYPE]")]
    pub(crate) config: Option<FileSpec>,
    /// The version of image-spec that the manifest follows [default: v1.1; v1.0 for --config without --artifact-type]
    #[arg(long, value_name = "VERSION", value_enum)]
    pub(crate) image_spec: Option<ImageSpec>,
    /// What the files are for: a platform that is stored in the config
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", conflicts_with = "config")]
    pub(crate) artifact_platform: Option<Platform>,
    /// The tag or digest of a manifest in the same repository that the artifact refers to
    #[arg(long, value_name = "TAG|DIGEST")]
    pub(crate) subject: Option<TagOrDigest>,
    /// A further tag to set; may be repeated
    #[arg(long = "tag", short, value_name = "TAG")]
    pub(crate) tags: Vec<Tag>,
}

/// Store files as an artifact that refers to another one, such as an SBOM or a signature of it
///
/// `tranship discover` lists what is attached. Without files, the annotations are attached.
///
/// Prints the digest of the new manifest.
#[derive(Debug, Args)]
pub(crate) struct Attach {
    /// What to attach to
    #[arg(value_name = "LOCATION", value_parser = foreign::parse_written)]
    pub(crate) location: Location,
    #[command(flatten)]
    pub(crate) files: FilesArgs,
    /// What is attached
    #[arg(long, value_name = "TYPE")]
    pub(crate) artifact_type: MediaType,
    /// A file that becomes the config of the artifact
    #[arg(long, value_name = "FILE[:TYPE]")]
    pub(crate) config: Option<FileSpec>,
    #[command(flatten)]
    pub(crate) platform: PlatformArg,
    /// A tag to set; may be repeated
    #[arg(long = "tag", short, value_name = "TAG")]
    pub(crate) tags: Vec<Tag>,
}

/// What `push` and `attach` share.
#[derive(Debug, Args)]
pub(crate) struct FilesArgs {
    /// Files and directories. The last colon separates the media type: write FILE: if the name of a file has a colon.
    /// - is standard input, which needs --title
    #[arg(value_name = "FILE[:TYPE]")]
    pub(crate) files: Vec<FileSpec>,
    /// The name of standard input in the artifact, and its media type
    #[arg(long, value_name = "NAME[:TYPE]")]
    pub(crate) title: Option<FileSpec>,
    /// An annotation of the manifest; may be repeated
    #[arg(
        long = "annotation",
        short = 'a',
        value_name = "KEY=VALUE",
        conflicts_with = "annotation_file"
    )]
    pub(crate) annotations: Vec<AnnotationArg>,
    /// A JSON file with annotations of the manifest ($manifest), of the config ($config) and of files, each by its FILE
    /// exactly as given here
    #[arg(long, value_name = "FILE")]
    pub(crate) annotation_file: Option<PathBuf>,
    /// Write the manifest to this file, too
    #[arg(long, value_name = "FILE")]
    pub(crate) export_manifest: Option<PathBuf>,
    /// Also push absolute paths, paths with .., and links that lead out of their directory. Such files cannot be pulled
    #[arg(long)]
    pub(crate) disable_path_validation: bool,
    /// How many files to push at the same time
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) concurrency: u16,
}

/// A version of image-spec.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ImageSpec {
    #[value(name = "v1.0")]
    V1_0,
    #[value(name = "v1.1")]
    V1_1,
}

impl From<ImageSpec> for PackVersion {
    fn from(version: ImageSpec) -> Self {
        match version {
            ImageSpec::V1_0 => Self::V1_0,
            ImageSpec::V1_1 => Self::V1_1,
        }
    }
}

/// Write the files of an artifact to a directory
///
/// Directories that were pushed are unpacked. Files appear when all of them are complete and have the right digests.
/// Files that exist with the same content are not touched. Nothing is written outside of the directory. Artifacts of oras and
/// Helm charts can be pulled, too; use cp for images.
///
/// Prints the path of each file that was written, one a line.
#[derive(Debug, Args)]
pub(crate) struct Pull {
    /// What to pull, by tag or digest
    #[arg(value_name = "LOCATION")]
    pub(crate) location: Location,
    /// The directory, which is made if it does not exist
    #[arg(long, short, value_name = "DIR", default_value = ".")]
    pub(crate) output: PathBuf,
    /// Replace files that exist with other content
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Only files whose name, with or without its directories, matches this pattern with * and ?; may be repeated
    #[arg(long = "match", value_name = "GLOB")]
    pub(crate) names: Vec<String>,
    /// Only files of this media type; may be repeated
    #[arg(long = "media-type", value_name = "TYPE")]
    pub(crate) media_types: Vec<MediaType>,
    #[command(flatten)]
    pub(crate) platform: PlatformArg,
    /// Also the files of what the artifact refers to
    #[arg(long)]
    pub(crate) include_subject: bool,
    /// Also the files of its referrers: signatures, SBOMs and the like
    #[arg(long, short)]
    pub(crate) recursive: bool,
    /// Write the config to this path in the directory; with a type, only a config of this type
    #[arg(long, value_name = "PATH[:TYPE]")]
    pub(crate) config: Option<FileSpec>,
    /// Write archives of directories as files, and do not unpack them
    #[arg(long)]
    pub(crate) keep_tar: bool,
    /// The most that an archive may have when it is unpacked [default: 200 times its size, and at least 1 GiB]
    #[arg(long, value_name = "BYTES")]
    pub(crate) max_unpacked_size: Option<u64>,
    /// How many files to fetch at the same time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) concurrency: u16,
}
