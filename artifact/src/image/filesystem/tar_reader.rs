//! Reads a tar archive from its start to its end, as layers are written: ustar, pax and GNU.
//!
//! Headers are decoded by the crate `tar`. Its own reader of archives is not used, as it reads names and pax records of
//! any length, and splits binary pax values at line feeds.

use std::io::{self, Read};

use tar::{EntryType, Header};
use tranship::{Error, ErrorKind, Result};

const BLOCK: usize = 512;

/// How many bytes the long names and the pax records of one entry may have.
const MAX_HEADERS: u64 = 1024 * 1024;

/// The prefix of pax records that are extended attributes.
const XATTR: &[u8] = b"SCHILY.xattr.";

/// What an entry is, as its type says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RawKind {
    File,
    Directory,
    Symlink,
    HardLink,
    CharDevice { major: u32, minor: u32 },
    BlockDevice { major: u32, minor: u32 },
    Fifo,
}

/// The headers of an entry.
#[derive(Debug)]
pub(super) struct RawEntry {
    pub(super) name: Vec<u8>,
    pub(super) target: Vec<u8>,
    pub(super) kind: RawKind,
    /// The size of the content in bytes; 0 unless it is a file.
    pub(super) size: u64,
    pub(super) mode: u32,
    pub(super) uid: u64,
    pub(super) gid: u64,
    /// The time of the last change, in seconds since 1970.
    pub(super) mtime: i64,
    /// The nanoseconds of that time.
    pub(super) nanoseconds: u32,
    /// Extended attributes, in the order of their names.
    pub(super) xattrs: Vec<(String, Vec<u8>)>,
}

/// Records that precede an entry.
#[derive(Default)]
struct Pending {
    path: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    long_name: Option<Vec<u8>>,
    long_target: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<(i64, u32)>,
    xattrs: Vec<(String, Vec<u8>)>,
}

/// Reads the entries of a tar archive, one after another.
pub(super) struct TarReader<R> {
    source: R,
    /// How many bytes of the last entry and of its padding have not been read.
    content: u64,
    padding: u64,
}

impl<R: Read> TarReader<R> {
    pub(super) fn new(source: R) -> Self {
        Self {
            source,
            content: 0,
            padding: 0,
        }
    }

    /// Reads the headers of the next entry; `None` at the end of the archive. The unread content of the last entry
    /// is skipped.
    ///
    /// # Errors
    /// `Corrupt` if the archive is damaged or cut off, `Unsupported` for entries that programs disagree about.
    pub(super) fn next_entry(&mut self) -> Result<Option<RawEntry>> {
        self.skip_content()?;
        let mut pending = Pending::default();
        let mut allowance = MAX_HEADERS;
        let mut is_pending = false;
        loop {
            let Some(header) = self.header()? else {
                if is_pending {
                    return Err(corrupt("ends after the extended header of an entry"));
                }
                return Ok(None);
            };
            let kind = header.entry_type();
            let is_extension = kind.is_pax_local_extensions()
                || kind.is_gnu_longname()
                || kind.is_gnu_longlink()
                || kind.is_pax_global_extensions();
            if !is_extension {
                let entry = entry(&header, pending)?;
                self.content = entry.size;
                self.padding = padding(entry.size);
                return Ok(Some(entry));
            }
            let size = header
                .entry_size()
                .map_err(|error| damaged_header(error, "size"))?;
            allowance = allowance
                .checked_sub(size.max(BLOCK as u64))
                .ok_or_else(|| {
                    Error::new(
                        ErrorKind::SizeExceedsLimit,
                        format!("the headers of one entry have more than {MAX_HEADERS} bytes"),
                    )
                })?;
            let mut data = Vec::new();
            let read = self.source.by_ref().take(size).read_to_end(&mut data);
            read.map_err(unreadable)?;
            if data.len() as u64 != size {
                return Err(cut_off());
            }
            self.padding = padding(size);
            self.skip_content()?;
            is_pending = true;
            if kind.is_gnu_longname() {
                pending.long_name = Some(without_nul(data));
            } else if kind.is_gnu_longlink() {
                pending.long_target = Some(without_nul(data));
            } else if kind.is_pax_local_extensions() {
                pending.read(&data)?;
            } else {
                // Global records say nothing that layers need, and other programs ignore them, too.
                is_pending = false;
            }
        }
    }

