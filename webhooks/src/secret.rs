//! The signature of a request.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tranship::{Error, ErrorKind, Result};

/// How a secret begins that is written in Base64.
const PREFIX: &str = "whsec_";

/// A secret that an endpoint shares with its receiver.
///
/// Requests are signed as the [Standard Webhooks] specification says, version `v1`: HMAC-SHA256 over the id of the
/// event, the time of the request and its body. The time is signed too, so that a receiver can refuse a request that
/// was recorded and sent again, and the libraries of the specification check such signatures.
///
/// [Standard Webhooks]: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<[u8]>);

impl Secret {
    /// The fewest bytes of a secret.
    pub const MIN_LENGTH: usize = 16;

    /// Parses a secret: Base64 after `whsec_`, or any other text, whose bytes are the secret. White space around it is
    /// ignored.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if it has fewer than [`MIN_LENGTH`](Self::MIN_LENGTH) bytes, or is not
    /// Base64 after `whsec_`.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let bytes = match text.strip_prefix(PREFIX) {
            // Its error would quote a part of the secret.
            Some(encoded) => STANDARD.decode(encoded).map_err(|_| {
                let message = "the secret of a webhook is not Base64 after whsec_";
                Error::new(ErrorKind::InvalidInput, message)
            })?,
            None => text.as_bytes().to_vec(),
        };
        if bytes.len() < Self::MIN_LENGTH {
            let message = format!(
                "the secret of a webhook has fewer than {} bytes",
                Self::MIN_LENGTH
            );
            return Err(Error::new(ErrorKind::InvalidInput, message)
                .with_hint("create one with: openssl rand -base64 32"));
        }
        Ok(Self(bytes.into()))
    }

    /// Returns the value of `webhook-signature`. `timestamp` is in seconds since 1970.
    pub(crate) fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> Result<String> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).map_err(|error| {
            let message = "the secret of a webhook cannot sign";
            Error::new(ErrorKind::InvalidInput, message).with_source(error)
        })?;
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        let signature = mac.finalize().into_bytes();
        Ok(format!("v1,{}", STANDARD.encode(signature)))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification.
    #[test]
    fn the_signature_is_that_of_the_specification() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
        let body = br#"{"test": 2432232314}"#;
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(signature.expect("signed"), expected);
    }

    #[test]
    fn a_weak_or_malformed_secret_is_refused_without_repeating_it() {
        for text in [
            "",
            "short",
            "whsec_",
            "whsec_c2hvcnQ=",
            "whsec_not Base64 at all",
        ] {
            let error = Secret::parse(text).expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            let printed = format!("{error} {error:?}");
            assert!(text.len() < 7 || !printed.contains(text), "{printed}");
        }
    }

    #[test]
    fn a_secret_is_not_printed() {
        let secret = Secret::parse(" 0123456789abcdef\n").expect("a secret");
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        assert_eq!(&*secret.0, b"0123456789abcdef");
    }
}
