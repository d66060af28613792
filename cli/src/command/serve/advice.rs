//! Settings that have no effect, which are likely mistakes.

use tranship::Result;
use tranship_server::{Htpasswd, NamePattern};

use crate::args::Settings;

/// The host of Docker Hub, whose official images are stored below `library/`.
const DOCKER_HUB: &str = "docker.io";

/// Returns a warning for each setting that has no effect.
///
/// # Errors
/// The error of reading the file of users.
pub(super) async fn warnings(settings: &Settings) -> Result<Vec<String>> {
    let mut warnings = unknown_users(settings).await?;
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
