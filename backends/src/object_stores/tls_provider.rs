//! The TLS provider of the process.

use tranship::Result;

/// Installs the TLS provider of the enabled feature in the process unless one is installed.
///
/// Opening an object store does so, since the HTTP client of `object_store` uses only the provider of the process. Call it
/// for other clients that do, such as reqwest. rustls itself does the same where the features of a program leave no
/// choice.
///
/// # Errors
/// [`Unsupported`](tranship::ErrorKind::Unsupported) if neither `rustls-ring` nor `rustls-aws-lc` is enabled, and the
/// process does not have a provider.
pub fn ensure_tls_provider() -> Result<()> {
    use rustls::crypto::CryptoProvider;

    if CryptoProvider::get_default().is_some() {
        return Ok(());
    }
    #[cfg(feature = "rustls-aws-lc")]
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    #[cfg(all(feature = "rustls-ring", not(feature = "rustls-aws-lc")))]
    let provider = rustls::crypto::ring::default_provider();
    #[cfg(any(feature = "rustls-ring", feature = "rustls-aws-lc"))]
    {
        // Another thread may have installed one first, which is equally good.
        let _ = provider.install_default();
        Ok(())
    }
    #[cfg(not(any(feature = "rustls-ring", feature = "rustls-aws-lc")))]
    Err(
        tranship::Error::unsupported("this program has no TLS provider").with_hint(
            "enable the feature rustls-ring or rustls-aws-lc of tranship-backends, or call \
             rustls::crypto::CryptoProvider::install_default first",
        ),
    )
}
