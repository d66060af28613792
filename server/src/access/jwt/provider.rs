//! The cryptography of tokens, by ring.
//!
//! The crate `jsonwebtoken` has providers over aws-lc and over Rust implementations. ring is in the build already, as
//! that of TLS, and builds in a fraction of the time.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result, new_error};
use jsonwebtoken::jwk::ThumbprintHash;
use jsonwebtoken::signature::{self, Signer, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
    UnparsedPublicKey, VerificationAlgorithm,
};
use ring::{digest, hmac};

/// Makes `jsonwebtoken` use ring, unless the program has installed another provider.
pub(in crate::access) fn install() {
    static PROVIDER: CryptoProvider = CryptoProvider {
        signer_factory: signer,
        verifier_factory: verifier,
        key_utils: KeyUtils {
            compute_digest: digest,
            // For the public keys of private ones, which this server does not have.
            ..KeyUtils::new_unimplemented()
        },
    };
    if CryptoProvider::try_get_default().is_none() {
        // Fails if another thread has just installed one, which is then used.
        let _ = PROVIDER.install_default();
    }
}

fn digest(data: &[u8], hash: ThumbprintHash) -> Result<Vec<u8>> {
    let algorithm = match hash {
        ThumbprintHash::SHA256 => &digest::SHA256,
        ThumbprintHash::SHA384 => &digest::SHA384,
        ThumbprintHash::SHA512 => &digest::SHA512,
        _ => return Err(new_error(ErrorKind::UnsupportedAlgorithm)),
    };
    Ok(digest::digest(algorithm, data).as_ref().to_vec())
}

/// Signs with a secret key. Public keys are only verified.
struct HmacSigner(hmac::Key);

struct RingVerifier {
    algorithm: Algorithm,
    key: DecodingKey,
}

fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    match algorithm {
        Algorithm::HS256 if key.family() == algorithm.family() => Ok(Box::new(HmacSigner(
            hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()),
        ))),
        _ => Err(new_error(ErrorKind::UnsupportedAlgorithm)),
    }
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    if key.family() != algorithm.family() {
        return Err(new_error(ErrorKind::InvalidAlgorithm));
    }
    Ok(Box::new(RingVerifier {
        algorithm: *algorithm,
        key: key.clone(),
    }))
}

impl Signer<Vec<u8>> for HmacSigner {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, signature::Error> {
        Ok(hmac::sign(&self.0, message).as_ref().to_vec())
    }
}

impl JwtSigner for HmacSigner {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(
        &self,
        message: &[u8],
        signature: &Vec<u8>,
    ) -> std::result::Result<(), signature::Error> {
        let verified = match self.algorithm {
            Algorithm::HS256 => self.verify_hmac(message, signature),
            Algorithm::ES256 => self.verify_point(&ECDSA_P256_SHA256_FIXED, message, signature),
            Algorithm::ES384 => self.verify_point(&ECDSA_P384_SHA384_FIXED, message, signature),
            Algorithm::EdDSA => self.verify_point(&ED25519, message, signature),
            Algorithm::RS256 => self.verify_rsa(&RSA_PKCS1_2048_8192_SHA256, message, signature),
            Algorithm::RS384 => self.verify_rsa(&RSA_PKCS1_2048_8192_SHA384, message, signature),
            Algorithm::RS512 => self.verify_rsa(&RSA_PKCS1_2048_8192_SHA512, message, signature),
            Algorithm::PS256 => self.verify_rsa(&RSA_PSS_2048_8192_SHA256, message, signature),
            Algorithm::PS384 => self.verify_rsa(&RSA_PSS_2048_8192_SHA384, message, signature),
            Algorithm::PS512 => self.verify_rsa(&RSA_PSS_2048_8192_SHA512, message, signature),
            _ => None,
        };
        verified.ok_or_else(signature::Error::new)
    }
}

impl RingVerifier {
    fn verify_hmac(&self, message: &[u8], signature: &[u8]) -> Option<()> {
        let key = self.key.try_get_as_bytes().ok()?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        hmac::verify(&key, message, signature).ok()
    }

    fn verify_point(
        &self,
        algorithm: &'static dyn VerificationAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Option<()> {
        let key = self.key.try_get_as_bytes().ok()?;
        let key = UnparsedPublicKey::new(algorithm, key);
        key.verify(message, signature).ok()
    }

    fn verify_rsa(
        &self,
        parameters: &'static RsaParameters,
        message: &[u8],
        signature: &[u8],
    ) -> Option<()> {
        match self.key.kind() {
            DecodingKeyKind::SecretOrDer(der) => UnparsedPublicKey::new(parameters, der)
                .verify(message, signature)
                .ok(),
            DecodingKeyKind::RsaModulusExponent { n, e } => RsaPublicKeyComponents { n, e }
                .verify(parameters, message, signature)
                .ok(),
        }
    }
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
