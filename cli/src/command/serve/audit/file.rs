//! The file of an audit log.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::super::directory;

/// A file to which whole lines are appended, or standard output.
#[derive(Debug)]
pub(super) struct LogFile {
    /// `None` for standard output.
    path: Option<PathBuf>,
    file: File,
    /// Whether the file ends within a line, because the rest did not fit.
    is_torn: bool,
}

impl LogFile {
    /// Opens the file at `path`, or creates one that only its owner can read. `-` is standard output.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let is_output = path == Path::new("-");
        let file = if is_output {
            standard_output()?
        } else {
            append_to(path)?
        };
        Ok(Self {
            is_torn: false,
            file,
            path: (!is_output).then(|| path.to_owned()),
        })
    }

    /// Checks that the file at `path` can be opened, or else that one can be created there. Nothing is created.
    pub(super) fn check(path: &Path) -> io::Result<()> {
        if path == Path::new("-") {
            return Ok(());
        }
        match open_to_append(path, false) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let parent = path.parent().filter(|path| !path.as_os_str().is_empty());
                let parent = parent.unwrap_or(Path::new("."));
                match fs::read_link(path) {
                    // The file would be created where the link leads.
                    Ok(target) => Self::check(&parent.join(target)),
                    Err(_) => directory::is_writable(parent),
                }
            }
            opened => opened.map(drop),
        }
    }

    /// Opens the path again, for example since the file was renamed.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        if let Some(path) = &self.path {
            self.file = append_to(path)?;
        }
        Ok(())
    }

    /// Appends `lines` with one write, and removes those from it that were written whole. A line that was written in part
    /// stays, and is written whole, on a new line, by the next call.
    pub(super) fn append(&mut self, lines: &mut Vec<u8>) -> io::Result<()> {
        if self.is_replaced() {
            self.reopen()?;
        }
        if let Some(path) = &self.path {
            // The disk may have been full for an earlier process, or for another server.
            self.is_torn = ends_within_a_line(path);
        }
        let torn = usize::from(self.is_torn);
        if self.is_torn {
            lines.insert(0, b'\n');
        }
        let written = self.write(lines);
        let count = *written.as_ref().unwrap_or(&0);
        if count > 0 {
            self.is_torn = lines[count - 1] != b'\n';
        }
        let ends = lines[..count].iter().rposition(|byte| *byte == b'\n');
        let whole = ends.map_or(torn, |end| end + 1);
        lines.drain(..whole);
        written.map(drop)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.file.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                written => return written,
            }
        }
    }

    /// Returns whether the path leads to another file than the one that is open, or to none.
    #[cfg(unix)]
    fn is_replaced(&self) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        let Some(path) = &self.path else { return false };
        let named = fs::metadata(path).ok().map(identity);
        named.is_none() || named != self.file.metadata().ok().map(identity)
    }

    #[cfg(not(unix))]
    fn is_replaced(&self) -> bool {
        self.path
            .as_ref()
            .is_some_and(|path| fs::metadata(path).is_err())
    }
}

/// Returns whether the last byte of the file is not the end of a line.
fn ends_within_a_line(path: &Path) -> bool {
    let last = || {
        let mut file = File::open(path)?;
        if !file.metadata()?.is_file() {
            return Ok(b'\n');
        }
        file.seek(SeekFrom::End(-1))?;
        let mut byte = [0];
        file.read_exact(&mut byte)?;
        Ok::<u8, io::Error>(byte[0])
    };
    // An empty file has no last byte, and the seek fails.
    last().is_ok_and(|byte| byte != b'\n')
}

fn append_to(path: &Path) -> io::Result<File> {
    open_to_append(path, true)
}

fn open_to_append(path: &Path, create: bool) -> io::Result<File> {
    #[cfg(unix)]
    check_type(path)?;
    let mut options = OpenOptions::new();
    options.append(true).create(create);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        // If the path leads to a named pipe since it was checked, this does not wait for a reader.
        let flags = rustix::fs::OFlags::NONBLOCK.bits();
        options.mode(0o600).custom_flags(flags.cast_signed());
    }
    options.open(path)
}

/// Refuses what may make a write wait, such as a named pipe.
#[cfg(unix)]
fn check_type(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt as _;
    let Ok(metadata) = fs::metadata(path) else {
        // Opening it says why.
        return Ok(());
    };
    let file_type = metadata.file_type();
    if file_type.is_file() || file_type.is_dir() || file_type.is_char_device() {
        return Ok(());
    }
    let message = "it is a named pipe, a socket or a disk, and not a file";
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

#[cfg(unix)]
fn standard_output() -> io::Result<File> {
    use std::os::fd::AsFd as _;
    Ok(io::stdout().as_fd().try_clone_to_owned()?.into())
}

#[cfg(windows)]
fn standard_output() -> io::Result<File> {
    use std::os::windows::io::AsHandle as _;
    Ok(io::stdout().as_handle().try_clone_to_owned()?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renamed_file_is_replaced_by_a_new_one() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("audit.log");
        let mut file = LogFile::open(&path).expect("opened");
        file.append(&mut b"1\n".to_vec()).expect("written");
        let old = directory.path().join("audit.log.1");
        fs::rename(&path, &old).expect("renamed");
        file.append(&mut b"2\n3\n".to_vec()).expect("written");
        assert_eq!(fs::read(old).expect("read"), b"1\n");
        assert_eq!(fs::read(path).expect("read"), b"2\n3\n");
    }

    #[test]
    fn a_line_that_was_cut_is_written_again_on_a_new_line() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("audit.log");
        let mut file = LogFile::open(&path).expect("opened");
        file.file.write_all(b"first\nsec").expect("written");
        let mut lines = b"second\n".to_vec();
        file.append(&mut lines).expect("written");
        assert!(lines.is_empty() && !file.is_torn);
        assert_eq!(fs::read(path).expect("read"), b"first\nsec\nsecond\n");
    }

    #[test]
    fn a_line_that_another_process_has_cut_is_ended() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("audit.log");
        fs::write(&path, "fir").expect("written");
        let mut file = LogFile::open(&path).expect("opened");
        file.append(&mut b"second\n".to_vec()).expect("written");
        assert_eq!(fs::read(path).expect("read"), b"fir\nsecond\n");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn lines_stay_while_the_disk_is_full() {
        let mut file = LogFile::open(Path::new("/dev/full")).expect("opened");
        let mut lines = b"1\n2\n".to_vec();
        file.append(&mut lines).expect_err("full");
        file.append(&mut lines).expect_err("full");
        assert_eq!(lines, b"1\n2\n");
    }
}
