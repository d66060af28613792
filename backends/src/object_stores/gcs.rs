//! Google Cloud Storage.

use std::sync::Arc;

use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::{ClientConfigKey, ObjectStore};
use tranship::Result;

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

pub(super) fn build(url: &str, settings: &Settings) -> Result<Arc<dyn ObjectStore>> {
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
    check_endpoint(endpoint, allowed, "google_allow_http")?;
    let store = builder
        .build()
        .map_err(|error| unusable(STORE, error, settings))?;
    Ok(Arc::new(store))
}
