//! The HTTP clients that requests go through.

use std::time::Duration;

use tranship::{Error, ErrorKind, Result};
use url::Url;

use super::proxies::Proxies;
use super::sender::Sender;
use super::tls;
use crate::options::RemoteOptions;
use crate::resolver::GuardedResolver;

/// The clients for small requests and for the bytes of blobs. The latter does not use HTTP/2, which is less than half as fast
/// with its default windows.
#[derive(Debug)]
pub(super) struct Clients {
    pub(super) small: Sender,
    pub(super) bulk: Sender,
}

/// The `User-Agent` of every request.
const USER_AGENT: &str = concat!("tranship/", env!("CARGO_PKG_VERSION"));

/// Builds the clients for the registry at `origin`, which may turn out to speak the other scheme.
///
/// # Errors
/// `InvalidInput` if a certificate, key or proxy in the options is invalid, or an option contradicts the client in them.
pub(super) fn clients(
    origin: &Url,
    options: &RemoteOptions,
    resolver: GuardedResolver,
) -> Result<Clients> {
    if let Some(client) = &options.client {
        let sender = Sender::of_caller(client.clone(), options, resolver)?;
        return Ok(Clients {
            small: sender.clone(),
            bulk: sender,
        });
    }
    let proxies = Proxies::new(origin, options)?;
    let mut tls = tls::config(&options.tls)?;
    let bulk = builder(&proxies, options, &resolver)
        .http1_only()
        .tls_backend_preconfigured(tls.clone())
        .build()
        .map_err(unusable)?;
    let small = match origin.scheme() {
        // Without TLS no server can offer HTTP/2, and one set of connections is enough.
        "http" => bulk.clone(),
        _ => {
            tls.alpn_protocols.insert(0, b"h2".to_vec());
            builder(&proxies, options, &resolver)
                .tls_backend_preconfigured(tls)
                .build()
                .map_err(unusable)?
        }
    };
    Ok(Clients {
        small: Sender::new(small),
        bulk: Sender::new(bulk),
    })
}

fn builder(
    proxies: &Proxies,
    options: &RemoteOptions,
    resolver: &GuardedResolver,
) -> reqwest::ClientBuilder {
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
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    {
        // The client's own default is 30 seconds, and also ends a connection to a server that reads slowly. Our limit on
        // the time in which nothing moves holds for both directions.
        builder = builder.tcp_user_timeout(None);
    }
    for (name, address) in &options.resolve {
        builder = builder.resolve(name, *address);
    }
    let proxies = proxies.clone();
    let proxy = reqwest::Proxy::custom(move |url| proxies.for_url(url).cloned());
    builder = builder.proxy(proxy);
    builder
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
    use crate::tls_options::TlsOptions;

    #[test]
    fn certificates_that_are_none_are_refused() {
        let origin = Url::parse("https://example.com").expect("a URL");
        for tls in [
            TlsOptions::default().with_roots("no certificate"),
            TlsOptions::default().with_identity(b"no certificate", b"no key"),
        ] {
            let options = RemoteOptions::default().with_tls(tls);
            let resolver = GuardedResolver::new(&origin, &[], options.policy);
            let error = clients(&origin, &options, resolver).expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
    }
}
