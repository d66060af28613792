//! The name of a registry.

use std::net::Ipv6Addr;
use std::str::FromStr;
use std::sync::Arc;

use super::redaction::invalid;
use crate::error::{Error, Result};

/// The name of a registry: a host and perhaps a port, such as `registry.example:5000`.
///
/// The host is a domain name, an IPv4 address, or an IPv6 address in brackets and without a zone.
/// The port is any number of digits, even none. It is the authority of a URI (RFC 3986) without
/// user information and without percent signs, hence also names that no DNS server knows, such as
/// `ex_ample.com`, `..` or `:5000`, as in ORAS Go. So a registry's name is safe in a URL, but **not
/// as a file name**. Upper and lower case are different names.
///
/// ORAS Go takes these too, and they are refused here: letters outside ASCII (write the `xn--`
/// form), the characters `"`, `<` and `>`, brackets around anything but an IPv6 address, and more
/// than one colon outside of brackets.
///
/// ```
/// use tranship::RegistryName;
///
/// let registry: RegistryName = "localhost:5000".parse()?;
/// assert_eq!(registry.as_str(), "localhost:5000");
/// assert!("user@localhost".parse::<RegistryName>().is_err());
/// # Ok::<(), tranship::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegistryName(Arc<str>);

impl RegistryName {
    /// The host to dial, with the port if there is one: the name itself, save that `docker.io`
    /// lives at `registry-1.docker.io`.
    #[must_use]
    pub fn host(&self) -> &str {
        match &*self.0 {
            "docker.io" => "registry-1.docker.io",
            name => name,
        }
    }
}

impl FromStr for RegistryName {
    type Err = Error;

    /// Reads a registry's name; `Reference.ValidateRegistry` in ORAS Go.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidReference`](crate::ErrorKind::InvalidReference) if it is none.
    fn from_str(text: &str) -> Result<Self> {
        match check(text) {
            Ok(()) => Ok(Self(text.into())),
            Err(why) => Err(invalid(text, why)),
        }
    }
}

fn check(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("the registry name is empty");
    }
    if text.contains('@') {
        return Err("the registry name has user information in front of it");
    }
    let port = if let Some(bracketed) = text.strip_prefix('[') {
        let (address, rest) = bracketed
            .split_once(']')
            .ok_or("the registry name has an opening bracket but no closing one")?;
        if address.parse::<Ipv6Addr>().is_err() {
            return Err("the registry name has brackets around what is no IPv6 address");
        }
        match rest.strip_prefix(':') {
            Some(port) => port,
            None if rest.is_empty() => "",
            None => return Err("the registry name goes on after its closing bracket"),
        }
    } else {
        let (host, port) = text.split_once(':').unwrap_or((text, ""));
        if !host.bytes().all(is_host_byte) {
            return Err("the registry name has a character that no host name has");
        }
        port
    };
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("the registry name's port is not a number");
    }
    Ok(())
}

/// RFC 3986, reg-name: unreserved and sub-delims.
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte)
}

text_newtype!(RegistryName);
