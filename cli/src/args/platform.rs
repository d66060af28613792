//! The choice of a platform.

use clap::Args;
use tranship::Platform;

#[derive(Debug, Args)]
pub(crate) struct PlatformArg {
    /// Of an index, only the manifest for this platform, such as linux/arm64
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platform: Option<Platform>,
}
