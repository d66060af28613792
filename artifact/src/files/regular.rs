//! Regular files that are read, and must not change at the time.

use std::fs::{self, File, Metadata};
use std::path::Path;

use tranship::{Error, ErrorKind, Result};

/// Opens a regular file. One that was replaced by a pipe does not block.
pub(super) fn open_regular(path: &Path) -> Result<File> {
    let failed = |error| Error::io("cannot be opened", error).with_subject(path.display());
    let check = |kind: fs::FileType| {
        if kind.is_file() {
            return Ok(());
        }
        let message = format!("is {}, not a file or directory", special(kind));
        Err(Error::unsupported(message).with_subject(path.display()))
    };
    // A socket cannot be opened, and a device may do something when it is.
    check(fs::metadata(path).map_err(failed)?.file_type())?;
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        let flags = rustix::fs::OFlags::NONBLOCK.bits();
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags.cast_signed());
    }
    let file = options.open(path).map_err(failed)?;
    check(file.metadata().map_err(failed)?.file_type())?;
    Ok(file)
}

/// Returns whether a file that is read was written in the time between.
pub(super) fn has_changed(before: &Metadata, after: &Metadata) -> bool {
    before.len() != after.len() || before.modified().ok() != after.modified().ok()
}

pub(super) fn changed() -> Error {
    Error::new(ErrorKind::Conflict, "the file changed while it was pushed")
        .with_hint("push it again when no other program writes to it")
}

/// Returns what a file is that is neither a file, a directory nor a link.
pub(super) fn special(kind: fs::FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        if kind.is_socket() {
            return "a socket";
        }
        if kind.is_fifo() {
            return "a named pipe";
        }
        if kind.is_char_device() || kind.is_block_device() {
            return "a device";
        }
    }
    if kind.is_dir() {
        "a directory"
    } else {
        "a special file"
    }
}
