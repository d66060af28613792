//! Azure Blob Storage.

use object_store::ClientConfigKey;
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use tranship::Result;

use super::built::{BuiltStore, Signing};
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

pub(super) fn build(
    url: &str,
    settings: &Settings,
    public_endpoint: Option<&str>,
) -> Result<BuiltStore> {
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
    check_endpoint(endpoint, allowed.clone(), "azure_allow_http")?;
    let signing = Signing {
        endpoint: public_endpoint,
        skipped: builder.get_config_value(&AzureConfigKey::SkipSignature),
        allow_http: ("azure_allow_http", allowed),
    };
    BuiltStore::build(
        builder,
        signing,
        |builder, endpoint| builder.with_config(AzureConfigKey::Endpoint, endpoint),
        |builder| {
            let store = builder.build();
            store.map_err(|error| unusable(STORE, error, settings))
        },
    )
}
