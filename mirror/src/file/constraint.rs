//! Ranges of versions as other tools write them.

use tranship::{Error, ErrorKind, Printable, Result};
use tranship_artifact::tags::VersionRange;

/// Reads a constraint of the Go package `Masterminds/semver`, which skopeo uses.
///
/// `=>`, `=<` and `~>` are other ways to write `>=`, `<=` and `~`, and `1.2 - 1.4` is `>=1.2 <=1.4`.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] if it is not a constraint, or has a `!=`.
pub(super) fn masterminds(text: &str) -> Result<VersionRange> {
    if text.contains("!=") {
        let error = Error::new(
            ErrorKind::InvalidInput,
            "\"!=\" is not supported in a range",
        );
        return Err(error
            .with_subject(Printable(text))
            .with_hint("use a native file, and exclude the tags with \"match\""));
    }
    let spaced = text.replace("||", " || ").replace(',', " ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut range = Vec::new();
    let mut rest = words.as_slice();
    while let [word, tail @ ..] = rest {
        if let ["-", upper, tail @ ..] = tail {
            range.push(format!(">={word} <={upper}"));
            rest = tail;
        } else {
            let word = word.replace("=>", ">=").replace("=<", "<=");
            range.push(word.replace("~>", "~"));
            rest = tail;
        }
    }
    range
        .join(" ")
        .parse()
        .map_err(|error: Error| renamed(error, text))
}

/// Reads a range of regsync, where conditions with spaces between them must all hold, missing numbers are 0, and pre-releases
/// are versions as others are. Several ranges can be joined by `||`.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] if it is not a range.
pub(super) fn regsync(text: &str) -> Result<VersionRange> {
    let alternatives: Vec<String> = text.split("||").map(all_with_three_numbers).collect();
    let range: Result<VersionRange> = alternatives.join(" || ").parse();
    let range = range.map_err(|error| renamed(error, text))?;
    Ok(range.with_pre_releases(true))
}

fn all_with_three_numbers(range: &str) -> String {
    let words: Vec<String> = range.split_whitespace().map(with_three_numbers).collect();
    words.join(" ")
}

fn with_three_numbers(condition: &str) -> String {
    let start = condition.find(|next: char| !"<>=^~".contains(next));
    let (operator, version) = condition.split_at(start.unwrap_or(condition.len()));
    let operator = if operator.is_empty() { "=" } else { operator };
    let end = version.find(['-', '+']).unwrap_or(version.len());
    let (numbers, suffix) = version.split_at(end);
    let missing = 2_usize.saturating_sub(numbers.matches('.').count());
    format!("{operator}{numbers}{}{suffix}", ".0".repeat(missing))
}

/// Makes the text of the file the subject.
fn renamed(error: Error, text: &str) -> Error {
    error.map_subject(|_| Printable(text).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_in(range: &VersionRange, version: &str) -> bool {
        range.matches(&version.parse().expect(version))
    }

    #[test]
    fn constraints_of_masterminds_are_understood() {
        // From the README of the package.
        for (range, version, expected) in [
            (">= 1.2 < 3.0.0 || >= 4.2.3", "1.9", true),
            (">= 1.2 < 3.0.0 || >= 4.2.3", "3.1", false),
            (">= 1.2, < 3.0.0||>= 4.2.3", "4.3", true),
            ("=> 1.2", "1.2.0", true),
            ("=<1.2", "1.3", false),
            ("1.2 - 1.4.5", "1.2.0", true),
            ("1.2 - 1.4.5", "1.4.6", false),
            ("2.3.4 - 4.5 || 7", "7.1", true),
            ("1.2.x", "1.2.9", true),
            (">= 1.2.x", "1.3", true),
            ("*", "9", true),
            ("~1.2.3", "1.3.0", false),
            ("~>1.2.3", "1.2.4", true),
            ("~1", "1.9", true),
            ("^0.2", "0.2.5", true),
            ("^0.2", "0.3", false),
            (">= 3.12.0", "v4.0.0", true),
            (">= 3.12.0", "4.0.0-rc1", false),
        ] {
            let parsed = masterminds(range).expect(range);
            assert_eq!(is_in(&parsed, version), expected, "{version} in {range}");
        }
        for text in ["!=1.2", ">=1 - ", "latest", "1 - x - 2", "- 1"] {
            let error = masterminds(text).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
        }
    }

    #[test]
    fn ranges_of_regsync_are_understood() {
        for (range, version, expected) in [
            (">=1.0.0 <2.0.0", "1.5", true),
            (">=1.0.0 <2.0.0", "2.0.0", false),
            (">=1.0.0 <2.0.0", "1.5.0-rc1", true),
            ("1.2", "1.2.0", true),
            ("1.2", "1.2.1", false),
            (">1.2", "1.2.1", true),
            ("~1", "1.0.9", true),
            ("~1", "1.1.0", false),
            ("^0.0.3", "0.0.4", false),
            ("^v1.2", "1.9", true),
            (">=1.2-rc1", "1.2.0-rc2", true),
        ] {
            let parsed = regsync(range).expect(range);
            assert_eq!(is_in(&parsed, version), expected, "{version} in {range}");
        }
        for text in ["", "latest", ">=", ">= 1.0"] {
            assert!(regsync(text).is_err(), "{text}");
        }
    }
}
