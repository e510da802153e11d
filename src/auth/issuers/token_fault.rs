//! The reasons why a token is refused.

/// The longest text of a token that a refusal repeats, in characters.
const MAX_SHOWN: usize = 200;

/// The reason why a token is refused: one line, which names the setting to look at. It is told to the client, so it has nothing
/// secret, and what it says of the settings is told only to whoever has a token that the issuer has signed, except for the names of
/// issuers whose URL the token has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// The text is no JSON Web Token.
    #[error(
        "it is no signed JSON Web Token: an Okta org's own authorization server gives opaque tokens, a custom authorization server gives these (issuers.url)"
    )]
    NoToken,
    /// No configured issuer has the name that the token has.
    #[error("no issuer {0:?} is configured (issuers.url)")]
    UnknownIssuer(String),
    /// The token is of an Okta org's own authorization server, and a custom one of the same org is configured.
    #[error(
        "it is of the Okta org's own authorization server, and only Okta can verify it: request it from the custom authorization server of issuers.{0}.url"
    )]
    OrgServer(String),
    /// The token names its issuer in another way than the settings.
    #[error("its issuer is {found:?}, but issuers.{issuer}.url is {expected:?}: they must be the same, to the letter")]
    Issuer {
        /// The issuer that the token names.
        found: String,
        /// The configured URL.
        expected: String,
        /// The issuer's name in the settings.
        issuer: String,
    },
    /// The token has no signature.
    #[error("it is not signed (its alg is none): tokens of issuers.{0} must be signed")]
    Unsigned(String),
    /// The token is signed with an algorithm that is not allowed.
    #[error("it is signed with {0}, which issuers.{1}.algorithms does not allow")]
    Algorithm(String, String),
    /// The token has a header that sluice would have to understand.
    #[error("its header names critical extensions, which sluice does not know")]
    Critical,
    /// The token is of another type than access tokens are.
    #[error("its type (typ) is {0:?}: access tokens are JWT or at+jwt")]
    Type(String),
    /// The token is bound to a key of its client.
    #[error(
        "it is bound to a key of its client (claim cnf, by DPoP or mutual TLS), which sluice does not check: request a bearer token"
    )]
    SenderConstrained,
    /// The token was issued in the future.
    #[error(
        "it was issued at {at}, and this machine's clock says {now}: compare the clocks (issuers.{issuer}.leeway_seconds)"
    )]
    IssuedLater {
        /// The time of issue.
        at: String,
        /// The time of the gateway's clock.
        now: String,
        /// The issuer's name in the settings.
        issuer: String,
    },
    /// The issuer's keys do not have the token's key.
    #[error("it is signed with a key that the issuer does not have: it is of another server than issuers.{0} says")]
    UnknownKey(String),
    /// The issuer's keys could not be fetched.
    #[error("the keys of issuers.{0} could not be fetched; the gateway's log has the reason")]
    NoKeys(String),
    /// The signature does not belong to the token.
    #[error("its signature is wrong: it is altered, or of another server than issuers.{0} says")]
    Signature(String),
    /// The token is for another audience.
    #[error("it is for the audience {found}, but issuers.{issuer}.{setting} is {expected:?}")]
    Audience {
        /// The token's audience, as JSON.
        found: String,
        /// The configured audience.
        expected: String,
        /// The setting that has it.
        setting: &'static str,
        /// The issuer's name in the settings.
        issuer: String,
    },
    /// No audience is configured: the issuer is for sign-in only.
    #[error("issuers.{0}.audience is not set, so people may sign in there, and tokens are not accepted")]
    NoAudience(String),
    /// The token has expired.
    #[error(
        "it expired at {at}, and this machine's clock says {now}: get a new one, or compare the clocks (issuers.{issuer}.leeway_seconds)"
    )]
    Expired {
        /// The time at which the token has expired.
        at: String,
        /// The time of the gateway's clock.
        now: String,
        /// The issuer's name in the settings.
        issuer: String,
    },
    /// The token is not valid yet.
    #[error(
        "it is valid from {from} on, and this machine's clock says {now}: compare the clocks (issuers.{issuer}.leeway_seconds)"
    )]
    NotYetValid {
        /// The time from which the token is valid.
        from: String,
        /// The time of the gateway's clock.
        now: String,
        /// The issuer's name in the settings.
        issuer: String,
    },
    /// The token is valid for longer than allowed.
    #[error("it is valid for {0} s, but issuers.{1}.max_token_seconds is {2}")]
    TooLong(i64, String, u64),
    /// A claim is missing, or has a wrong type.
    #[error("its claim {0:?} is missing or has a wrong type")]
    Claim(String),
    /// No rule of the issuer gives the token any rights.
    #[error("no rule of issuers.{issuer}.rules matches it, so it has no rights: {mismatches}")]
    NoRights {
        /// The issuer's name in the settings.
        issuer: String,
        /// The subject of the token; None if it names nobody.
        subject: Option<String>,
        /// The claims that the rules look at, and why none of them does.
        mismatches: String,
    },
}

/// Returns the part of a token's text that a refusal repeats.
pub(super) fn shortened(text: &str) -> String {
    text.chars().take(MAX_SHOWN).collect()
}