    /// Reads one header; `None` at the end.
    fn header(&mut self) -> Result<Option<Header>> {
        let mut header = Header::new_old();
        let block = header.as_mut_bytes();
        let mut filled = 0;
        while filled < BLOCK {
            match self.source.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(cut_off()),
                Ok(length) => filled += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unreadable(error)),
            }
        }
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        // The checksum counts its own field as spaces.
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        let field: u32 = block[148..156].iter().map(|byte| u32::from(*byte)).sum();
        let expected = sum - field + 8 * u32::from(b' ');
        if header.cksum().ok() != Some(expected) {
            return Err(corrupt("has a damaged header, or is not a tar archive"));
        }
        Ok(Some(header))
    }

    fn skip_content(&mut self) -> Result<()> {
        let left = self.content + self.padding;
        let skipped = io::copy(&mut self.source.by_ref().take(left), &mut io::sink());
        if skipped.map_err(unreadable)? != left {
            return Err(cut_off());
        }
        (self.content, self.padding) = (0, 0);
        Ok(())
    }

    /// Reads the source to its end after the end of the archive: padding, for example.
    pub(super) fn drain(mut self) -> Result<()> {
        io::copy(&mut self.source, &mut io::sink()).map_err(unreadable)?;
        Ok(())
    }
}

/// Reads the content of the last entry.
impl<R: Read> Read for TarReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.source.by_ref().take(self.content).read(buffer)?;
        if length == 0 && self.content > 0 && !buffer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.content -= length as u64;
        Ok(length)
    }
}

fn padding(size: u64) -> u64 {
    size.next_multiple_of(BLOCK as u64) - size
}

fn corrupt(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, format!("the layer {}", message.into()))
}

fn cut_off() -> Error {
    corrupt("is cut off")
}

/// An error while bytes are read: the compressed data is damaged, or a limit is reached.
pub(super) fn unreadable(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => cut_off().with_source(error),
        io::ErrorKind::FileTooLarge => Error::new(
            ErrorKind::SizeExceedsLimit,
            "the layers decompress to more than the limit",
        )
        .with_hint("raise the limit if you trust the image"),
        io::ErrorKind::TimedOut => Error::new(
            ErrorKind::SizeExceedsLimit,
            "the layers take longer to decompress than the limit",
        ),
        _ => corrupt("cannot be decompressed").with_source(error),
    }
}

fn damaged_header(error: io::Error, field: &str) -> Error {
    corrupt(format!("has a header with an invalid {field}")).with_source(error)
}

fn without_nul(mut data: Vec<u8>) -> Vec<u8> {
    if let Some(end) = data.iter().position(|byte| *byte == 0) {
        data.truncate(end);
    }
    data
}

impl Pending {
    /// Reads pax records, each of the form `LENGTH KEY=VALUE\n`.
    fn read(&mut self, mut data: &[u8]) -> Result<()> {
        let invalid = || corrupt("has an invalid pax record");
        while !data.is_empty() {
            let space = data.iter().take(20).position(|byte| *byte == b' ');
            let space = space.ok_or_else(invalid)?;
            let length: usize = number(&data[..space]).ok_or_else(invalid)?;
            if length <= space + 1 || length > data.len() || data[length - 1] != b'\n' {
                return Err(invalid());
            }
            let record = &data[space + 1..length - 1];
            let equals = record.iter().position(|byte| *byte == b'=');
            let (key, value) = record.split_at(equals.ok_or_else(invalid)?);
            self.add(key, &value[1..])?;
            data = &data[length..];
        }
        Ok(())
    }

    fn add(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let invalid = || {
            let key = String::from_utf8_lossy(key);
            corrupt(format!("has an invalid pax record {key:?}"))
        };
        // An empty value takes a record back.
        let text = (!value.is_empty()).then(|| value.to_vec());
        let integer = || match value {
            [] => Ok(None),
            _ => number(value).map(Some).ok_or_else(invalid),
        };
        match key {
            b"path" => self.path = text,
            b"linkpath" => self.target = text,
            b"size" => self.size = integer()?,
            b"uid" => self.uid = integer()?,
            b"gid" => self.gid = integer()?,
            b"mtime" => {
                self.mtime = match value {
                    [] => None,
                    _ => Some(time(value).ok_or_else(invalid)?),
                }
            }
            _ if key.starts_with(b"GNU.sparse.") => {
                return Err(sparse());
            }
            _ => {
                if let Some(name) = key.strip_prefix(XATTR) {
                    let name = str::from_utf8(name).map_err(|_| invalid())?.to_owned();
                    self.xattrs.retain(|(other, _)| *other != name);
                    self.xattrs.push((name, value.to_vec()));
                }
            }
        }
        Ok(())
    }
}

