//! JSON Web Tokens of others: the keys that are trusted, and what a token must say.

mod certificates;
mod provider;
mod public_key;
mod trusted_keys;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::Validation;
use serde::de::DeserializeOwned;

pub(super) use provider::install as install_provider;
pub(super) use public_key::PublicKey;
pub(super) use trusted_keys::TrustedKeys;

/// What a token must say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    /// The token must have one of these.
    pub(super) audiences: &'a [String],
}

/// Returns the claims of `token` if it is signed with `key` and is as expected, now. Clocks may differ by a minute.
pub(super) fn verify<C: DeserializeOwned>(
    token: &str,
    key: &PublicKey,
    expected: Expected<'_>,
) -> Option<C> {
    let algorithm = jsonwebtoken::decode_header(token).ok()?.alg;
    let mut validation = Validation::new(key.accepts(algorithm)?);
    validation.set_issuer(&[expected.issuer]);
    validation.set_audience(expected.audiences);
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    validation.validate_nbf = true;
    let decoded = jsonwebtoken::decode(token, key.decoding(), &validation);
    decoded.ok().map(|token| token.claims)
}

/// Returns the issuer that a token claims to have. The token is not verified.
pub(super) fn claimed_issuer(token: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Issuer {
        iss: String,
    }
    let claims: Issuer = jsonwebtoken::dangerous::insecure_decode_claims(token).ok()?;
    Some(claims.iss)
}

/// Returns whether `text` has the form of a token: a JSON object in base64, which begins with `{"`, and two dots.
pub(super) fn is_token(text: &str) -> bool {
    text.starts_with("eyJ") && text.bytes().filter(|&byte| byte == b'.').count() == 2
}

/// Converts a time in a claim.
pub(super) fn time(seconds: u64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::jwk::Jwk;
    use serde::Deserialize;

    use super::*;

    /// Tokens for each algorithm, made with Python's `cryptography`: of `issuer`, for `registry`, valid until 2100.
    const VECTORS: &str = include_str!("vectors.json");

    #[derive(Deserialize)]
    struct Vector {
        key: Jwk,
        token: String,
    }

    #[derive(Debug, Deserialize)]
    struct Claims {
        sub: String,
    }

    fn vectors() -> Vec<(PublicKey, String)> {
        install_provider();
        let vectors: Vec<Vector> = serde_json::from_str(VECTORS).expect("vectors");
        let decode = |vector: Vector| {
            let key = PublicKey::from_jwk(&vector.key).expect("a key");
            (key, vector.token)
        };
        vectors.into_iter().map(decode).collect()
    }

    fn subject(token: &str, key: &PublicKey, issuer: &str, audience: &str) -> Option<String> {
        let audiences = [audience.to_owned()];
        let expected = Expected {
            issuer,
            audiences: &audiences,
        };
        verify(token, key, expected).map(|claims: Claims| claims.sub)
    }

    #[test]
    fn each_algorithm_is_verified() {
        let vectors = vectors();
        assert_eq!(vectors.len(), 9);
        for (key, token) in &vectors {
            let subject = |token: &str| subject(token, key, "issuer", "registry");
            assert_eq!(subject(token).as_deref(), Some("ann"), "{token}");
            let (signed, signature) = token.rsplit_once('.').expect("a signature");
            let swapped: String = signature.chars().rev().collect();
            for wrong in ["", "AAAA", &*swapped] {
                assert_eq!(subject(&format!("{signed}.{wrong}")), None, "{token}");
            }
            for (other, foreign) in &vectors {
                if key.ids() != other.ids() {
                    assert_eq!(subject(foreign), None, "{foreign}");
                }
            }
        }
    }

    #[test]
    fn issuer_and_audience_must_be_the_expected_ones() {
        for (key, token) in vectors() {
            assert_eq!(subject(&token, &key, "other", "registry"), None);
            assert_eq!(subject(&token, &key, "issuer", "other"), None);
        }
    }
}
