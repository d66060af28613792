//! Ranges of versions.

use std::str::FromStr;

use semver::{Comparator, Op, VersionReq};
use tranship::{Error, ErrorKind, Printable, Result};

use super::version::TagVersion;

/// A range of versions, such as `>=1.24 <2`, `^1.2`, `~1.2.3`, `1.2.x` or `^1 || ^3`.
///
/// Conditions with spaces or commas between them must all hold; of alternatives with `||` between them, one. A version
/// without an operator matches all versions that begin with it: `1.2` is `1.2.0`, `1.2.1` and so on.
///
/// Pre-releases are excluded unless a condition names a pre-release of the same three numbers, as in `>=2.0.0-rc1`, or
/// [`with_pre_releases`](Self::with_pre_releases) includes them all.
///
/// ```
/// use tranship_artifact::tags::VersionRange;
///
/// let range: VersionRange = ">=1.24 <2".parse()?;
/// assert!(range.matches(&"v1.30.1".parse()?));
/// assert!(!range.matches(&"v2.0.0-rc1".parse()?));
/// # Ok::<(), tranship::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRange {
    alternatives: Vec<VersionReq>,
    pre_releases: bool,
}

impl VersionRange {
    /// Includes pre-releases that lie within the range. `<2` does not include `2.0.0-rc1`.
    #[must_use]
    pub fn with_pre_releases(mut self, pre_releases: bool) -> Self {
        self.pre_releases = pre_releases;
        self
    }

    /// Returns whether the version lies within the range. A fourth number does not count.
    #[must_use]
    pub fn matches(&self, version: &TagVersion) -> bool {
        let mut alternatives = self.alternatives.iter();
        if !version.is_pre_release() {
            let triple = version.triple();
            return alternatives.any(|alternative| alternative.matches(&triple));
        }
        alternatives.any(|alternative| {
            let names_it =
                |condition: &Comparator| !condition.pre.is_empty() && is_at(condition, version);
            let is_meant = self.pre_releases || alternative.comparators.iter().any(names_it);
            is_meant
                && alternative
                    .comparators
                    .iter()
                    .all(|condition| holds(condition, version))
        })
    }
}

/// Whether `condition` names the three numbers of `version`.
fn is_at(condition: &Comparator, version: &TagVersion) -> bool {
    let triple = version.triple();
    (condition.major, condition.minor, condition.patch)
        == (triple.major, Some(triple.minor), Some(triple.patch))
}

/// Whether `condition` holds for a pre-release.
fn holds(condition: &Comparator, version: &TagVersion) -> bool {
    let bound = named(condition);
    if is_at(condition, version) {
        return match condition.op {
            Op::Exact => *version == bound,
            Op::Greater => *version > bound,
            Op::Less => *version < bound,
            Op::LessEq => *version <= bound,
            _ => *version >= bound,
        };
    }
    // Elsewhere it is as its release would be, but for the lower end of a range such as `>=1.2`.
    let is_below_lower_end = *version < bound
        && matches!(
            condition.op,
            Op::Greater | Op::GreaterEq | Op::Caret | Op::Tilde | Op::Exact
        );
    let conditions = VersionReq {
        comparators: vec![Comparator {
            pre: semver::Prerelease::EMPTY,
            ..condition.clone()
        }],
    };
    !is_below_lower_end && conditions.matches(&version.triple())
}

/// The version that a condition names.
fn named(condition: &Comparator) -> TagVersion {
    let (minor, patch) = (condition.minor.unwrap_or(0), condition.patch.unwrap_or(0));
    let separator = if condition.pre.is_empty() { "" } else { "-" };
    let text = format!(
        "{}.{minor}.{patch}{separator}{}",
        condition.major, condition.pre
    );
    text.parse().unwrap_or_default()
}

impl FromStr for VersionRange {
    type Err = Error;

