//! Statements about images, and what signs them: in-toto, DSSE, Sigstore bundles, and payloads of cosign.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Document, parse};

/// DSSE allows payloads without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How many subjects of a statement are shown.
const MAX_SUBJECTS: usize = 1_000;

/// An in-toto statement.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) predicate_type: String,
    pub(crate) subjects: Vec<Subject>,
    pub(crate) predicate: Document,
}

/// What a statement is about.
#[derive(Debug, Deserialize)]
pub(crate) struct Subject {
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// Digests in hexadecimal, by the names of their algorithms.
    #[serde(default)]
    pub(crate) digest: BTreeMap<String, String>,
}

/// A DSSE envelope. Its signatures are not verified.
#[derive(Debug)]
pub(crate) struct Envelope {
    pub(crate) payload_type: String,
    /// The name of the key of each signature; empty without one.
    pub(crate) keys: Vec<String>,
    pub(crate) payload: Document,
}

/// What cosign signs: that an image has a digest. The signature is not verified.
#[derive(Debug)]
pub(crate) struct SignedImage {
    pub(crate) reference: String,
    pub(crate) digest: String,
    pub(crate) kind: String,
    /// What the signer has added.
    pub(crate) annotations: Vec<(String, String)>,
}

pub(super) fn statement(content: &[u8], depth: usize) -> Option<Statement> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Fields<'a> {
        #[serde(default)]
        predicate_type: String,
        #[serde(default)]
        subject: Vec<Subject>,
        #[serde(borrow, default)]
        predicate: Option<&'a RawValue>,
    }
    let mut fields: Fields<'_> = serde_json::from_slice(content).ok()?;
    fields.subject.truncate(MAX_SUBJECTS);
    let predicate = fields.predicate.map_or("null", RawValue::get);
    Some(Statement {
        predicate_type: fields.predicate_type,
        subjects: fields.subject,
        predicate: parse(predicate.as_bytes(), depth + 1),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EnvelopeFields {
    payload_type: String,
    payload: String,
    #[serde(default)]
    signatures: Vec<Signature>,
}

#[derive(Deserialize)]
struct Signature {
    #[serde(default)]
    keyid: Option<String>,
}

impl EnvelopeFields {
    fn open(self, depth: usize) -> Option<Envelope> {
        let payload = BASE64.decode(self.payload).ok()?;
        let signatures = self.signatures.into_iter();
        Some(Envelope {
            payload_type: self.payload_type,
            keys: signatures
                .map(|signature| signature.keyid.unwrap_or_default())
                .collect(),
            payload: parse(&payload, depth + 1),
        })
    }
}

pub(super) fn envelope(content: &[u8], depth: usize) -> Option<Envelope> {
    let fields: EnvelopeFields = serde_json::from_slice(content).ok()?;
    fields.open(depth)
}

/// Reads the envelope in a Sigstore bundle.
pub(super) fn bundle(content: &[u8], depth: usize) -> Option<Envelope> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Fields {
        dsse_envelope: EnvelopeFields,
    }
    let fields: Fields = serde_json::from_slice(content).ok()?;
    fields.dsse_envelope.open(depth)
}

pub(super) fn signed_image(content: &[u8]) -> Option<SignedImage> {
    #[derive(Deserialize)]
    struct Fields {
        critical: Critical,
        #[serde(default)]
        optional: Option<BTreeMap<String, serde_json::Value>>,
    }
    #[derive(Deserialize)]
    struct Critical {
        #[serde(default)]
        identity: Option<Identity>,
        image: Image,
        #[serde(default, rename = "type")]
        kind: String,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct Identity {
        #[serde(default)]
        docker_reference: String,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct Image {
        docker_manifest_digest: String,
    }
    let fields: Fields = serde_json::from_slice(content).ok()?;
    let reference = fields.critical.identity.map(|it| it.docker_reference);
    let annotations = fields.optional.unwrap_or_default().into_iter();
    Some(SignedImage {
        reference: reference.unwrap_or_default(),
        digest: fields.critical.image.docker_manifest_digest,
        kind: fields.critical.kind,
        annotations: annotations
            .map(|(key, value)| match value {
                serde_json::Value::String(text) => (key, text),
                other => (key, other.to_string()),
            })
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enveloped(payload: &str) -> String {
        let payload = BASE64.encode(payload);
        format!(
            r#"{{"payloadType":"application/vnd.in-toto+json","payload":"{payload}","signatures":[{{"keyid":"k1","sig":""}}]}}"#
        )
    }

    const STATEMENT: &str = r#"{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://spdx.dev/Document",
        "subject":[{"name":"app","digest":{"sha256":"ab"}}],
        "predicate":{"spdxVersion":"SPDX-2.3","packages":[{"name":"zlib"}]}}"#;

    #[test]
    fn an_sbom_is_found_in_a_statement_in_an_envelope_in_a_bundle() {
        let bundle = format!(
            r#"{{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","dsseEnvelope":{}}}"#,
            enveloped(STATEMENT)
        );
        let Document::Envelope(envelope) = parse(bundle.as_bytes(), 0) else {
            panic!("an envelope");
        };
        assert_eq!(envelope.keys, ["k1"]);
        let Document::Statement(statement) = envelope.payload else {
            panic!("a statement");
        };
        assert_eq!(statement.predicate_type, "https://spdx.dev/Document");
        assert_eq!(statement.subjects[0].digest["sha256"], "ab");
        let Document::Packages(packages) = statement.predicate else {
            panic!("packages");
        };
        assert_eq!(packages.packages[0].name, "zlib");
    }

    #[test]
    fn envelopes_in_envelopes_end_as_text() {
        let mut json = STATEMENT.to_owned();
        for _ in 0..10 {
            json = enveloped(&json);
        }
        let mut document = parse(json.as_bytes(), 0);
        let mut levels = 0;
        while let Document::Envelope(envelope) = document {
            document = envelope.payload;
            levels += 1;
        }
        assert_eq!(levels, 4);
        assert!(matches!(document, Document::Text(_)));
    }

    #[test]
    fn the_payload_of_a_signature_names_the_image() {
        let json = br#"{"critical":{"identity":{"docker-reference":"r/a"},"image":{"docker-manifest-digest":"sha256:ab"},
            "type":"cosign container image signature"},"optional":{"by":"me","n":1}}"#;
        let signed = signed_image(json).expect("a payload");
        assert_eq!(signed.reference, "r/a");
        assert_eq!(signed.digest, "sha256:ab");
        let annotations = [("by".into(), "me".into()), ("n".into(), "1".into())];
        assert_eq!(signed.annotations, annotations);
    }

    #[test]
    fn other_content_is_text_or_binary() {
        for (content, is_text) in [
            (&b"{\"critical\":1}"[..], true),
            (b"plain", true),
            (b"", true),
            (b"\xff\xfe", false),
            (b"a\0b", false),
        ] {
            let document = parse(content, 0);
            assert_eq!(matches!(document, Document::Text(_)), is_text);
        }
    }
}
