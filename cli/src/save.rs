//! Writing content to a file that appears only when it is complete.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _};
use tokio::io::AsyncWriteExt as _;
use tranship::{Error, ErrorKind};

use crate::command_error::Outcome;

/// Writes `content` under another name beside `path`, and gives it its name when all is there. What
/// is no regular file, such as `/dev/null`, is written to as it is.
///
/// # Errors
/// What `content` or the file system fails with. A file that was there before stays as it was.
pub(crate) async fn save(
    path: &Path,
    content: impl Stream<Item = Outcome<Bytes>> + Unpin,
) -> Outcome {
    let fail = |error| Error::io("cannot be written", error).with_subject(path.display());
    // Behind a symbolic link it is the file that is replaced, not the link.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    match fs::metadata(&target) {
        Ok(metadata) if metadata.is_dir() => {
            Err(Error::new(ErrorKind::InvalidInput, "is a directory")
                .with_subject(path.display())
                .into())
        }
        Ok(metadata) if !metadata.is_file() => {
            let file = fs::File::options()
                .write(true)
                .open(&target)
                .map_err(fail)?;
            write_all(file, content, fail).await
        }
        _ => {
            let (file, temporary) = beside(&target).map_err(fail)?.into_parts();
            write_all(file, content, fail).await?;
            temporary
                .persist(&target)
                .map_err(|error| fail(error.error).into())
        }
    }
}

async fn write_all(
    file: fs::File,
    mut content: impl Stream<Item = Outcome<Bytes>> + Unpin,
    fail: impl Fn(std::io::Error) -> Error,
) -> Outcome {
    let mut file = tokio::fs::File::from_std(file);
    while let Some(chunk) = content.try_next().await? {
        file.write_all(&chunk).await.map_err(&fail)?;
    }
    file.flush().await.map_err(fail)?;
    Ok(())
}

/// A new file in the directory of `target`, which will be as any new file is: temporary files are
/// readable by their owner only.
pub(crate) fn beside(target: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let directory = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".tranship-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(directory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    fn pieces(pieces: Vec<Outcome<&'static str>>) -> impl Stream<Item = Outcome<Bytes>> + Unpin {
        stream::iter(pieces.into_iter().map(|piece| piece.map(Bytes::from)))
    }

    #[tokio::test]
    async fn a_failure_leaves_the_old_file_and_nothing_else() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        fs::write(&path, "old").expect("written");
        let broken = Error::new(ErrorKind::DigestMismatch, "broken");
        save(&path, pieces(vec![Ok("new"), Err(broken.into())]))
            .await
            .expect_err("broken");
        assert_eq!(fs::read_to_string(&path).expect("the file"), "old");
        assert_eq!(fs::read_dir(directory.path()).expect("listed").count(), 1);
    }

    #[tokio::test]
    async fn a_success_replaces_the_old_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        fs::write(&path, "old").expect("written");
        save(&path, pieces(vec![Ok("n"), Ok("ew")]))
            .await
            .expect("saved");
        assert_eq!(fs::read_to_string(&path).expect("the file"), "new");
        assert_eq!(fs::read_dir(directory.path()).expect("listed").count(), 1);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_link_stays_a_link_to_the_new_content() {
        let directory = tempfile::tempdir().expect("a directory");
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        fs::write(&file, "old").expect("written");
        std::os::unix::fs::symlink(&file, &link).expect("linked");
        save(&link, pieces(vec![Ok("new")])).await.expect("saved");
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&file).expect("the file"), "new");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_device_is_not_replaced() {
        save(Path::new("/dev/null"), pieces(vec![Ok("x")]))
            .await
            .expect("written");
        let metadata = fs::metadata("/dev/null").expect("still there");
        assert!(!metadata.is_file());
    }
}
