//! Explanations of tokens: which issuer a token is of, whether it is accepted, and what each rule makes of its claims.

use jsonwebtoken::decode_header;
use serde_json::Value;

use super::claims::TokenClaims;
use super::mismatch::{Mismatch, note_of_grant};
use super::rules::{self, GrantedValues, Rule, RuleGrant, RulePart};
use super::token::{claimed, named_issuer};
use super::token_fault::TokenFault;
use super::{Issuer, Issuers, subject};
use crate::event::{Rights, Timestamp};

/// The explanation of a token.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenExplanation {
    /// The issuer's name in the settings.
    pub issuer: String,
    /// The issuer's URL.
    pub url: String,
    /// The name of the token's subject.
    pub subject: String,
    /// The time until which the token is accepted; None for claims without a token.
    pub expires: Option<Timestamp>,
    /// The reason why the token is refused, whatever its rights would be.
    pub fault: Option<TokenFault>,
    /// The reason why the issuer's keys could not be fetched.
    pub keys_fault: Option<String>,
    /// The key that the token names, and those that the issuer has, if the token's is unknown.
    pub unknown_key: Option<String>,
    /// The names of the claims.
    pub claims: Vec<String>,
    /// The issuer's rules, in their order.
    pub rules: Vec<RuleExplanation>,
    /// The rights that the rules give; None if none matches.
    pub rights: Option<Rights>,
}

/// The explanation of one rule.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleExplanation {
    /// The claim that the rule looks at.
    pub claim: String,
    /// The text that the claim must have.
    pub has: String,
    /// The rights that the rule gives, or the reason why it does not match.
    pub result: Result<Rights, Mismatch>,
    /// Remarks on the grants of a rule that matches: that one shows nothing, for example.
    pub notes: Vec<String>,
}

impl Issuers {
    /// Explains a token, with the keys of its issuer, which are fetched.
    ///
    /// # Errors
    /// The text is no token, or of no configured issuer.
    pub async fn explain_token(&self, token: &str) -> Result<TokenExplanation, TokenFault> {
        let issuer = self.named(&named_issuer(token)?)?;
        let conditions = &issuer.settings.conditions;
        let (expires, fault) = match conditions.verify(&issuer.settings.name, token, &issuer.keys).await {
            Ok(verified) => (Some(verified.expires), None),
            Err(fault) => (None, Some(fault)),
        };
        let claims = claimed(token)?;
        let unknown_key = fault.as_ref().filter(|fault| matches!(fault, TokenFault::UnknownKey { .. }));
        let unknown_key = unknown_key.map(|_| issuer.unknown_key(token));
        Ok(TokenExplanation { unknown_key, ..issuer.explain(&claims, expires, fault) })
    }

    /// Explains claims without a token. Nothing about them is verified; without `iss`, they are of the only issuer.
    ///
    /// # Errors
    /// The claims name no configured issuer.
    pub fn explain_claims(&self, claims: &TokenClaims) -> Result<TokenExplanation, TokenFault> {
        let issuers = self.all();
        let issuer = match (claims.get("iss"), &issuers[..]) {
            (Some(Value::String(name)), _) => self.named(name)?,
            (None, [only]) => only.clone(),
            _ => return Err(TokenFault::Claim("iss".to_owned())),
        };
        Ok(issuer.explain(claims, None, None))
    }
}

impl Issuer {
    /// Describes the key that a token names, beside those that the issuer has.
    fn unknown_key(&self, token: &str) -> String {
        let named = decode_header(token).ok().and_then(|header| header.kid);
        let named = named.map_or_else(
            || "the token names none (kid), which is enough only where one key fits".to_owned(),
            |id| format!("the token names {id:?}"),
        );
        format!("{named}; the issuer has {:?}", self.keys.ids())
    }

    fn explain(&self, claims: &TokenClaims, expires: Option<Timestamp>, fault: Option<TokenFault>) -> TokenExplanation {
        let settings = &self.settings;
        TokenExplanation {
            issuer: settings.name.clone(),
            url: settings.conditions.issuer.clone(),
            subject: subject(claims).unwrap_or_else(|| "nobody: there is no claim sub, client_id or cid".to_owned()),
            expires,
            keys_fault: fault.as_ref().and_then(|_| self.keys.failure()),
            fault,
            unknown_key: None,
            claims: claims.keys().cloned().collect(),
            rules: settings.rules.iter().map(|rule| rule.explain(claims)).collect(),
            rights: rules::rights(&settings.rules, claims),
        }
    }
}

impl Rule {
    fn explain(&self, claims: &TokenClaims) -> RuleExplanation {
        let claim = self.claim.to_string();
        let rights = rules::rights(std::slice::from_ref(self), claims);
        let result = rights.ok_or_else(|| Mismatch::of(&self.claim, claims));
        let grants = self.see.iter().flatten().filter(|_| result.is_ok());
        let notes = grants.filter_map(|RuleGrant { org, part }| match part {
            RulePart::Applications(GrantedValues::Claimed(claim))
            | RulePart::Instances(GrantedValues::Claimed(claim)) => note_of_grant(org, claim, claims),
            _ => None,
        });
        RuleExplanation { claim, has: self.has.clone(), notes: notes.collect(), result }
    }
}
