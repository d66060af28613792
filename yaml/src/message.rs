//! The messages of keys and values that do not fit.

use serde_saphyr::Error as Yaml;

/// So many known keys or values are listed if none is similar to the one that is not known.
const MAX_LISTED: usize = 12;

/// Returns the message of an error about a key or a value, and `None` of an error about the syntax. `path` leads to the
/// value: its keys and its positions in lists.
pub(crate) fn of_value(path: Option<&str>, error: &Yaml) -> Option<String> {
    let message = match error.without_snippet() {
        Yaml::AliasError { error, .. } => return of_value(path, error),
        Yaml::SerdeUnknownField {
            field, expected, ..
        } => {
            // The path ends with the key.
            let path = path.unwrap_or(field);
            return Some(format!("unknown key `{path}`{}", known(field, expected)));
        }
        Yaml::SerdeUnknownVariant {
            variant, expected, ..
        } => format!("unknown value `{variant}`{}", known(variant, expected)),
        Yaml::SerdeMissingField { field, .. } => format!("the key `{field}` is missing"),
        Yaml::SerdeInvalidType {
            unexpected,
            expected,
            ..
        }
        | Yaml::SerdeInvalidValue {
            unexpected,
            expected,
            ..
        } => format!(
            "unexpected {}, expected {}",
            without_text(unexpected),
            plain(expected)
        ),
        Yaml::InvalidScalar { ty, .. } => format!("expected {}", plain(ty)),
        Yaml::InvalidBooleanStrict { .. } => "expected true or false".to_owned(),
        Yaml::NullIntoString { .. } => "expected text, not an empty value".to_owned(),
        Yaml::ExternallyTaggedEnumExpectedScalarOrMapping { .. }
        | Yaml::ExpectedStringKeyForExternallyTaggedEnum { .. }
        | Yaml::UnexpectedValueForUnitEnumVariant { .. } => "expected text".to_owned(),
        Yaml::Message { msg, .. } => msg.clone(),
        Yaml::Unexpected { expected, .. } => format!("expected {}", plain(expected)),
        _ => return None,
    };
    Some(match path {
        Some(path) => format!("{path}: {message}"),
        None => message,
    })
}

/// Says which of the `known` names may be meant by `name`: the most similar one, or all of a few.
fn known(name: &str, known: &[&str]) -> String {
    let normal = normalized(name);
    let distance = |known: &str| strsim::osa_distance(&normal, &normalized(known));
    let nearest = known.iter().map(|known| (distance(known), known)).min();
    match nearest {
        Some((distance, nearest)) if distance <= (normal.len() / 3).max(1) => {
            format!("; did you mean `{nearest}`?")
        }
        _ if known.len() <= MAX_LISTED => format!(", expected one of {}", known.join(", ")),
        _ => String::new(),
    }
}

/// Returns a name in lower case and without separators, so that `auditLog` and `audit_log` are `audit-log`.
fn normalized(name: &str) -> String {
    let letters = name.chars().filter(|letter| !matches!(letter, '-' | '_'));
    letters.flat_map(char::to_lowercase).collect()
}

/// Returns what was found without its text, which may be a secret that belongs to another key.
fn without_text(unexpected: &str) -> &str {
    if unexpected.starts_with("string ") {
        "text"
    } else {
        unexpected
    }
}

/// Returns what is expected without the name of a type of Rust.
fn plain(expected: &str) -> &str {
    match expected {
        "bool" | "boolean" | "a boolean" => "true or false",
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => "a whole number that is not negative",
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a string" | "string scalar" => "text",
        "a sequence" | "sequence start" => "a list",
        "a map" | "mapping start" => "a mapping",
        _ if expected.starts_with("struct ") => "a mapping",
        expected => expected,
    }
}
