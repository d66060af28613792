//! The arguments that select platforms.

use clap::Args;
use tranship::{Platform, Result};

/// The word for the platform of this machine.
const LOCAL: &str = "local";

#[derive(Debug, Args)]
pub(crate) struct PlatformArg {
    /// Of an index, only the manifest for this platform, such as linux/arm64; `local` is the platform of this machine
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", value_parser = parse_platform)]
    pub(crate) platform: Option<Platform>,
}

/// Parses a platform, or `local`.
pub(crate) fn parse_platform(text: &str) -> Result<Platform> {
    if text == LOCAL {
        return Ok(Platform::local());
    }
    text.parse().map_err(|error: tranship::Error| {
        error.with_hint("write for example linux/amd64, linux/arm64/v8, or local for this machine")
    })
}
