//! The users of client certificates.

use std::sync::Arc;

use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// The longest name of a user in a certificate, in bytes.
const MAX_LENGTH: usize = 256;

/// Returns the user of a certificate, which has been verified: the common name of its subject, or else the first of
/// its alternative names that is an email address, a host name or a URI. Returns `None` if it has no such name, or one
/// that is too long or has control characters.
pub(crate) fn user(certificate: &[u8]) -> Option<Arc<str>> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let certificate = certificate.tbs_certificate();
    let common = certificate.subject().common_name().ok().flatten();
    let name = match common {
        Some(name) => name.value().into_owned(),
        None => {
            let (_, names) = certificate.get_extension::<SubjectAltName>().ok()??;
            names.0.iter().find_map(|name| match name {
                GeneralName::Rfc822Name(name)
                | GeneralName::DnsName(name)
                | GeneralName::UniformResourceIdentifier(name) => Some(name.to_string()),
                _ => None,
            })?
        }
    };
    let is_valid = !name.is_empty() && name.len() <= MAX_LENGTH && !name.contains(char::is_control);
    is_valid.then(|| name.into())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};

    use super::*;

    fn certificate(common: Option<&str>, others: Vec<SanType>) -> Vec<u8> {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name = DistinguishedName::new();
        if let Some(common) = common {
            parameters
                .distinguished_name
                .push(DnType::CommonName, common);
        }
        parameters.subject_alt_names = others;
        let key = KeyPair::generate().expect("a key");
        parameters.self_signed(&key).expect("signed").der().to_vec()
    }

    #[test]
    fn the_common_name_comes_before_others() {
        let uri = || SanType::URI("spiffe://example/ci".try_into().expect("ASCII"));
        let user = |common, others| user(&certificate(common, others));
        assert_eq!(user(Some("ann"), vec![uri()]).as_deref(), Some("ann"));
        let spiffe = "spiffe://example/ci";
        assert_eq!(user(None, vec![uri()]).as_deref(), Some(spiffe));
        let address = SanType::IpAddress([127, 0, 0, 1].into());
        assert_eq!(user(None, vec![address, uri()]).as_deref(), Some(spiffe));
        assert_eq!(user(None, Vec::new()), None);
    }

    #[test]
    fn names_that_would_mislead_are_refused() {
        for name in ["", "a\nb", "a\0b", &"a".repeat(257)] {
            assert_eq!(user(&certificate(Some(name), Vec::new())), None);
        }
        assert_eq!(user(b"nonsense"), None);
    }
}
