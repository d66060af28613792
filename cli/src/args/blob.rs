//! The arguments of `blob`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use tranship::{Digest, MediaType};
use tranship_backends::Location;

use crate::foreign;
use crate::input::Input;
use crate::location::RangeArg;

#[derive(Debug, Subcommand)]
pub(crate) enum Blob {
    #[command(alias = "get")]
    Fetch(BlobFetch),
    Push(BlobPush),
    #[command(visible_alias = "rm")]
    Delete(BlobDelete),
}

/// Print a blob, or write it to a file
///
/// A file appears under its name only when the blob is complete and has the right digest. Standard output gets the
/// bytes as they come: if the exit code is not 0, they are not to be trusted.
#[derive(Debug, Args)]
pub(crate) struct BlobFetch {
    /// A location with a digest
    #[arg(value_name = "REF")]
    pub(crate) reference: Location,
    /// Write to this file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Only these bytes, the first being 0: START-END with both inclusive, or START- to the end. Their digest cannot
    /// be checked
    #[arg(long, value_name = "START-[END]")]
    pub(crate) range: Option<RangeArg>,
}

/// Store a blob from a file
///
/// Prints its digest. Standard input, and any other pipe, whose digest and size are not given is first kept in a
/// temporary file; TMPDIR says where.
#[derive(Debug, Args)]
pub(crate) struct BlobPush {
    /// Where to; may have the digest that the blob must have
    #[arg(value_name = "LOCATION", value_parser = foreign::parse_written)]
    pub(crate) location: Location,
    /// The file, or - for standard input
    #[arg(value_name = "FILE")]
    pub(crate) input: Input,
    /// The digest that the blob must have
    #[arg(long)]
    pub(crate) digest: Option<Digest>,
    /// The size that it must have
    #[arg(long, value_name = "BYTES")]
    pub(crate) size: Option<u64>,
    /// What --format json says that it is; nothing is stored of it
    #[arg(long, value_name = "TYPE", default_value_t = MediaType::OCTET_STREAM)]
    pub(crate) media_type: MediaType,
}

/// Delete blobs, whether or not something refers to them
#[derive(Debug, Args)]
pub(crate) struct BlobDelete {
    /// Locations with a digest each
    #[arg(value_name = "REF", required = true)]
    pub(crate) references: Vec<Location>,
    /// Print what would be deleted, and delete nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}
