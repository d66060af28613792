//! The examples in the help of each command.

mod artifacts;
mod copies;
mod upkeep;

/// A command line, and what it is for.
#[derive(Debug)]
pub(crate) struct Example {
    pub(crate) purpose: &'static str,
    pub(crate) command: &'static str,
}

/// Returns the examples of the command with the given path, such as `manifest fetch`; the first two are those of `-h`.
pub(crate) fn examples(path: &str) -> &'static [Example] {
    [copies::EXAMPLES, artifacts::EXAMPLES, upkeep::EXAMPLES]
        .into_iter()
        .flatten()
        .find(|(of, _)| *of == path)
        .map_or(&[], |(_, examples)| examples)
}

const fn example(purpose: &'static str, command: &'static str) -> Example {
    Example { purpose, command }
}
