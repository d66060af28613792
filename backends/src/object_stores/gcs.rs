//! Google Cloud Storage.

use object_store::ClientConfigKey;
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use tranship::Result;

use super::built::{BuiltStore, Signing};
use super::endpoint::check_endpoint;
use super::settings::{Settings, set, unusable};

pub(super) const SETTINGS: [&str; 6] = [
    "google_application_credentials",
    "google_base_url",
    "google_bearer_token",
    "google_service_account",
    "google_service_account_key",
    "google_skip_signature",
];

pub(super) fn build(
    url: &str,
    settings: &Settings,
    public_endpoint: Option<&str>,
) -> Result<BuiltStore> {
    const STORE: &str = "Google Cloud Storage";
    let builder = GoogleCloudStorageBuilder::from_env().with_url(url);
    let builder = set(
        builder,
        settings,
        STORE,
        &SETTINGS,
        |builder, key, value| builder.with_config(key, value),
    )?;
    let endpoint = builder.get_config_value(&GoogleConfigKey::BaseUrl);
    let allowed = builder.get_config_value(&GoogleConfigKey::Client(ClientConfigKey::AllowHttp));
    check_endpoint(endpoint, allowed.clone(), "google_allow_http")?;
    let signing = Signing {
        endpoint: public_endpoint,
        skipped: builder.get_config_value(&GoogleConfigKey::SkipSignature),
        allow_http: ("google_allow_http", allowed),
    };
    BuiltStore::build(
        builder,
        signing,
        |builder, endpoint| builder.with_config(GoogleConfigKey::BaseUrl, endpoint),
        |builder| {
            let store = builder.build();
            store.map_err(|error| unusable(STORE, error, settings))
        },
    )
}
