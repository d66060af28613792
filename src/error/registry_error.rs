//! What a registry says about an error.

use std::fmt;

/// One entry of the error list that a registry answered with (distribution-spec, "Error Codes").
///
/// [`Debug`](fmt::Debug) leaves out the [`detail`](Self::detail), which may repeat what was sent.
///
/// ```
/// use tranship::RegistryError;
///
/// let detail = serde_json::json!({"tag": "v1"});
/// let error = RegistryError::new("MANIFEST_UNKNOWN", "manifest unknown").with_detail(Some(detail));
/// assert_eq!(error.detail.as_ref().and_then(|detail| detail["tag"].as_str()), Some("v1"));
/// ```
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq)]
pub struct RegistryError {
    /// The code, such as `MANIFEST_UNKNOWN`; registries also send codes of their own.
    pub code: String,
    /// The registry's message, empty where it sent none.
    pub message: String,
    /// The `detail` of the entry as the registry sent it: any JSON value, in a form that each registry chooses. `None`
    /// if the registry did not send one, or one of more than 8 KiB. Unlike the message, it may have control
    /// characters in it.
    pub detail: Option<serde_json::Value>,
}

impl RegistryError {
    /// Returns an entry without a [`detail`](Self::detail).
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            detail: None,
        }
    }

    /// Sets [`detail`](Self::detail).
    #[must_use]
    pub fn with_detail(mut self, detail: Option<serde_json::Value>) -> Self {
        self.detail = detail;
        self
    }
}

impl fmt::Debug for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryError")
            .field("code", &self.code)
            .field("message", &self.message)
            .finish_non_exhaustive()
    }
}
