//! A webhook in the settings: a URL, and in a file also a map.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use super::list::filled_list;
use super::values::PatternArg;
use crate::location::DurationArg;

/// A receiver of events. Its URL and headers may be secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct WebhookArg(pub(crate) WebhookSettings);

/// The keys of a webhook in a file.
#[derive(Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct WebhookSettings {
    pub(crate) url: String,
    /// A file with the secret that requests are signed with.
    pub(crate) secret_file: Option<PathBuf>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) format: WebhookFormat,
    /// Every action except `pull` if there is none.
    #[serde(deserialize_with = "filled_list")]
    pub(crate) actions: Vec<WebhookAction>,
    /// Patterns; every media type if there is none.
    #[serde(deserialize_with = "filled_list")]
    pub(crate) media_types: Vec<String>,
    /// Every repository if there is none.
    #[serde(deserialize_with = "filled_list")]
    pub(crate) repositories: Vec<PatternArg>,
    pub(crate) timeout: Option<DurationArg>,
    pub(crate) give_up_after: Option<DurationArg>,
}

/// The format of events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WebhookFormat {
    #[default]
    Distribution,
    CloudEvents,
}

/// What happened in an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WebhookAction {
    Pull,
    Push,
    Mount,
    Delete,
    Tag,
    Untag,
}

impl FromStr for WebhookArg {
    type Err = Infallible;

    /// Takes the URL. It is parsed when the webhook is opened.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(WebhookSettings {
            url: text.to_owned(),
            ..WebhookSettings::default()
        }))
    }
}

impl<'de> Deserialize<'de> for WebhookArg {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UrlOrMap)
    }
}

struct UrlOrMap;

impl<'de> Visitor<'de> for UrlOrMap {
    type Value = WebhookArg;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a URL, or a map with the key url")
    }

    fn visit_str<E>(self, text: &str) -> Result<WebhookArg, E> {
        let Ok(webhook) = text.parse();
        Ok(webhook)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<WebhookArg, A::Error> {
        WebhookSettings::deserialize(MapAccessDeserializer::new(map)).map(WebhookArg)
    }
}

impl fmt::Debug for WebhookArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookArg(..)")
    }
}
