//! Object stores, opened by their URL, with settings from the environment and from options.

use std::sync::Arc;

use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreScheme};
use tranship::{Error, ErrorKind, Result};
use url::Url;

#[cfg(feature = "objects")]
use crate::store_settings::{parse, unusable};

/// Names and values. A value may be a secret.
pub(crate) type Settings = [(String, String)];

/// A store, and the path that a URL names in it.
pub(crate) type Place = (Arc<dyn ObjectStore>, Path);

/// Opens the store that `url` is in. What `settings` say goes before the environment. Nothing is
/// asked of the store yet.
///
/// # Errors
/// - `InvalidInput` if the URL, the name of a setting or a value makes no sense.
/// - `Unsupported` if the feature of the store is not enabled.
pub(crate) fn open(url: &str, settings: &Settings) -> Result<Place> {
    let invalid = |error: String| {
        Error::new(ErrorKind::InvalidInput, "is no URL of an object store").with_source(error)
    };
    let parsed = Url::parse(url).map_err(|error| invalid(error.to_string()))?;
    let (scheme, path) =
        ObjectStoreScheme::parse(&parsed).map_err(|error| invalid(error.to_string()))?;
    #[cfg(feature = "objects")]
    ensure_tls_provider()?;
    let store = match scheme {
        #[cfg(feature = "s3")]
        ObjectStoreScheme::AmazonS3 => s3(url, settings)?,
        #[cfg(feature = "gcs")]
        ObjectStoreScheme::GoogleCloudStorage => gcs(url, settings)?,
        #[cfg(feature = "azure")]
        ObjectStoreScheme::MicrosoftAzure => azure(url, settings)?,
        #[cfg(feature = "http")]
        ObjectStoreScheme::Http => http(&parsed, settings)?,
        _ => {
            let _ = settings;
            return Err(Error::unsupported(
                "this program was built without the backend for such a store",
            )
            .with_hint("the features of tranship-backends are s3, gcs, azure and http"));
        }
    };
    Ok((store, path))
}

/// Installs the TLS provider of the enabled feature in the process unless one is installed: the HTTP client of
/// `object_store` takes no other. rustls itself does the same where the features of a program leave no choice.
#[cfg(feature = "objects")]
fn ensure_tls_provider() -> Result<()> {
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
        // Another thread may have been first. Its provider is as good.
        let _ = provider.install_default();
        Ok(())
    }
    #[cfg(not(any(feature = "rustls-ring", feature = "rustls-aws-lc")))]
    Err(
        Error::unsupported("this program has no TLS provider").with_hint(
            "enable the feature rustls-ring or rustls-aws-lc of tranship-backends, or call \
             rustls::crypto::CryptoProvider::install_default first",
        ),
    )
}

/// Sets what is asked for, name by name.
#[cfg(feature = "objects")]
fn set<B, K: std::str::FromStr>(
    builder: B,
    settings: &Settings,
    store: &str,
    known: &[&str],
    with: impl Fn(B, K, &str) -> B,
) -> Result<B> {
    settings.iter().try_fold(builder, |builder, (name, value)| {
        Ok(with(builder, parse(name, store, known)?, value))
    })
}

/// Refuses an endpoint that is reached in plain text, unless that is allowed.
#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
fn check_endpoint(endpoint: Option<String>, allowed: Option<String>, name: &str) -> Result<()> {
    let is_plain = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
    if is_plain && allowed.is_none_or(|allowed| allowed != "true") {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "the endpoint of the store is plain HTTP, which anybody can read on the way",
        )
        .with_hint(format!("if that is meant, set {name}=true")));
    }
    Ok(())
}

#[cfg(feature = "s3")]
const S3_SETTINGS: [&str; 16] = [
    "aws_access_key_id",
    "aws_allow_http",
    "aws_checksum_algorithm",
    "aws_conditional_put",
    "aws_default_region",
    "aws_disable_bulk_delete",
    "aws_endpoint_url",
    "aws_region",
    "aws_request_payer",
    "aws_role_arn",
    "aws_secret_access_key",
    "aws_server_side_encryption",
    "aws_session_token",
    "aws_skip_signature",
    "aws_unsigned_payload",
    "aws_virtual_hosted_style_request",
];

