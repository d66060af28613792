//! The arguments of `mirror`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tranship_mirror::file::FileFormat;
use tranship_mirror::rules::Destination;

use crate::location::DurationArg;

/// Keep copies of many images up to date, as a file says
///
/// Each tag of the source costs one request while it is up to date. Content that several images have is copied once, and
/// mounted or linked elsewhere. An image that fails does not stop the others, and the same command continues what was
/// interrupted.
///
/// Prints a table of what was copied and what failed; with --format json, what happened to every image. The exit code is 9
/// if some of the images failed.
#[derive(Debug, Args)]
pub(crate) struct Mirror {
    /// The file that says what is copied where; - for standard input
    #[arg(value_name = "FILE", required_unless_present = "schema")]
    pub(crate) file: Option<PathBuf>,
    /// Where to, for a file that does not say, such as registry.example/mirror or layouts:DIR. The name of the
    /// repository follows, unless it is placed by {repository}, {namespace}, {name} or {registry}
    #[arg(long, value_name = "DST")]
    pub(crate) to: Option<Destination>,
    /// What kind of file it is [default: told by its content]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) file_format: Option<FileFormatArg>,
    /// Print what there is to copy and to delete, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Delete the tags that no rule chooses, of repositories that images were copied to, and what only these tags lead to
    #[arg(long)]
    pub(crate) prune: bool,
    /// Delete without a question
    #[arg(long, short, requires = "prune")]
    pub(crate) yes: bool,
    /// Repeat this long after the end of each run, until the program is terminated. The file is read again each time
    #[arg(long, value_name = "DURATION")]
    pub(crate) watch: Option<DurationArg>,
    /// Look into images that are up to date, and copy what is missing below them
    #[arg(long)]
    pub(crate) repair: bool,
    /// How many images to copy at the same time [default: 4, or what the file says]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) concurrency: Option<u16>,
    /// Print the JSON Schema of the file
    #[arg(long, exclusive = true)]
    pub(crate) schema: bool,
}

/// The format of a file with rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FileFormatArg {
    /// The format that docs/mirror.md describes
    Native,
    /// The YAML of skopeo sync
    Skopeo,
    /// The YAML of regsync
    Regsync,
    /// One reference in each line
    List,
}

impl From<FileFormatArg> for FileFormat {
    fn from(format: FileFormatArg) -> Self {
        match format {
            FileFormatArg::Native => Self::Native,
            FileFormatArg::Skopeo => Self::SkopeoSync,
            FileFormatArg::Regsync => Self::Regsync,
            FileFormatArg::List => Self::List,
        }
    }
}
