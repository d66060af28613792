//! The vectors of `fixtures/vectors`: what is accepted, what is refused, and on account of what.
//!
//! A vector is an `input` with what must come of it, and `why`. Where the outcome is not that of
//! ORAS Go v2, `differs` says how. Text is a string, or a list of strings and `{"repeat", "times"}`.

use std::fmt::{Debug, Display};
use std::path::Path;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tranship::{
    Digest, Error, ErrorKind, Reference, RegistryName, RepositoryName, Tag, TagOrDigest,
};

type Outcome = Result<(), String>;

#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Plain(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Part {
    Plain(String),
    Repeated { repeat: String, times: usize },
}

impl Text {
    fn get(&self) -> String {
        let part = |part: &Part| match part {
            Part::Plain(text) => text.clone(),
            Part::Repeated { repeat, times } => repeat.repeat(*times),
        };
        match self {
            Self::Plain(text) => text.clone(),
            Self::Parts(parts) => parts.iter().map(part).collect(),
        }
    }
}

/// Runs every vector of a file, and fails with all of those that did not come out as they should.
fn check<V: DeserializeOwned>(file: &str, run: impl Fn(&V) -> (String, Outcome)) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/vectors")
        .join(file);
    let json = std::fs::read(&path).expect("the file of vectors");
    let vectors: Vec<V> = serde_json::from_slice(&json).expect("well-formed vectors");
    assert!(!vectors.is_empty(), "no vectors in {file}");
    let failures: Vec<String> = vectors
        .iter()
        .map(run)
        .filter_map(|(input, outcome)| outcome.err().map(|why| format!("{input:?}: {why}")))
        .collect();
    assert!(
        failures.is_empty(),
        "{} of {} vectors of {file} fail:\n{}",
        failures.len(),
        vectors.len(),
        failures.join("\n")
    );
}

fn expect_equal<T: PartialEq + Debug>(what: &str, actual: T, expected: T) -> Outcome {
    if actual == expected {
        Ok(())
    } else {
        Err(format!("{what} is {actual:?}, not {expected:?}"))
    }
}

fn expect_kind<T: Display>(result: Result<T, Error>, expected: ErrorKind) -> Result<Error, String> {
    match result {
        Ok(value) => Err(format!("was read as {value}")),
        Err(error) if error.kind() == expected => Ok(error),
        Err(error) => Err(format!(
            "{:?} instead of {expected:?}: {error}",
            error.kind()
        )),
    }
}

#[derive(Deserialize)]
struct ReferenceVector {
    input: Text,
    #[serde(default)]
    registry: String,
    #[serde(default)]
    repository: String,
    reference: Option<Text>,
    #[serde(default)]
    host: String,
    /// Where it differs from the input.
    display: Option<String>,
    /// Which part is to blame; present where the input must be refused.
    error: Option<String>,
}

impl ReferenceVector {
    fn run(&self) -> (String, Outcome) {
        let input = self.input.get();
        let outcome = match &self.error {
            Some(part) => Self::expect_refused(&input, part),
            None => self.expect_parsed(&input),
        };
        (input, outcome)
    }

    fn expect_parsed(&self, input: &str) -> Outcome {
        let parsed: Reference = input.parse().map_err(|error: Error| error.to_string())?;
        let reference = parsed.reference().map(ToString::to_string);
        expect_equal("registry", parsed.registry().as_str(), &self.registry)?;
        expect_equal("repository", parsed.repository().as_str(), &self.repository)?;
        expect_equal("host", parsed.host(), &self.host)?;
        expect_equal(
            "reference",
            &reference,
            &self.reference.as_ref().map(Text::get),
        )?;
        let default = reference.unwrap_or_else(|| "latest".to_owned());
        expect_equal(
            "default",
            parsed.reference_or_default().to_string(),
            default,
        )?;
        if let Some(display) = &self.display {
            expect_equal("display", &parsed.to_string(), display)?;
        }
        expect_equal(
            "what display reads back as",
            parsed.to_string().parse().ok(),
            Some(parsed),
        )
    }

    fn expect_refused(input: &str, part: &str) -> Outcome {
        let error = expect_kind(input.parse::<Reference>(), ErrorKind::InvalidReference)?;
        // All parts but `missing` are named by `the …` in front.
        if error.to_string().contains(part) {
            Ok(())
        } else {
            Err(format!("the error does not blame the {part}: {error}"))
        }
    }
}

#[test]
fn references_are_read_as_the_vectors_say() {
    check("references.json", ReferenceVector::run);
}

