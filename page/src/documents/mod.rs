//! Documents about images: lists of packages, statements and the payloads of signatures. They are recognised by their
//! content, as the media types that programs give them differ.

mod indent;
mod packages;
mod spdx3;
mod statements;

use serde::Deserialize;
use tranship::blocking;

pub(crate) use packages::PackageList;
pub(crate) use statements::{Envelope, SignedImage, Statement};

/// How deep documents may be inside each other, such as an SBOM in a statement in an envelope in a bundle.
const MAX_DEPTH: usize = 4;

/// How much JSON is indented, in bytes. More is shown unchanged.
const MAX_FORMATTED: usize = 1024 * 1024;

/// How much text is shown, in bytes.
const MAX_TEXT: usize = 256 * 1024;

/// A document that is shown in place.
#[derive(Debug)]
pub(crate) enum Document {
    /// An SBOM.
    Packages(PackageList),
    /// An in-toto statement.
    Statement(Box<Statement>),
    /// A DSSE envelope, alone or in a Sigstore bundle.
    Envelope(Box<Envelope>),
    /// What cosign signs.
    SignedImage(SignedImage),
    /// Any other text.
    Text(Excerpt),
    /// Anything else.
    Binary,
}

impl Document {
    /// Returns whether it is a list of packages, or contains one.
    pub(crate) fn has_packages(&self) -> bool {
        match self {
            Self::Packages(_) => true,
            Self::Statement(statement) => statement.predicate.has_packages(),
            Self::Envelope(envelope) => envelope.payload.has_packages(),
            Self::SignedImage(_) | Self::Text(_) | Self::Binary => false,
        }
    }
}

/// The start of a text.
#[derive(Debug)]
pub(crate) struct Excerpt {
    pub(crate) text: String,
    /// Whether there is more.
    pub(crate) cut: bool,
}

/// The fields by which documents are told from each other.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    #[serde(default)]
    spdx_version: Option<serde::de::IgnoredAny>,
    #[serde(default, rename = "@graph")]
    graph: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    bom_format: Option<serde::de::IgnoredAny>,
    #[serde(default, rename = "_type")]
    statement_type: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    payload_type: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    dsse_envelope: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    critical: Option<serde::de::IgnoredAny>,
}

/// Reads a document, on a thread for that if it is large.
pub(crate) async fn read(content: bytes::Bytes) -> tranship::Result<Document> {
    blocking::run_sized(content.len(), move || Ok(parse(&content, 0))).await
}

fn parse(content: &[u8], depth: usize) -> Document {
    if depth < MAX_DEPTH
        && let Some(document) = parse_known(content, depth)
    {
        return document;
    }
    match excerpt(content) {
        Some(excerpt) => Document::Text(excerpt),
        None => Document::Binary,
    }
}

/// Reads a document of a known kind; `None` if it is of another kind, or not sound.
fn parse_known(content: &[u8], depth: usize) -> Option<Document> {
    let shape: Shape = serde_json::from_slice(content).ok()?;
    let document = if shape.spdx_version.is_some() {
        Document::Packages(packages::from_spdx(content)?)
    } else if shape.graph.is_some() {
        Document::Packages(spdx3::read(content)?)
    } else if shape.bom_format.is_some() {
        Document::Packages(packages::from_cyclonedx(content)?)
    } else if shape.statement_type.is_some() {
        Document::Statement(Box::new(statements::statement(content, depth)?))
    } else if shape.payload_type.is_some() {
        Document::Envelope(Box::new(statements::envelope(content, depth)?))
    } else if shape.dsse_envelope.is_some() {
        Document::Envelope(Box::new(statements::bundle(content, depth)?))
    } else if shape.critical.is_some() {
        Document::SignedImage(statements::signed_image(content)?)
    } else {
        return None;
    };
    Some(document)
}

/// Returns the start of a text, with indentation if it is JSON; `None` if it is not text.
pub(crate) fn excerpt(content: &[u8]) -> Option<Excerpt> {
    let text = std::str::from_utf8(content).ok()?;
    if text.contains('\0') {
        return None;
    }
    let formatted = match content.len() {
        0..=MAX_FORMATTED => indent::indented(text),
        _ => None,
    };
    let text = formatted.as_deref().unwrap_or(text);
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    Some(Excerpt {
        text: text[..end].to_owned(),
        cut: end < text.len(),
    })
}
