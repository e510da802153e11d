//! The exchange of a code for an ID token, at the issuer's token endpoint.

use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use serde::Deserialize;
use url::{Url, form_urlencoded};

use super::fault::{SignInFault, shown_error};
use crate::auth::issuers::{Issuer, MAX_BYTES, SignInSettings, read_body, reason};

/// The longest time for which the exchange may take.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest ID token, in bytes.
const MAX_ID_TOKEN: usize = 64 << 10;

/// The exchange of codes at an issuer.
pub(super) struct CodeExchange<'e> {
    pub(super) issuer: &'e Issuer,
    pub(super) settings: &'e SignInSettings,
    pub(super) endpoint: Url,
    /// The ways in which clients may authenticate; None if the metadata says nothing of them.
    pub(super) methods: Option<&'e [String]>,
    pub(super) redirect_uri: &'e str,
}

/// The way in which the gateway authenticates.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SecretMethod {
    Basic,
    Post,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CodeResponse {
    id_token: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

impl CodeExchange<'_> {
    /// Exchanges a code for an ID token.
    pub(super) async fn redeem(&self, code: &str, verifier: &str) -> Result<String, SignInFault> {
        let name = &self.issuer.settings.name;
        let method = self.secret_method().ok_or_else(|| SignInFault::NoSecretAllowed(name.clone()))?;
        let no_answer = |reason: String| SignInFault::NoAnswer(name.clone(), reason);
        let fault = |error: reqwest::Error| no_answer(reason(&error, EXCHANGE_TIMEOUT));
        let response = self.request(method, code, verifier).send().await.map_err(fault)?;
        let status = response.status();
        if status.is_redirection() {
            return Err(no_answer(format!("{} answers with {status}; redirects are not followed", self.endpoint)));
        }
        let body = read_body(response).await.map_err(fault)?;
        let body =
            body.ok_or_else(|| no_answer(format!("{} answers with more than {MAX_BYTES} bytes", self.endpoint)))?;
        let answer: CodeResponse = serde_json::from_slice(&body)
            .map_err(|_| no_answer(format!("{} answers with {status} and no JSON", self.endpoint)))?;
        if let Some(error) = answer.error.filter(|_| !status.is_success()) {
            return Err(self.refused(&error, answer.error_description.as_deref()));
        }
        let no_token = |why: String| SignInFault::NoIdToken(name.clone(), why);
        if !status.is_success() {
            return Err(no_token(format!("its status is {status}")));
        }
        let id_token = answer.id_token.ok_or_else(|| no_token("there is no id_token".to_owned()))?;
        if id_token.len() > MAX_ID_TOKEN {
            return Err(no_token(format!("the id_token has more than {MAX_ID_TOKEN} bytes")));
        }
        Ok(id_token)
    }

    /// Returns the way that the issuer accepts. Without a word of the issuer it is that of OpenID Connect's default.
    fn secret_method(&self) -> Option<SecretMethod> {
        let Some(methods) = self.methods else { return Some(SecretMethod::Basic) };
        let known = [("client_secret_basic", SecretMethod::Basic), ("client_secret_post", SecretMethod::Post)];
        known.into_iter().find(|(name, _)| methods.iter().any(|method| method == name)).map(|(_, method)| method)
    }

    fn request(&self, method: SecretMethod, code: &str, verifier: &str) -> reqwest::RequestBuilder {
        let (id, secret) = (self.settings.client_id.as_str(), self.settings.client_secret.expose());
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs([
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", self.redirect_uri),
            ("code_verifier", verifier),
        ]);
        if method == SecretMethod::Post {
            form.extend_pairs([("client_id", id), ("client_secret", secret)]);
        }
        let request = self.issuer.http.post(self.endpoint.clone()).timeout(EXCHANGE_TIMEOUT);
        let request = request.header(ACCEPT, "application/json");
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.finish());
        // Both parts are encoded as in a form before they are joined (RFC 6749, section 2.3.1).
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        if method == SecretMethod::Basic { request.basic_auth(encoded(id), Some(encoded(secret))) } else { request }
    }

    fn refused(&self, error: &str, description: Option<&str>) -> SignInFault {
        let issuer = self.issuer.settings.name.clone();
        let advice = match error {
            "invalid_client" | "unauthorized_client" => {
                format!("Compare issuers.{issuer}.sign_in.client_id and client_secret with the issuer's client.")
            }
            "invalid_grant" => format!("The issuer must allow the redirect URI {}.", self.redirect_uri),
            _ => format!("Look at issuers.{issuer}.sign_in."),
        };
        SignInFault::NotExchanged { issuer, reason: shown_error(error, description), advice }
    }
}
