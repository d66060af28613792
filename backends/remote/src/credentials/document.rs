//! What Docker's `config.json` and Podman's `auth.json` hold: credentials, or who keeps them.

use std::fmt;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::ser::PrettyFormatter;
use serde_json::{Map, Value};
use tranship::{Error, ErrorKind, RepositoryName, Result};

use super::credential::Credential;
use super::secret::Secret;
use super::server::Server;

/// Takes padding or not; writes it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The fields of an entry in `auths` that are secrets or go with them.
const LOGIN_FIELDS: [&str; 5] = [
    "auth",
    "username",
    "password",
    "identitytoken",
    "registrytoken",
];

/// A file's content. The fields stay in their order, known or not; those of the objects in them
/// are sorted, as Docker itself writes them.
#[derive(Default)]
pub(crate) struct Document {
    fields: Vec<(String, Value)>,
}

/// A credential helper that a file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HelperChoice {
    pub(crate) name: String,
    /// Whether it was named for this registry, and not for all.
    pub(crate) explicit: bool,
}

impl Document {
    /// Reads a file's content; one without any is an empty document, and so is `null`, as in Go.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if it is no JSON object. Nothing of it is shown.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        if matches!(bytes.trim_ascii(), b"" | b"null") {
            return Ok(Self::default());
        }
        // What serde says may quote a secret.
        serde_json::from_slice(bytes).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            corrupt(format!(
                "not a JSON object, see line {line}, column {column}"
            ))
        })
    }

    /// The same with all fields below `auths`, where older versions of Docker did not write them.
    pub(crate) fn below_auths(self) -> Self {
        let entries = self.fields.into_iter().collect();
        Self {
            fields: vec![("auths".to_owned(), Value::Object(entries))],
        }
    }

    /// The file's content, with tabs, as Docker writes it.
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let formatter = PrettyFormatter::with_indent(b"\t");
        self.serialize(&mut serde_json::Serializer::with_formatter(
            &mut bytes, formatter,
        ))
        .map_err(|_| corrupt("it cannot be written as JSON".to_owned()))?;
        Ok(bytes)
    }

    /// The helper that keeps the server's credentials, if one does.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if it is named by anything but a string.
    pub(crate) fn helper(&self, server: &Server) -> Result<Option<HelperChoice>> {
        let helpers = self.object("credHelpers")?;
        let explicit = helpers.and_then(|helpers| entry(helpers, server));
        let (value, explicit) = match (explicit, self.field("credsStore")) {
            (Some((_, value)), _) => (value, true),
            (None, Some(value)) => (value, false),
            (None, None) => return Ok(None),
        };
        match value {
            Value::String(name) if name.is_empty() => Ok(None),
            Value::String(name) => Ok(Some(HelperChoice {
                name: name.clone(),
                explicit,
            })),
            Value::Null => Ok(None),
            _ => Err(corrupt(
                "a credential helper's name is no string".to_owned(),
            )),
        }
    }

    /// The credential in the file itself.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if the entry cannot be understood. Nothing of it is shown.
    pub(crate) fn credential(
        &self,
        server: &Server,
        repository: Option<&RepositoryName>,
    ) -> Result<Option<Credential>> {
        let Some(auths) = self.object("auths")? else {
            return Ok(None);
        };
        let exact = server.keys(repository);
        let exact = exact.iter().filter_map(|key| auths.get(key));
        let similar = auths.iter().filter(|(key, _)| server.has_key(key));
        for value in exact.chain(similar.map(|(_, value)| value)) {
            if let Some(credential) = decode(value)? {
                return Ok(Some(credential));
            }
        }
        Ok(None)
    }

    /// Whether the file says anything about the server.
    pub(crate) fn knows(&self, server: &Server) -> bool {
        ["auths", "credHelpers"].iter().any(|field| {
            let object = self.field(field).and_then(Value::as_object);
            object.is_some_and(|object| entry(object, server).is_some())
        })
    }

    /// Keeps a credential, or notes that a helper keeps it. What else the entry holds stays.
    ///
    /// # Errors
    /// - [`ErrorKind::InvalidInput`] if the user name has a colon.
    /// - [`ErrorKind::Corrupt`] if there is something else where credentials belong.
    pub(crate) fn set(&mut self, server: &Server, credential: Option<&Credential>) -> Result<()> {
        let auths = self.auths()?;
        let key = entry(auths, server).map_or(server.name(), |(key, _)| key);
        let mut fields = match auths.get(key) {
            Some(Value::Object(fields)) => fields.clone(),
            _ => Map::new(),
        };
        fields.retain(|name, _| !LOGIN_FIELDS.contains(&name.as_str()));
        if let Some(credential) = credential {
            let (field, value) = encode(credential)?;
            fields.insert(field.to_owned(), Value::String(value));
        }
        let key = key.to_owned();
        auths.insert(key, Value::Object(fields));
        Ok(())
    }

    /// Removes the server's credentials. Returns whether there were any.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if there is something else where credentials belong.
    pub(crate) fn remove(&mut self, server: &Server) -> Result<bool> {
        if self.field("auths").is_none() {
            return Ok(false);
        }
        let auths = self.auths()?;
        let before = auths.len();
        auths.retain(|key, _| !server.has_key(key));
        Ok(auths.len() < before)
    }

    fn field(&self, name: &str) -> Option<&Value> {
        let (_, value) = self.fields.iter().find(|(key, _)| key == name)?;
        Some(value)
    }

    fn object(&self, name: &str) -> Result<Option<&Map<String, Value>>> {
        match self.field(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object)),
            Some(_) => Err(corrupt(format!("\"{name}\" is no JSON object"))),
        }
    }

    /// The entries of registries, which are created if need be.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if there is something else in their place.
    pub(crate) fn auths(&mut self) -> Result<&mut Map<String, Value>> {
        let index = match self.fields.iter().position(|(key, _)| key == "auths") {
            Some(index) => index,
            None => {
                self.fields.push(("auths".to_owned(), Value::Null));
                self.fields.len() - 1
            }
        };
        let wrong = || corrupt("\"auths\" is no JSON object".to_owned());
        let value = &mut self.fields.get_mut(index).ok_or_else(wrong)?.1;
        if value.is_null() {
            *value = Value::Object(Map::new());
        }
        value.as_object_mut().ok_or_else(wrong)
    }
}

