//! A list with one image on each line.

use tranship::{Error, ErrorKind, Result, Tag};

use super::document::Document;
use super::yaml::Position;
use crate::rules::{Destination, ImageName, Rule, Rules};

/// Reads rules. A name without a tag or digest has the tag `latest`, as for `docker pull`.
pub(super) fn read(
    document: Document<'_>,
    content: &str,
    destination: Option<&Destination>,
) -> Result<Rules> {
    let mut rules = Rules::default();
    for (number, line) in (1..).zip(content.lines()) {
        let text = without_comment(line).trim();
        if text.is_empty() {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let position = Position {
            line: number,
            column: 1 + line[..indent].chars().count() as u64,
        };
        let rule = rule(text, destination).map_err(|error| document.at(position, &error))?;
        rules.rules.push(rule);
    }
    Ok(rules)
}

fn rule(text: &str, destination: Option<&Destination>) -> Result<Rule> {
    if text.contains(char::is_whitespace) {
        let error = Error::new(ErrorKind::InvalidInput, "a line has the name of one image");
        return Err(error.with_hint("a comment begins with a space and a #"));
    }
    let mut image: ImageName = text.parse()?;
    if image.tag.is_none() && image.digest.is_none() {
        image.tag = Some(Tag::latest());
    }
    let mut rule = Rule::of_image(image)?;
    rule.destination = destination.cloned();
    rule.check_destination()?;
    Ok(rule)
}

/// A `#` begins a comment at the start of a line, and after a space.
fn without_comment(line: &str) -> &str {
    let start = line.match_indices('#').find(|(at, _)| {
        let before = &line[..*at];
        before.is_empty() || before.ends_with(char::is_whitespace)
    });
    start.map_or(line, |(at, _)| &line[..at])
}
