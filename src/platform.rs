//! Platforms: what a manifest of an index runs on (image-spec, "Image Index", `platform`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::printable::Printable;

/// An operating system and an architecture, written `os/architecture[/variant][:os.version]`.
///
/// ```
/// use tranship::Platform;
///
/// let wanted: Platform = "linux/arm64".parse()?;
/// let offered: Platform = "linux/arm64/v8".parse()?;
/// assert!(offered.satisfies(&wanted));
/// assert!(!wanted.satisfies(&offered));
/// # Ok::<(), tranship::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Platform {
    /// The CPU architecture as Go names it, such as `amd64`.
    #[serde(default)]
    pub architecture: String,
    /// The operating system as Go names it, such as `linux`.
    #[serde(default)]
    pub os: String,
    /// The version of the operating system, such as `10.0.20348.2227` of Windows.
    #[serde(
        rename = "os.version",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub os_version: Option<String>,
    /// Features that the operating system must have, such as `win32k`.
    #[serde(
        rename = "os.features",
        default,
        deserialize_with = "crate::lenient::null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub os_features: Vec<String>,
    /// The variant of the CPU, such as `v8` of `arm64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Fields that this version does not know, kept as they are.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

impl Platform {
    /// A platform without variant, version and features.
    pub fn new(os: impl Into<String>, architecture: impl Into<String>) -> Self {
        Self {
            os: os.into(),
            architecture: architecture.into(),
            ..Self::default()
        }
    }

    /// Returns the platform whose containers run on this machine.
    ///
    /// The operating system is `linux` on macOS and Windows too, because container tools run containers in a
    /// Linux virtual machine there. The architecture is that of this program. The variant is set only on 32-bit
    /// ARM under Linux, where images are built for several of them.
    ///
    /// ```
    /// use tranship::Platform;
    ///
    /// let platform = Platform::local();
    /// assert!(!platform.os.is_empty() && !platform.architecture.is_empty());
    /// ```
    #[must_use]
    pub fn local() -> Self {
        use std::env::consts::{ARCH, OS};
        Self {
            variant: arm_variant(),
            ..Self::new(
                container_os(OS),
                go_architecture(ARCH, cfg!(target_endian = "little")),
            )
        }
    }

    /// Whether this platform, which an index offers, is what `wanted` asks for: the same operating
    /// system and architecture; the variant and the version only where `wanted` names them; every
    /// feature that `wanted` names. Compared to the letter.
    #[must_use]
    pub fn satisfies(&self, wanted: &Self) -> bool {
        fn same(offered: Option<&String>, wanted: Option<&String>) -> bool {
            wanted.is_none_or(|wanted| wanted.is_empty() || offered == Some(wanted))
        }
        self.os == wanted.os
            && self.architecture == wanted.architecture
            && same(self.variant.as_ref(), wanted.variant.as_ref())
            && same(self.os_version.as_ref(), wanted.os_version.as_ref())
            && wanted
                .os_features
                .iter()
                .all(|feature| self.os_features.contains(feature))
    }
}

/// Returns the operating system of containers on a machine with the operating system `os`, as Rust names it.
fn container_os(os: &str) -> &str {
    match os {
        "macos" | "windows" => "linux",
        other => other,
    }
}

/// Returns Go's name for an architecture that Rust calls `name`.
fn go_architecture(name: &str, is_little_endian: bool) -> &str {
    match (name, is_little_endian) {
        ("x86_64", _) => "amd64",
        ("x86", _) => "386",
        ("aarch64", _) => "arm64",
        ("loongarch64", _) => "loong64",
        ("powerpc64", true) => "ppc64le",
        ("powerpc64", false) => "ppc64",
        ("powerpc", _) => "ppc",
        ("mips64" | "mips64r6", true) => "mips64le",
        ("mips64" | "mips64r6", false) => "mips64",
        ("mips" | "mips32r6", true) => "mipsle",
        ("mips" | "mips32r6", false) => "mips",
        (other, _) => other,
    }
}

#[cfg(all(target_os = "linux", target_arch = "arm"))]
fn arm_variant() -> Option<String> {
    let machine = rustix::system::uname().machine().to_str().ok()?.to_owned();
    variant_of_machine(&machine).map(str::to_owned)
}

#[cfg(not(all(target_os = "linux", target_arch = "arm")))]
const fn arm_variant() -> Option<String> {
    None
}

