//! Space that is set aside for making a layout smaller on a full disk.
//!
//! To delete a tag or a manifest a new `index.json` is written beside the old one, which a full disk has no room
//! for. So a file of zeros, at least as large as the index, is stored in the private directory. It is removed when a
//! new index that is smaller than the old one does not fit, or one with which a blob is removed, and made again by a
//! later change. Other changes do not get it: a disk that fills up would use it before it is needed.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;

use super::paths::Paths;

/// The smallest reserve, in bytes: a block or two of every file system.
const LEAST: u64 = 8 * 1024;

/// How much is written at a time, in bytes.
const STEP: usize = 64 * 1024;

/// Sees to it that an index of up to `length` bytes can be written once the disk is full. A layout without a
/// reserve is as good as any other until then, so a failure is not told.
pub(super) fn keep(paths: &Paths, length: u64) {
    let Some(path) = path(paths) else { return };
    let found = std::fs::symlink_metadata(&path).map_or(0, |found| found.len());
    if found >= length.max(LEAST) {
        return;
    }
    // With room to grow, so that it is made anew only now and then.
    let wanted = length.max(LEAST).saturating_mul(2);
    let _ = std::fs::remove_file(&path);
    let _ = File::create_new(&path).and_then(|file| fill(file, wanted));
}

/// Gives the reserve back to the file system, and returns whether there was one.
pub(super) fn release(paths: &Paths) -> bool {
    path(paths).is_some_and(|path| std::fs::remove_file(path).is_ok())
}

fn fill(mut file: File, mut left: u64) -> io::Result<()> {
    let zeros = [0; STEP];
    while left > 0 {
        let step = usize::try_from(left).map_or(STEP, |left| left.min(STEP));
        file.write_all(&zeros[..step])?;
        left -= step as u64;
    }
    Ok(())
}

/// Beside the directory of temporary files, which a change of the index has just used.
fn path(paths: &Paths) -> Option<PathBuf> {
    let temporary = paths.existing_temporary().ok()??;
    Some(temporary.parent()?.join("reserve"))
}
