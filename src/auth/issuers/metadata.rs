//! The metadata of an issuer, by OpenID Connect Discovery.

use serde::Deserialize;
use url::Url;

use super::safe_url::is_safe;

/// The metadata of an issuer. Endpoints are left out whose answers somebody on the way could change.
#[derive(Debug)]
pub(in crate::auth) struct IssuerMetadata {
    /// The name of the issuer.
    pub(super) issuer: String,
    /// The address of its keys.
    pub(super) keys: Option<Url>,
    /// The address at which people sign in.
    pub(in crate::auth) authorization_endpoint: Option<Url>,
    /// The address at which a code is exchanged for tokens.
    pub(in crate::auth) token_endpoint: Option<Url>,
    /// The address at which people sign out of the issuer.
    pub(in crate::auth) end_session_endpoint: Option<Url>,
    /// The ways in which clients may authenticate; None if the issuer says nothing of them.
    pub(in crate::auth) token_auth_methods: Option<Vec<String>>,
    /// True if the issuer always names itself when it sends people back (RFC 9207).
    pub(in crate::auth) names_itself: bool,
}

#[derive(Deserialize)]
struct MetadataJson {
    issuer: String,
    jwks_uri: String,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    end_session_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl IssuerMetadata {
    /// Reads metadata.
    ///
    /// # Errors
    /// The text is no metadata.
    pub(super) fn parse(text: &[u8]) -> Result<Self, serde_json::Error> {
        let json: MetadataJson = serde_json::from_slice(text)?;
        let safe = |text: Option<String>| Url::parse(&text?).ok().filter(is_safe);
        Ok(Self {
            issuer: json.issuer,
            keys: safe(Some(json.jwks_uri)),
            authorization_endpoint: safe(json.authorization_endpoint),
            token_endpoint: safe(json.token_endpoint),
            end_session_endpoint: safe(json.end_session_endpoint),
            token_auth_methods: json.token_endpoint_auth_methods_supported,
            names_itself: json.authorization_response_iss_parameter_supported,
        })
    }
}
