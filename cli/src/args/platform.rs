//! The arguments that select platforms.

use clap::Args;
use tranship::{Platform, PlatformSubset, Result, SubsetForm};

/// The word for the platform of this machine.
const LOCAL: &str = "local";

#[derive(Debug, Args)]
pub(crate) struct PlatformArg {
    /// Of an index, only the manifest for this platform, such as linux/arm64; `local` is the platform of this machine
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", value_parser = parse_platform)]
    pub(crate) platform: Option<Platform>,
}

/// The platforms of a copy.
#[derive(Debug, Args)]
pub(crate) struct PlatformsArg {
    /// Of an index, only this platform, such as linux/arm64; `local` is the platform of this machine. One platform
    /// is copied as a single image. Several, as a list or by repeating the option, are copied with a new index of
    /// these; `all` are copied by default
    #[arg(
        long = "platform",
        value_name = "OS/ARCH[/VARIANT],…",
        value_delimiter = ',',
        value_parser = parse_choice
    )]
    choices: Vec<PlatformChoice>,
    /// With several platforms, copy those that exist if others are missing, which is an error otherwise
    #[arg(long, requires = "choices")]
    allow_missing_platforms: bool,
    /// Keep the original index and its digest, and copy only the platforms below it. Registries may refuse that
    #[arg(long, requires = "choices")]
    sparse: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum PlatformChoice {
    All,
    One(Platform),
}

/// What of an index is copied.
#[derive(Debug, Clone)]
pub(crate) enum Platforms {
    All,
    /// The manifest of one platform.
    One(Platform),
    /// Some platforms with an index.
    Subset(PlatformSubset),
}

impl PlatformsArg {
    pub(crate) fn selection(&self) -> Platforms {
        let mut platforms: Vec<Platform> = Vec::new();
        for choice in &self.choices {
            match choice {
                PlatformChoice::All => return Platforms::All,
                PlatformChoice::One(platform) if platforms.contains(platform) => {}
                PlatformChoice::One(platform) => platforms.push(platform.clone()),
            }
        }
        match platforms.as_slice() {
            [] => Platforms::All,
            [platform] if !self.sparse => Platforms::One(platform.clone()),
            _ => Platforms::Subset(
                PlatformSubset::new(platforms)
                    .with_allow_missing(self.allow_missing_platforms)
                    .with_form(if self.sparse {
                        SubsetForm::Sparse
                    } else {
                        SubsetForm::NewIndex
                    }),
            ),
        }
    }
}

fn parse_choice(text: &str) -> Result<PlatformChoice> {
    if text == "all" {
        return Ok(PlatformChoice::All);
    }
    parse_platform(text).map(PlatformChoice::One)
}

/// Parses a platform, or `local`.
pub(crate) fn parse_platform(text: &str) -> Result<Platform> {
    if text == LOCAL {
        return Ok(Platform::local());
    }
    if text.contains(',') {
        return Err(tranship::Error::new(
            tranship::ErrorKind::InvalidInput,
            "one platform is expected, and not a list",
        ));
    }
    text.parse().map_err(|error: tranship::Error| {
        error.with_hint("write for example linux/amd64, linux/arm64/v8, or local for this machine")
    })
}
