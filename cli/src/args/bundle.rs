//! The arguments of `bundle`, `backup` and `restore`.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};
use tranship::{CopyOptions, Error, ErrorKind, Result};
use tranship_backends::ObjectStoreUrl;
use tranship_mirror::rules::{Rule, SourcePattern};

use super::mirror::FileFormatArg;
use super::platform::PlatformsArg;

/// Move many images as one file
///
/// A bundle is an OCI archive with the images of many repositories, for transfers to places without a network. The
/// same images make the same bytes.
#[derive(Debug, Subcommand)]
pub(crate) enum Bundle {
    Create(Box<BundleCreate>),
    Apply(Box<BundleApply>),

    List(BundleList),
    Verify(BundleVerify),
    Diff(BundleDiff),
    Lock(BundleLock),
}

/// Write images to a bundle
///
/// With --base, content that the destination has from an earlier bundle is left out. With --volume-size, several files
/// are written, which can be applied one at a time and in any order. An interrupted run continues in FILE.partial.
///
/// Prints the files.
#[derive(Debug, Args)]
pub(crate) struct BundleCreate {
    /// What to write: images, repositories with all their tags, or patterns such as HOST/team/**
    #[arg(value_name = "SRC", required_unless_present = "rules", value_parser = parse_source)]
    pub(crate) sources: Vec<Rule>,
    /// Write the images that this file chooses, too; it is a file for `tranship mirror`
    #[arg(long, short = 'f', value_name = "FILE")]
    pub(crate) rules: Option<PathBuf>,
    /// What kind of file that is [default: told by its content]
    #[arg(long, value_enum, value_name = "FORMAT", requires = "rules")]
    pub(crate) file_format: Option<FileFormatArg>,
    #[command(flatten)]
    pub(crate) platforms: PlatformsArg,
    /// Leave out referrers of the images: signatures, SBOMs and the like
    #[arg(long)]
    pub(crate) no_referrers: bool,
    #[command(flatten)]
    pub(crate) write: BundleWrite,
}

/// How a bundle is written.
#[derive(Debug, Args)]
pub(crate) struct BundleWrite {
    /// The file to write; - for standard output, or an object such as s3://bucket/bundle.tar
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: BundleOutput,
    /// Leave out what the destination has, as this lock or bundle says. Any one volume of a bundle is enough
    #[arg(long, value_name = "LOCK|FILE")]
    pub(crate) base: Vec<PathBuf>,
    /// Write files of at most this size, such as 4GiB or 700MB: FILE.001.tar and so on
    #[arg(long, value_name = "SIZE")]
    pub(crate) volume_size: Option<SizeArg>,
    /// Write a lock, which is the base of the next bundle, to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) lock: Option<PathBuf>,
    /// Write what can be written if some of the images fail
    #[arg(long)]
    pub(crate) keep_going: bool,
    /// Print what there is to write, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Copy the images of a bundle to a registry or to layouts
///
/// What the bundle expects at the destination is looked for before anything is written. With some of the volumes, their
/// content is copied, and the images that are complete get their tags. An interrupted run is repeated, and continues.
///
/// Prints a table of the images.
#[derive(Debug, Args)]
#[command(override_usage = "tranship bundle apply [OPTIONS] <FILE>... <DST>")]
pub(crate) struct BundleApply {
    /// The volumes of the bundle, - for standard input, and then where to, such as registry.example/mirror or layouts:DIR. The name of the
    /// repository follows, without its registry, unless it is placed by {repository}, {namespace}, {name} or {registry}. A
    /// lock in place of volumes sets the tags of content that the destination has
    #[arg(value_name = "FILE", num_args = 2.., required = true)]
    pub(crate) files_and_destination: Vec<String>,
    /// Delete the tags that the bundle does not have, of repositories that it has, and what only these tags lead to
    #[arg(long)]
    pub(crate) prune: bool,
    /// Delete without a question
    #[arg(long, short, requires = "prune")]
    pub(crate) yes: bool,
    /// Write a lock, which describes the destination afterwards and is the base of the next bundle, to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) lock: Option<PathBuf>,
    /// Print what there is to copy, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Keep parts of large blobs in this directory until the volumes with their other parts are applied [default: where
    /// interrupted uploads are recorded]
    #[arg(long, value_name = "DIR")]
    pub(crate) parts: Option<PathBuf>,
    /// How many pieces of content of an image to copy at the same time
    #[arg(long, value_name = "N", default_value_t = CopyOptions::DEFAULT_CONCURRENCY as u16, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) concurrency: u16,
}

/// List the images of a bundle or lock
#[derive(Debug, Args)]
pub(crate) struct BundleList {
    /// The volumes of the bundle, or a lock
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
}

/// Read a bundle, and check all of its content
#[derive(Debug, Args)]
pub(crate) struct BundleVerify {
    /// The volumes of the bundle
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Check also that this lock or bundle has the content that is left out. Any one volume of a bundle is enough
    #[arg(long, value_name = "LOCK|FILE")]
    pub(crate) base: Vec<PathBuf>,
    /// Accept that volumes are missing, and check those that are given
    #[arg(long)]
    pub(crate) partial: bool,
}

/// Show what differs between two bundles or locks
#[derive(Debug, Args)]
pub(crate) struct BundleDiff {
    /// The older bundle or lock
    #[arg(value_name = "A")]
    pub(crate) old: PathBuf,
    /// The newer one
    #[arg(value_name = "B")]
    pub(crate) new: PathBuf,
}

/// Print the lock of a bundle
///
/// The lock describes what a destination has after the bundle was applied.
#[derive(Debug, Args)]
pub(crate) struct BundleLock {
    /// A volume of the bundle
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// Write everything in a registry to a bundle
///
/// Every tag of every repository is written, with its referrers. `tranship restore` copies it back.
#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// What to write: a registry, a pattern such as HOST/team/**, or layouts:DIR
    #[arg(value_name = "REGISTRY", value_parser = parse_registry)]
    pub(crate) source: SourcePattern,
    /// Write also manifests without a tag, of layouts:DIR
    #[arg(long)]
    pub(crate) untagged: bool,
    #[command(flatten)]
    pub(crate) write: BundleWrite,
}

/// Where a bundle is written to.
#[derive(Debug, Clone)]
pub(crate) enum BundleOutput {
    Stdout,
    File(PathBuf),
    Object(ObjectStoreUrl),
}

impl FromStr for BundleOutput {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "-" {
            return Ok(Self::Stdout);
        }
        if text.contains("://") {
            return text.parse().map(Self::Object);
        }
        let text = text.strip_prefix("oci-archive:").unwrap_or(text);
        if [".gz", ".tgz", ".zst", ".xz"]
            .iter()
            .any(|end| text.ends_with(end))
        {
            return Err(Error::new(ErrorKind::InvalidInput, "a bundle is not compressed as a whole")
                .with_subject(text)
                .with_hint("name it .tar: layers are mostly compressed, and a compressed tar cannot be read at any position"));
        }
        if text.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "the name of the file is empty",
            ));
        }
        Ok(Self::File(text.into()))
    }
}

