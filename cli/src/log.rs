//! What a program that runs for long tells of itself, on standard error.

use std::io;

use tracing::level_filters::LevelFilter;
use tracing::subscriber::set_global_default;
use tracing_subscriber::fmt;

use crate::output::Output;

/// Begins to log, as one line for each event: text, or a JSON object where the format is JSON. Only what
/// is wrong is told if the user wants quiet.
pub(crate) fn begin(output: Output) {
    let level = if output.quiet {
        LevelFilter::WARN
    } else {
        LevelFilter::INFO
    };
    let log = fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        .with_ansi(false);
    // Nothing else in the program begins a log, and if something did it would be the same one.
    let _ = if output.is_json() {
        set_global_default(log.json().flatten_event(true).finish())
    } else {
        set_global_default(log.finish())
    };
}
