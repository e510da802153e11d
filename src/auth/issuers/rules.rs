//! Rules: the rights that the claims of a token give.

use super::claims::{ClaimPath, TokenClaims};
use crate::auth::viewer::AllowedDocuments;
use crate::event::{Filter, Grant, GrantedPart, Rights, Rows, Scope, Scopes};

/// The scopes that are about rows.
const SCOPES_OF_ROWS: [Scope; 3] = [Scope::EventsRead, Scope::IngestionRead, Scope::Ingest];

/// A rule of an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The claim that the rule looks at.
    pub claim: ClaimPath,
    /// The text that the claim must have, alone or in a list.
    pub has: String,
    /// The scopes that the rule gives.
    pub scopes: Scopes,
    /// The rows that the rule gives; None for all.
    pub see: Option<Vec<RuleGrant>>,
    /// The documents that the rule lets a token send.
    pub documents: AllowedDocuments,
}

/// A grant of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleGrant {
    /// The configured name of the Okta org.
    pub org: String,
    /// The part of the org.
    pub part: RulePart,
}

/// The part of an org that a rule grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RulePart {
    /// Everything in the org.
    Whole,
    /// The events of these applications.
    Applications(GrantedValues),
    /// The events of these application instances.
    Instances(GrantedValues),
}

/// The values of a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantedValues {
    /// Values from the settings.
    Listed(Vec<String>),
    /// The values of a claim. A token without the claim is granted nothing.
    Claimed(ClaimPath),
}

impl GrantedValues {
    fn of(&self, claims: &TokenClaims) -> Vec<String> {
        match self {
            Self::Listed(values) => values.clone(),
            Self::Claimed(claim) => {
                let values = claim.texts(claims).into_iter().filter(|text| !text.is_empty() && !text.contains('\0'));
                // A filter takes no more values. The rest is not seen.
                values.take(Filter::MAX_VALUES).map(str::to_owned).collect()
            }
        }
    }
}

impl Rule {
    /// Returns true if the claims have what the rule asks for.
    pub(super) fn matches(&self, claims: &TokenClaims) -> bool {
        self.claim.texts(claims).contains(&self.has.as_str())
    }

    /// Returns the grants of the rule to a token; None for everything.
    fn grants(&self, claims: &TokenClaims) -> Option<Vec<Grant>> {
        let grant = |RuleGrant { org, part }: &RuleGrant| {
            let part = match part {
                RulePart::Whole => GrantedPart::Whole,
                RulePart::Applications(values) => GrantedPart::Applications(values.of(claims)),
                RulePart::Instances(values) => GrantedPart::Instances(values.of(claims)),
            };
            Grant { org: org.clone(), part }
        };
        let is_empty = |part: &GrantedPart| matches!(part, GrantedPart::Applications(values) | GrantedPart::Instances(values) if values.is_empty());
        Some(self.see.as_ref()?.iter().map(grant).filter(|grant| !is_empty(&grant.part)).collect())
    }
}

/// Returns the rights that rules give to claims; None if no rule matches. What matching rules give adds up: their scopes, and
/// the rows of those that have a scope for rows. A rule with another scope alone, such as `metrics`, adds no rows.
pub(super) fn rights(rules: &[Rule], claims: &TokenClaims) -> Option<Rights> {
    let matching: Vec<_> = rules.iter().filter(|rule| rule.matches(claims)).collect();
    if matching.is_empty() {
        return None;
    }
    let scopes = matching.iter().flat_map(|rule| rule.scopes.iter()).collect();
    let with_rows = matching.iter().filter(|rule| SCOPES_OF_ROWS.iter().any(|scope| rule.scopes.has(*scope)));
    let grants: Option<Vec<_>> = with_rows.map(|rule| rule.grants(claims)).collect();
    let rows = grants.map_or(Rows::All, |grants| Rows::granted(grants.into_iter().flatten()));
    Some(Rights::new(scopes, rows))
}