    /// Reads a range.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if the text is not a range.
    fn from_str(text: &str) -> Result<Self> {
        let alternatives: Result<Vec<_>, _> = text.split("||").map(conditions).collect();
        let alternatives = alternatives.map_err(|error| {
            Error::new(ErrorKind::InvalidInput, "not a range of versions")
                .with_subject(Printable(text))
                .with_hint("write for example '>=1.24 <2', '^1.2', '~1.2.3' or '1.x'")
                .with_source(error)
        })?;
        Ok(Self {
            alternatives,
            pre_releases: false,
        })
    }
}

/// Reads conditions as the crate `semver` does, with spaces between them as well as commas.
fn conditions(text: &str) -> Result<VersionReq, semver::Error> {
    let mut normal = String::new();
    let mut operator = String::new();
    for word in text.split([' ', ',']).filter(|word| !word.is_empty()) {
        let split = word
            .find(|next: char| !"<>=^~".contains(next))
            .unwrap_or(word.len());
        let (symbols, version) = word.split_at(split);
        operator.push_str(symbols);
        if version.is_empty() {
            // A space between the operator and the version.
            continue;
        }
        if !normal.is_empty() {
            normal.push_str(", ");
        }
        if operator.is_empty() {
            normal.push('=');
        }
        normal.push_str(&std::mem::take(&mut operator));
        let version = version.strip_prefix(['v', 'V']).unwrap_or(version);
        normal.push_str(&version.replace(['x', 'X'], "*"));
    }
    // `semver` does not take `=*`.
    let normal = normal.replace("=*", "*");
    (normal + &operator).parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_in(range: &str, version: &str) -> bool {
        let range: VersionRange = range.parse().expect(range);
        range.matches(&version.parse().expect(version))
    }

    #[test]
    fn a_range_contains_what_its_conditions_say() {
        for (range, version, expected) in [
            (">=1.24 <2", "v1.24", true),
            (">=1.24, <2", "1.99.3", true),
            (">=1.24 <2", "2.0.0", false),
            (">= 1.24 < 2", "1.30", true),
            ("1.2", "1.2.9", true),
            ("1.2", "1.3.0", false),
            ("1.x", "1.9", true),
            ("1.2.*", "1.2.7", true),
            ("^1.2", "1.9.0", true),
            ("^1.2", "2.0.0", false),
            ("~1.2.3", "1.2.9", true),
            ("~1.2.3", "1.3.0", false),
            ("^1 || ^3", "3.1.0", true),
            ("^1 || ^3", "2.1.0", false),
            ("*", "0.0.1", true),
            ("=1.2.3", "1.2.3", true),
            (">20240101", "20240102", true),
        ] {
            assert_eq!(is_in(range, version), expected, "{version} in {range}");
        }
    }

    #[test]
    fn pre_releases_are_excluded_unless_named_or_included() {
        assert!(!is_in(">=1.0.0", "1.1.0-rc1"));
        assert!(is_in(">=1.1.0-rc1", "1.1.0-rc2"));
        assert!(is_in(">=1.1.0-rc1", "1.1.0"));
        assert!(!is_in(">=1.1.0-rc9", "1.1.0-rc8"));
        assert!(is_in(">=1.1.0-rc9", "1.1.0-rc10"));
        let all = |range: &str, version: &str| {
            let range: VersionRange = range.parse().expect(range);
            range
                .with_pre_releases(true)
                .matches(&version.parse().expect(version))
        };
        assert!(all(">=1.0.0", "1.1.0-rc1"));
        assert!(!all(">=1.1.0", "1.1.0-rc1"));
        assert!(!all("<2", "2.0.0-rc1"));
        assert!(all("<2", "1.9.0-rc1"));
        assert!(all("^1.2", "1.3.0-rc1"));
        assert!(!all("^1.2", "1.2.0-rc1"));
    }

    #[test]
    fn what_is_not_a_range_is_an_error() {
        for text in ["", "latest", ">=", "1.2.3.4", ">=1 <", "||", "^1 ||"] {
            let error = text.parse::<VersionRange>().expect_err(text);
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
        }
    }
}
