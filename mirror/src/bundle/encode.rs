//! Writes `bundle.json` and locks. The same contents always make the same text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use tranship::{Algorithm, Digest, MediaType};

use super::lock::Lock;
use super::name::BundleName;

/// The media type of `bundle.json`.
pub(super) const BUNDLE_TYPE: &str = "application/vnd.tranship.bundle.v1+json";

/// The media type of a lock.
pub(super) const LOCK_TYPE: &str = "application/vnd.tranship.bundle.lock.v1+json";

/// What a bundle has, whatever the volume.
#[derive(Clone, Copy)]
pub(super) struct Described<'a> {
    pub(super) lock: &'a Lock,
    pub(super) index: Option<(Digest, u64)>,
    pub(super) base: &'a BTreeMap<BundleName, Vec<u32>>,
    pub(super) parts: &'a [Vec<(u32, u64, u64)>],
}

/// Returns the text of a lock.
pub(super) fn lock(lock: &Lock) -> String {
    let mut text = format!("{{\"mediaType\":\"{LOCK_TYPE}\",\"schemaVersion\":1");
    put_lock(&mut text, lock);
    text.push_str("}\n");
    text
}

/// Returns the text of `bundle.json` in a volume of the bundle whose digest is `set`.
pub(super) fn bundle(described: &Described<'_>, set: &Digest, volume: u32) -> String {
    let volumes = described.parts.len();
    let mut text = format!("{{\"mediaType\":\"{BUNDLE_TYPE}\",\"schemaVersion\":1");
    let _ = write!(
        text,
        ",\"set\":\"{set}\",\"volume\":{volume},\"volumes\":{volumes}"
    );
    put_contents(&mut text, described);
    text.push_str("}\n");
    text
}

/// Returns the digest that names the set: that of `bundle.json` without what differs from volume to volume.
pub(super) fn set(described: &Described<'_>) -> Digest {
    let mut text = format!("{{\"volumes\":{}", described.parts.len());
    put_contents(&mut text, described);
    text.push('}');
    Digest::of(text.as_bytes())
}

fn put_contents(text: &mut String, contents: &Described<'_>) {
    put_lock(text, contents.lock);
    if let Some((digest, size)) = &contents.index {
        let _ = write!(text, ",\n\"index\":[\"{}\",{size}]", short(digest));
    }
    if !contents.base.is_empty() {
        text.push_str(",\n\"base\":");
        put_holders(text, contents.base);
    }
    // One volume has every blob, in their order.
    if contents.parts.len() == 1 {
        return;
    }
    text.push_str(",\n\"parts\":[");
    for (position, parts) in contents.parts.iter().enumerate() {
        text.push_str(if position == 0 { "\n[" } else { ",\n[" });
        for (position, (number, offset, length)) in parts.iter().enumerate() {
            put_comma(text, position);
            let size = contents.lock.get(*number).map_or(0, |node| node.size);
            let _ = if *length == size {
                write!(text, "{number}")
            } else {
                write!(text, "[{number},{offset},{length}]")
            };
        }
        text.push(']');
    }
    text.push(']');
}

fn put_lock(text: &mut String, lock: &Lock) {
    let mut types: Vec<&MediaType> = Vec::new();
    for media_type in lock
        .contents()
        .iter()
        .filter_map(|node| node.media_type.as_ref())
    {
        if !types.contains(&media_type) {
            types.push(media_type);
        }
    }
    text.push_str(",\n\"types\":[");
    for (position, media_type) in types.iter().enumerate() {
        put_comma(text, position);
        put_text(text, media_type.as_str());
    }
    text.push_str("],\n\"contents\":[");
    for (position, node) in lock.contents().iter().enumerate() {
        text.push_str(if position == 0 { "\n[" } else { ",\n[" });
        let _ = write!(text, "\"{}\",{}", short(&node.digest), node.size);
        if let Some(media_type) = &node.media_type {
            let number = types.iter().position(|known| *known == media_type);
            let _ = write!(text, ",{},", number.unwrap_or_default());
            put_numbers(text, &node.children);
        }
        text.push(']');
    }
    text.push_str("],\n\"repositories\":{");
    for (position, (name, repository)) in lock.repositories().iter().enumerate() {
        text.push_str(if position == 0 { "\n" } else { ",\n" });
        put_text(text, name.as_str());
        text.push_str(":{\"tags\":{");
        for (position, (tag, number)) in repository.tags.iter().enumerate() {
            put_comma(text, position);
            put_text(text, tag.as_str());
            let _ = write!(text, ":{number}");
        }
        text.push_str("},\"manifests\":");
        put_numbers(text, &repository.manifests);
        if repository.is_incomplete {
            text.push_str(",\"incomplete\":true");
        }
        text.push('}');
    }
    text.push('}');
}

fn put_holders(text: &mut String, holders: &BTreeMap<BundleName, Vec<u32>>) {
    text.push('{');
    for (position, (name, numbers)) in holders.iter().enumerate() {
        text.push_str(if position == 0 { "\n" } else { ",\n" });
        put_text(text, name.as_str());
        text.push(':');
        put_numbers(text, numbers);
    }
    text.push('}');
}

fn put_numbers(text: &mut String, numbers: &[u32]) {
    text.push('[');
    for (position, number) in numbers.iter().enumerate() {
        put_comma(text, position);
        let _ = write!(text, "{number}");
    }
    text.push(']');
}

fn put_comma(text: &mut String, position: usize) {
    if position > 0 {
        text.push(',');
    }
}

fn put_text(text: &mut String, value: &str) {
    text.push_str(&serde_json::Value::from(value).to_string());
}

/// Returns a digest without `sha256:`.
fn short(digest: &Digest) -> String {
    match digest.algorithm() {
        Algorithm::Sha256 => digest.hex(),
        _ => digest.to_string(),
    }
}
