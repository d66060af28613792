//! Writes the file system of an image as one tar archive.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::sync::Arc;

use tar::{Builder, EntryType, Header};
use tranship::{Error, Result, blocking};

use super::layer::{LayerEntry, LayerEntryKind};
use super::open::Filesystem;
use super::path::MAX_PATH;
use super::tar_reader::unreadable;
use super::tree::NodeId;

impl Filesystem<'_> {
    /// Writes all files as a tar archive to `writer`, and returns the writer. The same image gives the same bytes.
    ///
    /// First come the directories in the order of their paths; then the files in the order of the layers and their
    /// order in each, a further name of a file as a hard link after it; then everything else in the order of the paths.
    /// So no link precedes a file, and content is read once for all files of a layer, in constant memory. Permissions,
    /// owners by number, times, extended attributes, links and devices are kept; names of owners are not.
    ///
    /// Each layer is read twice: first its headers, then its files. Between the two, layers that are not local files are
    /// kept in temporary files. `writer` is written to on a blocking thread.
    ///
    /// # Errors
    /// As [`metadata`](Self::metadata), and [`Io`](tranship::ErrorKind::Io) or another kind that fits if `writer`
    /// fails; the source of such an error is that of `writer`. The archive is incomplete then.
    pub async fn export<W: Write + Send + 'static>(&mut self, writer: W) -> Result<W> {
        self.keep_layers();
        let tree = self.tree().await?;
        let listed = Arc::new(tree.walk(b"", tree.root(), true));
        let (source, paths) = (Arc::clone(&tree), Arc::clone(&listed));
        let mut builder = blocking::run(move || {
            let mut builder = Builder::new(writer);
            let is_directory = |node: NodeId| source.node(node).children.is_some();
            let root = std::iter::once((Vec::new(), source.root()));
            let described = root.filter(|(_, node)| source.node(*node).place.is_some());
            let all = described.chain(paths.iter().cloned());
            for (path, node) in all.filter(|(_, node)| is_directory(*node)) {
                append(
                    &mut builder,
                    &path,
                    source.entry(node),
                    None,
                    &mut io::empty(),
                )?;
            }
            Ok(builder)
        })
        .await?;
        for number in 0..self.layers.len() {
            let files = &tree.files(&listed)[number];
            let files: HashMap<usize, Vec<Vec<u8>>> = files
                .iter()
                .map(|(place, names)| (*place, names.iter().map(|name| name.to_vec()).collect()))
                .collect();
            if files.is_empty() {
                continue;
            }
            let layer = self.entries(number).await?;
            builder = self
                .contents(number, builder, move |builder, place, content| {
                    let Some((first, others)) = files.get(&place).and_then(|it| it.split_first())
                    else {
                        return Ok(());
                    };
                    append(builder, first, layer.all.get(place), None, content)?;
                    for name in others {
                        let entry = layer.all.get(place);
                        append(builder, name, entry, Some(first), &mut io::empty())?;
                    }
                    Ok(())
                })
                .await?;
        }
        blocking::run(move || {
            for (path, node) in listed.iter() {
                let entry = tree.entry(*node);
                let is_other = |entry: &LayerEntry| {
                    !matches!(
                        entry.kind,
                        LayerEntryKind::File { .. } | LayerEntryKind::Directory
                    )
                };
                if entry.is_some_and(is_other) {
                    append(&mut builder, path, entry, None, &mut io::empty())?;
                }
            }
            let mut writer = builder.into_inner().map_err(cannot_write)?;
            writer.flush().map_err(cannot_write)?;
            Ok(writer)
        })
        .await
    }
}

