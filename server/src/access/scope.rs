//! Scopes of tokens: actions on resources.
//!
//! A client asks for `repository:team/app:pull,push`, and the token has the same as an object in its claim `access`.
//! See the [grammar](https://distribution.github.io/distribution/spec/auth/scope/).

use serde::{Deserialize, Serialize};
use tranship::RepositoryName;

use super::grants::Permission;

/// How many resources a token may be asked for. Further ones are not granted.
const MAX_RESOURCES: usize = 100;

const REPOSITORY: &str = "repository";
const ALL_ACTIONS: &str = "*";

/// The scope that lists repositories.
pub(super) const CATALOG: &str = "registry:catalog:*";

/// What a request does with a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Pull,
    Push,
    Delete,
}

impl Action {
    pub(super) const ALL: [Self; 3] = [Self::Pull, Self::Push, Self::Delete];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
        }
    }

    /// Returns the permission that the action requires.
    pub(super) const fn permission(self) -> Permission {
        match self {
            Self::Pull => Permission::Read,
            Self::Push | Self::Delete => Permission::Write,
        }
    }
}

/// Actions on resources.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Scopes(Vec<Scope>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Scope {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    #[serde(default)]
    actions: Vec<String>,
}

impl Scopes {
    /// Parses lists of scopes that are separated by spaces. Malformed ones are skipped: a client that is granted less
    /// than it has asked for learns this from the request that needs it.
    pub(crate) fn parse<'a>(lists: impl IntoIterator<Item = &'a str>) -> Self {
        let mut scopes = Self::default();
        let parts = lists.into_iter().flat_map(str::split_ascii_whitespace);
        for scope in parts.filter_map(Scope::parse) {
            scopes.add(scope);
        }
        scopes
    }

    fn add(&mut self, scope: Scope) {
        let same = |known: &&mut Scope| known.kind == scope.kind && known.name == scope.name;
        if let Some(known) = self.0.iter_mut().find(same) {
            known.actions.extend(scope.actions);
        } else if self.0.len() < MAX_RESOURCES {
            self.0.push(scope);
        }
    }

    /// Returns whether the scopes include `action` on the repository `name`.
    pub(super) fn allow(&self, name: &RepositoryName, action: Action) -> bool {
        self.0.iter().any(|scope| {
            scope.kind == REPOSITORY
                && scope.name == name.as_str()
                && scope.includes(action.as_str())
        })
    }

    /// Returns whether the scopes include listing repositories.
    pub(super) fn allow_catalog(&self) -> bool {
        self.0.iter().any(Scope::is_catalog)
    }

    /// Returns the part of the scopes that `allows` and `allows_catalog` admit.
    pub(super) fn granted(
        &self,
        allows: impl Fn(&RepositoryName, Action) -> bool,
        allows_catalog: bool,
    ) -> Self {
        let granted = |scope: &Scope| {
            if scope.is_catalog() {
                return allows_catalog.then(|| scope.with_actions(&[ALL_ACTIONS]));
            }
            let name = scope.name.parse().ok();
            let name: RepositoryName = name.filter(|_| scope.kind == REPOSITORY)?;
            let actions = Action::ALL
                .into_iter()
                .filter(|action| scope.includes(action.as_str()) && allows(&name, *action));
            let actions: Vec<&str> = actions.map(Action::as_str).collect();
            (!actions.is_empty()).then(|| scope.with_actions(&actions))
        };
        Self(self.0.iter().filter_map(granted).collect())
    }
}

impl std::fmt::Display for Scopes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, scope) in self.0.iter().enumerate() {
            let separator = if at == 0 { "" } else { " " };
            let (kind, name, actions) = (&scope.kind, &scope.name, scope.actions.join(","));
            write!(f, "{separator}{kind}:{name}:{actions}")?;
        }
        Ok(())
    }
}

impl Scope {
    /// Parses `TYPE:NAME:ACTIONS`. A name may contain a colon, that of a port; the class in `TYPE(CLASS)` is
    /// deprecated and ignored.
    fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        let (name, actions) = rest.rsplit_once(':')?;
        let kind = kind.split('(').next().unwrap_or(kind);
        let actions = actions.split(',').filter(|action| !action.is_empty());
        Some(Self {
            kind: kind.to_owned(),
            name: name.to_owned(),
            actions: actions.map(ToOwned::to_owned).collect(),
        })
    }

    fn is_catalog(&self) -> bool {
        self.kind == "registry" && self.name == "catalog" && self.includes(ALL_ACTIONS)
    }

    fn includes(&self, action: &str) -> bool {
        self.actions
            .iter()
            .any(|each| each == action || each == ALL_ACTIONS)
    }

    fn with_actions(&self, actions: &[&str]) -> Self {
        Self {
            kind: self.kind.clone(),
            name: self.name.clone(),
            actions: actions.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Formats the scope of `action` on the repository `name`, with the actions that clients need beside it.
pub(super) fn required(name: &RepositoryName, action: Action) -> String {
    let actions = match action {
        Action::Pull => "pull",
        Action::Push => "pull,push",
        Action::Delete => "delete",
    };
    format!("{REPOSITORY}:{name}:{actions}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> RepositoryName {
        text.parse().expect("a name")
    }

    #[test]
    fn scopes_are_merged_by_resource() {
        let scopes = Scopes::parse([
            "repository:a/b:pull repository:c:push",
            "repository(plugin):a/b:push,delete registry:catalog:*",
            "repository:host:5000/d:pull nonsense repository:e",
        ]);
        let text = "repository:a/b:pull,push,delete repository:c:push registry:catalog:* \
                    repository:host:5000/d:pull";
        assert_eq!(scopes.to_string(), text);
        assert!(scopes.allow(&name("a/b"), Action::Delete));
        assert!(!scopes.allow(&name("c"), Action::Pull));
        assert!(scopes.allow_catalog());
    }

    #[test]
    fn only_what_is_allowed_is_granted() {
        let asked = Scopes::parse([
            "repository:a:* repository:b:push repository:UPPER:pull repository:c:",
            "registry:catalog:* registry:other:* plugin:a:pull",
        ]);
        let allows = |name: &RepositoryName, action| name.as_str() == "a" && action != Action::Push;
        let granted = asked.granted(allows, true).to_string();
        assert_eq!(granted, "repository:a:pull,delete registry:catalog:*");
        assert_eq!(asked.granted(|_, _| false, false), Scopes::default());
    }

    #[test]
    fn the_number_of_resources_is_bounded() {
        let many: Vec<String> = (0..1000).map(|n| format!("repository:r{n}:pull")).collect();
        let scopes = Scopes::parse(many.iter().map(String::as_str));
        assert_eq!(scopes.0.len(), MAX_RESOURCES);
    }
}
