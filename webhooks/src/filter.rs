//! Which events an endpoint receives.

use tranship_server::{Event, EventAction, NamePattern};
use wildmatch::WildMatch;

/// Which events an endpoint receives: those that all three parts accept.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventFilter {
    /// The actions. All except [`Pull`](EventAction::Pull) by default, since pulls are by far the most.
    pub actions: Vec<EventAction>,
    /// Patterns of media types, in which `*` matches any text: `application/vnd.*` matches every manifest and no blob,
    /// as blobs are `application/octet-stream`. Every media type by default. An event without content is accepted.
    pub media_types: Vec<String>,
    /// Patterns of repositories. Every repository by default.
    pub repositories: Vec<NamePattern>,
}

impl Default for EventFilter {
    fn default() -> Self {
        let mut actions = EventAction::ALL.to_vec();
        actions.retain(|action| *action != EventAction::Pull);
        Self {
            actions,
            media_types: Vec::new(),
            repositories: Vec::new(),
        }
    }
}

impl EventFilter {
    /// Accepts only `actions`.
    #[must_use]
    pub fn with_actions(mut self, actions: Vec<EventAction>) -> Self {
        self.actions = actions;
        self
    }

    /// Accepts only content with media types that one of `patterns` matches.
    #[must_use]
    pub fn with_media_types(mut self, patterns: Vec<String>) -> Self {
        self.media_types = patterns;
        self
    }

    /// Accepts only repositories that one of `patterns` matches.
    #[must_use]
    pub fn with_repositories(mut self, patterns: Vec<NamePattern>) -> Self {
        self.repositories = patterns;
        self
    }

    /// Returns whether the endpoint receives `event`.
    #[must_use]
    pub fn accepts(&self, event: &Event) -> bool {
        let matches_type = |pattern: &String| match &event.content {
            Some(content) => WildMatch::new(pattern).matches(content.media_type().as_str()),
            None => true,
        };
        let matches_name = |pattern: &NamePattern| pattern.matches(&event.repository);
        self.actions.contains(&event.action)
            && (self.media_types.is_empty() || self.media_types.iter().any(matches_type))
            && (self.repositories.is_empty() || self.repositories.iter().any(matches_name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tranship::{Descriptor, MediaType};

    fn event(action: EventAction, media_type: Option<MediaType>) -> Event {
        let event = Event::new(action, "team/app".parse().expect("a name"));
        match media_type {
            Some(media_type) => event.with_content(&Descriptor::of(media_type, b"x")),
            None => event,
        }
    }

    #[test]
    fn pulls_are_not_sent_by_default() {
        let filter = EventFilter::default();
        for action in EventAction::ALL {
            let is_sent = filter.accepts(&event(action, None));
            assert_eq!(is_sent, action != EventAction::Pull, "{action:?}");
        }
    }

    #[test]
    fn media_types_and_repositories_are_matched_by_pattern() {
        let manifests = EventFilter::default().with_media_types(vec!["application/vnd.*".into()]);
        let push = |media_type| event(EventAction::Push, Some(media_type));
        assert!(manifests.accepts(&push(MediaType::IMAGE_MANIFEST)));
        assert!(!manifests.accepts(&push(MediaType::OCTET_STREAM)));
        assert!(manifests.accepts(&event(EventAction::Untag, None)));

        for (patterns, expected) in [
            (&["team/**"][..], true),
            (&["x", "*/app"], true),
            (&["app"], false),
        ] {
            let patterns = patterns.iter().map(|text| text.parse().expect("a pattern"));
            let filter = EventFilter::default().with_repositories(patterns.collect());
            assert_eq!(filter.accepts(&event(EventAction::Untag, None)), expected);
        }
    }
}
