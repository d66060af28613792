//! The HTTP request that a registry refused.

/// The request that was refused.
#[derive(Debug, Clone)]
pub(super) struct HttpRequest {
    pub(super) method: String,
    pub(super) url: String,
}

impl HttpRequest {
    /// Returns the request without the user information and the fragment of its URL.
    pub(super) fn new(method: String, url: &str) -> Self {
        Self {
            method,
            url: without_user_information(url),
        }
    }
}

/// Returns `url` without what precedes an `@` in its authority, and without its fragment.
fn without_user_information(url: &str) -> String {
    let url = url.split('#').next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_of_a_request_has_no_user_information() {
        for (url, shown) in [
            ("https://a.example/v2/", "https://a.example/v2/"),
            (
                "https://u:p@a.example:5000/@x?n=1#f",
                "https://a.example:5000/@x?n=1",
            ),
            ("https://u:p@a.example?to=@b", "https://a.example?to=@b"),
            ("https://u:p@q@[::1]", "https://[::1]"),
            ("/v2/", "/v2/"),
        ] {
            let request = HttpRequest::new("GET".to_owned(), url);
            assert_eq!(request.url, shown);
            assert_eq!(request.method, "GET");
        }
    }
}