#[derive(Deserialize)]
struct RelativeVector {
    repository: String,
    input: String,
    /// Absent where the input must be refused.
    reference: Option<String>,
}

impl RelativeVector {
    fn run(&self) -> (String, Outcome) {
        let outcome = self
            .repository
            .parse::<Reference>()
            .map_err(|error| error.to_string())
            .and_then(|repository| self.resolve(&repository));
        (self.input.clone(), outcome)
    }

    fn resolve(&self, repository: &Reference) -> Outcome {
        let resolved = repository.resolve_within(&self.input);
        let Some(expected) = &self.reference else {
            return expect_kind(resolved, ErrorKind::InvalidReference).map(drop);
        };
        let expected: TagOrDigest = expected.parse().map_err(|error: Error| error.to_string())?;
        expect_equal(
            "the reference",
            resolved.map_err(|error| error.to_string())?,
            repository.clone().with_reference(expected),
        )
    }
}

#[test]
fn references_within_a_repository_are_read_as_the_vectors_say() {
    check("within_repository.json", RelativeVector::run);
}

#[derive(Deserialize)]
struct NameVector {
    input: Text,
    valid: bool,
}

impl NameVector {
    fn run<T: FromStr<Err = Error> + Display>(&self) -> (String, Outcome) {
        let input = self.input.get();
        let outcome = match (input.parse::<T>(), self.valid) {
            (Ok(name), true) => expect_equal("display", name.to_string(), input.clone()),
            (Err(error), true) => Err(error.to_string()),
            (result, false) => expect_kind(result, ErrorKind::InvalidReference).map(drop),
        };
        (input, outcome)
    }
}

#[test]
fn registry_names_are_accepted_as_the_vectors_say() {
    check("registry_names.json", NameVector::run::<RegistryName>);
}

#[test]
fn repository_names_are_accepted_as_the_vectors_say() {
    check("repository_names.json", NameVector::run::<RepositoryName>);
}

#[test]
fn tags_are_accepted_as_the_vectors_say() {
    check("tags.json", NameVector::run::<Tag>);
}

#[test]
fn a_tag_is_a_tag_or_digest_exactly_where_it_has_no_colon() {
    check("tags.json", |vector: &NameVector| {
        let input = vector.input.get();
        let read = input.parse::<TagOrDigest>();
        let outcome = match vector.valid {
            true => expect_equal(
                "the tag",
                read.ok(),
                input.parse().ok().map(TagOrDigest::Tag),
            ),
            false => expect_kind(read, ErrorKind::InvalidReference).map(drop),
        };
        (input, outcome)
    });
}

#[derive(Deserialize)]
struct DigestVector {
    input: String,
    expect: Expectation,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Expectation {
    Valid,
    Invalid,
    Unsupported,
}

#[test]
fn digests_are_accepted_as_the_vectors_say() {
    check("digests.json", |vector: &DigestVector| {
        let parsed = vector.input.parse::<Digest>();
        let outcome = match vector.expect {
            Expectation::Valid => match parsed {
                Ok(digest) => expect_equal("display", digest.to_string(), vector.input.clone()),
                Err(error) => Err(error.to_string()),
            },
            Expectation::Invalid => expect_kind(parsed, ErrorKind::InvalidDigest).map(drop),
            Expectation::Unsupported => expect_kind(parsed, ErrorKind::Unsupported).map(drop),
        };
        (vector.input.clone(), outcome)
    });
}

#[test]
fn a_bad_digest_in_a_reference_is_a_bad_reference_with_the_digests_error_as_source() {
    check("digests.json", |vector: &DigestVector| {
        let parsed = format!("localhost/b@{}", vector.input).parse::<Reference>();
        let outcome = match vector.expect {
            Expectation::Valid => parsed.map(drop).map_err(|error| error.to_string()),
            // Nothing behind the `@` is form D.
            Expectation::Invalid if vector.input.is_empty() => {
                parsed.map(drop).map_err(|error| error.to_string())
            }
            Expectation::Invalid | Expectation::Unsupported => {
                expect_kind(parsed, ErrorKind::InvalidReference).and_then(|error| {
                    let source = std::error::Error::source(&error)
                        .and_then(|source| source.downcast_ref::<Error>())
                        .map(Error::kind);
                    let own = vector
                        .input
                        .parse::<Digest>()
                        .err()
                        .map(|error| error.kind());
                    expect_equal("the source's kind", source, own)
                })
            }
        };
        (vector.input.clone(), outcome)
    });
}
