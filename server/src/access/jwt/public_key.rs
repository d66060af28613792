//! Public keys that tokens are verified with, and their ids.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, EllipticCurveKeyParameters, EllipticCurveKeyType, Jwk,
    OctetKeyPairParameters, OctetKeyPairType, PublicKeyUse, RSAKeyParameters, RSAKeyType,
    ThumbprintHash,
};
use jsonwebtoken::{Algorithm, DecodingKey};
use tranship::Digest;
use x509_cert::der::asn1::{ObjectIdentifier, UintRef};
use x509_cert::der::{self, Decode as _, Reader as _, SliceReader};
use x509_cert::spki::SubjectPublicKeyInfoRef;

const RSA: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// A public key, and the algorithms that it is used with. None of them is symmetric: a public key that is taken for the
/// secret of a symmetric one would let anyone sign.
#[derive(Debug, Clone)]
pub(in crate::access) struct PublicKey {
    decoding: DecodingKey,
    algorithms: Vec<Algorithm>,
    /// The names by which a token may refer to the key.
    ids: Vec<String>,
}

impl PublicKey {
    /// Converts a JSON Web Key, or returns `None` if it is not a public key for signatures of a known kind.
    pub(in crate::access) fn from_jwk(jwk: &Jwk) -> Option<Self> {
        let algorithms = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => RSA,
            AlgorithmParameters::EllipticCurve(key) => match key.curve {
                EllipticCurve::P256 => &[Algorithm::ES256][..],
                EllipticCurve::P384 => &[Algorithm::ES384],
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
                &[Algorithm::EdDSA]
            }
            _ => return None,
        };
        let use_of_key = jwk.common.public_key_use.as_ref();
        if use_of_key.is_some_and(|use_of_key| *use_of_key != PublicKeyUse::Signature) {
            return None;
        }
        let named = jwk.common.key_algorithm.map(|named| named.to_string());
        let is_named = |algorithm: &Algorithm| match &named {
            Some(named) => named.parse() == Ok(*algorithm),
            None => true,
        };
        let thumbprint = jwk.thumbprint(ThumbprintHash::SHA256).ok();
        Some(Self {
            decoding: DecodingKey::from_jwk(jwk).ok()?,
            algorithms: algorithms.iter().copied().filter(is_named).collect(),
            ids: jwk
                .common
                .key_id
                .clone()
                .into_iter()
                .chain(thumbprint)
                .collect(),
        })
    }

    /// Converts the public key of a certificate, or returns `None` if its kind is not known. Its ids are the thumbprint
    /// (RFC 7638), and the fingerprint that distribution required before its version 3.
    pub(super) fn from_spki(spki: &[u8]) -> Option<Self> {
        let info = SubjectPublicKeyInfoRef::from_der(spki).ok()?;
        let key = info.subject_public_key.as_bytes()?;
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let algorithm = if info.algorithm.oid == RSA_ENCRYPTION {
            let (modulus, exponent) = decode_rsa(key).ok()?;
            AlgorithmParameters::RSA(RSAKeyParameters {
                key_type: RSAKeyType::RSA,
                n: text(modulus.as_bytes()),
                e: text(exponent.as_bytes()),
            })
        } else if info.algorithm.oid == EC_PUBLIC_KEY {
            let (curve, length) = match info.algorithm.parameters_oid().ok()? {
                P256 => (EllipticCurve::P256, 32),
                P384 => (EllipticCurve::P384, 48),
                _ => return None,
            };
            // An uncompressed point: 4 and two coordinates (SEC 1, section 2.3.3).
            let point = key
                .strip_prefix(&[4])
                .filter(|point| point.len() == 2 * length)?;
            let (x, y) = point.split_at(length);
            AlgorithmParameters::EllipticCurve(EllipticCurveKeyParameters {
                key_type: EllipticCurveKeyType::EC,
                curve,
                x: text(x),
                y: text(y),
            })
        } else if info.algorithm.oid == ED25519 {
            AlgorithmParameters::OctetKeyPair(OctetKeyPairParameters {
                key_type: OctetKeyPairType::OctetKeyPair,
                curve: EllipticCurve::Ed25519,
                x: text(key),
            })
        } else {
            return None;
        };
        let mut key = Self::from_jwk(&Jwk {
            common: Default::default(),
            algorithm,
        })?;
        key.ids.push(libtrust_fingerprint(spki));
        Some(key)
    }

    pub(super) fn ids(&self) -> &[String] {
        &self.ids
    }

    pub(super) fn decoding(&self) -> &DecodingKey {
        &self.decoding
    }

    /// Returns `algorithm` if the key is used with it.
    pub(super) fn accepts(&self, algorithm: Algorithm) -> Option<Algorithm> {
        self.algorithms.contains(&algorithm).then_some(algorithm)
    }
}