#[cfg(feature = "s3")]
fn s3(url: &str, settings: &Settings) -> Result<Arc<dyn ObjectStore>> {
    use object_store::ClientConfigKey;
    use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};

    const STORE: &str = "Amazon S3";
    let builder = AmazonS3Builder::from_env().with_url(url);
    let builder = set(
        builder,
        settings,
        STORE,
        &S3_SETTINGS,
        |builder, key, value| builder.with_config(key, value),
    )?;
    let endpoint = builder
        .get_config_value(&AmazonS3ConfigKey::S3Endpoint)
        .or_else(|| builder.get_config_value(&AmazonS3ConfigKey::Endpoint));
    let allowed = builder.get_config_value(&AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp));
    check_endpoint(endpoint, allowed, "aws_allow_http")?;
    let store = builder
        .build()
        .map_err(|error| unusable(STORE, error, settings))?;
    Ok(Arc::new(store))
}

#[cfg(feature = "gcs")]
const GCS_SETTINGS: [&str; 6] = [
    "google_application_credentials",
    "google_base_url",
    "google_bearer_token",
    "google_service_account",
    "google_service_account_key",
    "google_skip_signature",
];

#[cfg(feature = "gcs")]
fn gcs(url: &str, settings: &Settings) -> Result<Arc<dyn ObjectStore>> {
    use object_store::ClientConfigKey;
    use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};

    const STORE: &str = "Google Cloud Storage";
    let builder = GoogleCloudStorageBuilder::from_env().with_url(url);
    let builder = set(
        builder,
        settings,
        STORE,
        &GCS_SETTINGS,
        |builder, key, value| builder.with_config(key, value),
    )?;
    let endpoint = builder.get_config_value(&GoogleConfigKey::BaseUrl);
    let allowed = builder.get_config_value(&GoogleConfigKey::Client(ClientConfigKey::AllowHttp));
    check_endpoint(endpoint, allowed, "google_allow_http")?;
    let store = builder
        .build()
        .map_err(|error| unusable(STORE, error, settings))?;
    Ok(Arc::new(store))
}

#[cfg(feature = "azure")]
const AZURE_SETTINGS: [&str; 13] = [
    "azure_allow_http",
    "azure_client_id",
    "azure_client_secret",
    "azure_endpoint",
    "azure_federated_token_file",
    "azure_skip_signature",
    "azure_storage_account_key",
    "azure_storage_account_name",
    "azure_storage_sas_token",
    "azure_storage_token",
    "azure_storage_use_emulator",
    "azure_tenant_id",
    "azure_use_azure_cli",
];

#[cfg(feature = "azure")]
fn azure(url: &str, settings: &Settings) -> Result<Arc<dyn ObjectStore>> {
    use object_store::ClientConfigKey;
    use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};

    const STORE: &str = "Azure Blob Storage";
    let builder = MicrosoftAzureBuilder::from_env().with_url(url);
    let builder = set(
        builder,
        settings,
        STORE,
        &AZURE_SETTINGS,
        |builder, key, value| builder.with_config(key, value),
    )?;
    let endpoint = builder.get_config_value(&AzureConfigKey::Endpoint);
    let allowed = builder.get_config_value(&AzureConfigKey::Client(ClientConfigKey::AllowHttp));
    check_endpoint(endpoint, allowed, "azure_allow_http")?;
    let store = builder
        .build()
        .map_err(|error| unusable(STORE, error, settings))?;
    Ok(Arc::new(store))
}

#[cfg(feature = "http")]
fn http(url: &Url, settings: &Settings) -> Result<Arc<dyn ObjectStore>> {
    use object_store::http::HttpBuilder;
    use object_store::{ClientConfigKey, ClientOptions};

    const STORE: &str = "a web server";
    // Who writes http:// means it.
    let options = ClientOptions::new().with_allow_http(url.scheme() == "http");
    let options = set(
        options,
        settings,
        STORE,
        &[],
        |options: ClientOptions, key: ClientConfigKey, value| options.with_config(key, value),
    )?;
    let root = &url[..url::Position::BeforePath];
    let builder = HttpBuilder::new()
        .with_url(root)
        .with_client_options(options);
    let store = builder
        .build()
        .map_err(|error| unusable(STORE, error, settings))?;
    Ok(Arc::new(store))
}