fn sparse() -> Error {
    Error::unsupported("the layer has a sparse file").with_hint(
        "the image specification advises against them; build the image again without sparse files",
    )
}

fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    if !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(text).ok()?.parse().ok()
}

/// Reads seconds with a fraction, such as `-1.5`.
fn time(text: &[u8]) -> Option<(i64, u32)> {
    let (is_negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut parts = text.splitn(2, |byte| *byte == b'.');
    let seconds: i64 = number(parts.next()?)?;
    let fraction = parts.next().unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = fraction.iter().chain(std::iter::repeat(&b'0')).take(9);
    let nanoseconds = digits.fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    Some(match (is_negative, nanoseconds) {
        (false, _) => (seconds, nanoseconds),
        (true, 0) => (-seconds, 0),
        (true, _) => (-seconds - 1, 1_000_000_000 - nanoseconds),
    })
}

fn entry(header: &Header, pending: Pending) -> Result<RawEntry> {
    let own_name = || header.path_bytes().into_owned();
    let name = pending.path.or(pending.long_name).unwrap_or_else(own_name);
    let own_target = || header.link_name_bytes().unwrap_or_default().into_owned();
    let target = pending
        .target
        .or(pending.long_target)
        .unwrap_or_else(own_target);
    let shown = || format!("{:?}", String::from_utf8_lossy(&name));
    let size = match pending.size {
        Some(size) => size,
        None => header
            .entry_size()
            .map_err(|error| damaged_header(error, "size"))?,
    };
    let device = || -> Result<(u32, u32)> {
        // Whiteouts that are devices may leave the numbers empty.
        let number = |field: io::Result<Option<u32>>, bytes: &[u8]| match field {
            Ok(number) => Ok(number.unwrap_or_default()),
            Err(_) if bytes.iter().all(|byte| matches!(byte, 0 | b' ')) => Ok(0),
            Err(error) => Err(damaged_header(error, "device number")),
        };
        let bytes = header.as_bytes();
        Ok((
            number(header.device_major(), &bytes[329..337])?,
            number(header.device_minor(), &bytes[337..345])?,
        ))
    };
    let kind = match header.entry_type() {
        // Archives from before POSIX mark directories by a slash.
        EntryType::Regular if header.as_bytes()[156] == 0 && name.ends_with(b"/") => {
            RawKind::Directory
        }
        EntryType::Regular | EntryType::Continuous => RawKind::File,
        EntryType::Directory => RawKind::Directory,
        EntryType::Symlink => RawKind::Symlink,
        EntryType::Link => RawKind::HardLink,
        EntryType::Char => {
            let (major, minor) = device()?;
            RawKind::CharDevice { major, minor }
        }
        EntryType::Block => {
            let (major, minor) = device()?;
            RawKind::BlockDevice { major, minor }
        }
        EntryType::Fifo => RawKind::Fifo,
        EntryType::GNUSparse => return Err(sparse()),
        other => {
            let kind = char::from(other.as_byte());
            let message = format!(
                "the layer has an entry {} of the unknown type {kind:?}",
                shown()
            );
            return Err(Error::unsupported(message));
        }
    };
    if kind != RawKind::File && size != 0 {
        // Some programs skip the content of such an entry, and others read it as headers.
        return Err(corrupt(format!(
            "has content after {}, which is not a file",
            shown()
        )));
    }
    if i64::try_from(size).is_err() {
        return Err(corrupt(format!("has an impossible size for {}", shown())));
    }
    let integer = |field: io::Result<u64>, what| field.map_err(|error| damaged_header(error, what));
    let (mtime, nanoseconds) = match pending.mtime {
        Some(time) => time,
        None => {
            // Times before 1970 are binary numbers that do not fit; they are not worth an error.
            let seconds = header.mtime().ok();
            let seconds = seconds.and_then(|seconds| i64::try_from(seconds).ok());
            (seconds.unwrap_or_default(), 0)
        }
    };
    let mut xattrs = pending.xattrs;
    xattrs.sort();
    Ok(RawEntry {
        size,
        mode: header
            .mode()
            .map_err(|error| damaged_header(error, "mode"))?
            & 0o7777,
        uid: match pending.uid {
            Some(uid) => uid,
            None => integer(header.uid(), "owner")?,
        },
        gid: match pending.gid {
            Some(gid) => gid,
            None => integer(header.gid(), "group")?,
        },
        mtime,
        nanoseconds,
        xattrs,
        name,
        target,
        kind,
    })
}

#[cfg(test)]
mod tests;
