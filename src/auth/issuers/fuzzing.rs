//! Fuzzed tokens: their form, signatures and claims, the rules about claims, and the key sets of issuers.

use std::path::Path;
use std::sync::OnceLock;

use jsonwebtoken::Algorithm;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::key_set::KeySet;
use super::{
    Audience, ClaimPath, GrantedValues, IssuerSettings, Issuers, KeySource, Rule, RuleGrant, RulePart, TokenConditions,
    rules, token,
};
use crate::auth::{AllowedDocuments, ApiKeys, Authenticator, Readers};
use crate::event::{Filter, Grant, GrantedPart, Rights, Rows, Scope, Scopes};

/// The subject of all tokens that the issuer's keys have signed. The keys themselves are gone.
const SUBJECT: &str = "somebody@example.com";

struct Trust {
    runtime: Runtime,
    authenticator: Authenticator,
    rules: Vec<Rule>,
}

static TRUST: OnceLock<Option<Trust>> = OnceLock::new();

/// Reads the input as a token, as the value of a header, as claims, and as a key set. Only a token that was signed with a key of
/// the issuer is accepted, and claims give no more than the rules.
pub(crate) fn tokens(input: &[u8]) {
    let Some(trust) = TRUST.get_or_init(trust) else { return };
    if let Ok(text) = std::str::from_utf8(input) {
        let text = text.trim();
        for header in [text, &format!("Bearer {text}")] {
            if let Ok(viewer) = trust.runtime.block_on(trust.authenticator.identify(Some(header))) {
                assert!(viewer.name.as_deref().is_some_and(|name| name == SUBJECT), "{text} was let in");
                check_rights(&viewer.rights);
            }
        }
        _ = token::named_issuer(text);
    }
    if let Ok(Value::Object(claims)) = serde_json::from_slice(input)
        && let Some(rights) = rules::rights(&trust.rules, &claims)
    {
        check_rights(&rights);
    }
    if let Ok(keys) = KeySet::parse(input) {
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            assert!(keys.find(None, algorithm).is_none(), "a shared secret is among the keys");
        }
        _ = keys.find(None, Algorithm::RS256);
        _ = keys.find(Some(""), Algorithm::ES256);
    }
}

fn trust() -> Option<Trust> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/keys.json");
    let conditions = TokenConditions {
        issuer: "https://acme.okta.com/oauth2/default".to_owned(),
        audience: Some(Audience { name: "api://sluice".to_owned(), setting: Audience::OF_ACCESS_TOKENS }),
        algorithms: vec![Algorithm::RS256, Algorithm::ES256],
        leeway_seconds: 30,
        // The seeds are to be valid for long.
        max_token_seconds: 10_000_000_000,
    };
    let rules = rules_of_seeds()?;
    let (name, keys, rules_of_issuer) = ("okta".to_owned(), KeySource::File(keys), rules.clone());
    let settings = IssuerSettings { name, keys, conditions, rules: rules_of_issuer, sign_in: None };
    let issuers = Issuers::new(vec![settings]).ok()?;
    let readers = Readers::new(vec![("reader".to_owned(), "a-token-that-no-seed-has".into())]);
    Some(Trust { runtime, authenticator: Authenticator::new(readers, issuers, ApiKeys::default()), rules })
}

/// Returns a rule for all of the org `globex`, and one for the instances of `acme` that a claim lists.
fn rules_of_seeds() -> Option<Vec<Rule>> {
    let claimed = RulePart::Instances(GrantedValues::Claimed(ClaimPath::new("/sluice/instances")?));
    let rule = |claim: &str, has: &str, scopes: &[Scope], org: &str, part| {
        let see = Some(vec![RuleGrant { org: org.to_owned(), part }]);
        let (claim, scopes) = (ClaimPath::new(claim)?, scopes.iter().copied().collect());
        Some(Rule { claim, has: has.to_owned(), scopes, see, documents: AllowedDocuments::Any })
    };
    Some(vec![
        rule("groups", "auditors", &[Scope::EventsRead, Scope::PeopleRead], "globex", RulePart::Whole)?,
        rule("scope", "events", &[Scope::EventsRead], "acme", claimed)?,
    ])
}

fn check_rights(rights: &Rights) {
    let most: Scopes = [Scope::EventsRead, Scope::PeopleRead].into_iter().collect();
    assert!(rights.scopes().iter().all(|scope| most.has(scope)), "{rights}");
    let Rows::Granted(grants) = rights.rows() else { return assert_ne!(rights.rows(), &Rows::All) };
    for Grant { org, part } in grants.iter() {
        match part {
            GrantedPart::Whole => assert_eq!(org, "globex"),
            GrantedPart::Instances(values) => assert!(org == "acme" && values.len() <= Filter::MAX_VALUES),
            GrantedPart::Applications(_) => assert_eq!(org, "none"),
        }
    }
}
