//! Removes what may be secret from the texts of stores.
//!
//! Error responses of stores quote the request: a signature, an access key, even a session token. Only the code and the
//! message of a response are kept, and an address without its query.

/// The longest text that is kept, in bytes.
const MAX_TEXT: usize = 600;

/// Returns `text` without what may be secret.
pub(super) fn redact(text: &str) -> String {
    let (before, document) = match text.find('<') {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let mut words: Vec<String> = before.split_whitespace().map(without_secrets).collect();
    words.extend(["Code", "Message"].into_iter().filter_map(|element| {
        let (_, behind) = document.split_once(&format!("<{element}>"))?;
        let (content, _) = behind.split_once("</")?;
        // Error messages have one line.
        Some(
            content
                .split_whitespace()
                .map(without_secrets)
                .collect::<Vec<_>>()
                .join(" "),
        )
    }));
    let mut text = words.join(" ");
    if text.len() > MAX_TEXT {
        let end = (0..=MAX_TEXT).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or_default());
        text.push('…');
    }
    text
}

/// Returns a URL without its query, and without a user name and password.
fn without_secrets(word: &str) -> String {
    let Some((scheme, rest)) = word.split_once("://") else {
        return word.to_owned();
    };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_addresses_lose_their_secrets() {
        let secret = "Generic S3 error: Error performing GET \
            https://user:pass@host/bucket/key?sig=SECRET&x=1 in 1ms - status code: 400: \
            <Error><Code>ExpiredToken</Code><Message>The token\nhas expired, see \
            https://h/?token=SECRET</Message><Token-0>SECRET</Token-0></Error>";
        assert_eq!(
            redact(secret),
            "Generic S3 error: Error performing GET https://host/bucket/key in 1ms - status \
             code: 400: ExpiredToken The token has expired, see https://h/"
        );
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let cut = redact(&"é".repeat(1000));
        assert!(cut.len() <= MAX_TEXT + '…'.len_utf8());
        assert!(cut.ends_with('…'));
    }
}
