//! Rules: from the claims of a token to grants.

use serde_json::{Map, Value};
use tranship::{Error, ErrorKind, Result};
use wildmatch::WildMatch;

use crate::access::grants::Grant;

/// What a token may do whose claims have certain values.
#[derive(Debug, Clone)]
pub struct OidcRule {
    claims: Vec<(String, WildMatch)>,
    grants: Vec<Grant>,
}

impl OidcRule {
    /// Gives `grants` to tokens whose claims all match: pairs of the name of a claim and a pattern of its value, in
    /// which `*` matches any text and `?` one character.
    ///
    /// ```
    /// use tranship_server::OidcRule;
    ///
    /// let claims = [("repository", "acme/app"), ("ref", "refs/heads/*")];
    /// OidcRule::new(claims, ["acme/**:rw".parse()?])?;
    /// # Ok::<(), tranship::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) without claims: every token of the issuer would match, and an
    /// issuer such as that of a public CI service issues tokens to anyone.
    pub fn new<N: AsRef<str>, V: AsRef<str>>(
        claims: impl IntoIterator<Item = (N, V)>,
        grants: impl IntoIterator<Item = Grant>,
    ) -> Result<Self> {
        let claims = claims.into_iter();
        let claims: Vec<_> = claims
            .map(|(name, pattern)| (name.as_ref().to_owned(), WildMatch::new(pattern.as_ref())))
            .collect();
        if claims.is_empty() {
            let message = "a rule for OpenID Connect tokens has no claims, so that it would match \
                           every token of the issuer";
            return Err(Error::new(ErrorKind::InvalidInput, message)
                .with_hint("name claims such as repository: acme/app"));
        }
        Ok(Self {
            claims,
            grants: grants.into_iter().collect(),
        })
    }

    pub(super) fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// Returns whether all claims of the rule are in `claims` and match. One of the values of a list must match.
    pub(super) fn matches(&self, claims: &Map<String, Value>) -> bool {
        self.claims.iter().all(|(name, pattern)| {
            let matches_one = |value: &Value| match value {
                Value::String(text) => pattern.matches(text),
                Value::Bool(value) => pattern.matches(&value.to_string()),
                Value::Number(value) => pattern.matches(&value.to_string()),
                _ => false,
            };
            match claims.get(name) {
                Some(Value::Array(values)) => values.iter().any(matches_one),
                Some(value) => matches_one(value),
                None => false,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn matches(rule: &[(&str, &str)], claims: Value) -> bool {
        let rule = OidcRule::new(rule.iter().copied(), []).expect("a rule");
        rule.matches(claims.as_object().expect("an object"))
    }

    #[test]
    fn all_claims_of_a_rule_must_match() {
        let rule = [("repository", "acme/*"), ("ref", "refs/heads/main")];
        let claims =
            |repository: &str, branch: &str| json!({"repository": repository, "ref": branch});
        assert!(matches(&rule, claims("acme/app", "refs/heads/main")));
        assert!(!matches(&rule, claims("acme/app", "refs/heads/other")));
        assert!(!matches(&rule, claims("acme2/app", "refs/heads/main")));
        assert!(!matches(&rule, json!({"repository": "acme/app"})));
        assert!(!matches(&rule, json!({})));
    }

    #[test]
    fn lists_and_other_values_match_as_text() {
        let claims =
            json!({"groups": ["a", "b"], "protected": true, "id": 7, "nested": {"a": "b"}});
        assert!(matches(
            &[("groups", "b"), ("protected", "true"), ("id", "7")],
            claims.clone()
        ));
        assert!(!matches(&[("groups", "c")], claims.clone()));
        assert!(!matches(&[("nested", "*")], claims));
    }

    #[test]
    fn a_rule_needs_claims() {
        let none: [(&str, &str); 0] = [];
        OidcRule::new(none, []).expect_err("no claims");
    }
}
