//! What new settings allow that the ones before did not.

use crate::args::{RepositorySettings, Settings};

/// Describes each change by which callers may do more with `new` than with `old`, for the log: a file that was truncated
/// by mistake may have lost a limit.
pub(super) fn widened(old: &Settings, new: &Settings) -> Vec<String> {
    let mut changes = Vec::new();
    for (name, was_limited, is_limited) in [
        ("read-only", old.read_only, new.read_only),
        ("no-delete", old.no_delete, new.no_delete),
        ("read-write", !old.read_write, !new.read_write),
    ] {
        if was_limited && !is_limited {
            changes.push(format!("{name} has changed"));
        }
    }
    if old.rate_limit.is_some() && new.rate_limit.is_none() {
        changes.push("rate-limit is gone".to_owned());
    }
    if old.failed_login_limit.is_some() && new.failed_login_limit.is_none() {
        changes.push("failed-login-limit is gone".to_owned());
    }
    if old.has_users() {
        changes.extend(wider_rights(old, new));
    }
    let kept = |entry: &&RepositorySettings| new.repositories.contains(entry);
    for entry in old.repositories.iter().filter(|entry| !kept(entry)) {
        let pattern = &entry.names.0;
        let same = new.repositories.iter().find(|it| it.names == entry.names);
        let is_lost = |was: bool, is: fn(&RepositorySettings) -> bool| was && !same.is_some_and(is);
        if is_lost(entry.read_only, |it| it.read_only) {
            changes.push(format!("repositories {pattern} are no longer read-only"));
        }
        if is_lost(entry.no_delete, |it| it.no_delete) {
            changes.push(format!("content of repositories {pattern} may be deleted"));
        }
        let quota = same.and_then(|it| it.quota.as_ref()).map(|quota| quota.0);
        if entry
            .quota
            .as_ref()
            .is_some_and(|old| quota.is_none_or(|new| new > old.0))
        {
            changes.push(format!("repositories {pattern} may store more"));
        }
        let tags = same.map_or(&[][..], |it| &it.immutable_tags);
        for tag in entry
            .immutable_tags
            .iter()
            .filter(|tag| !tags.contains(tag))
        {
            changes.push(format!("tags {tag} of repositories {pattern} may be moved"));
        }
    }
    changes
}

fn wider_rights(old: &Settings, new: &Settings) -> Vec<String> {
    let mut changes = Vec::new();
    let files = [
        ("htpasswd", &old.htpasswd, &new.htpasswd),
        ("robots", &old.robots, &new.robots),
        ("auth-keys", &old.auth_keys, &new.auth_keys),
    ];
    for (name, was, is) in files {
        if let Some(path) = is.as_ref().filter(|_| was != is) {
            changes.push(format!("{name} is now {}", path.display()));
        }
    }
    let public = new.anonymous_read.iter();
    for names in public.filter(|names| !old.anonymous_read.contains(names)) {
        changes.push(format!("every caller may read {}", names.0));
    }
    // Before the first grant, every user may do everything.
    let new_grants = new.grant.iter().filter(|_| !old.grant.is_empty());
    for given in new_grants.filter(|given| !old.grant.contains(given)) {
        changes.push(format!("{} has the grant {}", given.user, given.grant));
    }
    for issuer in new.oidc.iter().filter(|it| !old.oidc.contains(it)) {
        changes.push(format!("the rules for tokens of {}", issuer.issuer));
    }
    changes
}
