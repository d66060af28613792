//! The next page in the header `Link` (RFC 8288).

/// The error for a malformed `Link`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Returns the target of the first link to the next page. A link without a relation counts as one, because some registries
/// omit it.
///
/// # Errors
/// If a link is malformed, because the listing would otherwise end as if it were complete.
pub(crate) fn next(value: &str) -> Result<Option<&str>, Malformed> {
    let is_between = |character: char| character.is_ascii_whitespace() || character == ',';
    let mut rest = value.trim_start_matches(is_between);
    while !rest.is_empty() {
        let after = rest.strip_prefix('<').ok_or(Malformed)?;
        let (target, after) = after.split_once('>').ok_or(Malformed)?;
        let (parameters, after) = parameters(after);
        if is_next(parameters) {
            return Ok(Some(target.trim()));
        }
        rest = after.trim_start_matches(is_between);
    }
    Ok(None)
}

/// Splits the text at the comma that ends the link.
fn parameters(text: &str) -> (&str, &str) {
    let mut is_quoted = false;
    let mut is_escaped = false;
    for (position, character) in text.char_indices() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => return (&text[..position], &text[position + 1..]),
            _ => {}
        }
    }
    (text, "")
}

fn is_next(parameters: &str) -> bool {
    let mut relations = parameters.split(';').filter_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let is_relation = name.trim().eq_ignore_ascii_case("rel");
        is_relation.then(|| value.trim().trim_matches('"'))
    });
    match relations.next() {
        Some(relations) => relations
            .split_ascii_whitespace()
            .any(|relation| relation.eq_ignore_ascii_case("next")),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_next_page_is_found_among_links() {
        for (value, target) in [
            (
                r#"</v2/_catalog?last=alpine&n=1>; rel="next""#,
                Some("/v2/_catalog?last=alpine&n=1"),
            ),
            (r"</a>; rel=next", Some("/a")),
            (r"</a>;REL = NEXT", Some("/a")),
            ("</a>", Some("/a")),
            (r#"</a>; rel="prev next""#, Some("/a")),
            (
                r#"</a>; rel="prev", </b?x=1,2>; rel="next""#,
                Some("/b?x=1,2"),
            ),
            (
                r#"</a>; rel="prev"; title="a, \"b", </b>; rel="next""#,
                Some("/b"),
            ),
            (r#"</a>; rel="prev""#, None),
            (r#"</a>; rel="prev", "#, None),
            ("", None),
        ] {
            assert_eq!(next(value), Ok(target), "{value}");
        }
    }

    #[test]
    fn a_link_without_brackets_leads_nowhere() {
        for value in [
            r#"/a; rel="next""#,
            r#"</a; rel="next""#,
            r#"/a>; rel="next""#,
            r#"</a>; rel="prev", /b; rel="next""#,
            "next",
        ] {
            assert_eq!(next(value), Err(Malformed), "{value}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_or_hang(text in ".*") {
            let _ = next(&text);
        }
    }
}
