//! Errors of TLS, with messages for users. Those of rustls are mostly the names of its types.

use rustls::{AlertDescription, CertificateError};
use tranship::{Error, ErrorKind};

const IF_OWN: &str = "if it is your own or your own authority's, trust that with --ca-file FILE";
const IF_WRONG: &str =
    "look at the certificate, the name and the clock; --insecure accepts any certificate";

/// Converts an error of TLS, which is not retried.
pub(super) fn of_tls(error: &rustls::Error) -> Error {
    let (message, hint) = match error {
        rustls::Error::InvalidCertificate(why) => {
            let (what, hint) = of_certificate(why);
            let message = format!("the registry's certificate is not accepted: {what}");
            (message, Some(hint))
        }
        rustls::Error::InvalidMessage(_) => (
            "the registry does not speak TLS".to_owned(),
            Some("if it speaks http, say so with --plain-http=REGISTRY"),
        ),
        rustls::Error::AlertReceived(alert) => {
            let why = words(alert.as_str().unwrap_or("UnknownAlert"));
            let message = format!("the registry ends the TLS handshake: {why}");
            (message, may_want_a_certificate(*alert))
        }
        rustls::Error::PeerIncompatible(_) => {
            let message = "the registry has no version or cipher of TLS in common with this client";
            (message.to_owned(), None)
        }
        rustls::Error::NoCertificatesPresented => {
            ("the registry shows no certificate".to_owned(), None)
        }
        rustls::Error::PeerMisbehaved(_) => {
            ("the registry breaks the rules of TLS".to_owned(), None)
        }
        rustls::Error::General(why) => (format!("TLS failed: {why}"), None),
        _ => ("TLS failed".to_owned(), None),
    };
    let error = Error::new(ErrorKind::Unavailable, message).with_retryable(false);
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// Returns why a certificate is not accepted, and a hint.
fn of_certificate(why: &CertificateError) -> (String, &'static str) {
    use CertificateError as Why;

    let days = |seconds: u64| match seconds / (24 * 3600) {
        0 => "less than a day".to_owned(),
        1 => "a day".to_owned(),
        days => format!("{days} days"),
    };
    let what = match why {
        Why::UnknownIssuer => {
            let what = "no authority that is trusted here has signed it";
            return (what.to_owned(), IF_OWN);
        }
        Why::Other(other) if other.0.downcast_ref() == Some(&webpki::Error::CaUsedAsEndEntity) => {
            let what = "it is self-signed or that of an authority, and not trusted here";
            return (what.to_owned(), IF_OWN);
        }
        Why::Expired => "it has expired".to_owned(),
        Why::ExpiredContext { time, not_after } => {
            let ago = time.as_secs().saturating_sub(not_after.as_secs());
            format!("it expired {} ago", days(ago))
        }
        Why::NotValidYet => "it is not valid yet".to_owned(),
        Why::NotValidYetContext { time, not_before } => {
            let left = not_before.as_secs().saturating_sub(time.as_secs());
            format!("it becomes valid in {}", days(left))
        }
        Why::NotValidForName => "it is for another name".to_owned(),
        Why::NotValidForNameContext {
            expected,
            presented,
        } => {
            let expected = expected.to_str();
            match &presented[..] {
                [] => format!("it names no host, not {expected} either"),
                names => {
                    let names: Vec<&str> = names.iter().map(|name| plain_name(name)).collect();
                    format!("it is for {}, not for {expected}", names.join(", "))
                }
            }
        }
        Why::Revoked => "it was revoked".to_owned(),
        Why::BadSignature => "its signature is wrong".to_owned(),
        Why::BadEncoding => "it cannot be decoded".to_owned(),
        Why::InvalidPurpose | Why::InvalidPurposeContext { .. } => {
            "it is not one for servers".to_owned()
        }
        Why::UnhandledCriticalExtension => {
            "it has a critical extension that is not known here".to_owned()
        }
        Why::UnsupportedSignatureAlgorithmContext { .. }
        | Why::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "it is signed by an algorithm that is not supported here".to_owned()
        }
        _ => "it cannot be verified".to_owned(),
    };
    (what, IF_WRONG)
}

/// Returns `example.com` of `DnsName("example.com")`, as rustls formats the names in a certificate.
fn plain_name(presented: &str) -> &str {
    let inner = presented
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(presented).trim_matches('"')
}

/// Returns `handshake failure` for `HandshakeFailure`.
fn words(name: &str) -> String {
    let mut words = String::new();
    let mut was_upper = true;
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !was_upper {
            words.push(' ');
        }
        was_upper = letter.is_ascii_uppercase();
        words.push(letter.to_ascii_lowercase());
    }
    words
}

fn may_want_a_certificate(alert: AlertDescription) -> Option<&'static str> {
    let is_about_ours = matches!(
        alert,
        AlertDescription::NoCertificate
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::CertificateRequired
    );
    is_about_ours.then_some("it may ask for a certificate of yours: give --cert and --key")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use rustls::pki_types::{ServerName, UnixTime};

    use super::*;

    fn certificate(why: CertificateError) -> String {
        of_tls(&rustls::Error::InvalidCertificate(why)).to_string()
    }

    #[test]
    fn a_certificate_is_refused_in_words_for_users() {
        let day = |day: u64| UnixTime::since_unix_epoch(Duration::from_secs(day * 24 * 3600));
        let expired = CertificateError::ExpiredContext {
            time: day(20),
            not_after: day(9),
        };
        assert!(certificate(expired).ends_with("it expired 11 days ago"));
        let elsewhere = CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("a.example").expect("a name"),
            presented: vec![
                "DnsName(\"b.example\")".to_owned(),
                "IpAddress(10.0.0.1)".to_owned(),
            ],
        };
        let text = certificate(elsewhere);
        assert!(
            text.ends_with("it is for b.example, 10.0.0.1, not for a.example"),
            "{text}"
        );
        let authority = rustls::OtherError(Arc::new(webpki::Error::CaUsedAsEndEntity));
        let text = certificate(CertificateError::Other(authority));
        assert!(text.contains("that of an authority"), "{text}");
    }

    #[test]
    fn alerts_are_words_and_those_about_certificates_have_a_hint() {
        let of = |alert| of_tls(&rustls::Error::AlertReceived(alert));
        let refused = of(AlertDescription::HandshakeFailure);
        assert!(
            refused
                .to_string()
                .ends_with("handshake: handshake failure"),
            "{refused}"
        );
        assert_eq!(refused.hint(), None);
        let asked = of(AlertDescription::UnknownCA);
        assert!(asked.to_string().ends_with("unknown ca"), "{asked}");
        assert!(asked.hint().is_some_and(|hint| hint.contains("--cert")));
    }
}
