//! Explanations of tokens: which issuer a token is of, whether it is accepted, and what each rule makes of its claims.

use serde_json::Value;

use super::claims::TokenClaims;
use super::rules::{self, Rule};
use super::token::{TokenFault, claimed, named_issuer};
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
}

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
        Ok(issuer.explain(&claims, expires, fault))
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
    fn explain(&self, claims: &TokenClaims, expires: Option<Timestamp>, fault: Option<TokenFault>) -> TokenExplanation {
        let settings = &self.settings;
        TokenExplanation {
            issuer: settings.name.clone(),
            url: settings.conditions.issuer.clone(),
            subject: subject(claims),
            expires,
            fault,
            claims: claims.keys().cloned().collect(),
            rules: settings.rules.iter().map(|rule| rule.explain(claims)).collect(),
            rights: rules::rights(&settings.rules, claims),
        }
    }
}

impl Rule {
    fn explain(&self, claims: &TokenClaims) -> RuleExplanation {
        let claim = self.claim.to_string();
        let result = rules::rights(std::slice::from_ref(self), claims).ok_or_else(|| {
            let texts = self.claim.texts(claims);
            match self.claim.value(claims) {
                None | Some(Value::Null) => Mismatch::NoClaim(claim.clone()),
                Some(value) if texts.is_empty() && *value != Value::Array(Vec::new()) => {
                    Mismatch::OtherType(claim.clone(), value.clone())
                }
                Some(_) => Mismatch::OtherTexts(claim.clone(), texts.into_iter().map(str::to_owned).collect()),
            }
        });
        RuleExplanation { claim, has: self.has.clone(), result }
    }
}
