//! The scopes of tokens (distribution, "Token Scope Documentation").

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use tranship::RepositoryName;

/// One resource and the actions on it, such as `repository:library/alpine:pull`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scope {
    resource: String,
    actions: &'static [&'static str],
}

impl Scope {
    /// Reading of everything in a repository.
    pub(crate) fn pull(repository: &RepositoryName) -> Self {
        Self::repository(repository, &["pull"])
    }

    /// Writing to a repository. Registries want `pull` beside it.
    pub(crate) fn push(repository: &RepositoryName) -> Self {
        Self::repository(repository, &["pull", "push"])
    }

    /// Deleting from a repository, and reading what is deleted. `delete` alone is what registries
    /// ask for.
    pub(crate) fn delete(repository: &RepositoryName) -> Self {
        Self::repository(repository, &["delete", "pull"])
    }

    /// Listing the repositories.
    pub(crate) fn catalog() -> Self {
        Self {
            resource: "registry:catalog".to_owned(),
            actions: &["*"],
        }
    }

    fn repository(repository: &RepositoryName, actions: &'static [&'static str]) -> Self {
        Self {
            resource: format!("{REPOSITORY}{repository}"),
            actions,
        }
    }
}

const REPOSITORY: &str = "repository:";

/// A set of scopes in a canonical form: sorted, each resource once, with its actions sorted and `*` in place of all actions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(crate) struct Scopes {
    /// By `type:name`. No set of actions is empty.
    resources: BTreeMap<String, BTreeSet<String>>,
    /// Scopes in other forms, which a registry may support.
    other: BTreeSet<String>,
}

impl Scopes {
    /// Parses scopes that are separated by blanks, as in a challenge.
    pub(crate) fn parse(text: &str) -> Self {
        let mut scopes = Self::default();
        for scope in text.split_ascii_whitespace() {
            // A name may contain colons, because it may start with a host and a port.
            match (scope.find(':'), scope.rfind(':')) {
                (Some(first), Some(last)) if first < last => {
                    scopes.add(&scope[..last], scope[last + 1..].split(','));
                }
                _ => {
                    scopes.other.insert(scope.to_owned());
                }
            }
        }
        scopes
    }

    /// Returns the union of both.
    pub(crate) fn union(&self, more: &Self) -> Self {
        let mut union = self.clone();
        for (resource, actions) in &more.resources {
            union.add(resource, actions.iter().map(String::as_str));
        }
        union.other.extend(more.other.iter().cloned());
        union
    }

    /// Returns whether all actions of `less` are included.
    pub(crate) fn covers(&self, less: &Self) -> bool {
        less.resources.iter().all(|(resource, wanted)| {
            self.resources
                .get(resource)
                .is_some_and(|actions| actions.contains("*") || actions.is_superset(wanted))
        }) && self.other.is_superset(&less.other)
    }

    /// Returns the repository of the scopes: the one that is changed, or else the first.
    pub(crate) fn repository(&self) -> Option<RepositoryName> {
        let mut repositories = self.resources.iter().filter_map(|(resource, actions)| {
            let name = resource.strip_prefix(REPOSITORY)?.parse().ok()?;
            let changes = actions.iter().any(|action| action != "pull");
            Some((name, changes))
        });
        let first = repositories.next()?;
        if first.1 {
            return Some(first.0);
        }
        let changed = repositories.find(|(_, changes)| *changes);
        Some(changed.unwrap_or(first).0)
    }

    /// Returns the scopes in order.
    pub(crate) fn to_strings(&self) -> Vec<String> {
        let mut scopes: Vec<String> = self.other.iter().cloned().collect();
        scopes.extend(self.resources.iter().map(|(resource, actions)| {
            let actions: Vec<&str> = actions.iter().map(String::as_str).collect();
            format!("{resource}:{}", actions.join(","))
        }));
        scopes.sort_unstable();
        scopes
    }

    fn add<'a>(&mut self, resource: &str, actions: impl Iterator<Item = &'a str>) {
        let mut actions = actions.filter(|action| !action.is_empty()).peekable();
        if actions.peek().is_none() {
            return;
        }
        let known = self.resources.entry(resource.to_owned()).or_default();
        known.extend(actions.map(str::to_owned));
        if known.contains("*") {
            known.retain(|action| action == "*");
        }
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        let mut set = Self::default();
        for scope in scopes {
            set.add(&scope.resource, scope.actions.iter().copied());
        }
        set
    }
}