/// Decodes the modulus and the exponent of an RSA key (RFC 8017, appendix A.1.1).
fn decode_rsa(key: &[u8]) -> der::Result<(UintRef<'_>, UintRef<'_>)> {
    let mut reader = SliceReader::new(key)?;
    let decoded = reader.sequence(|fields| -> der::Result<_> {
        Ok((UintRef::decode(fields)?, UintRef::decode(fields)?))
    })?;
    reader.finish()?;
    Ok(decoded)
}

/// Returns the id of a key in Docker's libtrust: the first 30 bytes of the SHA-256 of the key, in base32 (RFC 4648), in
/// groups of four characters.
fn libtrust_fingerprint(spki: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let digest = Digest::of(spki);
    let mut text = String::with_capacity(60);
    for (at, five) in digest.as_bytes()[..30].chunks_exact(5).enumerate() {
        if at > 0 {
            text.push(':');
        }
        let number = five
            .iter()
            .fold(0, |number, &byte| number << 8 | u64::from(byte));
        for digit in 0..8 {
            if digit == 4 {
                text.push(':');
            }
            let index = (number >> (35 - 5 * digit)) & 31;
            text.push(char::from(ALPHABET[index as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwk(text: &str) -> Jwk {
        serde_json::from_str(text).expect("a key")
    }

    #[test]
    fn a_thumbprint_is_that_of_rfc_7638() {
        super::super::install_provider();
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let key =
            format!(r#"{{"kty":"RSA","n":"{n}","e":"AQAB","alg":"RS256","kid":"2011-04-29"}}"#);
        let key = PublicKey::from_jwk(&jwk(&key)).expect("a key");
        let thumbprint = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
        assert_eq!(key.ids(), ["2011-04-29", thumbprint]);
        assert_eq!(key.accepts(Algorithm::RS256), Some(Algorithm::RS256));
        for other in [Algorithm::RS512, Algorithm::ES256, Algorithm::HS256] {
            assert_eq!(key.accepts(other), None);
        }
    }

    #[test]
    fn the_key_of_a_certificate_has_both_ids() {
        super::super::install_provider();
        let spki = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE7sd7y+ACsj1jzb3IZMQ4wCCM+g2feT+qveQHNDRkurscC2tDJ83dz0ogmlxcO26AXIHoNK/JdwvzWeQxHMAGyQ==";
        let spki = base64::engine::general_purpose::STANDARD
            .decode(spki)
            .expect("base64");
        let key = PublicKey::from_spki(&spki).expect("a key");
        // Computed with Python's hashlib and base64.
        let ids = [
            "NF3RR8yehJwiMz8q_04f4rD07H38febGCDzPTTD2pWQ",
            "BVYP:DQAP:VATM:EQNP:M7JD:TCD6:VVA7:QEWJ:YJ6B:LVV5:353N:GG3W",
        ];
        assert_eq!(key.ids(), ids);
        assert!(PublicKey::from_spki(&spki[..spki.len() - 1]).is_none());
    }

    #[test]
    fn keys_for_other_uses_are_skipped() {
        for text in [
            r#"{"kty":"oct","k":"c2VjcmV0"}"#,
            r#"{"kty":"EC","crv":"P-521","x":"AA","y":"AA"}"#,
            r#"{"kty":"OKP","crv":"Ed25519","x":"AA","use":"enc"}"#,
            r#"{"kty":"new","a":"b"}"#,
        ] {
            assert!(PublicKey::from_jwk(&jwk(text)).is_none(), "{text}");
        }
    }
}
