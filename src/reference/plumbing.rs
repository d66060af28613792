//! What every type that is read from text has in common.

/// `TryFrom` and serde, by way of `FromStr` and `Display`.
macro_rules! text_conversions {
    ($($type:ident),+) => {$(
        impl TryFrom<&str> for $type {
            type Error = crate::Error;

            fn try_from(text: &str) -> crate::Result<Self> {
                text.parse()
            }
        }

        impl TryFrom<String> for $type {
            type Error = crate::Error;

            fn try_from(text: String) -> crate::Result<Self> {
                text.parse()
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

/// The same, and access to the text, for a type that holds nothing but checked text.
macro_rules! text_newtype {
    ($type:ident) => {
        impl $type {
            /// The text, exactly as it was read.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        // Equality, order and hash are those of the text, so maps can be searched with a `&str`.
        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        text_conversions!($type);
    };
}