/// Appends one entry, as a hard link if there is a `link` that it is another name of.
fn append<W: Write>(
    builder: &mut Builder<W>,
    path: &[u8],
    entry: Option<&LayerEntry>,
    link: Option<&[u8]>,
    content: &mut dyn Read,
) -> Result<()> {
    let mut header = Header::new_ustar();
    let mut records = Records::default();
    let mut size = 0;
    let directory = LayerEntryKind::Directory;
    let kind = entry.map_or(&directory, |entry| &entry.kind);
    let mut target: Option<&[u8]> = None;
    header.set_entry_type(match kind {
        _ if link.is_some() => {
            target = link;
            EntryType::Link
        }
        LayerEntryKind::File { size: own } => {
            size = *own;
            EntryType::Regular
        }
        LayerEntryKind::Symlink { target: own } => {
            target = Some(own);
            EntryType::Symlink
        }
        LayerEntryKind::CharDevice { .. } => EntryType::Char,
        LayerEntryKind::BlockDevice { .. } => EntryType::Block,
        LayerEntryKind::Fifo => EntryType::Fifo,
        _ => EntryType::Directory,
    });
    if let LayerEntryKind::CharDevice { major, minor }
    | LayerEntryKind::BlockDevice { major, minor } = kind
    {
        header.set_device_major(*major).map_err(cannot_write)?;
        header.set_device_minor(*minor).map_err(cannot_write)?;
    }
    let mut name = path.to_vec();
    if matches!(kind, LayerEntryKind::Directory) {
        name.extend_from_slice(if path.is_empty() { b"./" } else { b"/" });
    }
    let fields = header.as_mut_bytes();
    records.text("path", &name, &mut fields[..100]);
    if let Some(target) = target {
        records.text("linkpath", target, &mut fields[157..257]);
    }
    header.set_mode(entry.map_or(0o755, |entry| entry.mode));
    let number = |value: u64| (value < 1 << 21).then_some(value);
    let (uid, gid) = entry.map_or((0, 0), |entry| (entry.uid, entry.gid));
    header.set_uid(number(uid).unwrap_or_else(|| records.number("uid", uid)));
    header.set_gid(number(gid).unwrap_or_else(|| records.number("gid", gid)));
    header.set_size(if size < 1 << 33 {
        size
    } else {
        records.number("size", size)
    });
    let (seconds, nanoseconds) = entry.map_or((0, 0), |entry| (entry.mtime, entry.nanoseconds));
    let plain = u64::try_from(seconds).ok().filter(|time| *time < 1 << 33);
    header.set_mtime(plain.unwrap_or_default());
    if plain.is_none() || nanoseconds > 0 {
        records.time(seconds, nanoseconds);
    }
    for (name, value) in entry.iter().flat_map(|entry| entry.xattrs.iter()) {
        records.add(&format!("SCHILY.xattr.{name}"), value.clone());
    }
    if !records.0.is_empty() {
        let records = records.0.iter();
        let records = records.map(|(key, value)| (key.as_str(), &value[..]));
        builder
            .append_pax_extensions(records)
            .map_err(cannot_write)?;
    }
    // The crate writes the size of the header, which a record may replace.
    header.set_cksum();
    let writer = builder.get_mut();
    writer.write_all(header.as_bytes()).map_err(cannot_write)?;
    write_content(writer, size, content)
}

fn write_content(writer: &mut impl Write, size: u64, content: &mut dyn Read) -> Result<()> {
    const BLOCK: u64 = 512;
    let mut buffer = vec![0; usize::try_from(size.clamp(1, 128 * 1024)).unwrap_or(1)];
    let mut left = size;
    while left > 0 {
        let length = content.read(&mut buffer).map_err(unreadable)?;
        if length == 0 {
            return Err(unreadable(io::ErrorKind::UnexpectedEof.into()));
        }
        writer.write_all(&buffer[..length]).map_err(cannot_write)?;
        left = left.saturating_sub(length as u64);
    }
    let padding = size.next_multiple_of(BLOCK) - size;
    let zeros = [0; BLOCK as usize];
    let padding = usize::try_from(padding).unwrap_or_default();
    writer.write_all(&zeros[..padding]).map_err(cannot_write)
}

fn cannot_write(error: io::Error) -> Error {
    Error::io("the archive cannot be written", error)
}

/// The pax records of an entry.
#[derive(Default)]
struct Records(Vec<(String, Vec<u8>)>);

impl Records {
    fn add(&mut self, key: &str, value: Vec<u8>) {
        self.0.push((key.to_owned(), value));
    }

    /// Writes `text` to a field of the header, or to a record if it is longer.
    fn text(&mut self, key: &str, text: &[u8], field: &mut [u8]) {
        debug_assert!(text.len() <= MAX_PATH + 1);
        let length = text.len().min(field.len());
        field[..length].copy_from_slice(&text[..length]);
        if text.len() > field.len() {
            self.add(key, text.to_vec());
        }
    }

    /// Adds a record for a number that does not fit into the header, and returns what the header says instead.
    fn number(&mut self, key: &str, value: u64) -> u64 {
        self.add(key, value.to_string().into_bytes());
        0
    }

    fn time(&mut self, seconds: i64, nanoseconds: u32) {
        let text = match (seconds < 0, nanoseconds) {
            (_, 0) => seconds.to_string(),
            (false, _) => format!("{seconds}.{nanoseconds:09}"),
            // Seconds count down from a negative time, and nanoseconds up.
            (true, _) => {
                let (seconds, nanoseconds) = (-(seconds + 1), 1_000_000_000 - nanoseconds);
                format!("-{seconds}.{nanoseconds:09}")
            }
        };
        self.add("mtime", text.into_bytes());
    }
}
