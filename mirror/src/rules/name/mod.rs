//! Patterns and templates of repository names.

mod pattern;
mod template;

pub use pattern::NamePattern;
pub use template::NameTemplate;
