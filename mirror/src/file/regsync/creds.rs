//! `creds`: how registries are reached.

use std::num::NonZeroUsize;

use tranship::{Printable, RegistryName, Result};

use super::super::document::{Document, Map};
use super::super::notes::Notes;
use super::super::yaml::{Kind, Node, Value};
use super::{Registries, WITHOUT_EFFECT};
use crate::rules::{RegistrySettings, SourcePattern};

const USED: [&str; 5] = ["registry", "hostname", "tls", "reqPerSec", "reqConcurrent"];
const CREDENTIALS: [&str; 6] = [
    "user",
    "pass",
    "token",
    "credHelper",
    "credExpire",
    "credHost",
];
const CERTIFICATES: [&str; 3] = ["regcert", "clientCert", "clientKey"];
const MIRRORS: [&str; 3] = ["mirrors", "pathPrefix", "priority"];
const OTHERS: [&str; 6] = [
    "repoAuth",
    "api",
    "apiOpts",
    "blobChunk",
    "blobMax",
    "scheme",
];

pub(super) fn read(
    document: Document<'_>,
    node: &Node,
    registries: &mut Registries,
    notes: &mut Notes<'_>,
) -> Result<()> {
    for node in document.list(node)? {
        let map = document.map(node)?;
        add_notes(map, notes);
        let (registry, mut settings) = registry(document, map)?;
        if let Some(node) = map.get("tls") {
            match document.text(node)?.to_ascii_lowercase().as_str() {
                "" => {}
                "enabled" => settings.plain_http = Some(false),
                "insecure" => settings.insecure = Some(true),
                "disabled" => settings.plain_http = Some(true),
                _ => {
                    let why = "expected \"enabled\", \"insecure\" or \"disabled\"";
                    return Err(document.error(node.position, why));
                }
            }
        }
        if let Some(node) = map.get("reqPerSec") {
            settings.requests_per_second = per_second(document, node, notes)?;
        }
        if let Some(node) = map.get("reqConcurrent") {
            settings.concurrency = NonZeroUsize::new(document.number(node)?);
        }
        if settings != RegistrySettings::default() {
            registries.insert(registry, settings);
        }
    }
    Ok(())
}

fn add_notes(map: Map<'_>, notes: &mut Notes<'_>) {
    let groups = [&CREDENTIALS[..], &CERTIFICATES, &MIRRORS, &OTHERS];
    let known: Vec<&str> = USED.into_iter().chain(groups.concat()).collect();
    notes.add_unknown(map, &known);
    notes.add_ignored(
        map,
        &CREDENTIALS,
        "is not used: run \"tranship login\", or set the credentials as docs/auth.md says",
    );
    notes.add_ignored(
        map,
        &CERTIFICATES,
        "is not used: give --ca-file, --cert and --key, or put the certificates where docs/tls.md says",
    );
    notes.add_ignored(map, &MIRRORS, "is not used: name the mirror as the source");
    notes.add_ignored(map, &OTHERS, WITHOUT_EFFECT);
}

/// The registry, and whether its name says that plain HTTP is spoken.
fn registry(document: Document<'_>, map: Map<'_>) -> Result<(RegistryName, RegistrySettings)> {
    let Some(node) = map.get("registry") else {
        return Err(document.error(map.position, "the field \"registry\" is missing"));
    };
    let text = document.text(node)?;
    if text.contains("{{") {
        return Err(super::step::template(document, node));
    }
    let mut settings = RegistrySettings::default();
    let host = match text.split_once("://") {
        Some(("http", rest)) => {
            settings.plain_http = Some(true);
            rest
        }
        Some(("https", rest)) => rest,
        _ => text,
    };
    let host = host.split('/').next().unwrap_or_default();
    let name = host_name(host).map_err(|error| document.at(node.position, &error))?;
    if let Some(node) = map.get("hostname") {
        let text = document.text(node)?;
        let is_same = text.is_empty() || host_name(text).is_ok_and(|other| other == name);
        if !is_same {
            let why = format!(
                "a registry cannot be reached by another name, {}",
                Printable(text)
            );
            let error = document.error(node.position, why);
            return Err(error.with_hint("write the host in \"source\" and \"target\""));
        }
    }
    Ok((name, settings))
}

/// The name of a registry. Docker Hub has several.
fn host_name(host: &str) -> Result<RegistryName> {
    match format!("{host}/any").parse::<SourcePattern>() {
        Ok(source) if source.registry == "docker.io" && !host.contains('.') => host.parse(),
        Ok(source) => source.registry.parse(),
        Err(_) => host.parse(),
    }
}

/// A rate is a decimal number, and here a whole one.
fn per_second(document: Document<'_>, node: &Node, notes: &mut Notes<'_>) -> Result<Option<u32>> {
    let invalid = || document.error(node.position, "expected a number of requests in a second");
    let rate = match &node.value {
        Value::Scalar { text, kind } if *kind == Kind::Number => text.parse::<f64>().ok(),
        _ => None,
    };
    let rate = rate.filter(|rate| rate.is_finite() && *rate >= 0.0);
    let rate = rate.ok_or_else(invalid)?;
    if rate == 0.0 {
        return Ok(None);
    }
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast of a number that is not negative saturates"
    )]
    let whole = (rate as u32).max(1);
    if rate < 1.0 {
        notes.add(node.position, "\"reqPerSec\" below 1 is taken for 1");
    }
    Ok(Some(whole))
}
