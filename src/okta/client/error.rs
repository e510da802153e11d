//! The errors of an org's APIs. A message names the setting that must be changed, if one is wrong.

use std::fmt;

use serde::Deserialize;

use super::resource::Resource;
use crate::failed_request::cause;

/// The reason why a request failed. Messages use the names of settings under an org: `url`, `api.token` …
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OktaError {
    /// No response, or only a part of it; a retry may help.
    #[error("url: no answer from Okta: {0}")]
    NoAnswer(String),
    /// An error on Okta's side; a retry may help.
    #[error("Okta returned HTTP status {0}: {1}")]
    Status(u16, String),
    /// The rate limit is used up until its window ends.
    #[error("Okta's rate limit is reached")]
    TooManyRequests,
    /// A request that Okta does not accept, such as a link that has expired.
    #[error("Okta rejected the request: {0}")]
    Refused(String),
    /// The API token is not accepted.
    #[error("api.token: {0}")]
    Token(String),
    /// The service app's id or key is not accepted.
    #[error("api.client_id or api.private_key: {0}")]
    Key(String),
    /// The key does not belong to the service app.
    #[error("api.private_key: {0}")]
    PrivateKey(String),
    /// The local clock is wrong.
    #[error(
        "this machine's clock is {0} s off Okta's, so Okta rejects the signature made with api.private_key: set the clock"
    )]
    Clock(i64),
    /// A scope or an admin role is missing.
    #[error("{}", forbidden(*resource, *oauth, reason))]
    Forbidden {
        /// The resource that could not be read.
        resource: Resource,
        /// True for a service app, false for an admin's API token.
        oauth: bool,
        /// Okta's explanation.
        reason: String,
    },
    /// The setting is not a URL.
    #[error("url: {0:?} is not a URL")]
    Address(String),
    /// The server at the URL is not an Okta org.
    #[error("url: not an Okta org: {0}")]
    NotOkta(String),
    /// A link to another server than the org's, which is not followed.
    #[error("url: Okta's link leads to {0}, which is not the org's address; give the address that Okta itself uses")]
    Elsewhere(String),
}

impl OktaError {
    /// Describes a failed connection.
    pub(super) fn from_transport(error: &reqwest::Error) -> Self {
        Self::NoAnswer(if error.is_timeout() { "the request timed out".to_owned() } else { cause(error) })
    }

    /// Returns true if retries cannot help until somebody changes a setting.
    pub const fn is_lasting(&self) -> bool {
        !matches!(self, Self::NoAnswer(_) | Self::Status(..) | Self::TooManyRequests | Self::Refused(_))
    }
}

fn forbidden(resource: Resource, oauth: bool, reason: &str) -> String {
    let (scope, right) = match resource {
        Resource::Logs => ("okta.logs.read", "read the System Log"),
        Resource::Apps => ("okta.apps.read", "read applications"),
    };
    if oauth {
        format!("api.client_id: the app lacks the scope {scope}, or an admin role: grant it in Okta ({reason})")
    } else {
        format!("api.token: the admin who created it may not {right} ({reason})")
    }
}

/// The body of Okta's error responses.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ApiProblem {
    #[serde(default, rename = "errorCode")]
    code: String,
    #[serde(default, rename = "errorSummary")]
    summary: String,
    #[serde(default, rename = "errorCauses")]
    causes: Vec<Cause>,
    /// The error code of OAuth 2.
    #[serde(default)]
    pub(super) error: String,
    #[serde(default)]
    pub(super) error_description: String,
}

#[derive(Debug, Deserialize)]
struct Cause {
    #[serde(default, rename = "errorSummary")]
    summary: String,
}

/// Reads the body of an error response. A body in another format yields an empty problem.
pub(super) fn problem(body: &[u8]) -> ApiProblem {
    serde_json::from_slice(body).unwrap_or_default()
}

/// The maximum length of an explanation in an error message, in characters.
const SHOWN: usize = 300;

impl fmt::Display for ApiProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let causes = self.causes.iter().map(|cause| cause.summary.as_str());
        let parts = [&self.code, &self.summary, &self.error, &self.error_description].map(String::as_str);
        let parts: Vec<_> = parts.into_iter().chain(causes).filter(|part| !part.is_empty()).collect();
        let text = if parts.is_empty() { "no reason given".to_owned() } else { parts.join(": ") };
        let shown = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(SHOWN);
        formatter.write_str(&shown.collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oktas_words_are_those_that_it_gives() {
        for (body, expected) in [
            (
                r#"{"errorCode":"E1","errorSummary":"Not so","errorCauses":[{"errorSummary":"why"},{}]}"#,
                "E1: Not so: why",
            ),
            (r#"{"errorSummary":"Not so"}"#, "Not so"),
            (r#"{"error":"invalid_client","error_description":"no\nkey"}"#, "invalid_client: no key"),
            ("{}", "no reason given"),
            ("<html>", "no reason given"),
        ] {
            assert_eq!(problem(body.as_bytes()).to_string(), expected, "{body}");
        }
        let long = format!(r#"{{"errorSummary":"{}"}}"#, "ä".repeat(2 * SHOWN));
        assert_eq!(problem(long.as_bytes()).to_string().chars().count(), SHOWN);
    }

    #[test]
    fn what_may_pass_is_tried_again() {
        for passing in
            [OktaError::NoAnswer(String::new()), OktaError::Status(500, String::new()), OktaError::TooManyRequests]
        {
            assert!(!passing.is_lasting(), "{passing}");
        }
        for lasting in [OktaError::Token(String::new()), OktaError::NotOkta(String::new()), OktaError::Clock(3)] {
            assert!(lasting.is_lasting(), "{lasting}");
        }
    }
}
