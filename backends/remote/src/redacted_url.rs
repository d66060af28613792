//! URLs without secrets, for errors and logs.

use std::borrow::Cow;

use url::Url;

/// The longest URL that an error shows, in characters.
const LONGEST_URL: usize = 2000;

/// Parameters whose values are shown. Others may be signatures or states of a session.
const PLAIN: [&str; 9] = [
    "artifactType",
    "digest",
    "from",
    "last",
    "mount",
    "n",
    "scope",
    "service",
    "tag",
];

/// Returns the URL without user information and fragment, and with the values of harmless parameters only. It is cut
/// after 2,000 characters.
pub(crate) fn redacted_url(url: &Url) -> String {
    let mut shown = url.clone();
    // Neither fails for a URL that has a host.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_fragment(None);
    if url.query().is_some() {
        let pairs = url.query_pairs().map(|(key, value)| {
            let is_plain = PLAIN.contains(&&*key);
            let hidden = || Cow::from("...");
            match (is_plain, value.is_empty()) {
                (true, _) => (key, value),
                (false, false) => (key, hidden()),
                // A key without a value may itself be a secret.
                (false, true) => (hidden(), value),
            }
        });
        shown.query_pairs_mut().clear().extend_pairs(pairs);
    }
    let shown = String::from(shown);
    match shown.char_indices().nth(LONGEST_URL) {
        Some((end, _)) => format!("{}…", &shown[..end]),
        None => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_what_may_be_secret() {
        for (url, shown) in [
            (
                "https://user:pass@host/v2/a/tags/list?n=5&last=b",
                "https://host/v2/a/tags/list?n=5&last=b",
            ),
            (
                "https://cdn/blob?X-Amz-Signature=abc&sig=def&digest=x#y",
                "https://cdn/blob?X-Amz-Signature=...&sig=...&digest=x",
            ),
            ("https://cdn/blob?hunter2", "https://cdn/blob?...="),
            ("https://host/v2/", "https://host/v2/"),
        ] {
            let url = Url::parse(url).expect("a URL");
            assert_eq!(redacted_url(&url), shown);
        }
    }

    #[test]
    fn a_long_url_is_cut() {
        let long = format!("https://a.example/{}", "x".repeat(2 * LONGEST_URL));
        let shown = redacted_url(&long.parse().expect("a URL"));
        assert_eq!(shown.chars().count(), LONGEST_URL + 1);
    }
}
