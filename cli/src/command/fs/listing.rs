//! Lists of files for people.

use std::time::{Duration, UNIX_EPOCH};

use tranship_artifact::image::{Entry, EntryKind};

use crate::table::Table;
use tranship::escape_controls as plain;

/// Returns a line for each entry: its name, or with `full` its path; with `long`, more about it.
pub(super) fn lines(entries: &[Entry], long: bool, full: bool) -> String {
    let mut table = Table::with_numbers_in(&[1, 2]);
    let mut text = String::new();
    for entry in entries {
        let path = entry.path_text();
        let name = match path.rsplit_once('/') {
            Some((_, name)) if !full && !name.is_empty() => name,
            _ => &path,
        };
        if !long {
            text.push_str(&plain(name));
            text.push('\n');
            continue;
        }
        let shown = match &entry.kind {
            EntryKind::Symlink { target } => {
                format!("{name} -> {}", String::from_utf8_lossy(target))
            }
            _ => name.to_owned(),
        };
        table.push([
            entry.permissions(),
            format!("{}:{}", entry.uid, entry.gid),
            size(&entry.kind),
            time(entry.mtime),
            shown,
        ]);
    }
    if long { table.lines("") } else { text }
}

fn size(kind: &EntryKind) -> String {
    match kind {
        EntryKind::File { size } => size.to_string(),
        EntryKind::CharDevice { major, minor } | EntryKind::BlockDevice { major, minor } => {
            format!("{major},{minor}")
        }
        _ => "-".to_owned(),
    }
}

/// Returns the time in UTC, or the seconds since 1970 where that is before 1970 or after the year 9999.
fn time(seconds: i64) -> String {
    const LAST: u64 = 253_402_300_799;
    match u64::try_from(seconds) {
        Ok(seconds) if seconds <= LAST => {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            humantime::format_rfc3339_seconds(time).to_string()
        }
        _ => seconds.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_all_sizes_are_shown() {
        assert_eq!(time(0), "1970-01-01T00:00:00Z");
        assert_eq!(time(-5), "-5");
        assert_eq!(time(i64::MAX), i64::MAX.to_string());
        assert!(time(253_402_300_799).starts_with("9999-12-31"));
    }
}
