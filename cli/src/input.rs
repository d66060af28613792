//! Files and standard input, as what is pushed.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tempfile::{NamedTempFile, TempPath};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;
use tranship::{Algorithm, ByteStream, Digest, Digester, Error, ErrorKind, Result, Source};

const CHUNK: usize = 256 * 1024;

/// Where content is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    Stdin,
    File(PathBuf),
}

impl FromStr for Input {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "" => Err(Error::new(
                ErrorKind::InvalidInput,
                "the name of the file is empty",
            )),
            "-" => Ok(Self::Stdin),
            path => Ok(Self::File(path.into())),
        }
    }
}

/// Content that can be read again, with its size in bytes, or that comes once.
pub(crate) enum Opened {
    File(PathBuf, u64),
    Stream(ByteStream),
}

impl Input {
    /// Looks what the input is. Pipes that have a name, as those that a shell makes for `<(command)`,
    /// can be read only once, like standard input.
    ///
    /// # Errors
    /// What the file system fails with; [`ErrorKind::InvalidInput`] for a directory.
    pub(crate) fn open(&self) -> Result<Opened> {
        let path = match self {
            Self::Stdin => return Ok(Opened::Stream(read_on_thread(std::io::stdin()))),
            Self::File(path) => path,
        };
        let unreadable = |error| Error::io("cannot be read", error).with_subject(path.display());
        let metadata = std::fs::metadata(path).map_err(unreadable)?;
        if metadata.is_dir() {
            return Err(
                Error::new(ErrorKind::InvalidInput, "is a directory").with_subject(path.display())
            );
        }
        let file = std::fs::File::open(path).map_err(unreadable)?;
        if metadata.is_file() {
            return Ok(Opened::File(path.clone(), metadata.len()));
        }
        Ok(Opened::Stream(read_on_thread(file)))
    }

    /// All of it at once.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`ErrorKind::SizeExceedsLimit`] if there are more than `limit`
    /// bytes.
    pub(crate) async fn bytes(&self, limit: u64) -> Result<Bytes> {
        let mut stream = match self.open()? {
            Opened::File(path, _) => open_file(&path).await?,
            Opened::Stream(stream) => stream,
        };
        let mut bytes = BytesMut::new();
        while let Some(chunk) = stream.try_next().await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > limit {
                return Err(Error::new(
                    ErrorKind::SizeExceedsLimit,
                    format!("is larger than the limit of {limit} bytes"),
                )
                .with_subject(self.name()));
            }
        }
        Ok(bytes.freeze())
    }

    pub(crate) fn name(&self) -> String {
        match self {
            Self::Stdin => "standard input".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }
}

/// Reads the text of a file, or of standard input if its name is `-`.
///
/// # Errors
/// As [`Input::bytes`], and [`ErrorKind::InvalidInput`] if it is not UTF-8.
pub(crate) async fn read_text(path: &Path, limit: u64) -> Result<String> {
    let input = match path == Path::new("-") {
        true => Input::Stdin,
        false => Input::File(path.to_owned()),
    };
    let bytes = input.bytes(limit).await?;
    String::from_utf8(bytes.into()).map_err(|error| {
        Error::new(ErrorKind::InvalidInput, "is not text in UTF-8")
            .with_subject(input.name())
            .with_source(error)
    })
}

/// The digest of a file, and how many bytes it has.
pub(crate) async fn digest_of(path: &Path, algorithm: Algorithm) -> Result<(Digest, u64)> {
    let mut stream = open_file(path).await?;
    let mut digester = Digester::new(algorithm);
    let mut size = 0;
    while let Some(chunk) = stream.try_next().await? {
        digester.update(&chunk);
        size += chunk.len() as u64;
    }
    Ok((digester.finish(), size))
}

/// Content that came once, kept in a file that is removed when this is dropped.
pub(crate) struct Spooled {
    pub(crate) path: TempPath,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

/// Keeps `stream` in a temporary file.
pub(crate) async fn spool(mut stream: ByteStream, algorithm: Algorithm) -> Result<Spooled> {
    let unwritable = |error| Error::io("the temporary file cannot be written", error);
    let (file, path) = NamedTempFile::new().map_err(unwritable)?.into_parts();
    let mut file = tokio::fs::File::from_std(file);
    let mut digester = Digester::new(algorithm);
    let mut size = 0;
    while let Some(chunk) = stream.try_next().await? {
        digester.update(&chunk);
        size += chunk.len() as u64;
        file.write_all(&chunk).await.map_err(unwritable)?;
    }
    file.flush().await.map_err(unwritable)?;
    Ok(Spooled {
        path,
        digest: digester.finish(),
        size,
    })
}

async fn open_file(path: &Path) -> Result<ByteStream> {
    Ok(Source::file(path).open(0).await?.into_stream())
}

/// Standard input to its end.
pub(crate) fn standard_input() -> ByteStream {
    read_on_thread(std::io::stdin())
}

/// Reads on a thread of its own, two chunks ahead: a read from a pipe cannot be cancelled, and the
/// runtime would wait for one of its threads when Ctrl-C ends the program.
fn read_on_thread(mut reader: impl Read + Send + 'static) -> ByteStream {
    let (sender, receiver) = mpsc::channel::<Result<Bytes>>(2);
    std::thread::spawn(move || {
        loop {
            let read = read_chunk(&mut reader).transpose();
            let Some(read) = read else { return };
            let failed = read.is_err();
            if sender.blocking_send(read).is_err() || failed {
                return;
            }
        }
    });
    stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|chunk| (chunk, receiver))
    })
    .boxed()
}

fn read_chunk(reader: &mut impl Read) -> Result<Option<Bytes>> {
    let mut chunk = Vec::with_capacity(CHUNK);
    reader
        .take(CHUNK as u64)
        .read_to_end(&mut chunk)
        .map_err(|error| Error::io("cannot be read", error))?;
    Ok((!chunk.is_empty()).then(|| chunk.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_comes_once_is_spooled_and_removed_again() {
        let content: Vec<u8> = (0..700_000_u32).map(|n| n as u8).collect();
        let stream = read_on_thread(std::io::Cursor::new(content.clone()));
        let spooled = spool(stream, Algorithm::Sha512).await.expect("spooled");
        assert_eq!(spooled.size, 700_000);
        assert_eq!(spooled.digest, Algorithm::Sha512.digest(&content));
        let path = spooled.path.to_path_buf();
        assert_eq!(std::fs::read(&path).expect("a file"), content);
        drop(spooled);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_failed_read_ends_the_stream_with_its_error() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other("broken"))
            }
        }
        let mut stream = read_on_thread(Broken);
        assert!(stream.next().await.is_some_and(|chunk| chunk.is_err()));
        assert!(stream.next().await.is_none());
    }

    #[tokio::test]
    async fn a_file_over_the_limit_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        std::fs::write(&path, "hello").expect("written");
        let input = Input::File(path);
        assert_eq!(input.bytes(5).await.expect("5 bytes"), "hello");
        let error = input.bytes(4).await.expect_err("too large");
        assert_eq!(error.kind(), ErrorKind::SizeExceedsLimit);
    }
}