/// The server's entry in an object whose keys are servers.
fn entry<'a>(object: &'a Map<String, Value>, server: &Server) -> Option<(&'a str, &'a Value)> {
    let exact = server.keys(None);
    let exact = exact.iter().find_map(|key| object.get_key_value(key));
    let found = exact.or_else(|| object.iter().find(|(key, _)| server.has_key(key)));
    found.map(|(key, value)| (key.as_str(), value))
}

fn decode(entry: &Value) -> Result<Option<Credential>> {
    let fields = match entry {
        Value::Object(fields) => fields,
        Value::Null => return Ok(None),
        _ => {
            return Err(corrupt(
                "the registry's entry is not a JSON object".to_owned(),
            ));
        }
    };
    let text = |name: &str| match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
        Some(_) => Err(corrupt(format!(
            "\"{name}\" in the registry's entry is no string"
        ))),
    };
    if let Some(token) = text("registrytoken")? {
        return Ok(Some(Credential::AccessToken(token.into())));
    }
    if let Some(token) = text("identitytoken")? {
        return Ok(Some(Credential::IdentityToken(token.into())));
    }
    if let Some(auth) = text("auth")? {
        return decode_auth(auth).map(Some);
    }
    match (text("username")?, text("password")?) {
        (None, None) => Ok(None),
        (Some(username), _) if username.contains(':') => Err(corrupt(
            "the user name in the registry's entry has a colon in it".to_owned(),
        )),
        (username, password) => Ok(Some(Credential::basic(
            username.unwrap_or(""),
            password.unwrap_or(""),
        ))),
    }
}

fn decode_auth(auth: &str) -> Result<Credential> {
    let wrong = |what: &str| corrupt(format!("\"auth\" in the registry's entry {what}"));
    let bytes = BASE64
        .decode(auth.trim())
        .map_err(|_| wrong("is not base64"))?;
    let login = String::from_utf8(bytes).map_err(|_| wrong("is not UTF-8"))?;
    let (username, password) = login
        .split_once(':')
        .ok_or_else(|| wrong("has no colon between the user name and the password"))?;
    // Old versions of Docker padded it.
    let password = password.trim_end_matches('\0');
    Ok(Credential::basic(username, password))
}

fn encode(credential: &Credential) -> Result<(&'static str, String)> {
    match credential {
        Credential::Basic { username, .. } if username.contains(':') => Err(Error::new(
            ErrorKind::InvalidInput,
            "the user name has a colon in it",
        )),
        Credential::Basic { username, password } => {
            let login = format!("{username}:{}", password.expose());
            Ok(("auth", BASE64.encode(login)))
        }
        Credential::IdentityToken(token) => Ok(("identitytoken", exposed(token))),
        Credential::AccessToken(token) => Ok(("registrytoken", exposed(token))),
    }
}

fn exposed(token: &Secret) -> String {
    token.expose().to_owned()
}

fn corrupt(message: String) -> Error {
    Error::new(ErrorKind::Corrupt, message)
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Document;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
                let mut fields: Vec<(String, Value)> = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, Value>()? {
                    // Of a field that is there twice the last counts, as for Docker.
                    match fields.iter_mut().find(|(known, _)| *known == key) {
                        Some((_, old)) => *old = value,
                        None => fields.push((key, value)),
                    }
                }
                Ok(Document { fields })
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.fields.len()))?;
        for (key, value) in &self.fields {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests;
