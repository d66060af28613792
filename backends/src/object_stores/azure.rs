//! Azure Blob Storage.

use std::sync::Arc;

use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::{ClientConfigKey, ObjectStore};
use tranship::Result;

use super::endpoint::check_endpoint;
use super::settings::{Settings, set, unusable};

pub(super) const SETTINGS: [&str; 13] = [
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

pub(super) fn build(url: &str, settings: &Settings) -> Result<Arc<dyn ObjectStore>> {
    const STORE: &str = "Azure Blob Storage";
    let builder = MicrosoftAzureBuilder::from_env().with_url(url);
    let builder = set(
        builder,
        settings,
        STORE,
        &SETTINGS,
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
