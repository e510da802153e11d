//! The `[[issuers]]` tables: the authorities whose tokens give rights, and the rules by which they do.

use std::collections::{BTreeMap, BTreeSet};

use jsonwebtoken::Algorithm;
use url::Url;

use super::check::Checker;
use super::file::{IssuerTable, ListOrClaim, RuleGrantTable, RuleTable};
use super::settings::OrgSettings;
use crate::auth::{
    Audience, ClaimPath, GrantedValues, IssuerSettings, Issuers, KeySource, Rule, RuleGrant, RulePart, TokenConditions,
    is_safe,
};

/// The algorithms with which tokens may be signed if the settings name none.
const DEFAULT_ALGORITHMS: [Algorithm; 2] = [Algorithm::RS256, Algorithm::ES256];

/// The algorithms that the settings may name: none with a shared secret, which the gateway could use as well.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// The domains of Okta's orgs.
const OKTA_DOMAINS: [&str; 3] = ["okta.com", "oktapreview.com", "okta-emea.com"];

/// The default tolerance for differences between clocks, in seconds.
const LEEWAY_SECONDS: u64 = 30;

/// The default of the longest time for which a token may be valid, in seconds.
const MAX_TOKEN_SECONDS: u64 = 86_400;

impl Checker<'_> {
    /// Checks the issuers, whose names and URLs must differ.
    pub(super) fn issuers(
        &mut self,
        tables: Vec<IssuerTable>,
        orgs: &BTreeMap<String, OrgSettings>,
        has_public_url: bool,
    ) -> Issuers {
        let (mut names, mut urls) = (BTreeSet::new(), BTreeSet::new());
        let mut issuers = Vec::with_capacity(tables.len());
        for (index, table) in tables.into_iter().enumerate() {
            let place = format!("issuers[{index}] ({})", table.name);
            if table.name.is_empty() {
                self.faults.push(format!("{place}.name: must not be empty"));
            }
            if !names.insert(table.name.clone()) {
                self.faults.push(format!("{place}: another issuer has this name"));
            }
            if !urls.insert(table.url.clone()) {
                self.faults.push(format!("{place}.url: another issuer has this URL"));
            }
            self.warnings.extend(warning_of_okta(&place, &table));
            if table.sign_in.is_some() && !has_public_url {
                self.faults.push(format!(
                    "{place}.sign_in: access.public_url is missing: without it, people could not be sent back after they have signed in"
                ));
            }
            issuers.extend(self.issuer(&place, table, orgs));
        }
        Issuers::new(issuers).unwrap_or_else(|error| {
            self.faults.push(format!("issuers: no HTTP client for their keys ({error})"));
            Issuers::default()
        })
    }

    fn issuer(
        &mut self,
        place: &str,
        table: IssuerTable,
        orgs: &BTreeMap<String, OrgSettings>,
    ) -> Option<IssuerSettings> {
        self.audience(place, &table);
        let sign_in = table.sign_in.map(|sign_in| self.sign_in(place, sign_in, table.jwks.is_some()));
        if table.rules.is_empty() {
            self.faults
                .push(format!("{place}.rules: there are none, so no token would have rights: add [[issuers.rules]]"));
        }
        let algorithms = self.algorithms(place, table.algorithms.as_deref());
        let leeway_seconds = table.leeway_seconds.unwrap_or(LEEWAY_SECONDS);
        if leeway_seconds > 300 {
            self.faults.push(format!("{place}.leeway_seconds: {leeway_seconds}, at most 300 are allowed"));
        }
        let max_token_seconds = table.max_token_seconds.unwrap_or(MAX_TOKEN_SECONDS);
        if !(1..=31_536_000).contains(&max_token_seconds) {
            self.faults.push(format!("{place}.max_token_seconds: expected 1 to 31536000 (a year)"));
        }
        let rules = table.rules.into_iter().enumerate();
        let rules =
            rules.filter_map(|(index, rule)| self.rule(&format!("{place}.rules[{index}]"), rule, orgs)).collect();
        let keys = self.key_source(place, &table.url, table.jwks.as_deref())?;
        let audience = table.audience.map(|name| Audience { name, setting: Audience::OF_ACCESS_TOKENS });
        let issuer = table.url;
        let conditions = TokenConditions { issuer, audience, algorithms, leeway_seconds, max_token_seconds };
        Some(IssuerSettings { name: table.name, keys, conditions, rules, sign_in: sign_in.flatten() })
    }

    /// Checks the audience of an issuer's access tokens, which only an issuer for sign-in may lack.
    fn audience(&mut self, place: &str, table: &IssuerTable) {
        let client_id = table.sign_in.as_ref().map(|sign_in| &sign_in.client_id);
        let fault = match &table.audience {
            None if client_id.is_none() => "is missing: the audience that tokens must be for",
            Some(audience) if audience.is_empty() => "must not be empty: tokens for others would be accepted",
            Some(audience) if client_id == Some(audience) => {
                "must not be sign_in.client_id: ID tokens would be accepted as access tokens"
            }
            _ => return,
        };
        self.faults.push(format!("{place}.audience: {fault}"));
    }

    /// Returns the place of an issuer's keys: `jwks`, or what the metadata at its URL says.
    fn key_source(&mut self, place: &str, url: &str, jwks: Option<&str>) -> Option<KeySource> {
        let (setting, text) = jwks.map_or(("url", url), |jwks| ("jwks", jwks));
        if let (Some(path), "jwks") = (text.strip_prefix("file:"), setting) {
            let source = KeySource::File(self.secrets.directory.join(path));
            // The backend that writes the file may start later.
            self.warnings.extend(
                source
                    .fault_of_file()
                    .map(|fault| format!("{place}.jwks: {fault}; until it has keys, the issuer's tokens are refused")),
            );
            return Some(source);
        }
        let parsed = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let advice = match (setting, &parsed) {
            ("jwks", _) => ", or file:PATH",
            (_, None) => "; an issuer whose name is no address needs jwks",
            _ => "",
        };
        match parsed.filter(is_safe) {
            Some(url) if setting == "jwks" => Some(KeySource::Url(url)),
            Some(url) => Some(KeySource::Issuer { url, name: text.to_owned() }),
            None => {
                let expected = "expected https://…, or http://… on this machine";
                self.faults.push(format!("{place}.{setting}: {text:?}: {expected}{advice}"));
                None
            }
        }
    }

    fn algorithms(&mut self, place: &str, named: Option<&[String]>) -> Vec<Algorithm> {
        let Some(named) = named else { return DEFAULT_ALGORITHMS.to_vec() };
        let known = |name: &String| ALGORITHMS.into_iter().find(|algorithm| format!("{algorithm:?}") == *name);
        let allowed = || ALGORITHMS.map(|algorithm| format!("{algorithm:?}")).join(", ");
        if named.is_empty() {
            self.faults.push(format!(
                "{place}.algorithms: an empty list allows no token; omit it, or name some of: {}",
                allowed()
            ));
        }
        let mut algorithms = Vec::with_capacity(named.len());
        for (index, name) in named.iter().enumerate() {
            match known(name) {
                Some(algorithm) => algorithms.push(algorithm),
                None => self.faults.push(format!("{place}.algorithms[{index}]: {name:?}; allowed are: {}", allowed())),
            }
        }
        algorithms
    }

    fn rule(&mut self, place: &str, table: RuleTable, orgs: &BTreeMap<String, OrgSettings>) -> Option<Rule> {
        let claim = self.claim(&format!("{place}.claim"), &table.claim);
        if table.has.is_empty() {
            self.faults.push(format!("{place}.has: must not be empty"));
        }
        if table.scopes.is_empty() {
            self.faults.push(format!("{place}.scopes: an empty list allows nothing: name scopes"));
        }
        let scopes = Some(&table.scopes[..]).filter(|scopes| !scopes.is_empty());
        let scopes = self.scopes(&format!("{place}.scopes"), scopes);
        let documents = self.documents(place, table.documents);
        let see = table.see.map(|see| {
            if see.is_empty() {
                self.faults.push(format!("{place}.see: an empty list shows nothing; omit it to show everything"));
            }
            let grants = see.into_iter().enumerate();
            grants.filter_map(|(index, grant)| self.rule_grant(&format!("{place}.see[{index}]"), grant, orgs)).collect()
        });
        Some(Rule { claim: claim?, has: table.has, scopes, see, documents })
    }

    fn rule_grant(
        &mut self,
        place: &str,
        table: RuleGrantTable,
        orgs: &BTreeMap<String, OrgSettings>,
    ) -> Option<RuleGrant> {
        self.granted_org(place, &table.org, orgs);
        let part = match (table.applications, table.instances) {
            (None, None) => RulePart::Whole,
            (Some(values), None) => RulePart::Applications(self.values(&format!("{place}.applications"), values)?),
            (None, Some(values)) => RulePart::Instances(self.values(&format!("{place}.instances"), values)?),
            (Some(_), Some(_)) => {
                self.faults.push(format!("{place}: give applications or instances; write a grant for each"));
                return None;
            }
        };
        Some(RuleGrant { org: table.org, part })
    }

    fn values(&mut self, place: &str, values: ListOrClaim) -> Option<GrantedValues> {
        match values {
            ListOrClaim::List(values) if values.iter().any(|value| value.starts_with("claim:")) => {
                self.faults.push(format!("{place}: a claim stands alone, without a list: write \"claim:NAME\""));
                None
            }
            ListOrClaim::List(values) => Some(GrantedValues::Listed(self.granted(place, values))),
            ListOrClaim::Claim(text) => {
                if let Some(claim) = text.strip_prefix("claim:") {
                    return self.claim(place, claim).map(GrantedValues::Claimed);
                }
                self.faults.push(format!("{place}: {text:?}: expected a list, or \"claim:NAME\""));
                None
            }
        }
    }

    fn claim(&mut self, place: &str, text: &str) -> Option<ClaimPath> {
        let claim = ClaimPath::new(text);
        if claim.is_none() {
            self.faults.push(format!("{place}: must not be empty"));
        }
        claim
    }
}

/// Returns a warning about the URL of an Okta org's authorization server that cannot be right.
fn warning_of_okta(place: &str, table: &IssuerTable) -> Option<String> {
    let url = Url::parse(&table.url).ok()?;
    let is_okta =
        OKTA_DOMAINS.iter().any(|domain| url.host_str().is_some_and(|host| host.ends_with(&format!(".{domain}"))));
    let fault = if !is_okta {
        return None;
    } else if table.url.ends_with('/') {
        "the issuers of Okta have no slash at their end, and it must be the same, to the letter"
    } else if !url.path().starts_with("/oauth2/") && table.audience.is_some() {
        "the access tokens of an Okta org's own authorization server are opaque: take the Issuer URI of a custom one, such as …/oauth2/default, or remove audience if people only sign in"
    } else {
        return None;
    };
    Some(format!("{place}.url: {:?}: {fault}", table.url))
}
