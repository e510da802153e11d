//! Tests of OAuth 2 and proofs of possession that violate each rule.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::*;

/// A service app.
struct App {
    sim: Sim,
    key: EncodingKey,
    proof_key: EncodingKey,
}

fn proof_key() -> EncodingKey {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let der = key.to_pkcs8v1().unwrap();
    EncodingKey::from_ec_der(der.as_ref())
}

impl App {
    async fn start(change: impl FnOnce(&mut ServiceApp)) -> Self {
        let (mut app, key) = ServiceApp::with_new_key("0oaclient").unwrap();
        change(&mut app);
        let sim = Sim::start(ApiOptions { service_apps: vec![app], ..ApiOptions::default() }).await;
        Self { sim, key: EncodingKey::from_rsa_pem(key.as_bytes()).unwrap(), proof_key: proof_key() }
    }

    fn token_url(&self) -> String {
        format!("{}/oauth2/v1/token", self.sim.api.url())
    }

    /// Returns the claims of a valid assertion.
    fn claims(&self) -> Value {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        json!({"iss": "0oaclient", "sub": "0oaclient", "aud": self.token_url(), "iat": now, "exp": now + 300,
            "jti": Uuid::new_v4()})
    }

    fn assertion(&self, claims: &Value) -> String {
        encode(&Header::new(Algorithm::RS256), claims, &self.key).unwrap()
    }

    /// Returns the claims of a valid proof.
    fn proof_claims(method: &str, url: &str) -> Value {
        json!({"htm": method, "htu": url, "iat": OffsetDateTime::now_utc().unix_timestamp(), "jti": Uuid::new_v4()})
    }

    fn proof(&self, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some("dpop+jwt".to_owned());
        header.jwk = Some(Jwk::from_encoding_key(&self.proof_key, Algorithm::ES256).unwrap());
        encode(&header, claims, &self.proof_key).unwrap()
    }

    /// Requests an access token.
    async fn ask(&self, assertion: &str, scope: &str, proof: Option<String>) -> Told {
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        let mut form = Url::parse("http://form/").unwrap();
        form.query_pairs_mut().extend_pairs([
            ("grant_type", "client_credentials"),
            ("scope", scope),
            ("client_assertion_type", kind),
            ("client_assertion", assertion),
        ]);
        let request = self.sim.client.post(self.token_url()).body(form.query().unwrap().to_owned());
        let request = proof.into_iter().fold(request, |request, proof| request.header("dpop", proof));
        Told::read(request.send().await.unwrap()).await
    }

    /// Returns a valid access token.
    async fn token(&self) -> String {
        let assertion = self.assertion(&self.claims());
        let first = self
            .ask(&assertion, "okta.logs.read", Some(self.proof(&Self::proof_claims("POST", &self.token_url()))))
            .await;
        first.assert_refused(400, "use_dpop_nonce");
        let mut claims = Self::proof_claims("POST", &self.token_url());
        claims["nonce"] = first.headers["dpop-nonce"].to_str().unwrap().into();
        let told = self.ask(&self.assertion(&self.claims()), "okta.logs.read", Some(self.proof(&claims))).await;
        assert_eq!((told.status, &told.body["token_type"]), (200, &json!("DPoP")), "{told:?}");
        assert_eq!(told.body["expires_in"], 3600);
        told.body["access_token"].as_str().unwrap().to_owned()
    }

    async fn logs(&self, scheme: &str, token: &str, proof: Option<String>) -> Told {
        let authorization = format!("{scheme} {token}");
        let mut headers = vec![("authorization", authorization.as_str())];
        headers.extend(proof.as_deref().map(|proof| ("dpop", proof)));
        self.sim.get_with(self.sim.url("/api/v1/logs", &[("limit", "1")]), &headers).await
    }
}