#[cfg(all(
    test,
    feature = "s3",
    feature = "gcs",
    feature = "azure",
    feature = "http"
))]
mod tests {
    use object_store::aws::AmazonS3ConfigKey;
    use object_store::azure::AzureConfigKey;
    use object_store::gcp::GoogleConfigKey;

    use super::*;

    fn settings(settings: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = settings.iter();
        owned
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect()
    }

    fn printed(error: &Error) -> String {
        format!("{error} {error:?} {:?}", error.hint())
    }

    #[test]
    fn every_setting_that_is_told_exists() {
        for name in S3_SETTINGS {
            assert!(name.parse::<AmazonS3ConfigKey>().is_ok(), "{name}");
        }
        for name in GCS_SETTINGS {
            assert!(name.parse::<GoogleConfigKey>().is_ok(), "{name}");
        }
        for name in AZURE_SETTINGS {
            assert!(name.parse::<AzureConfigKey>().is_ok(), "{name}");
        }
    }

    #[test]
    fn urls_name_a_store_and_a_path() {
        let azure = settings(&[
            ("azure_storage_account_name", "me"),
            ("azure_skip_signature", "true"),
        ]);
        let s3 = settings(&[("aws_region", "eu-west-1")]);
        for (url, settings, store, prefix) in [
            (
                "s3://bucket/some/prefix",
                &s3,
                "AmazonS3(bucket)",
                "some/prefix",
            ),
            ("s3a://bucket", &s3, "AmazonS3(bucket)", ""),
            (
                "gs://bucket/a%20b",
                &Vec::new(),
                "GoogleCloudStorage(bucket)",
                "a b",
            ),
            (
                "az://box/p",
                &azure,
                "MicrosoftAzure { account: me, container: box }",
                "p",
            ),
            (
                "abfss://box@you.dfs.core.windows.net/p/q",
                &azure,
                "MicrosoftAzure { account: you, container: box }",
                "p/q",
            ),
            ("http://localhost:8000/p", &Vec::new(), "HttpStore", "p"),
        ] {
            let (opened, path) = open(url, settings).expect(url);
            assert_eq!(
                (opened.to_string().as_str(), path.as_ref()),
                (store, prefix),
                "{url}"
            );
        }
    }

    #[test]
    fn an_unknown_setting_is_refused_with_those_that_are_like_it() {
        for (name, meant) in [
            ("aws_regoin", "aws_region"),
            ("endpoint_ulr", "aws_endpoint_url"),
            ("alow_http", "allow_http"),
            ("aws_secret", "aws_"),
        ] {
            let error = open("s3://bucket", &settings(&[(name, "SECRET")])).expect_err("unknown");
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(
                error.hint().is_some_and(|hint| hint.contains(meant)),
                "{error:?}"
            );
            assert!(!printed(&error).contains("SECRET"));
        }
    }

    #[test]
    fn plain_http_must_be_asked_for() {
        let endpoint = ("aws_endpoint", "http://localhost:9000");
        let error = open("s3://bucket", &settings(&[endpoint])).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(
            error
                .hint()
                .is_some_and(|hint| hint.contains("aws_allow_http=true"))
        );
        let allowed = settings(&[endpoint, ("aws_allow_http", "true")]);
        open("s3://bucket", &allowed).expect("allowed");
    }

    #[test]
    fn a_value_that_makes_no_sense_is_refused_without_repeating_it() {
        for (url, name) in [
            ("s3://bucket", "aws_skip_signature"),
            ("gs://bucket", "google_service_account_key"),
        ] {
            let error = open(url, &settings(&[(name, "SECRET")])).expect_err("nonsense");
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
            assert!(!printed(&error).contains("SECRET"));
        }
    }
}
