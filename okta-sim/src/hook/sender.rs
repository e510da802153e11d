//! The sender of a hook's deliveries, which follows Okta's rules.

use std::time::Duration;

use rand::RngExt;
use rand::distr::Alphanumeric;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};
use serde_json::Value;

use super::Delivery;

/// The time for which Okta waits for a response.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The endpoint of a hook, and its secret.
#[derive(Clone)]
pub struct HookSenderOptions {
    /// The URL of the endpoint.
    pub url: Url,
    /// The header with the secret; `authorization` by default, as at Okta.
    pub header: String,
    /// The header's whole value; None to send no header.
    pub secret: Option<String>,
    /// The timeout of a response; 3 s by default, as at Okta.
    pub timeout: Duration,
}

impl HookSenderOptions {
    /// Returns Okta's defaults for an endpoint.
    pub fn new(url: Url) -> Self {
        Self { url, header: "authorization".to_owned(), secret: None, timeout: TIMEOUT }
    }
}

/// The reason why a sender cannot be created.
#[derive(Debug, thiserror::Error)]
pub enum HookSenderError {
    /// The header's name is invalid.
    #[error("the hook's header is none: its name has a character that HTTP does not allow")]
    HeaderName,
    /// The secret cannot be sent in a header.
    #[error("the hook's secret has a character that an HTTP header does not allow")]
    Secret,
    /// The HTTP client cannot be created.
    #[error("no HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

/// The reason why an endpoint is not verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// No response, or not in time.
    #[error("no answer to the challenge: {0}")]
    NoAnswer(#[from] reqwest::Error),
    /// A response with a status other than 200.
    #[error("the challenge is answered with {0}")]
    Status(StatusCode),
    /// A response without the challenge's value.
    #[error("the challenge's answer is not its value under `verification`")]
    WrongAnswer,
}

/// The result of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Acknowledged at the first attempt.
    Delivered,
    /// Acknowledged at the second attempt.
    Retried,
    /// Not acknowledged: Okta does not retry again.
    Lost,
}

/// The result of a delivery, and the last response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryReport {
    /// The result.
    pub fate: Fate,
    /// The status of the last response; None if there was none in time.
    pub status: Option<u16>,
}

/// A sender to one endpoint. A delivery that does not get 2xx in time is sent once more, but never after a 4xx or a
/// redirect. Clones share the connections.
#[derive(Clone, Debug)]
pub struct HookSender {
    client: Client,
    url: Url,
}

impl HookSender {
    /// Creates a sender.
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

    /// Verifies the endpoint with a challenge.
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

    /// Sends a delivery.
    pub async fn send(&self, delivery: &Delivery) -> DeliveryReport {
        self.send_body(&delivery.json()).await
    }

    /// Sends a body of any content.
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

    /// Returns the status of the response, if one arrives.
    async fn post(&self, body: &str) -> Option<u16> {
        let request = self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/json");
        let response: Response = request.body(body.to_owned()).send().await.ok()?;
        let status = response.status().as_u16();
        // The body is read to its end, so that the connection can be reused. Only the status matters.
        _ = response.bytes().await;
        Some(status)
    }
}

fn acknowledges(status: Option<u16>) -> bool {
    status.is_some_and(|status| (200..300).contains(&status))
}

#[cfg(test)]
mod tests;
