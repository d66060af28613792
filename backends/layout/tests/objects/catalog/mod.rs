//! The catalog of a registry in a store: what it costs, and that no repository with content is missing in it.

mod at_the_same_time;
mod listing;
mod support;
