//! URLs as errors show them.

use url::Url;

/// The longest URL that an error shows, in characters.
const LONGEST_URL: usize = 2000;

/// Parameters of the distribution API and of token servers that are never secret.
const HARMLESS_PARAMETERS: [&str; 9] = [
    "n",
    "last",
    "artifactType",
    "digest",
    "mount",
    "from",
    "tag",
    "service",
    "scope",
];

/// Returns `url` without user information, a fragment, and parameters that may be secret: those of signatures and of the
/// state of an upload.
pub(crate) fn shown_url(url: &Url) -> String {
    let is_harmless = |name: &str| HARMLESS_PARAMETERS.contains(&name);
    let parameters: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(name, _)| is_harmless(name))
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    let mut shown = url.clone();
    // These fail for URLs without a host, which cannot have them.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_fragment(None);
    shown.set_query(None);
    if !parameters.is_empty() {
        shown.query_pairs_mut().extend_pairs(parameters);
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
                "https://u:p@a.example/v2/x/tags/list?n=5&last=a%2Fb#f",
                "https://a.example/v2/x/tags/list?n=5&last=a%2Fb",
            ),
            (
                "https://a.example/v2/x/blobs/uploads/1?_state=secret&digest=sha256:aa",
                "https://a.example/v2/x/blobs/uploads/1?digest=sha256%3Aaa",
            ),
            (
                "https://cdn.example/blob?X-Amz-Signature=secret",
                "https://cdn.example/blob",
            ),
        ] {
            assert_eq!(shown_url(&url.parse().expect("a URL")), shown);
        }
        let long = format!("https://a.example/{}", "x".repeat(2 * LONGEST_URL));
        let shown = shown_url(&long.parse().expect("a URL"));
        assert_eq!(shown.chars().count(), LONGEST_URL + 1);
    }
}
