//! Amazon S3, and stores with its protocol.

use object_store::ClientConfigKey;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use tranship::Result;

use super::built::{BuiltStore, Signing};
use super::endpoint::check_endpoint;
use super::settings::{Settings, set, unusable};

pub(super) const SETTINGS: [&str; 16] = [
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

pub(super) fn build(
    url: &str,
    settings: &Settings,
    public_endpoint: Option<&str>,
) -> Result<BuiltStore> {
    const STORE: &str = "Amazon S3";
    let builder = AmazonS3Builder::from_env().with_url(url);
    let builder = set(
        builder,
        settings,
        STORE,
        &SETTINGS,
        |builder, key, value| builder.with_config(key, value),
    )?;
    let endpoint = builder
        .get_config_value(&AmazonS3ConfigKey::S3Endpoint)
        .or_else(|| builder.get_config_value(&AmazonS3ConfigKey::Endpoint));
    let allowed = builder.get_config_value(&AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp));
    check_endpoint(endpoint, allowed.clone(), "aws_allow_http")?;
    let signing = Signing {
        endpoint: public_endpoint,
        skipped: builder.get_config_value(&AmazonS3ConfigKey::SkipSignature),
        allow_http: ("aws_allow_http", allowed),
    };
    BuiltStore::build(
        builder,
        signing,
        |builder, endpoint| builder.with_config(AmazonS3ConfigKey::S3Endpoint, endpoint),
        |builder| {
            let store = builder.build();
            store.map_err(|error| unusable(STORE, error, settings))
        },
    )
}