/// A size in bytes, such as `4GiB`, `700MB` or `1000000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SizeArg(pub(crate) NonZeroU64);

impl FromStr for SizeArg {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = || {
            Error::new(
                ErrorKind::InvalidInput,
                format!("invalid size {text:?}: expected a number and a unit"),
            )
            .with_hint("write for example 4GiB, 700MB or 1000000")
        };
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let factor: u64 = match text[digits.len()..].to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "kb" => 1000,
            "mb" => 1000 * 1000,
            "gb" => 1000 * 1000 * 1000,
            "tb" => 1000 * 1000 * 1000 * 1000,
            "k" | "kib" => 1 << 10,
            "m" | "mib" => 1 << 20,
            "g" | "gib" => 1 << 30,
            "t" | "tib" => 1 << 40,
            _ => return Err(invalid()),
        };
        let number: u64 = digits.trim().parse().map_err(|_| invalid())?;
        let bytes = number.checked_mul(factor).and_then(NonZeroU64::new);
        bytes.map(Self).ok_or_else(invalid)
    }
}

/// Parses images, or a pattern. The name of a file is a likely mistake.
fn parse_source(text: &str) -> Result<Rule> {
    text.parse()
        .map_err(|error: Error| match std::path::Path::new(text).is_file() {
            true => Error::new(
                ErrorKind::InvalidInput,
                "is a file, and the name of an image is expected",
            )
            .with_subject(text)
            .with_hint(format!("to read images from a file, give -f {text}")),
            false => error,
        })
}

/// Parses a registry, of which all repositories are meant, or a pattern.
fn parse_registry(text: &str) -> Result<SourcePattern> {
    match text.contains('/') || text.starts_with("layouts:") {
        true => text.parse(),
        false => format!("{text}/**").parse(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [
            ("4GiB", 4 << 30),
            ("4g", 4 << 30),
            ("700MB", 700_000_000),
            ("512", 512),
            ("1 KiB", 1024),
        ] {
            assert_eq!(text.parse::<SizeArg>().expect(text).0.get(), bytes);
        }
        for text in ["", "0", "4 parsecs", "-1", "1.5GB", "99999999999999T"] {
            assert!(text.parse::<SizeArg>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_registry_alone_means_all_of_its_repositories() {
        for (text, shown) in [
            ("registry.example", "registry.example/**"),
            ("localhost:5000", "localhost:5000/**"),
            ("registry.example/team/**", "registry.example/team/**"),
            ("layouts:dir", "layouts:dir//**"),
        ] {
            assert_eq!(parse_registry(text).expect(text).to_string(), shown);
        }
    }
}
