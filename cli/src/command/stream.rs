//! Archives on standard input and standard output, named `-`.
//!
//! An archive is read at many positions, and its index is written last. So it is kept in a temporary file, which TMPDIR
//! places.

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;

use futures_util::TryStreamExt as _;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tranship::{Error, ErrorKind, Result};
use tranship_backends::{DockerArchiveLocation, LayoutPath, Location, OciArchiveLocation};

use crate::command_error::{CommandError, Outcome};
use crate::input::standard_input;
use crate::location::is_stream;
use crate::output;

/// How many bytes are moved at a time.
const PIECE: usize = 256 * 1024;

/// An archive that is kept in a temporary file, which is deleted when this is dropped.
pub(super) struct Kept {
    /// The archive in the file.
    pub(super) location: Location,
    path: PathBuf,
    _directory: TempDir,
}

impl Kept {
    /// Makes a place for the archive `location` in a file with the name `name`.
    fn new(location: &Location, name: &str) -> Result<Self> {
        let failed = |error| {
            Error::io("a temporary directory cannot be created", error)
                .with_subject(std::env::temp_dir().display())
        };
        let directory = tempfile::tempdir().map_err(failed)?;
        let path = directory.path().join(name);
        let of_file = LayoutPath::new(&path)?;
        let reference = location.reference().cloned();
        let location = match location {
            Location::DockerArchive(archive) => {
                let kept = DockerArchiveLocation::new(of_file, reference);
                let tag = archive.reference().and_then(|reference| reference.tag());
                Location::DockerArchive(match (archive.name(), tag) {
                    (Some(name), Some(tag)) => kept.with_image(name, tag.clone())?,
                    _ => kept,
                })
            }
            _ => Location::OciArchive(OciArchiveLocation::new(of_file, reference)),
        };
        Ok(Self {
            location,
            path,
            _directory: directory,
        })
    }

    /// Names standard input where a failure names the temporary file.
    pub(super) fn explain(&self, failure: CommandError) -> CommandError {
        let CommandError::Error(mut error, place) = failure else {
            return failure;
        };
        let file = self.path.display().to_string();
        let renamed = |text: &str| text.replace(&file, "-");
        error = error.map_subject(|subject| match subject == file {
            true => "standard input".to_owned(),
            false => renamed(&subject),
        });
        if let Some(hint) = error.hint().filter(|hint| hint.contains(&file)) {
            let hint = renamed(hint);
            error = error.with_hint(hint);
        }
        CommandError::Error(error, place.map(|place| renamed(&place)))
    }

    /// Writes the archive to standard output.
    pub(super) async fn write_out(&self) -> Outcome {
        let failed = |error| Error::io("cannot be read", error).with_subject(self.path.display());
        let mut file = tokio::fs::File::open(&self.path).await.map_err(failed)?;
        let mut stdout = tokio::io::stdout();
        let mut piece = vec![0; PIECE];
        loop {
            match file.read(&mut piece).await.map_err(failed)? {
                0 => return Ok(()),
                length => output::write_to(&mut stdout, &piece[..length]).await?,
            }
        }
    }
}

/// Reads an archive from standard input, if `source` names that.
pub(super) async fn read_in(source: &Location) -> Outcome<Option<Kept>> {
    if !is_stream(source) {
        return Ok(None);
    }
    let kept = Kept::new(source, "stdin.tar")?;
    let failed = |error| Error::io("cannot be written", error).with_subject(kept.path.display());
    let mut file = tokio::fs::File::create(&kept.path).await.map_err(failed)?;
    let mut input = standard_input();
    while let Some(piece) = input.try_next().await? {
        file.write_all(&piece).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)?;
    Ok(Some(kept))
}

/// Makes a place for an archive that is to be written to standard output, if `destination` names that. Images without
/// a name get that of `source`.
pub(super) fn to_write_out(destination: &Location, source: &Location) -> Outcome<Option<Kept>> {
    if !is_stream(destination) {
        return Ok(None);
    }
    if io::stdout().is_terminal() {
        return Err(CommandError::from(
            Error::new(
                ErrorKind::InvalidInput,
                "a tar is not written to a terminal",
            )
            .with_subject(destination)
            .with_hint("redirect standard output to a file or a program"),
        ));
    }
    let name = match source {
        Location::Remote(reference) => reference.repository().as_str().rsplit('/').next(),
        _ => None,
    };
    Ok(Some(Kept::new(destination, name.unwrap_or("image"))?))
}