/// Returns the variant of 32-bit ARM of a machine that `uname` calls `machine`.
#[cfg(any(test, all(target_os = "linux", target_arch = "arm")))]
fn variant_of_machine(machine: &str) -> Option<&'static str> {
    if machine.starts_with("armv5") {
        Some("v5")
    } else if machine.starts_with("armv6") {
        Some("v6")
    } else if machine.starts_with("armv7") || machine.starts_with("armv8") || machine == "aarch64" {
        // A 64-bit processor that runs a 32-bit program.
        Some("v7")
    } else {
        None
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if let Some(variant) = &self.variant {
            write!(f, "/{variant}")?;
        }
        if let Some(version) = &self.os_version {
            write!(f, ":{version}")?;
        }
        Ok(())
    }
}

impl FromStr for Platform {
    type Err = Error;

    /// Reads `os/architecture[/variant][:os.version]`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if a part is missing or empty.
    fn from_str(text: &str) -> Result<Self> {
        let invalid = || {
            Error::new(
                ErrorKind::InvalidInput,
                "a platform has the form os/architecture[/variant][:os.version]",
            )
            .with_subject(Printable(text))
            .with_hint("write for example linux/amd64 or linux/arm64/v8")
        };
        let (names, os_version) = match text.split_once(':') {
            Some((names, version)) => (names, Some(version)),
            None => (text, None),
        };
        let parts: Vec<&str> = names.split('/').collect();
        let (os, architecture, variant) = match parts[..] {
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant)),
            _ => return Err(invalid()),
        };
        let filled = [Some(os), Some(architecture), variant, os_version]
            .into_iter()
            .flatten()
            .all(|part| !part.is_empty());
        if !filled {
            return Err(invalid());
        }
        Ok(Self {
            variant: variant.map(Into::into),
            os_version: os_version.map(Into::into),
            ..Self::new(os, architecture)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        text.parse().expect("a platform")
    }

    #[test]
    fn only_what_is_asked_for_must_match() {
        assert!(platform("linux/arm/v7").satisfies(&platform("linux/arm")));
        assert!(!platform("linux/arm").satisfies(&platform("linux/arm/v7")));
        assert!(!platform("Linux/arm").satisfies(&platform("linux/arm")));
        assert!(platform("windows/amd64:10.0.1").satisfies(&platform("windows/amd64")));
        assert!(!platform("windows/amd64:10.0.1").satisfies(&platform("windows/amd64:10.0.2")));
    }

    #[test]
    fn features_are_a_subset() {
        let offered = Platform {
            os_features: vec!["win32k".into(), "other".into()],
            ..Platform::new("windows", "amd64")
        };
        let mut wanted = Platform::new("windows", "amd64");
        assert!(offered.satisfies(&wanted));
        wanted.os_features = vec!["win32k".into()];
        assert!(offered.satisfies(&wanted));
        assert!(!Platform::new("windows", "amd64").satisfies(&wanted));
    }

    #[test]
    fn text_round_trips_and_bad_text_is_refused() {
        for text in ["linux/amd64", "linux/arm64/v8", "windows/amd64:10.0.20348"] {
            assert_eq!(platform(text).to_string(), text);
        }
        for text in ["", "linux", "linux/", "/amd64", "a/b/c/d", "linux/amd64:"] {
            let error = text.parse::<Platform>().expect_err(text);
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn this_machine_is_named_as_go_names_it() {
        for (name, little, expected) in [
            ("x86_64", true, "amd64"),
            ("x86", true, "386"),
            ("aarch64", true, "arm64"),
            ("arm", true, "arm"),
            ("powerpc64", true, "ppc64le"),
            ("powerpc64", false, "ppc64"),
            ("s390x", false, "s390x"),
            ("riscv64", true, "riscv64"),
        ] {
            assert_eq!(go_architecture(name, little), expected);
        }
        for (name, expected) in [
            ("linux", "linux"),
            ("macos", "linux"),
            ("windows", "linux"),
            ("freebsd", "freebsd"),
        ] {
            assert_eq!(container_os(name), expected);
        }
        for (machine, expected) in [
            ("armv7l", Some("v7")),
            ("armv6l", Some("v6")),
            ("armv5tel", Some("v5")),
            ("aarch64", Some("v7")),
            ("unknown", None),
        ] {
            assert_eq!(variant_of_machine(machine), expected);
        }
        let local = Platform::local();
        assert_eq!(platform(&local.to_string()), local);
    }

    #[test]
    fn dotted_fields_survive() {
        let json = r#"{"architecture":"amd64","os":"windows","os.version":"10.0","os.features":["win32k"]}"#;
        let platform: Platform = serde_json::from_str(json).expect("a platform");
        assert_eq!(platform.os_version.as_deref(), Some("10.0"));
        assert_eq!(serde_json::to_string(&platform).expect("json"), json);
    }
}
