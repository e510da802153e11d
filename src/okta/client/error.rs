//! What can go wrong with an org's APIs. Where a setting is to blame, the text names it.

use std::fmt;

use serde::Deserialize;

use super::resource::Resource;

/// Why there is no page. Settings are named as they are under an org: `url`, `api.token` …
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OktaError {
    /// Nobody answers, or the answer broke off: try again.
    #[error("url: no answer from Okta: {0}")]
    NoAnswer(String),
    /// Okta has a problem of its own: try again.
    #[error("Okta answers with {0}: {1}")]
    Status(u16, String),
    /// The rate limit is reached: try again when its window is over.
    #[error("Okta's rate limit is reached")]
    TooManyRequests,
    /// Okta does not understand the request, such as a link that has expired.
    #[error("Okta refuses the request: {0}")]
    Refused(String),
    /// The API token is not accepted.
    #[error("api.token: {0}")]
    Token(String),
    /// The service app's id or key is not accepted.
    #[error("api.client_id or api.private_key: {0}")]
    Key(String),
    /// The key is not that of the service app.
    #[error("api.private_key: {0}")]
    PrivateKey(String),
    /// This machine's clock is wrong.
    #[error(
        "this machine's clock is {0} s off Okta's, so that Okta refuses api.private_key's signature: set the clock"
    )]
    Clock(i64),
    /// A scope or a right is missing.
    #[error("{}", forbidden(*resource, *oauth, told))]
    Forbidden {
        /// What may not be read.
        resource: Resource,
        /// Whether a service app asks, and not an admin's token.
        oauth: bool,
        /// What Okta says.
        told: String,
    },
    /// The address is none.
    #[error("url: {0:?} is not an address")]
    Address(String),
    /// What answers is not an Okta org.
    #[error("url: what answers there is not an Okta org: {0}")]
    NotOkta(String),
    /// A link leads away from the org; it is not followed.
    #[error("url: Okta's link leads to {0}, which is not the org's address; give the address that Okta itself uses")]
    Elsewhere(String),
}

impl OktaError {
    /// A failure of the connection. The address may hold a token of a link's and is left out.
    pub(super) fn from_transport(error: &reqwest::Error) -> Self {
        let mut source: &dyn std::error::Error = error;
        while let Some(inner) = source.source() {
            source = inner;
        }
        if error.is_timeout() {
            Self::NoAnswer("it takes too long".to_owned())
        } else if std::ptr::addr_eq(source, error) {
            Self::NoAnswer("the connection failed".to_owned())
        } else {
            Self::NoAnswer(source.to_string())
        }
    }

    /// Whether somebody must change something before it can work.
    pub const fn is_lasting(&self) -> bool {
        !matches!(self, Self::NoAnswer(_) | Self::Status(..) | Self::TooManyRequests | Self::Refused(_))
    }
}

fn forbidden(resource: Resource, oauth: bool, told: &str) -> String {
    let (scope, right) = match resource {
        Resource::Logs => ("okta.logs.read", "read the System Log"),
        Resource::Apps => ("okta.apps.read", "read applications"),
    };
    if oauth {
        format!("api.client_id: the app lacks the scope {scope}, or an admin role: grant it in Okta ({told})")
    } else {
        format!("api.token: the admin who made it may not {right} ({told})")
    }
}

/// What Okta says of a request that it does not answer.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ApiProblem {
    #[serde(default, rename = "errorCode")]
    code: String,
    #[serde(default, rename = "errorSummary")]
    summary: String,
    #[serde(default, rename = "errorCauses")]
    causes: Vec<Cause>,
    /// Of OAuth 2.
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

/// Reads what Okta says; what is not Okta's form says nothing.
pub(super) fn problem(body: &[u8]) -> ApiProblem {
    serde_json::from_slice(body).unwrap_or_default()
}

/// The most of Okta's words that are passed on.
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
