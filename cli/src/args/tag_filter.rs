//! Which tags of a repository a command is about.

use clap::Args;
use tranship::{Error, ErrorKind, Result};
use tranship_artifact::tags::{TagFilter, VersionRange};

/// Which tags of a repository a command is about.
#[derive(Debug, Default, Args)]
pub(crate) struct TagFilterArgs {
    /// Only tags that match this pattern, in which * stands for any text and ? for one character; with a ! in front,
    /// only tags that do not. May be repeated
    #[arg(long = "match", value_name = "GLOB")]
    pub(crate) globs: Vec<String>,
    /// Only tags that this regular expression matches from end to end. May be repeated
    #[arg(long, value_name = "REGEX")]
    pub(crate) regex: Vec<String>,
    /// Only tags that are versions within this range, such as '>=1.24 <2', '^1.2', '~1.2.3' or 1.x
    #[arg(long, value_name = "RANGE")]
    pub(crate) semver: Option<VersionRange>,
    /// With --semver, also pre-releases such as 1.2.0-rc1
    #[arg(long, requires = "semver")]
    pub(crate) pre_releases: bool,
}

impl TagFilterArgs {
    pub(crate) fn is_empty(&self) -> bool {
        self.globs.is_empty() && self.regex.is_empty() && self.semver.is_none()
    }

    /// # Errors
    /// [`ErrorKind::InvalidInput`] if a pattern is malformed.
    pub(crate) fn filter(&self) -> Result<TagFilter> {
        let mut filter = TagFilter::default();
        for glob in &self.globs {
            if glob.trim_start_matches('!').is_empty() {
                return Err(
                    Error::new(ErrorKind::InvalidInput, "the pattern of --match is empty")
                        .with_hint("write for example --match 'v1.*'"),
                );
            }
            filter = filter.with_glob(glob);
        }
        for regex in &self.regex {
            filter = filter.with_regex(regex)?;
        }
        if let Some(range) = &self.semver {
            filter = filter.with_versions(range.clone().with_pre_releases(self.pre_releases));
        }
        Ok(filter)
    }
}
