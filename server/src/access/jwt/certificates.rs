//! Chains of certificates that a token is signed with.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter};

use super::public_key::PublicKey;

/// The longest chain that is accepted.
const MAX_CHAIN: usize = 8;

/// Accepts certificates for every use: those of token services are often made without one.
struct AnyUse;

impl ExtendedKeyUsageValidator for AnyUse {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}

/// Returns the key of the first certificate of `chain`, if it leads to one of `roots` now. Each certificate is DER in
/// base64, as in the header `x5c` (RFC 7515, section 4.1.6).
pub(super) fn verify_chain(chain: &[String], roots: &[TrustAnchor<'_>]) -> Option<PublicKey> {
    if chain.is_empty() || chain.len() > MAX_CHAIN {
        return None;
    }
    let decode = |text: &String| STANDARD.decode(text).ok().map(CertificateDer::from);
    let chain: Vec<CertificateDer<'_>> = chain.iter().map(decode).collect::<Option<_>>()?;
    let (first, others) = chain.split_first()?;
    let certificate = EndEntityCert::try_from(first).ok()?;
    certificate
        .verify_for_usage(
            ALL_VERIFICATION_ALGS,
            roots,
            others,
            UnixTime::now(),
            AnyUse,
            None,
            None,
        )
        .ok()?;
    PublicKey::from_spki(&certificate.subject_public_key_info())
}
