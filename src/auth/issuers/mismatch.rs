//! The reasons why a rule does not match, or why its grant of a claim's values shows nothing.

use serde_json::Value;

use super::claims::{ClaimPath, TokenClaims};
use super::rules::Rule;
use crate::event::Filter;

/// The number of claims that a refusal names.
const SHOWN_CLAIMS: usize = 5;

/// The reason why a rule does not match.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Mismatch {
    /// The claim is missing.
    #[error("there is no claim {0}")]
    NoClaim(String),
    /// The claim has another type.
    #[error("the claim {0} is {1}, which is neither a text nor a list of texts")]
    OtherType(String, Value),
    /// The claim has other texts.
    #[error("the claim {0} has {1:?}")]
    OtherTexts(String, Vec<String>),
}

impl Mismatch {
    /// Returns the reason why a claim does not have what a rule asks for.
    pub(super) fn of(claim: &ClaimPath, claims: &TokenClaims) -> Self {
        let texts = claim.texts(claims);
        match claim.value(claims) {
            None | Some(Value::Null) => Self::NoClaim(claim.to_string()),
            Some(value) if texts.is_empty() && *value != Value::Array(Vec::new()) => {
                Self::OtherType(claim.to_string(), value.clone())
            }
            Some(_) => Self::OtherTexts(claim.to_string(), texts.into_iter().map(str::to_owned).collect()),
        }
    }

    /// Returns the reason without the claim's values, which log lines and answers must not have.
    fn without_values(&self) -> String {
        match self {
            Self::NoClaim(claim) => format!("{claim} is missing"),
            Self::OtherType(claim, _) => format!("{claim} is neither a text nor a list of texts"),
            Self::OtherTexts(claim, _) => format!("{claim} has other values"),
        }
    }
}

/// Returns why none of the rules matches: each claim that they look at, once.
pub(super) fn mismatches(rules: &[Rule], claims: &TokenClaims) -> String {
    let mut told: Vec<String> = Vec::new();
    for rule in rules {
        let reason = Mismatch::of(&rule.claim, claims).without_values();
        if told.contains(&reason) {
            continue;
        }
        if told.len() == SHOWN_CLAIMS {
            told.push("…".to_owned());
            break;
        }
        told.push(reason);
    }
    told.join(", ")
}

/// Returns a remark on a grant of the values of a claim: that it shows nothing, or not everything.
pub(super) fn note_of_grant(org: &str, claim: &ClaimPath, claims: &TokenClaims) -> Option<String> {
    let (most, values) = (Filter::MAX_VALUES, claim.texts(claims).len());
    if values == 0 {
        let reason = Mismatch::of(claim, claims).without_values();
        let reason = reason.replace("has other values", "is an empty list");
        return Some(format!("the grant of {org} shows nothing: {reason}"));
    }
    (values > most).then(|| format!("{claim} has {values} values, of which the first {most} count"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::auth::viewer::AllowedDocuments;

    fn claims(value: Value) -> TokenClaims {
        let Value::Object(claims) = value else { panic!() };
        claims
    }

    #[test]
    fn each_claim_is_named_once_and_no_value_is() {
        let rule = |claim: &str, has: &str| Rule {
            claim: ClaimPath::new(claim).unwrap(),
            has: has.to_owned(),
            scopes: std::iter::empty().collect(),
            see: None,
            documents: AllowedDocuments::Any,
        };
        let rules = [rule("groups", "a"), rule("groups", "b"), rule("scp", "c"), rule("/realm/roles", "d")];
        let found = claims(json!({"groups": ["secret"], "realm": {"roles": [1]}}));
        let told = "groups has other values, scp is missing, /realm/roles is neither a text nor a list of texts";
        assert_eq!(mismatches(&rules, &found), told);
        let many: Vec<_> = (0..9).map(|index| rule(&format!("claim{index}"), "x")).collect();
        assert!(mismatches(&many, &found).ends_with("claim4 is missing, …"));
    }

    #[test]
    fn a_grant_that_shows_nothing_or_not_all_is_noted() {
        let claim = ClaimPath::new("instances").unwrap();
        let note = |value: Value| note_of_grant("acme", &claim, &claims(json!({ "instances": value })));
        assert_eq!(note(json!(["0oa1"])), None);
        let many = vec!["0oa1"; Filter::MAX_VALUES + 1];
        assert_eq!(note(json!(many)).unwrap(), "instances has 1001 values, of which the first 1000 count");
        for (value, reason) in [
            (json!(null), "instances is missing"),
            (json!([]), "instances is an empty list"),
            (json!(7), "instances is neither a text nor a list of texts"),
        ] {
            assert_eq!(note(value).unwrap(), format!("the grant of acme shows nothing: {reason}"));
        }
    }
}
