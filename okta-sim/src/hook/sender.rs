//! The sender of a hook's deliveries, by Okta's rules.

use std::time::Duration;

use rand::RngExt;
use rand::distr::Alphanumeric;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};
use serde_json::Value;

use super::Delivery;

/// How long Okta waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Where a hook's deliveries go, and with which secret.
#[derive(Clone)]
pub struct HookSenderOptions {
    /// The endpoint.
    pub url: Url,
    /// The header that carries the secret; `authorization` as Okta's default.
    pub header: String,
    /// The header's whole value; not sent where there is none.
    pub secret: Option<String>,
    /// How long an answer may take; 3 s as Okta's default.
    pub timeout: Duration,
}

impl HookSenderOptions {
    /// Okta's defaults for an endpoint.
    pub fn new(url: Url) -> Self {
        Self { url, header: "authorization".to_owned(), secret: None, timeout: TIMEOUT }
    }
}

/// Why there can be no sender.
#[derive(Debug, thiserror::Error)]
pub enum HookSenderError {
    /// HTTP has no such header.
    #[error("the hook's header is none: its name has a character that HTTP does not allow")]
    HeaderName,
    /// HTTP cannot carry the secret.
    #[error("the hook's secret has a character that an HTTP header does not allow")]
    Secret,
    /// No client.
    #[error("no HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

/// Why an endpoint is not verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Nobody answers, or not in time.
    #[error("no answer to the challenge: {0}")]
    NoAnswer(#[from] reqwest::Error),
    /// An answer other than 200.
    #[error("the challenge is answered with {0}")]
    Status(StatusCode),
    /// An answer without the challenge's value.
    #[error("the challenge's answer is not its value under `verification`")]
    WrongAnswer,
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Acknowledged at once.
    Delivered,
    /// Acknowledged the second time.
    Retried,
    /// Not acknowledged: Okta does not try again.
    Lost,
}

/// What became of a delivery, and what was answered last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryReport {
    /// What became of it.
    pub fate: Fate,
    /// The last answer's status; None where there was none in time.
    pub status: Option<u16>,
}

/// Delivers to one endpoint: what is not answered with 2xx in time is sent once more, but never after a 4xx or a
/// redirection. Clones share their connections.
#[derive(Clone, Debug)]
pub struct HookSender {
    client: Client,
    url: Url,
}

impl HookSender {
    /// A sender.
    ///
    /// # Errors
    /// See [`HookSenderError`].
    pub fn new(options: HookSenderOptions) -> Result<Self, HookSenderError> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static("Okta-Event-Hooks/1.0 (okta-sim)"));
        if let Some(secret) = options.secret {
            let name: HeaderName = options.header.parse().map_err(|_| HookSenderError::HeaderName)?;
            let mut value = HeaderValue::from_str(&secret).map_err(|_| HookSenderError::Secret)?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let client =
            Client::builder().default_headers(headers).timeout(options.timeout).redirect(Policy::none()).build()?;
        Ok(Self { client, url: options.url })
    }

    /// Verifies the endpoint: whether it answers a challenge.
    ///
    /// # Errors
    /// See [`VerifyError`].
    pub async fn verify(&self) -> Result<(), VerifyError> {
        let challenge: String = rand::rng().sample_iter(Alphanumeric).take(40).map(char::from).collect();
        let request = self.client.get(self.url.clone()).header("x-okta-verification-challenge", &challenge);
        let response = request.send().await?;
        if response.status() != StatusCode::OK {
            return Err(VerifyError::Status(response.status()));
        }
        let answer: Value = serde_json::from_str(&response.text().await?).map_err(|_| VerifyError::WrongAnswer)?;
        if answer["verification"] == *challenge { Ok(()) } else { Err(VerifyError::WrongAnswer) }
    }

    /// Delivers.
    pub async fn send(&self, delivery: &Delivery) -> DeliveryReport {
        self.send_body(&delivery.json()).await
    }

    /// Delivers a body, whatever it is.
    pub async fn send_body(&self, body: &str) -> DeliveryReport {
        let first = self.post(body).await;
        if acknowledges(first) {
            return DeliveryReport { fate: Fate::Delivered, status: first };
        }
        if first.is_some_and(|status| status < 500) {
            return DeliveryReport { fate: Fate::Lost, status: first };
        }
        let second = self.post(body).await;
        DeliveryReport { fate: if acknowledges(second) { Fate::Retried } else { Fate::Lost }, status: second }
    }

    /// The status of the answer, if one comes.
    async fn post(&self, body: &str) -> Option<u16> {
        let request = self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/json");
        let response: Response = request.body(body.to_owned()).send().await.ok()?;
        let status = response.status().as_u16();
        // Read to its end, so that the connection can be used again. The status counts, however that goes.
        _ = response.bytes().await;
        Some(status)
    }
}

fn acknowledges(status: Option<u16>) -> bool {
    status.is_some_and(|status| (200..300).contains(&status))
}

#[cfg(test)]
mod tests;
