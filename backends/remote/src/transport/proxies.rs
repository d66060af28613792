//! The proxy of a request: that of the options, or of the environment.

use std::fmt;

use tranship::{Error, ErrorKind, Result};
use url::Url;

use super::no_proxy::NoProxy;
use crate::hosts::is_this_machine;
use crate::options::RemoteOptions;

/// The proxies for the requests of one registry.
#[derive(Clone, Default)]
pub(super) struct Proxies {
    http: Option<Url>,
    https: Option<Url>,
    exceptions: NoProxy,
}

impl Proxies {
    /// Returns the proxy of the options, for all requests, or else those of the environment, unless the registry at `origin` is
    /// on this machine, which a proxy cannot reach.
    ///
    /// # Errors
    /// `InvalidInput` if one is not the URL of a proxy. It is not shown, since it may hold a password.
    pub(super) fn new(origin: &Url, options: &RemoteOptions) -> Result<Self> {
        if let Some(given) = &options.proxy {
            let url = proxy_url("the option for a proxy", given)?;
            return Ok(Self {
                http: Some(url.clone()),
                https: Some(url),
                exceptions: NoProxy::default(),
            });
        }
        if origin.host().is_some_and(is_this_machine) {
            return Ok(Self::default());
        }
        Self::of_environment(|name| std::env::var(name).ok())
    }

    /// Reads nothing in CGI programs, where `HTTP_PROXY` may be a header of the request that they serve.
    fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        if variable("REQUEST_METHOD").is_some() {
            return Ok(Self::default());
        }
        let first = |names: [&'static str; 2]| {
            let values = names
                .into_iter()
                .map(|name| (name, variable(name).unwrap_or_default()));
            values
                .into_iter()
                .find(|(_, value)| !value.trim().is_empty())
        };
        let proxy = |names| match first(names) {
            Some((name, value)) => proxy_url(name, &value).map(Some),
            None => Ok(None),
        };
        let all = proxy(["ALL_PROXY", "all_proxy"])?;
        let exceptions = first(["NO_PROXY", "no_proxy"]);
        let exceptions =
            exceptions.map_or_else(NoProxy::default, |(_, list)| NoProxy::parse(&list));
        Ok(Self {
            http: proxy(["HTTP_PROXY", "http_proxy"])?.or_else(|| all.clone()),
            https: proxy(["HTTPS_PROXY", "https_proxy"])?.or(all),
            exceptions,
        })
    }

    /// Returns the proxy for a request to `url`, if any.
    pub(super) fn for_url(&self, url: &Url) -> Option<&Url> {
        let proxy = match url.scheme() {
            "http" => self.http.as_ref(),
            _ => self.https.as_ref(),
        }?;
        let is_excepted = url
            .host()
            .is_none_or(|host| self.exceptions.matches(&host, url.port_or_known_default()));
        (!is_excepted).then_some(proxy)
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxies")
            .field("http", &self.http.is_some())
            .field("https", &self.https.is_some())
            .finish_non_exhaustive()
    }
}

/// Parses the URL of a proxy, with or without `http://`.
fn proxy_url(name: &str, text: &str) -> Result<Url> {
    let text = text.trim();
    let url = if text.contains("://") {
        Url::parse(text)
    } else {
        Url::parse(&format!("http://{text}"))
    };
    let schemes = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];
    let is_proxy = |url: &Url| url.has_host() && schemes.contains(&url.scheme());
    url.ok().filter(is_proxy).ok_or_else(|| {
        let message = format!("{name} is not the URL of a proxy");
        Error::new(ErrorKind::InvalidInput, message)
            .with_hint("write for example http://proxy.example:3128")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().expect("a URL")
    }

    fn proxies(variables: &[(&str, &str)]) -> Result<Proxies> {
        Proxies::of_environment(|name| {
            let mut variables = variables.iter();
            let (_, value) = variables.find(|(found, _)| *found == name)?;
            Some((*value).to_owned())
        })
    }

    #[test]
    fn each_scheme_has_its_proxy() {
        let found = |variables: &[(&str, &str)], target: &str| {
            let proxies = proxies(variables).expect("proxies");
            proxies.for_url(&url(target)).map(Url::to_string)
        };
        let variables = [
            ("HTTP_PROXY", "http://one:3128"),
            ("https_proxy", "https://u:p@two:3129"),
            ("ALL_PROXY", "socks5h://three:1080"),
        ];
        let of = |target| found(&variables, target);
        assert_eq!(of("http://a.example").as_deref(), Some("http://one:3128/"));
        assert_eq!(
            of("https://a.example").as_deref(),
            Some("https://u:p@two:3129/")
        );
        let all = found(&variables[2..], "http://a.example");
        assert_eq!(all.as_deref(), Some("socks5h://three:1080"));
        // An empty variable is as good as none.
        let variables = [
            ("HTTPS_PROXY", ""),
            ("https_proxy", "lower:1"),
            ("NO_PROXY", " "),
            ("no_proxy", "b.example"),
        ];
        assert_eq!(
            found(&variables, "https://a.example").as_deref(),
            Some("http://lower:1/")
        );
        assert_eq!(found(&variables, "https://b.example"), None);
        assert_eq!(found(&variables, "http://a.example"), None);
        let cgi = [("HTTP_PROXY", "http://one:3128"), ("REQUEST_METHOD", "GET")];
        assert_eq!(found(&cgi, "http://a.example"), None);
    }

    #[test]
    fn what_is_no_url_of_a_proxy_is_named_and_not_shown() {
        for value in ["http://", "ftp://hunter2@a.example", "http://u:hunter2@:1"] {
            let error = proxies(&[("HTTPS_PROXY", value)]).expect_err(value);
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            let shown = format!("{error:?}");
            assert!(shown.contains("HTTPS_PROXY"), "{shown}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        let secret = proxies(&[("HTTPS_PROXY", "u:hunter2@a.example:1")]);
        assert!(!format!("{secret:?}").contains("hunter2"));
    }
}
