//! Opens the store of a URL.

use object_store::ObjectStoreScheme;
use object_store::path::Path;
use tranship::{Error, ErrorKind, Result};
use url::Url;

use super::built::BuiltStore;
use super::settings::Settings;
use super::tls_provider::ensure_tls_provider;

/// Opens the store of `url`, and returns it with the path in it. The settings take precedence over the environment. Its
/// URLs are signed for `public_endpoint`, if there is one. This sends no request.
///
/// # Errors
/// - `InvalidInput` if the URL, the name of a setting or a value is not valid.
/// - `Unsupported` if the feature of the store is not enabled.
pub(crate) fn open(
    url: &str,
    settings: &Settings,
    public_endpoint: Option<&str>,
) -> Result<(BuiltStore, Path)> {
    let invalid = |error: String| {
        Error::new(ErrorKind::InvalidInput, "is not a URL of an object store").with_source(error)
    };
    let parsed = Url::parse(url).map_err(|error| invalid(error.to_string()))?;
    let (scheme, path) =
        ObjectStoreScheme::parse(&parsed).map_err(|error| invalid(error.to_string()))?;
    ensure_tls_provider()?;
    let store = match scheme {
        #[cfg(feature = "s3")]
        ObjectStoreScheme::AmazonS3 => super::s3::build(url, settings, public_endpoint)?,
        #[cfg(feature = "gcs")]
        ObjectStoreScheme::GoogleCloudStorage => super::gcs::build(url, settings, public_endpoint)?,
        #[cfg(feature = "azure")]
        ObjectStoreScheme::MicrosoftAzure => super::azure::build(url, settings, public_endpoint)?,
        #[cfg(feature = "http")]
        ObjectStoreScheme::Http => super::http::build(&parsed, settings)?,
        _ => {
            let _ = (settings, public_endpoint);
            return Err(Error::unsupported(
                "this program was built without the backend for such a store",
            )
            .with_hint("the features of tranship-backends are s3, gcs, azure and http"));
        }
    };
    Ok((store, path))
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
    use object_store::signer::Method;

    use super::*;
    use crate::object_stores::azure::SETTINGS as AZURE_SETTINGS;
    use crate::object_stores::gcs::SETTINGS as GCS_SETTINGS;
    use crate::object_stores::s3::SETTINGS as S3_SETTINGS;

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
    fn every_suggested_setting_exists() {
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
            let (opened, path) = open(url, settings, None).expect(url);
            assert_eq!(
                (opened.store.to_string().as_str(), path.as_ref()),
                (store, prefix),
                "{url}"
            );
        }
    }

    #[test]
    fn an_unknown_setting_is_refused_with_similar_ones() {
        for (name, meant) in [
            ("aws_regoin", "aws_region"),
            ("endpoint_ulr", "aws_endpoint_url"),
            ("alow_http", "allow_http"),
            ("aws_secret", "aws_"),
        ] {
            let error =
                open("s3://bucket", &settings(&[(name, "SECRET")]), None).expect_err("unknown");
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(
                error.hint().is_some_and(|hint| hint.contains(meant)),
                "{error:?}"
            );
            assert!(!printed(&error).contains("SECRET"));
        }
    }

    #[test]
    fn plain_http_must_be_allowed() {
        let endpoint = ("aws_endpoint", "http://localhost:9000");
        let error = open("s3://bucket", &settings(&[endpoint]), None).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(
            error
                .hint()
                .is_some_and(|hint| hint.contains("aws_allow_http=true"))
        );
        let allowed = settings(&[endpoint, ("aws_allow_http", "true")]);
        open("s3://bucket", &allowed, None).expect("allowed");
    }

    #[test]
    fn an_invalid_value_is_refused_without_repeating_it() {
        for (url, name) in [
            ("s3://bucket", "aws_skip_signature"),
            ("gs://bucket", "google_service_account_key"),
        ] {
            let error = open(url, &settings(&[(name, "SECRET")]), None).expect_err("nonsense");
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
            assert!(!printed(&error).contains("SECRET"));
        }
    }

    #[tokio::test]
    async fn urls_are_signed_for_the_public_endpoint() {
        let s3 = settings(&[
            ("aws_endpoint_url", "https://inside.example"),
            ("aws_access_key_id", "me"),
            ("aws_secret_access_key", "SECRET"),
        ]);
        let azure = settings(&[
            ("azure_storage_account_name", "me"),
            ("azure_storage_account_key", "U0VDUkVU"),
        ]);
        for (url, settings, endpoint, expected) in [
            (
                "s3://bucket",
                &s3,
                None,
                "https://inside.example/bucket/key?",
            ),
            (
                "s3://bucket",
                &s3,
                Some("https://outside.example"),
                "https://outside.example/bucket/key?",
            ),
            (
                "az://box",
                &azure,
                None,
                "https://me.blob.core.windows.net/box/key?",
            ),
            (
                "az://box",
                &azure,
                Some("https://cdn.example"),
                "https://cdn.example/box/key?",
            ),
        ] {
            let (opened, _) = open(url, settings, endpoint).expect(url);
            let signer = opened.signer.expect("a signer");
            let valid_for = std::time::Duration::from_secs(60);
            let key = Path::from("key");
            let signed = signer.signed_url(Method::GET, &key, valid_for);
            let signed = signed.await.expect("signed");
            assert!(signed.as_str().starts_with(expected), "{signed}");
            assert!(!signed.as_str().contains("SECRET"));
        }
    }

    #[test]
    fn a_store_without_credentials_signs_no_urls() {
        let anonymous = settings(&[("aws_skip_signature", "true")]);
        let (opened, _) = open("s3://bucket", &anonymous, None).expect("opened");
        assert!(opened.signer.is_none());
    }
}
