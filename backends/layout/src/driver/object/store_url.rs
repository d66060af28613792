//! The URL of a store, as its users write it.

use std::fmt;

use object_store::ObjectStore;
use object_store::path::Path;

use super::redact::redact;

/// The URL of a store, for messages, without secrets.
#[derive(Debug, Clone)]
pub(super) struct StoreUrl(String);

impl StoreUrl {
    pub(super) fn new(store: &dyn ObjectStore) -> Self {
        Self(url_of(&store.to_string()))
    }

    /// Returns the URL of the object `key`.
    pub(super) fn of(&self, key: &Path) -> String {
        format!("{}/{key}", self.0)
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns the URL of the store whose `Display` text is `name`.
fn url_of(name: &str) -> String {
    let inside = |start: &str, end: &str| name.strip_prefix(start)?.strip_suffix(end);
    let azure = inside("MicrosoftAzure { account: ", " }")
        .and_then(|fields| fields.split_once(", container: "));
    if let Some((account, container)) = azure {
        return format!("abfss://{container}@{account}.dfs.core.windows.net");
    }
    if let Some(bucket) = inside("AmazonS3(", ")") {
        return format!("s3://{bucket}");
    }
    if let Some(bucket) = inside("GoogleCloudStorage(", ")") {
        return format!("gs://{bucket}");
    }
    if name == "InMemory" {
        return "memory://".to_owned();
    }
    redact(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_have_the_urls_that_their_users_write() {
        for (name, url) in [
            ("AmazonS3(images)", "s3://images"),
            ("GoogleCloudStorage(images)", "gs://images"),
            (
                "MicrosoftAzure { account: me, container: images }",
                "abfss://images@me.dfs.core.windows.net",
            ),
            (
                "Own(https://me:secret@host/?sig=secret)",
                "Own(https://host/",
            ),
        ] {
            assert_eq!(url_of(name), url, "{name}");
        }
    }
}