/// Returns the documents that a token with these claims may send: any, if one of the matching rules lets it.
pub(super) fn documents(rules: &[Rule], claims: &TokenClaims) -> AllowedDocuments {
    let mut matching = rules.iter().filter(|rule| rule.matches(claims));
    if matching.any(|rule| rule.documents == AllowedDocuments::Any) {
        AllowedDocuments::Any
    } else {
        AllowedDocuments::Trusted
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn claims(value: Value) -> TokenClaims {
        let Value::Object(claims) = value else { panic!() };
        claims
    }

    fn rule(has: &str, scopes: &[Scope], see: Option<Vec<RuleGrant>>) -> Rule {
        let claim = ClaimPath::new("groups").unwrap();
        let (scopes, documents) = (scopes.iter().copied().collect(), AllowedDocuments::Any);
        Rule { claim, has: has.to_owned(), scopes, see, documents }
    }

    fn claimed_instances() -> Vec<RuleGrant> {
        let claim = ClaimPath::new("instances").unwrap();
        vec![RuleGrant { org: "acme".to_owned(), part: RulePart::Instances(GrantedValues::Claimed(claim)) }]
    }

    #[test]
    fn what_matching_rules_give_adds_up() {
        let whole = vec![RuleGrant { org: "other".to_owned(), part: RulePart::Whole }];
        let rules = [
            rule("some", &[Scope::EventsRead], Some(claimed_instances())),
            rule("people", &[Scope::EventsRead, Scope::PeopleRead], Some(whole)),
            rule("auditors", &[Scope::EventsRead], None),
            rule("operators", &[Scope::Metrics], None),
        ];
        let of = |value| rights(&rules, &claims(value));
        assert_eq!(of(json!({})), None);
        assert_eq!(of(json!({"groups": "nobody"})), None);
        let some = of(json!({"groups": ["some", "others"], "instances": ["0oa1", "0oa2", ""]})).unwrap();
        let instances = GrantedPart::Instances(vec!["0oa1".to_owned(), "0oa2".to_owned()]);
        let grant = Grant { org: "acme".to_owned(), part: instances };
        assert_eq!(some, Rights::new([Scope::EventsRead].into_iter().collect(), Rows::granted([grant.clone()])));
        let both = of(json!({"groups": ["some", "people"], "instances": ["0oa1", "0oa2"]})).unwrap();
        let whole = Grant { org: "other".to_owned(), part: GrantedPart::Whole };
        let scopes = [Scope::EventsRead, Scope::PeopleRead];
        assert_eq!(both, Rights::new(scopes.into_iter().collect(), Rows::granted([grant, whole])));
        let all = of(json!({"groups": ["some", "auditors"]})).unwrap();
        assert_eq!(*all.rows(), Rows::All);
        let operator = of(json!({"groups": ["operators"]})).unwrap();
        assert_eq!((operator.rows(), operator.has(Scope::Metrics)), (Rows::nothing(), true));
        let both = of(json!({"groups": ["operators", "some"], "instances": ["0oa1", "0oa2"]})).unwrap();
        assert_eq!((both.rows(), both.has(Scope::Metrics)), (some.rows(), true));
    }

    #[test]
    fn trusted_documents_are_all_unless_another_rule_gives_more() {
        let trusted = Rule { documents: AllowedDocuments::Trusted, ..rule("pages", &[Scope::EventsRead], None) };
        let rules = [trusted, rule("auditors", &[Scope::EventsRead], None)];
        for (groups, expected) in [
            (json!(["pages"]), AllowedDocuments::Trusted),
            (json!(["auditors"]), AllowedDocuments::Any),
            (json!(["pages", "auditors"]), AllowedDocuments::Any),
        ] {
            assert_eq!(documents(&rules, &claims(json!({ "groups": groups }))), expected, "{groups}");
        }
    }

    #[test]
    fn a_missing_claim_grants_nothing() {
        let rules = [rule("some", &[Scope::EventsRead], Some(claimed_instances()))];
        for instances in [json!(null), json!([]), json!([""]), json!([1]), json!({"0oa1": true})] {
            let rights = rights(&rules, &claims(json!({"groups": ["some"], "instances": instances}))).unwrap();
            assert_eq!(rights.rows(), Rows::nothing(), "{instances}");
        }
    }
}