impl From<Scope> for Scopes {
    fn from(scope: Scope) -> Self {
        Self::from_iter([scope])
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_strings().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> RepositoryName {
        text.parse().expect("a repository name")
    }

    #[test]
    fn the_vectors_of_oras_go_hold() {
        let vectors = [
            ("", ""),
            (
                "repository:foo:push,pull,delete",
                "repository:foo:delete,pull,push",
            ),
            ("repository:foo:pull,*,push", "repository:foo:*"),
            ("repository:foo:,", ""),
            ("repository:foo:", ""),
            (
                "repository:foo:pull repository:bar:push repository:foo:push repository:bar:push,delete,pull repository:bar:delete,pull repository:foo:pull registry:catalog:* registry:catalog:pull",
                "registry:catalog:* repository:bar:delete,pull,push repository:foo:pull,push",
            ),
            (
                "repository:foo:pull unknown invalid:scope no:actions: repository:foo:push",
                "invalid:scope repository:foo:pull,push unknown",
            ),
            (
                "repository:host.example:5000/foo:push  repository:host.example:5000/foo:pull",
                "repository:host.example:5000/foo:pull,push",
            ),
        ];
        for (text, expected) in vectors {
            assert_eq!(Scopes::parse(text).to_string(), expected, "{text}");
        }
    }

    #[test]
    fn operations_have_their_scopes() {
        let repository = name("library/alpine");
        let scopes = [
            (Scope::pull(&repository), "repository:library/alpine:pull"),
            (
                Scope::push(&repository),
                "repository:library/alpine:pull,push",
            ),
            (
                Scope::delete(&repository),
                "repository:library/alpine:delete,pull",
            ),
            (Scope::catalog(), "registry:catalog:*"),
        ];
        for (scope, expected) in scopes {
            assert_eq!(Scopes::from(scope).to_string(), expected);
        }
    }

    #[test]
    fn more_covers_less() {
        let covers = |more, less| Scopes::parse(more).covers(&Scopes::parse(less));
        assert!(covers("", ""));
        assert!(covers("repository:a:pull,push", ""));
        assert!(covers("repository:a:pull,push", "repository:a:pull"));
        assert!(covers("repository:a:*", "repository:a:pull,push"));
        assert!(covers("x y repository:a:pull", "x"));
        assert!(!covers("repository:a:pull,push", "repository:a:*"));
        assert!(!covers("repository:a:pull", "repository:a:pull,push"));
        assert!(!covers("repository:a:pull", "repository:b:pull"));
        assert!(!covers("repository:a:pull", "x"));
    }

    #[test]
    fn a_mount_is_about_the_repository_that_it_changes() {
        let (a, b) = (name("a"), name("b"));
        let repository = |scopes: [Scope; 2]| Scopes::from_iter(scopes).repository();
        assert_eq!(
            repository([Scope::pull(&a), Scope::push(&b)]),
            Some(b.clone())
        );
        assert_eq!(
            repository([Scope::push(&a), Scope::pull(&b)]),
            Some(a.clone())
        );
        assert_eq!(repository([Scope::pull(&b), Scope::pull(&a)]), Some(a));
        assert_eq!(Scopes::from(Scope::catalog()).repository(), None);
    }

    fn any_scopes() -> impl Strategy<Value = Scopes> {
        prop::collection::vec("[ab]:[a:]{0,2}:?[a*,]{0,3}|[a-c]{1,2}", 0..5)
            .prop_map(|scopes| Scopes::parse(&scopes.join(" ")))
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_back(scopes in any_scopes()) {
            prop_assert_eq!(Scopes::parse(&scopes.to_string()), scopes);
        }

        #[test]
        fn a_union_covers_both_and_is_the_same_either_way(a in any_scopes(), b in any_scopes()) {
            let union = a.union(&b);
            prop_assert!(union.covers(&a) && union.covers(&b));
            prop_assert_eq!(&union, &b.union(&a));
            prop_assert_eq!(a.covers(&b), union == a);
        }
    }
}
