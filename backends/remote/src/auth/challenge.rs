//! The challenges in `WWW-Authenticate` (RFC 9110, section 11.6.1).

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

/// One challenge: a scheme and its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Challenge {
    scheme: String,
    token68: Option<String>,
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// Returns the challenges of all values of the header, in their order. Only the malformed parts are skipped.
    pub(crate) fn parse_all(headers: &HeaderMap) -> Vec<Self> {
        let mut challenges = Vec::new();
        for value in headers.get_all(WWW_AUTHENTICATE) {
            let text = String::from_utf8_lossy(value.as_bytes());
            Parser { rest: &text }.parse_into(&mut challenges);
        }
        challenges
    }

    /// Returns whether the scheme is `scheme`, without regard to case.
    pub(crate) fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// Returns the first parameter with the name `name`, without regard to case.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// Parses one header value. Both commas and blanks separate parameters, because some registries omit the comma. This is not
/// ambiguous.
struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn parse_into(&mut self, challenges: &mut Vec<Challenge>) {
        // Parameters before the first scheme are skipped.
        let mut current: Option<Challenge> = None;
        loop {
            self.skip(|c| is_blank(c) || c == ',');
            if self.rest.is_empty() {
                break;
            }
            let name = self.take(is_token);
            if name.is_empty() {
                self.skip_element();
                continue;
            }
            let after_name = self.rest;
            self.skip(is_blank);
            if self.accept('=') {
                self.skip(is_blank);
                match (self.value(), &mut current) {
                    (Some(value), Some(challenge)) => {
                        challenge.parameters.push((name.to_owned(), value));
                    }
                    (Some(_), None) => {}
                    (None, _) => self.skip_element(),
                }
            } else {
                self.rest = after_name;
                challenges.extend(current.take());
                current = Some(Challenge {
                    scheme: name.to_owned(),
                    token68: self.token68(),
                    parameters: Vec::new(),
                });
            }
        }
        challenges.extend(current);
    }

    /// Parses the value of a parameter: a quoted string, or everything up to a comma or a blank. This allows more characters
    /// than a token, because some registries send URLs without quotes.
    fn value(&mut self) -> Option<String> {
        if self.accept('"') {
            return self.quoted();
        }
        let value = self.take(|c| !is_blank(c) && c != ',' && c != '"');
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// Parses the rest of a quoted string after its opening quote. Returns `None` and skips everything if it does not end.
    fn quoted(&mut self) -> Option<String> {
        let mut value = String::new();
        let mut characters = self.rest.chars();
        while let Some(character) = characters.next() {
            match character {
                '"' => {
                    self.rest = characters.as_str();
                    return Some(value);
                }
                '\\' => value.extend(characters.next()),
                _ => value.push(character),
            }
        }
        self.rest = "";
        None
    }

    /// Parses the token68 that may follow a scheme in place of parameters. Unlike a parameter, it extends to the next comma.
    fn token68(&mut self) -> Option<String> {
        let before = self.rest;
        self.skip(is_blank);
        let start = self.rest;
        if self.take(is_token68).is_empty() {
            self.rest = before;
            return None;
        }
        self.skip(|c| c == '=');
        let token = &start[..start.len() - self.rest.len()];
        self.skip(is_blank);
        if self.rest.is_empty() || self.rest.starts_with(',') {
            return Some(token.to_owned());
        }
        self.rest = before;
        None
    }

    /// Skips to the next comma outside of quotes.
    fn skip_element(&mut self) {
        loop {
            self.skip(|c| c != ',' && c != '"');
            if !self.accept('"') {
                break;
            }
            // Only its length matters.
            let _ = self.quoted();
        }
    }

    fn take(&mut self, matches: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !matches(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn skip(&mut self, matches: impl Fn(char) -> bool) {
        self.take(matches);
    }

    fn accept(&mut self, expected: char) -> bool {
        let rest = self.rest.strip_prefix(expected);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }
}

fn is_blank(c: char) -> bool {
    c == ' ' || c == '\t'
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

fn is_token68(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~+/".contains(c)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn parse(values: &[&str]) -> Vec<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(
                WWW_AUTHENTICATE,
                HeaderValue::from_bytes(value.as_bytes()).expect("a header value"),
            );
        }
        Challenge::parse_all(&headers)
    }

    fn challenge(scheme: &str, parameters: &[(&str, &str)]) -> Challenge {
        Challenge {
            scheme: scheme.to_owned(),
            token68: None,
            parameters: parameters
                .iter()
                .map(|&(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }

    fn opaque(scheme: &str, token68: &str) -> Challenge {
        Challenge {
            token68: Some(token68.to_owned()),
            ..challenge(scheme, &[])
        }
    }

    #[test]
    fn the_vectors_of_oras_go_hold() {
        let realm = [("realm", "https://auth.example/token")];
        let all = [
            ("realm", "https://auth.example/token"),
            ("service", "registry.example"),
            ("scope", "repository:a:pull repository:b:pull,push"),
        ];
        let vectors: &[(&str, &[Challenge])] = &[
            ("", &[]),
            ("foo bar", &[opaque("foo", "bar")]),
            ("Basic", &[challenge("Basic", &[])]),
            ("Basic  ", &[challenge("Basic", &[])]),
            (
                "Basic realm=\"x\"",
                &[challenge("Basic", &[("realm", "x")])],
            ),
            ("Bearer", &[challenge("Bearer", &[])]),
            ("bEARER  ", &[challenge("bEARER", &[])]),
            (
                "Bearer realm=\"https://auth.example/token\",service=\"registry.example\",scope=\"repository:a:pull repository:b:pull,push\"",
                &[challenge("Bearer", &all)],
            ),
            (
                "Bearer realm = \"https://auth.example/token\"   ,service=registry.example, scope  =\"repository:a:pull repository:b:pull,push\"  ",
                &[challenge("Bearer", &all)],
            ),
            (
                "Bearer realm=\"https://auth.example/token\",service",
                &[challenge("Bearer", &realm), challenge("service", &[])],
            ),
            (
                "Bearer realm=\"https://auth.example/token\",service=",
                &[challenge("Bearer", &realm)],
            ),
            (
                "Bearer realm=\"https://auth.example/token\",service= ",
                &[challenge("Bearer", &realm)],
            ),
            (
                "Bearer realm=\"https://auth.example/token\",service=\"registry",
                &[challenge("Bearer", &realm)],
            ),
            (
                "Bearer realm=\"https://auth.example/token\",empty=\"\",foo=\"foo\\\"bar\"",
                &[challenge(
                    "Bearer",
                    &[realm[0], ("empty", ""), ("foo", "foo\"bar")],
                )],
            ),
        ];
        for (value, expected) in vectors {
            assert_eq!(parse(&[value]), *expected, "{value}");
        }
    }

    #[test]
    fn several_challenges_are_told_apart() {
        let both = [
            challenge("Bearer", &[("realm", "r"), ("service", "s, t")]),
            challenge("Basic", &[("realm", "b")]),
        ];
        assert_eq!(
            parse(&["Bearer realm=r, service=\"s, t\", Basic realm=\"b\""]),
            both
        );
        assert_eq!(
            parse(&["Bearer realm=r, service=\"s, t\"", "Basic realm=\"b\""]),
            both
        );
        assert_eq!(
            parse(&[", ,\tBearer realm=r ,, service=\"s, t\" ,,Basic\t realm=b, ,"]),
            both
        );
        // Without the comma that should be there.
        assert_eq!(
            parse(&["Bearer realm=r service=\"s, t\" Basic realm=b"]),
            both
        );
    }

    #[test]
    fn a_token68_is_told_from_parameters() {
        assert_eq!(
            parse(&["Negotiate YWJj/+==, Basic, NTLM a="]),
            [
                opaque("Negotiate", "YWJj/+=="),
                challenge("Basic", &[]),
                opaque("NTLM", "a="),
            ]
        );
        assert_eq!(
            parse(&["Basic Bearer realm=r"]),
            [
                challenge("Basic", &[]),
                challenge("Bearer", &[("realm", "r")])
            ]
        );
    }

    #[test]
    fn what_is_malformed_hides_as_little_as_possible() {
        assert_eq!(
            parse(&["Bearer realm=\"r\", =x\"a,b\", service=\"s\", (), scope=https://a/b?c=d"]),
            [challenge(
                "Bearer",
                &[
                    ("realm", "r"),
                    ("service", "s"),
                    ("scope", "https://a/b?c=d")
                ]
            )]
        );
        assert_eq!(parse(&["realm=\"r\", Basic"]), [challenge("Basic", &[])]);
    }

    #[test]
    fn names_are_found_in_any_case_and_the_first_counts() {
        let challenges = parse(&["BEARER Realm=a, REALM=b"]);
        assert!(challenges[0].is("Bearer"));
        assert_eq!(challenges[0].parameter("realm"), Some("a"));
        assert_eq!(challenges[0].parameter("scope"), None);
    }

    fn print(challenges: &[Challenge]) -> String {
        let mut text = String::new();
        for challenge in challenges {
            if !text.is_empty() {
                text.push_str(", ");
            }
            text.push_str(&challenge.scheme);
            if let Some(token68) = &challenge.token68 {
                write!(text, " {token68}").expect("written");
            }
            for (index, (name, value)) in challenge.parameters.iter().enumerate() {
                let separator = if index == 0 { " " } else { "," };
                let value = value.replace('\\', "\\\\").replace('"', "\\\"");
                write!(text, "{separator}{name}=\"{value}\"").expect("written");
            }
        }
        text
    }

    fn any_challenge() -> impl Strategy<Value = Challenge> {
        let token = "[A-Za-z0-9!#$%&'*+.^_`|~-]{1,8}";
        let parameters = prop::collection::vec((token, "[ -~äé世]{0,12}"), 0..4);
        (
            token,
            prop::option::of("[A-Za-z0-9._~+/-]{1,8}={0,2}"),
            parameters,
        )
            .prop_map(|(scheme, token68, parameters)| Challenge {
                scheme,
                parameters: if token68.is_some() {
                    Vec::new()
                } else {
                    parameters
                },
                token68,
            })
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_back(challenges in prop::collection::vec(any_challenge(), 0..4)) {
            prop_assert_eq!(parse(&[&print(&challenges)]), challenges);
        }

        #[test]
        fn nothing_makes_it_panic(text in "[\t -~ä世]{0,40}", quoted in "[A-Za-z=,\"\\\\ \t]{0,40}") {
            parse(&[&text, &quoted]);
        }

        #[test]
        fn not_even_bytes_that_are_no_text(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let mut headers = HeaderMap::new();
                headers.append(WWW_AUTHENTICATE, value);
                Challenge::parse_all(&headers);
            }
        }
    }
}
