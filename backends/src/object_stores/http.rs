//! Web servers and WebDAV.

use std::sync::Arc;

use object_store::http::HttpBuilder;
use object_store::{ClientConfigKey, ClientOptions};
use tranship::Result;
use url::Url;

use super::built::BuiltStore;
use super::settings::{Settings, set, unusable};

pub(super) fn build(url: &Url, settings: &Settings) -> Result<BuiltStore> {
    const STORE: &str = "a web server";
    // A URL with http:// asks for plain HTTP explicitly.
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
    Ok(BuiltStore {
        store: Arc::new(store),
        signer: None,
    })
}
