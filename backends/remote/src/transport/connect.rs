//! The HTTP clients under it all, and where the registry is.

use std::time::Duration;

use tranship::{Error, ErrorKind, RegistryName, Result};
use url::Url;

use super::direct::Direct;
use super::tls;
use crate::options::{RemoteOptions, Scheme, TlsOptions};
use crate::policy::is_this_machine;
use crate::resolver::GuardedResolver;

/// Clients for small requests and for the bytes of blobs. The latter never speaks HTTP/2: with its
/// default windows that is less than half as fast (shared/facts/rust.md, section 5).
#[derive(Debug)]
pub(super) struct Clients {
    pub(super) small: reqwest::Client,
    pub(super) bulk: reqwest::Client,
    pub(super) direct: Direct,
}

/// What we call ourselves.
pub(super) const USER_AGENT: &str = concat!("tranship/", env!("CARGO_PKG_VERSION"));

/// `https://host:port/`, or `http`.
pub(super) fn origin(registry: &RegistryName, options: &RemoteOptions) -> Result<Url> {
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
    let https = parse("https")?;
    let is_http = match options.scheme {
        Scheme::Http => true,
        Scheme::Https => false,
        Scheme::Auto => {
            options.tls == TlsOptions::default() && https.host().is_some_and(is_this_machine)
        }
    };
    if is_http { parse("http") } else { Ok(https) }
}

pub(super) fn clients(origin: &Url, options: &RemoteOptions) -> Result<Clients> {
    let registry = origin.host_str().unwrap_or_default();
    let resolver = GuardedResolver::new(registry, options.policy.private_targets);
    let mut tls = tls::config(&options.tls)?;
    let bulk = builder(origin, options, &resolver)?
        .http1_only()
        .tls_backend_preconfigured(tls.clone())
        .build()
        .map_err(unusable)?;
    let small = match origin.scheme() {
        // Without TLS nobody can offer HTTP/2, and one set of connections does for all.
        "http" => bulk.clone(),
        _ => {
            tls.alpn_protocols.insert(0, b"h2".to_vec());
            builder(origin, options, &resolver)?
                .tls_backend_preconfigured(tls)
                .build()
                .map_err(unusable)?
        }
    };
    let direct = Direct::new(options, resolver);
    Ok(Clients {
        small,
        bulk,
        direct,
    })
}

fn builder(
    origin: &Url,
    options: &RemoteOptions,
    resolver: &GuardedResolver,
) -> Result<reqwest::ClientBuilder> {
    let mut builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(options.connect_timeout)
        .pool_idle_timeout(Duration::from_secs(50))
        .tcp_nodelay(true)
        .http1_max_headers(options.policy.max_headers)
        .http2_max_header_list_size(64 * 1024)
        .dns_resolver(resolver.clone());
    for (name, address) in &options.resolve {
        builder = builder.resolve(name, *address);
    }
    match &options.proxy {
        Some(proxy) => {
            let proxy = reqwest::Proxy::all(proxy).map_err(|_| {
                Error::new(
                    ErrorKind::InvalidInput,
                    "the address of the proxy is no URL",
                )
            })?;
            builder = builder.proxy(proxy);
        }
        // A proxy would look for it on its own machine.
        None if origin.host().is_some_and(is_this_machine) => builder = builder.no_proxy(),
        None => {}
    }
    Ok(builder)
}

fn unusable(error: reqwest::Error) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        "no connection can be made with these options",
    )
    .with_source(error.without_url())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin_of(registry: &str, options: &RemoteOptions) -> String {
        let registry = registry.parse().expect("a registry");
        origin(&registry, options).expect("an origin").to_string()
    }

    #[test]
    fn this_machine_is_spoken_to_in_clear_text_and_all_others_are_not() {
        let options = RemoteOptions::default();
        for (registry, expected) in [
            ("localhost", "http://localhost/"),
            ("localhost:5000", "http://localhost:5000/"),
            ("127.0.0.1:5000", "http://127.0.0.1:5000/"),
            ("[::1]:5000", "http://[::1]:5000/"),
            ("registry.example.com", "https://registry.example.com/"),
            ("registry.example.com:443", "https://registry.example.com/"),
            ("10.0.0.1:5000", "https://10.0.0.1:5000/"),
            ("docker.io", "https://registry-1.docker.io/"),
        ] {
            assert_eq!(origin_of(registry, &options), expected);
        }
    }

    #[test]
    fn options_decide_about_tls_before_the_name() {
        let http = RemoteOptions::default().with_scheme(Scheme::Http);
        assert_eq!(origin_of("example.com", &http), "http://example.com/");
        let https = RemoteOptions::default().with_scheme(Scheme::Https);
        assert_eq!(origin_of("localhost", &https), "https://localhost/");
        let insecure = TlsOptions::default().with_insecure(true);
        let insecure = RemoteOptions::default().with_tls(insecure);
        assert_eq!(
            origin_of("localhost:5000", &insecure),
            "https://localhost:5000/"
        );
    }

    #[test]
    fn certificates_that_are_none_are_refused() {
        let origin = Url::parse("https://example.com").expect("a URL");
        for tls in [
            TlsOptions::default().with_roots("no certificate"),
            TlsOptions::default().with_identity(b"no certificate", b"no key"),
        ] {
            let options = RemoteOptions::default().with_tls(tls);
            let error = clients(&origin, &options).expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
    }
}
