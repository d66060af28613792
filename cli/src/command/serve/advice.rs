//! Settings that are likely mistakes, such as those that have no effect.

use tranship::Result;
use tranship_backends::RegistryLocation;
use tranship_server::{Htpasswd, NamePattern};

use super::{directory, registry};
use crate::args::{RootArg, Settings};

/// The host of Docker Hub, whose official images are stored below `library/`.
const DOCKER_HUB: &str = "docker.io";

/// Returns a warning for each setting that is likely a mistake.
///
/// # Errors
/// The error of reading the file of users.
pub(super) async fn warnings(settings: &Settings) -> Result<Vec<String>> {
    let mut warnings = unknown_users(settings).await?;
    warnings.extend(everyone(settings));
    warnings.extend(hidden_patterns(settings));
    warnings.extend(unused_hosts(settings));
    warnings.extend(odd_root(settings));
    let has_hub = settings
        .mirror
        .iter()
        .any(|mirror| mirror.host.as_str().eq_ignore_ascii_case(DOCKER_HUB));
    if has_hub {
        let patterns = patterns(settings);
        let short = patterns.filter_map(|(setting, pattern)| short_image(setting, pattern));
        warnings.extend(short);
    }
    Ok(warnings)
}

/// Returns a warning for each grant of a user that has no password. The names in client certificates are not known.
async fn unknown_users(settings: &Settings) -> Result<Vec<String>> {
    if settings.tls_client_ca.is_some() {
        return Ok(Vec::new());
    }
    let users = match &settings.htpasswd {
        Some(path) => Some(Htpasswd::open(path).await?),
        None => None,
    };
    let mut warnings = Vec::new();
    for given in &settings.grant {
        let is_known = match &users {
            Some(users) => users.has_user(&given.user).await,
            None => false,
        };
        if !is_known {
            warnings.push(format!(
                "grant {}={}: no file of htpasswd has this user; grants of accounts of programs are in their own file",
                given.user, given.grant
            ));
        }
    }
    Ok(warnings)
}

/// Returns a warning if all machines of the network may use the registry.
fn everyone(settings: &Settings) -> Option<String> {
    let can = match registry::is_read_only(settings) {
        true => "read everything",
        false => "read, push and delete everything",
    };
    (!settings.has_users() && !settings.is_local()).then(|| {
        format!("without users, every machine that reaches this server can {can}; docs/access.md has the options")
    })
}

/// Returns a warning for each pattern that is never looked at, as an earlier one matches whatever it matches.
fn hidden_patterns(settings: &Settings) -> Vec<String> {
    let entries = settings.repositories.iter();
    let entries: Vec<&NamePattern> = entries.map(|entry| &entry.names.0).collect();
    let counted = settings.metrics_repository.iter();
    let counted: Vec<&NamePattern> = counted.map(|names| &names.0).collect();
    let mut warnings = Vec::new();
    for (setting, patterns) in [("repositories", entries), ("metrics-repository", counted)] {
        for (position, pattern) in patterns.iter().enumerate() {
            let mut earlier = patterns[..position].iter();
            if let Some(wider) = earlier.find(|earlier| earlier.covers(pattern)) {
                warnings.push(format!(
                    "{setting}[{position}], {pattern}, is never used: the earlier {wider} matches the same repositories; put the narrower pattern first"
                ));
            }
        }
    }
    for entry in &settings.repositories {
        for (position, rule) in entry.retention.iter().enumerate() {
            if entry.retention[..position]
                .iter()
                .any(|earlier| earlier.covers(rule))
            {
                let names = &entry.names.0;
                warnings.push(format!(
                    "retention[{position}] of repositories {names} is never used: an earlier entry decides about the same tags"
                ));
            }
        }
    }
    warnings
}

/// Returns a warning if hosts are allowed that the server does not ask for.
fn unused_hosts(settings: &Settings) -> Option<String> {
    let is_asked = settings.is_local() && !settings.has_users() && settings.tls_cert.is_none();
    (!settings.allow_host.is_empty() && !is_asked).then(|| {
        "allow-host has no effect: only a server on a loopback address without users and TLS refuses hosts".to_owned()
    })
}

/// Returns a warning if pushes cannot be stored, or if not only the root itself will be created: its path may have a
/// mistake.
fn odd_root(settings: &Settings) -> Option<String> {
    let Some(RootArg(RegistryLocation::LayoutRegistry(root))) = &settings.root else {
        return None;
    };
    let root = std::path::absolute(root).ok()?;
    if root.is_dir() && !registry::is_read_only(settings) {
        let error = directory::is_writable(&root).err()?;
        let root = root.display();
        return Some(format!(
            "root {root} cannot be written to: {error}; clients cannot push"
        ));
    }
    let parent = root.parent()?;
    (!parent.exists()).then(|| {
        let (root, parent) = (root.display(), parent.display());
        format!("root {root}: {parent} does not exist; both are created with the first push")
    })
}

/// Returns all patterns of repositories, with the settings that they are in.
fn patterns(settings: &Settings) -> impl Iterator<Item = (&'static str, &NamePattern)> {
    let of_lists = [
        ("anonymous-read", &settings.anonymous_read),
        ("mirror-pin", &settings.mirror_pin),
        ("metrics-repository", &settings.metrics_repository),
    ];
    let of_lists = of_lists
        .into_iter()
        .flat_map(|(setting, patterns)| patterns.iter().map(move |names| (setting, &names.0)));
    let of_entries = settings.repositories.iter();
    let of_entries = of_entries.map(|entry| ("match", &entry.names.0));
    let of_webhooks = settings.webhook.iter();
    let of_webhooks = of_webhooks.flat_map(|webhook| {
        let names = webhook.0.repositories.iter();
        names.map(|names| ("repositories of a webhook", &names.0))
    });
    let of_grants = settings.grant.iter();
    let of_grants = of_grants.map(|given| ("grant", &given.grant.names));
    let of_rules = settings.oidc.iter().flat_map(|issuer| &issuer.rules);
    let of_rules = of_rules
        .flat_map(|rule| &rule.grant)
        .map(|grant| ("grant", &grant.0.names));
    of_lists
        .chain(of_entries)
        .chain(of_webhooks)
        .chain(of_grants)
        .chain(of_rules)
}

/// Returns a warning if the pattern is for images of Docker Hub by a name that none is stored by.
fn short_image(setting: &str, pattern: &NamePattern) -> Option<String> {
    let text = pattern.to_string();
    let (host, image) = text.split_once('/')?;
    let is_short = host == DOCKER_HUB && image != "**" && !image.contains('/');
    is_short.then(|| {
        format!(
            "{setting} {text}: no image of Docker Hub has this name; write {DOCKER_HUB}/library/{image}"
        )
    })
}
