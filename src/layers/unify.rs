//! Shows several registries as one.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};

use super::renamed::{Names, Renamed};
use crate::*;

/// Several registries as one. Each has a name, and its repositories are named `NAME/REPOSITORY`.
///
/// Blobs are mounted between repositories of the same registry only; between others they are pushed.
///
/// ```
/// use std::sync::Arc;
/// use tranship::Registry;
/// use tranship::layers::Unify;
/// # use tranship_memory::MemoryRegistry;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tranship::Result<()> {
/// let (hub, ghcr) = (MemoryRegistry::new(), MemoryRegistry::new());
/// let all = Unify::new([
///     ("docker.io".parse()?, Arc::new(hub) as Arc<dyn Registry>),
///     ("ghcr.io".parse()?, Arc::new(ghcr)),
/// ])?;
/// // This is the repository `library/alpine` of the first one.
/// let alpine = all.repository(&"docker.io/library/alpine".parse()?).await?;
/// # let _ = alpine;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Unify {
    identity: RegistryIdentity,
    /// In the order of their names with a `/` behind them, which is the order of the names of their repositories.
    members: Vec<(RepositoryName, Arc<dyn Registry>)>,
}

impl Unify {
    /// Shows `members` as one registry.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if two members have the same name, or one is named below the other.
    pub fn new(
        members: impl IntoIterator<Item = (RepositoryName, Arc<dyn Registry>)>,
    ) -> Result<Self> {
        let mut members: Vec<_> = members.into_iter().collect();
        members.sort_by_cached_key(|(name, _)| format!("{name}/"));
        for pair in members.windows(2) {
            let [(one, _), (other, _)] = pair else {
                continue;
            };
            if format!("{other}/").starts_with(&format!("{one}/")) {
                let why = format!("the names {one} and {other} of two registries overlap");
                return Err(Error::new(ErrorKind::InvalidInput, why)
                    .with_hint("name each registry once, and none below another"));
            }
        }
        let names: Vec<String> = members
            .iter()
            .map(|(name, member)| format!("{name}={}", member.identity()))
            .collect();
        let identity = RegistryIdentity::new(format!("unify:{}", names.join(",")));
        Ok(Self { identity, members })
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Registry for Unify {
    fn identity(&self) -> &RegistryIdentity {
        &self.identity
    }

    /// What the members do not agree on is not known.
    fn capabilities(&self) -> Capabilities {
        let members = self.members.iter().map(|(_, member)| member.capabilities());
        members
            .reduce(Capabilities::common_with)
            .unwrap_or_else(Capabilities::all)
    }

    async fn repository(&self, name: &RepositoryName) -> Result<Arc<dyn Repository>> {
        for (member, registry) in &self.members {
            let names = Names::Above(member.clone());
            if let Some(inner) = names.inner(name)? {
                let inner = registry.repository(&inner).await?;
                let renamed = Renamed::new(inner, name.clone(), names);
                return Ok(Arc::new(renamed.of(self.identity.clone())));
            }
        }
        let members: Vec<_> = self.members.iter().map(|(name, _)| name.as_str()).collect();
        let error = Error::new(ErrorKind::NotFound, "no registry has this name");
        Err(error
            .with_subject(name)
            .with_hint(format!("names begin with one of {}", members.join(", "))))
    }

    /// Members without a catalog are left out; if no member has one, this is
    /// [`Unsupported`](ErrorKind::Unsupported).
    fn repositories(&self, options: ListOptions) -> Listing<'_, RepositoryName> {
        let lists = |(_, member): &&(RepositoryName, Arc<dyn Registry>)| {
            member.capabilities().catalog.is_possible()
        };
        if !self.members.is_empty() && !self.members.iter().any(|member| lists(&member)) {
            let error = Error::unsupported("no registry lists its repositories");
            return stream::iter([Err(error)]).boxed();
        }
        let listings = self.members.iter().filter(lists);
        let listings = listings.filter_map(move |(name, member)| {
            let start = format!("{name}/");
            let last = options.last.as_deref().unwrap_or_default();
            let options = match last.strip_prefix(&start) {
                Some(last) => options.clone().with_last(last),
                // All of its names come before `last`.
                None if start.as_str() < last => return None,
                None => ListOptions {
                    last: None,
                    ..options.clone()
                },
            };
            let names = member.repositories(options);
            Some(names.map(move |name| format!("{start}{}", name?).parse()))
        });
        stream::iter(listings).flatten().boxed()
    }

    async fn expire_uploads(&self, idle: Duration) -> Result<u64> {
        let mut expired = 0;
        for (_, member) in &self.members {
            expired += member.expire_uploads(idle).await?;
        }
        Ok(expired)
    }
}
