//! Differences for people.

use std::fmt::Write as _;

use tranship_artifact::image::{Change, ChangeKind, Changed, Diff, Entry, EntryKind};

use tranship::escape_controls as plain;

/// Returns a line for each change.
pub(super) fn lines(diff: &Diff) -> String {
    let mut text = String::new();
    for change in &diff.changes {
        let Some(entry) = change.after.as_ref().or(change.before.as_ref()) else {
            continue;
        };
        let path = entry.path_text();
        let path = plain(&path);
        // Writing to text does not fail.
        let _ = match change.kind {
            ChangeKind::Added => writeln!(text, "+ {path}"),
            ChangeKind::Removed => writeln!(text, "- {path}"),
            _ => writeln!(text, "~ {path} ({})", plain(&fields(change))),
        };
    }
    text
}

fn fields(change: &Change) -> String {
    let (Some(before), Some(after)) = (&change.before, &change.after) else {
        return String::new();
    };
    let fields = change.fields.iter().map(|field| match field {
        Changed::Type => format!("type {} -> {}", kind(before), kind(after)),
        Changed::Mode => format!("mode {} -> {}", before.permissions(), after.permissions()),
        Changed::Owner => format!(
            "owner {}:{} -> {}:{}",
            before.uid, before.gid, after.uid, after.gid
        ),
        Changed::Size => format!("size {} -> {}", size(before), size(after)),
        Changed::Target => format!("target {} -> {}", target(before), target(after)),
        Changed::Content => "content".to_owned(),
        Changed::Device => "device".to_owned(),
        _ => "extended attributes".to_owned(),
    });
    fields.collect::<Vec<_>>().join(", ")
}

fn kind(entry: &Entry) -> &'static str {
    match entry.kind {
        EntryKind::File { .. } => "file",
        EntryKind::Directory => "directory",
        EntryKind::Symlink { .. } => "link",
        EntryKind::Fifo => "named pipe",
        _ => "device",
    }
}

fn size(entry: &Entry) -> u64 {
    match entry.kind {
        EntryKind::File { size } => size,
        _ => 0,
    }
}

fn target(entry: &Entry) -> String {
    match &entry.kind {
        EntryKind::Symlink { target } => String::from_utf8_lossy(target).into_owned(),
        _ => String::new(),
    }
}