#[tokio::test]
async fn an_assertion_is_the_apps_own_for_this_endpoint_and_short() {
    let app = App::start(|app| app.dpop = false).await;
    let now = OffsetDateTime::now_utc().unix_timestamp();
    for (claim, value, rule) in [
        ("iss", json!("0oaother"), "iss must be the client's id"),
        ("sub", json!("0oaother"), "sub must be the id of a client"),
        ("aud", json!("https://elsewhere.example/oauth2/v1/token"), "aud must be the address of the token endpoint"),
        ("exp", json!(now - 1), "is expired"),
        ("exp", json!(now + 4000), "within one hour"),
        ("exp", Value::Null, "exp must be there"),
        ("iat", json!(now + 600), "must not be in the future"),
    ] {
        let mut claims = app.claims();
        claims[claim] = value;
        app.ask(&app.assertion(&claims), "okta.logs.read", None).await.assert_refused(401, rule);
    }
    app.ask("garbage", "okta.logs.read", None).await.assert_refused(401, "not a JWT");
    let (_, other) = ServiceApp::with_new_key("0oaclient").unwrap();
    let other = EncodingKey::from_rsa_pem(other.as_bytes()).unwrap();
    let forged = encode(&Header::new(Algorithm::RS256), &app.claims(), &other).unwrap();
    app.ask(&forged, "okta.logs.read", None).await.assert_refused(401, "signature");
    let good = app.assertion(&app.claims());
    app.ask(&good, "okta.logs.read okta.users.read", None).await.assert_refused(400, "invalid_scope");
    app.ask(&good, "okta.logs.read", None).await.assert_refused(401, "a jti is used once");
    app.ask(&app.assertion(&app.claims()), "", None).await.assert_refused(400, "at least one");
    let told = app.ask(&app.assertion(&app.claims()), "okta.logs.read", None).await;
    assert_eq!((told.status, &told.body["token_type"]), (200, &json!("Bearer")), "{told:?}");
    let token = told.body["access_token"].as_str().unwrap();
    assert_eq!(app.logs("Bearer", token, None).await.status, 200);
    let apps = app.sim.url("/api/v1/apps", &[]);
    let told = app.sim.get_with(apps, &[("authorization", &format!("Bearer {token}"))]).await;
    told.assert_refused(403, "lacks the scope okta.apps.read");
    assert!(told.headers["www-authenticate"].to_str().unwrap().contains("insufficient_scope"));
    app.sim.api.revoke_tokens();
    app.logs("Bearer", token, None).await.assert_refused(401, "has expired");
    let mut form = app.sim.client.post(app.token_url()).body("grant_type=password").send().await.unwrap();
    assert_eq!(form.status(), 400);
    form = app.sim.client.post(app.token_url()).body("grant_type=client_credentials").send().await.unwrap();
    assert_eq!(form.status(), 401);
}

#[tokio::test]
async fn a_token_is_bound_to_a_key_that_is_proven_with_the_orgs_nonce() {
    let app = App::start(|_| ()).await;
    let url = app.token_url();
    let ask = async |claims: Option<Value>| {
        let proof = claims.map(|claims| app.proof(&claims));
        app.ask(&app.assertion(&app.claims()), "okta.logs.read", proof).await
    };
    ask(None).await.assert_refused(400, "The DPoP proof JWT header is missing");
    ask(Some(App::proof_claims("GET", &url))).await.assert_refused(400, "htm");
    ask(Some(App::proof_claims("POST", "http://elsewhere.example/"))).await.assert_refused(400, "htu");
    let told = ask(Some(App::proof_claims("POST", &url))).await;
    told.assert_refused(400, "use_dpop_nonce");
    let mut claims = App::proof_claims("POST", &url);
    claims["nonce"] = "stale".into();
    ask(Some(claims.clone())).await.assert_refused(400, "use_dpop_nonce");
    claims["nonce"] = told.headers["dpop-nonce"].to_str().unwrap().into();
    let mut without = claims.clone();
    without.as_object_mut().unwrap().remove("jti");
    ask(Some(without)).await.assert_refused(400, "must have a jti");
    assert_eq!(ask(Some(claims.clone())).await.status, 200);
    ask(Some(claims.clone())).await.assert_refused(400, "used once");
    app.sim.api.renew_nonce();
    claims["jti"] = "another".into();
    ask(Some(claims)).await.assert_refused(400, "use_dpop_nonce");
}

#[tokio::test]
async fn a_bound_token_comes_with_a_proof_for_the_request() {
    let app = App::start(|_| ()).await;
    let token = app.token().await;
    let url = format!("{}/api/v1/logs", app.sim.api.url());
    let good = || {
        let mut claims = App::proof_claims("GET", &url);
        claims["ath"] = URL_SAFE_NO_PAD.encode(Sha256::digest(&token)).into();
        claims
    };
    app.logs("Bearer", &token, None).await.assert_refused(401, "it is sent as `DPoP …`");
    app.logs("DPoP", &token, None).await.assert_refused(401, "one DPoP header");
    app.logs("DPoP", &token, Some("garbage".to_owned())).await.assert_refused(401, "not a JWT");
    for (claim, value, rule) in [
        ("htm", json!("POST"), "htm of the DPoP proof must be GET"),
        ("htu", json!(format!("{url}?limit=1")), "without query"),
        ("ath", json!("wrong"), "SHA-256 of the access token"),
        ("ath", Value::Null, "SHA-256 of the access token"),
        ("iat", json!(0), "too far from the server's time"),
        ("iat", Value::Null, "must have iat"),
        ("jti", Value::Null, "must have a jti"),
    ] {
        let mut claims = good();
        claims[claim] = value;
        app.logs("DPoP", &token, Some(app.proof(&claims))).await.assert_refused(401, rule);
    }
    let proof = app.proof(&good());
    assert_eq!(app.logs("DPoP", &token, Some(proof.clone())).await.status, 200);
    app.logs("DPoP", &token, Some(proof)).await.assert_refused(401, "used once");
    let plain = encode(&Header::new(Algorithm::RS256), &good(), &app.key).unwrap();
    app.logs("DPoP", &token, Some(plain)).await.assert_refused(401, "typ must be dpop+jwt");
    let thief = App { proof_key: proof_key(), ..app };
    let told = thief.logs("DPoP", &token, Some(thief.proof(&good()))).await;
    told.assert_refused(401, "not that to which the access token is bound");
}
