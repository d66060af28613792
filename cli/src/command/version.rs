//! `version`: the version, and what is built in.

use std::fmt;

use serde::Serialize;

use crate::command_error::Outcome;
use crate::output::Output;

#[derive(Debug, Serialize)]
struct Version {
    version: &'static str,
    /// The operating system and the architecture that the program was built for.
    platform: String,
    /// Where artifacts can be stored.
    locations: &'static [&'static str],
    /// The provider of cryptography for TLS.
    tls: &'static str,
    /// The optional features of the program.
    features: Vec<&'static str>,
}

pub(super) async fn run(output: Output) -> Outcome {
    let features = [
        ("rustls-ring", cfg!(feature = "rustls-ring")),
        ("rustls-aws-lc", cfg!(feature = "rustls-aws-lc")),
        ("man", cfg!(feature = "man")),
    ];
    let features = features.into_iter();
    let version = Version {
        version: env!("CARGO_PKG_VERSION"),
        platform: format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
        locations: &[
            "registry",
            "oci",
            "layouts",
            "oci-archive",
            "docker-archive",
            "s3",
            "gs",
            "az",
            "https",
        ],
        tls: if cfg!(feature = "rustls-aws-lc") {
            "aws-lc-rs"
        } else if cfg!(feature = "rustls-ring") {
            "ring"
        } else {
            "none"
        },
        features: features
            .filter(|(_, on)| *on)
            .map(|(name, _)| name)
            .collect(),
    };
    output.print(&version).await
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "tranship {}", self.version)?;
        writeln!(f, "platform:  {}", self.platform)?;
        writeln!(f, "locations: {}", self.locations.join(", "))?;
        writeln!(f, "TLS:       {}", self.tls)?;
        writeln!(f, "features:  {}", self.features.join(", "))
    }
}
