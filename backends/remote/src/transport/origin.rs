//! The origin of a registry, and the scheme that it speaks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tranship::{Error, ErrorKind, RegistryName, Result};
use url::Url;

use crate::hosts::{is_this_machine, same_origin};
use crate::options::{RemoteOptions, Scheme};
use crate::tls_options::TlsOptions;

/// The origin of a registry. A registry on this machine may speak http or https, and the likelier scheme is assumed until it
/// has responded. Clones share the result.
#[derive(Debug, Clone)]
pub(crate) struct Origin(Arc<State>);

#[derive(Debug)]
struct State {
    likely: Url,
    /// The same with the other scheme, if that is possible.
    other: Option<Url>,
    choice: AtomicU8,
}

const OPEN: u8 = 0;
const LIKELY: u8 = 1;
const OTHER: u8 = 2;

impl Origin {
    /// Returns the origin of `registry`: `https://host:port/`, or the same with `http`.
    ///
    /// # Errors
    /// `InvalidReference` if the name cannot be the host of a URL.
    pub(crate) fn new(registry: &RegistryName, options: &RemoteOptions) -> Result<Self> {
        let host = registry.host();
        let parse = |scheme: &str| -> Result<Url> {
            let url = Url::parse(&format!("{scheme}://{host}/"));
            match url {
                Ok(url) if url.host().is_some() && url.path() == "/" => Ok(url),
                _ => Err(Error::new(
                    ErrorKind::InvalidReference,
                    "no registry can be reached under this name",
                )
                .with_subject(registry)),
            }
        };
        let (http, https) = (parse("http")?, parse("https")?);
        let is_here = https.host().is_some_and(is_this_machine);
        let (likely, other) = match options.scheme {
            Scheme::Http => (http, None),
            Scheme::Https => (https, None),
            Scheme::Auto if !is_here => (https, None),
            Scheme::Auto if options.tls == TlsOptions::default() => (http, Some(https)),
            Scheme::Auto => (https, Some(http)),
        };
        Ok(Self(Arc::new(State {
            likely,
            other,
            choice: AtomicU8::new(OPEN),
        })))
    }

    /// Returns the origin, as far as is known.
    pub(crate) fn url(&self) -> &Url {
        match &self.0.other {
            Some(other) if self.0.choice.load(Ordering::Acquire) == OTHER => other,
            _ => &self.0.likely,
        }
    }

    /// Returns the other possible origin until the scheme is settled.
    pub(crate) fn alternative(&self) -> Option<&Url> {
        let is_open = self.0.choice.load(Ordering::Acquire) == OPEN;
        self.0.other.as_ref().filter(|_| is_open)
    }

    /// Records that the registry has responded at its likely origin, or at the other one.
    pub(crate) fn settle(&self, is_other: bool) {
        let choice = if is_other { OTHER } else { LIKELY };
        self.0.choice.store(choice, Ordering::Release);
    }

    /// Returns whether `url` has the origin of the registry.
    pub(crate) fn has(&self, url: &Url) -> bool {
        same_origin(self.url(), url)
    }

    /// Returns a URL that was made before the scheme was known with the scheme that is known now.
    pub(crate) fn adapted(&self, url: &Url) -> Url {
        let own = self.url();
        let candidates = [Some(&self.0.likely), self.0.other.as_ref()];
        let is_own = candidates
            .into_iter()
            .flatten()
            .any(|candidate| same_origin(candidate, url));
        if is_own { at(url, own) } else { url.clone() }
    }

    /// Returns a URL that a registry names with another host or scheme, at the origin of the registry. Returns `None` if the
    /// path is not one of its API.
    pub(crate) fn own(&self, url: &Url) -> Option<Url> {
        let is_http = matches!(url.scheme(), "http" | "https");
        let is_api = is_http && url.path().starts_with("/v2/");
        is_api.then(|| at(url, self.url()))
    }
}

/// Returns `url` with the scheme, host and port of `origin`, and without user information.
fn at(url: &Url, origin: &Url) -> Url {
    let mut at = origin.clone();
    at.set_path(url.path());
    at.set_query(url.query());
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(registry: &str, options: &RemoteOptions) -> Origin {
        let registry = registry.parse().expect("a registry");
        Origin::new(&registry, options).expect("an origin")
    }

    fn url(text: &str) -> Url {
        text.parse().expect("a URL")
    }

    #[test]
    fn this_machine_likely_speaks_http_and_others_https() {
        let options = RemoteOptions::default();
        for (registry, expected, may_change) in [
            ("localhost", "http://localhost/", true),
            ("localhost:5000", "http://localhost:5000/", true),
            ("127.0.0.1:5000", "http://127.0.0.1:5000/", true),
            ("[::1]:5000", "http://[::1]:5000/", true),
            (
                "registry.example.com",
                "https://registry.example.com/",
                false,
            ),
            (
                "registry.example.com:443",
                "https://registry.example.com/",
                false,
            ),
            ("10.0.0.1:5000", "https://10.0.0.1:5000/", false),
            ("docker.io", "https://registry-1.docker.io/", false),
        ] {
            let origin = origin(registry, &options);
            assert_eq!(origin.url().as_str(), expected);
            assert_eq!(origin.alternative().is_some(), may_change, "{registry}");
        }
    }

    #[test]
    fn options_decide_about_the_scheme_before_the_name() {
        let http = RemoteOptions::default().with_scheme(Scheme::Http);
        let example = origin("example.com", &http);
        assert_eq!(example.url().as_str(), "http://example.com/");
        let https = RemoteOptions::default().with_scheme(Scheme::Https);
        let localhost = origin("localhost", &https);
        assert_eq!(localhost.url().as_str(), "https://localhost/");
        assert_eq!(localhost.alternative(), None);
        let insecure = TlsOptions::default().with_insecure(true);
        let insecure = RemoteOptions::default().with_tls(insecure);
        let localhost = origin("localhost:5000", &insecure);
        assert_eq!(localhost.url().as_str(), "https://localhost:5000/");
        assert!(localhost.alternative().is_some());
    }

    #[test]
    fn what_was_made_before_the_scheme_was_known_is_adapted() {
        let origin = origin("localhost:5000", &RemoteOptions::default());
        let made = url("http://localhost:5000/v2/a/tags/list?n=1");
        assert_eq!(origin.adapted(&made), made);
        origin.settle(true);
        let adapted = url("https://localhost:5000/v2/a/tags/list?n=1");
        assert_eq!(origin.adapted(&made), adapted);
        assert_eq!(origin.alternative(), None);
        let elsewhere = url("http://localhost:5001/v2/");
        assert_eq!(origin.adapted(&elsewhere), elsewhere);
    }

    #[test]
    fn paths_of_the_api_are_those_of_the_registry_whatever_its_name() {
        let origin = origin("10.0.0.7:5000", &RemoteOptions::default());
        let named = url("http://u:p@harbor.example/v2/a/blobs/uploads/1?_state=a%2Fb");
        let own = url("https://10.0.0.7:5000/v2/a/blobs/uploads/1?_state=a%2Fb");
        assert_eq!(origin.own(&named), Some(own));
        for other in [
            "https://storage.example/bucket",
            "ftp://harbor.example/v2/",
            "https://harbor.example/v2",
        ] {
            assert_eq!(origin.own(&url(other)), None, "{other}");
        }
    }
}
