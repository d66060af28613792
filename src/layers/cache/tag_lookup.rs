//! Looks tags up in the upstream.

use std::time::Duration;

use super::Cache;
use super::fallback::is_down;
use super::fetch::{Known, Opened, count};
use super::lists::ListKey;
use crate::*;

/// How long the upstream may take to resolve a tag that the store does not have. Clients do not wait longer.
const LONGEST_LOOKUP: Duration = Duration::from_secs(60);

impl<U: Backend + 'static, S: Backend + 'static> Cache<U, S> {
    /// Forgets what a push with these options may change.
    pub(super) fn changes(&self, kind: ContentKind, options: &PushOptions<'_>) {
        options.tags.iter().for_each(|tag| self.moved(tag));
        if kind == ContentKind::Manifest {
            self.shared.lists.changed(self.name());
        }
    }

    /// Forgets a tag, which is set or removed through the cache.
    pub(super) fn moved(&self, tag: &Tag) {
        self.shared.lists.changed(self.name());
        self.shared.tags.moved(self.name(), tag);
        let key = (self.name().clone(), tag.clone());
        self.shared.tag_lookups.forget(&key);
    }

    /// Asks the upstream what `tag` names, and points the tag of the store at that. Callers at the same time share all of
    /// this, unless tags have no time to live: if they shared the request only, those that come while the content is
    /// stored would repeat it.
    pub(super) async fn refresh(&self, tag: &Tag) -> Result<Descriptor> {
        if self.shared.tags.ttl.is_zero() {
            return self.look_up(tag).await;
        }
        let key = (self.name().clone(), tag.clone());
        let (cache, tag) = (self.clone(), tag.clone());
        let look_up = || async move {
            // A caller may have found the tag out of date just before another lookup ended.
            match cache.resolve_stored(&tag).await {
                Some(found) => Ok(found),
                None => cache.look_up(&tag).await,
            }
        };
        self.shared.tag_lookups.join(key, look_up).await
    }

    /// Returns what the store resolves `tag` to, if it may.
    pub(super) async fn resolve_stored(&self, tag: &Tag) -> Option<Descriptor> {
        if !self.shared.tags.is_fresh(self.name(), tag) {
            return None;
        }
        let reference = TagOrDigest::Tag(tag.clone());
        let found = self.store.stat(ContentKind::Manifest, &reference).await;
        found.ok()
    }

    async fn look_up(&self, tag: &Tag) -> Result<Descriptor> {
        let (name, tags) = (self.name(), &self.shared.tags);
        // A tag that replaces a list of referrers, or attaches something, rarely exists.
        let (list, lists) = (ListKey::of_tag(tag), &self.shared.lists);
        let list = list.as_ref();
        if list.is_some_and(|list| lists.is_fresh(name, list)) {
            return Err(Error::not_found(tag));
        }
        let (ticket, begun) = (tags.begin(), lists.begin());
        let (kind, reference) = (ContentKind::Manifest, TagOrDigest::Tag(tag.clone()));
        let stored = self.store.stat(kind, &reference).await.ok();
        let is_known = stored.is_some() || list.is_some_and(|list| lists.is_empty(name, list));
        let asked = self.ask_upstream(tag, is_known).await;
        let is_missing = matches!(&asked, Err(error) if error.is_not_found());
        if let Some(list) = list.filter(|_| asked.is_ok() || is_missing) {
            lists.answered(name, list, begun, is_missing);
        }
        let found = match asked {
            Ok(found) => found,
            Err(error) if is_down(&error) => {
                let Some(stale) = stored else {
                    let is_missing = list.is_some_and(|list| lists.extend(name, list));
                    return Err(if is_missing {
                        Error::not_found(tag)
                    } else {
                        error
                    });
                };
                self.shared.options.report_stale(name, tag, &error);
                // The next readers need not wait until the upstream fails once more.
                tags.extend(name, tag);
                count(&self.shared.stale);
                return Ok(stale);
            }
            Err(error) => {
                if error.is_not_found()
                    && let Some(_turn) = tags.set(name, tag, ticket).await
                {
                    // If that fails, the upstream is asked again all the same.
                    let _ = self.store.remove_tag(tag).await;
                    tags.missing(name, tag, ticket);
                }
                return Err(error);
            }
        };
        if !self.is_stored(kind, &found).await {
            self.miss();
            if let Ok(Opened::Fill(fill)) = self.fill(kind, Known::Target(&found)).await {
                fill.stored().await;
            }
        }
        let Some(_turn) = tags.set(name, tag, ticket).await else {
            return Ok(found);
        };
        let stored = self.store.stat(kind, &reference).await;
        let is_tagged = stored.is_ok_and(|stored| stored.same_content(&found));
        if is_tagged || self.store.set_tag(&found, tag).await.is_ok() {
            tags.resolved(name, tag, ticket);
        }
        Ok(found)
    }

    /// Asks the upstream what a tag names; not for long if it can be resolved otherwise.
    async fn ask_upstream(&self, tag: &Tag, is_known: bool) -> Result<Descriptor> {
        let reference = TagOrDigest::Tag(tag.clone());
        let asked = self.upstream.stat(ContentKind::Manifest, &reference);
        let patience = match is_known {
            true => self.shared.options.patience,
            false => LONGEST_LOOKUP,
        };
        let answer = tokio::time::timeout(patience, asked).await;
        answer.unwrap_or_else(|_| {
            let message = "the upstream registry did not respond in time";
            Err(Error::new(ErrorKind::Timeout, message))
        })
    }
}
