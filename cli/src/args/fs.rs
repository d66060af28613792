//! The arguments of `fs`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use tranship::Platform;
use tranship_backends::Location;

#[derive(Debug, Subcommand)]
pub(crate) enum Fs {
    #[command(alias = "list")]
    Ls(FsLs),
    #[command(aliases = ["get", "read"])]
    Cat(FsCat),
    #[command(aliases = ["copy", "extract"])]
    Cp(FsCp),
    Export(FsExport),
    Diff(Box<FsDiff>),
}

#[derive(Debug, Args)]
pub(crate) struct ImagePlatform {
    /// Of an index, the image for this platform, such as linux/arm64 [default: the only one, or that for this machine]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platform: Option<Platform>,
}

/// List the files of an image
///
/// A directory is listed in the order of the names, and symbolic links in PATH are followed inside the image. Nothing is
/// unpacked.
#[derive(Debug, Args)]
pub(crate) struct FsLs {
    /// A location with a tag or digest
    #[arg(value_name = "IMAGE")]
    pub(crate) image: Location,
    /// The directory or file in the image
    #[arg(value_name = "PATH", default_value = "/")]
    pub(crate) path: String,
    /// Show permissions, owner, size and time, too
    #[arg(long, short)]
    pub(crate) long: bool,
    /// List also what is in directories
    #[arg(long, short = 'R')]
    pub(crate) recursive: bool,
    #[command(flatten)]
    pub(crate) platform: ImagePlatform,
}

/// Print files of an image
///
/// The newest layer is read first, and no layers below the one that has the file. Nothing is printed of a file before
/// its layer is verified.
#[derive(Debug, Args)]
pub(crate) struct FsCat {
    /// A location with a tag or digest
    #[arg(value_name = "IMAGE")]
    pub(crate) image: Location,
    /// The files in the image
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<String>,
    #[command(flatten)]
    pub(crate) platform: ImagePlatform,
}

/// Copy a file or a directory out of an image
///
/// It gets its name in DIR when it is complete and verified. Symbolic links below PATH are copied as they are, devices
/// and named pipes are left out, and the files belong to you. For / the content of the root is copied.
#[derive(Debug, Args)]
pub(crate) struct FsCp {
    /// A location with a tag or digest
    #[arg(value_name = "IMAGE")]
    pub(crate) image: Location,
    /// The file or directory in the image
    #[arg(value_name = "PATH")]
    pub(crate) path: String,
    /// The directory to copy it into
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) directory: PathBuf,
    /// Replace a file that exists
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Keep set-uid, set-gid and sticky bits
    #[arg(long)]
    pub(crate) special_bits: bool,
    #[command(flatten)]
    pub(crate) platform: ImagePlatform,
}

/// Write all files of an image as one tar archive
///
/// The layers are applied to each other as in a container. The same image gives the same bytes. Permissions, owners by
/// number, times, extended attributes, links and devices are kept.
#[derive(Debug, Args)]
pub(crate) struct FsExport {
    /// A location with a tag or digest
    #[arg(value_name = "IMAGE")]
    pub(crate) image: Location,
    /// Write to this file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) platform: ImagePlatform,
}

/// Compare the files of two images
///
/// A line for each path that was added (+), removed (-) or changed (~), by type, permissions, owner, content, link target
/// and extended attributes. Times are not compared.
#[derive(Debug, Args)]
pub(crate) struct FsDiff {
    /// A location with a tag or digest
    #[arg(value_name = "IMAGE")]
    pub(crate) before: Location,
    /// Another one
    #[arg(value_name = "OTHER")]
    pub(crate) after: Location,
    #[command(flatten)]
    pub(crate) platform: ImagePlatform,
    /// The platform of OTHER, if it is not the same
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) other_platform: Option<Platform>,
}
