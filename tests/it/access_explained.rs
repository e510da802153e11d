//! The command `sluice access explain`: what a token may do and see, and why not.

use std::io::Write;
use std::process::{Command, Stdio};

use jsonwebtoken::{Algorithm, Header};
use okta_sim::AuthorizationServer;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use sluice::auth::GeneratedKey;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use crate::database::TestDatabase;
use crate::process::GatewayProcess;
use crate::started_with::{Place, STRONG};

/// Runs `sluice access explain` on the database of a gateway, with a text on standard input. Returns what follows the name of the
/// settings file.
pub(crate) async fn explain_at(gateway: &GatewayProcess, input: &str) -> (Option<i32>, String) {
    let mut command = gateway.command_of(&["access", "explain"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    let [said, errors] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    let (settings, said) = said.split_once('\n').unwrap();
    assert!(settings.starts_with("settings   /") && settings.ends_with("/sluice.toml"), "{settings}");
    (output.status.code(), said.to_owned() + &errors)
}

/// A place whose settings trust an authorization server.
struct TrustingPlace {
    place: Place,
    issuer: AuthorizationServer,
}

impl TrustingPlace {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = AuthorizationServer::start(listener).unwrap();
        let place = Place::new(format!(
            r#"
            [[orgs]]
            name = "acme"
            hook_secrets = ["literal:the hook's own secret"]
            [[readers]]
            name = "dashboard"
            token = "literal:{STRONG}"
            scopes = ["events:read"]
            see = [{{ org = "acme", applications = ["office365", "salesforce"] }}]
            [[issuers]]
            name = "okta"
            url = "{}"
            audience = "api://sluice"
            [[issuers.rules]]
            claim = "groups"
            has = "auditors"
            scopes = ["events:read", "people:read"]
            [[issuers.rules]]
            claim = "scp"
            has = "sluice.events"
            scopes = ["events:read"]
            see = [{{ org = "acme", instances = "claim:instances" }}]
            "#,
            issuer.url()
        ));
        Self { place, issuer }
    }

    fn token(&self, claims: Value) -> String {
        let Value::Object(claims) = claims else { panic!() };
        let mut all = json!({"aud": "api://sluice", "sub": "00u1"});
        all.as_object_mut().unwrap().extend(claims);
        self.issuer.token(&all).unwrap()
    }

    /// Sends a text to the command, and returns its exit status and what it prints.
    async fn explain(&self, input: &str) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
        command.args(["access", "explain"]).current_dir(self.place.0.path()).env_clear();
        command.env("SLUICE_DATA_DIR", self.place.0.path().join("data"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let input = input.to_owned();
        // The authorization server runs on this runtime, which must not be blocked.
        let ended = tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().unwrap();
            Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
            child.wait_with_output().unwrap()
        });
        let output = ended.await.unwrap();
        let [said, errors] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        assert!(!errors.contains("panicked"), "{errors}");
        (output.status.code(), said + &errors)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_explained_rule_by_rule() {
    let trusting = TrustingPlace::new().await;
    let token = trusting.token(json!({"groups": ["staff"], "scp": ["sluice.events"], "instances": ["0oa1", "0oa2"]}));
    let (code, said) = trusting.explain(&token).await;
    assert_eq!(code, Some(0), "{said}");
    let url = trusting.issuer.url();
    for line in [
        &format!("issuer     okta ({url})\n"),
        "subject    00u1\n",
        "verified   accepted until 2",
        "rules[0]   does not match, since groups must have \"auditors\": the claim groups has [\"staff\"]\n",
        "rules[1]   matches: scp has \"sluice.events\"\n  may      events:read\n  sees     acme: instances 0oa1, 0oa2\n",
        "together\n  may      events:read\n  sees     acme: instances 0oa1, 0oa2\n",
    ] {
        assert!(said.contains(line), "{line:?}\n{said}");
    }
    assert!(!said.contains(&token), "the token is not told: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_explained() {
    let trusting = TrustingPlace::new().await;
    let org_server = "eyJraWQiOiJvcGFxdWUifQ-an-opaque-token";
    let rights = json!({"groups": ["auditors"]});
    let with = |claims: Value| {
        let Value::Object(claims) = claims else { panic!() };
        let mut all = rights.clone();
        all.as_object_mut().unwrap().extend(claims);
        trusting.token(all)
    };
    let cases = [
        (trusting.token(json!({})), vec!["there is no claim groups", "no rule of issuers.okta.rules matches"]),
        (trusting.token(json!({"groups": 7})), vec!["the claim groups is 7, which is neither a text"]),
        (
            with(json!({"aud": "api://other"})),
            vec![
                "refused    it is for the audience \"api://other\", but issuers.okta.audience is \"api://sluice\"",
                "  sees     everything",
            ],
        ),
        (with(json!({"exp": 1_700_000_000})), vec!["refused    it expired at 2023"]),
        (with(json!({"nbf": 4_000_000_000_u64})), vec!["compare the clocks (issuers.okta.leeway_seconds)"]),
        (
            org_server.to_owned(),
            vec!["no reader has this token", "custom authorization server", "issuer     okta (http"],
        ),
    ];
    for (token, told) in cases {
        let (code, said) = trusting.explain(&format!("Bearer {token}\n")).await;
        assert_eq!(code, Some(3), "{said}");
        assert!(told.iter().all(|told| said.contains(told)), "{told:?}\n{said}");
        assert!(!said.contains(&token), "the token is not told: {said}");
    }
    for (kid, told) in [(Some("nope"), "the token names \"nope\""), (None, "the token names none (kid)")] {
        trusting.issuer.rotate(true).unwrap();
        let header = Header { kid: kid.map(str::to_owned), ..Header::new(Algorithm::ES256) };
        let token = trusting.issuer.sign(&header, &json!({"aud": "api://sluice"})).unwrap();
        let (code, said) = trusting.explain(&token).await;
        assert!(code == Some(3) && said.contains(&format!("  key      {told}")), "{said}");
        assert!(said.contains("; the issuer has [\"key-"), "{said}");
    }
    let (code, said) = trusting.explain("").await;
    assert!(code == Some(1) && said.contains("standard input is empty"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_and_bare_claims_are_explained() {
    let trusting = TrustingPlace::new().await;
    let (code, said) = trusting.explain(STRONG).await;
    let expected = "settings   sluice.toml\nreader     dashboard\n  may      events:read\n  \
                    sees     acme: applications office365, salesforce\n";
    assert_eq!((code, said.as_str()), (Some(0), expected));
    let (code, said) = trusting.explain(r#"{"sub": "00u2", "groups": ["auditors"]}"#).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("verified   nothing: these are claims without a token"), "{said}");
    assert!(said.contains("rules[0]   matches") && said.contains("there is no claim scp"), "{said}");
    let (code, said) = trusting.explain(r#"{"iss": "https://other.example"}"#).await;
    assert!(code == Some(3) && said.contains("no issuer \"https://other.example\" is configured"), "{said}");
}

/// A rule that matches may still show nothing, or not everything.
#[tokio::test(flavor = "multi_thread")]
async fn a_grant_of_a_claim_without_values_is_explained() {
    let trusting = TrustingPlace::new().await;
    let many: Vec<_> = (0..1_001).map(|number| format!("0oa{number}")).collect();
    for (instances, note) in [
        (json!(null), "the grant of acme shows nothing: instances is missing"),
        (json!([]), "the grant of acme shows nothing: instances is an empty list"),
        (json!({"0oa1": true}), "the grant of acme shows nothing: instances is neither a text nor a list of texts"),
        (json!(many), "instances has 1001 values, of which the first 1000 count"),
    ] {
        let (code, said) =
            trusting.explain(&json!({"scp": ["sluice.events"], "instances": instances}).to_string()).await;
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains(&format!("  note     {note}\n")), "{note}: {said}");
    }
}

/// A command in another directory than the settings' says so.
#[tokio::test(flavor = "multi_thread")]
async fn settings_that_are_not_found_are_told() {
    let trusting = TrustingPlace::new().await;
    std::fs::rename(trusting.place.0.path().join("sluice.toml"), trusting.place.0.path().join("other.toml")).unwrap();
    for (input, reason) in [
        (trusting.token(json!({})), "refused    no reader has this token, and there are no issuers\n"),
        (r#"{"groups": ["auditors"]}"#.to_owned(), "refused    there are no issuers\n"),
    ] {
        let (code, said) = trusting.explain(&input).await;
        assert_eq!(code, Some(3), "{said}");
        assert!(said.starts_with("settings   none: there is no sluice.toml here (--config)\n"), "{said}");
        assert!(said.contains(reason), "{said}");
    }
}

#[tokio::test]
async fn an_api_key_is_explained() {
    let database = TestDatabase::new().await;
    let gateway = GatewayProcess::prepare_over(&database.url, "");
    let add = ["keys", "add", "--name", "ci", "--scopes", "events:read", "--see", "acme/instances=0oa1"];
    let output = gateway.command_of(&[&add[..], &["--create"]].concat()).stdout(Stdio::piped()).output().await.unwrap();
    let key = String::from_utf8(output.stdout).unwrap();
    let (code, said) = explain_at(&gateway, &key).await;
    assert_eq!(code, Some(0), "{said}");
    for told in ["API key    ci\n", "accepted until 2", "  may      events:read\n  sees     acme: instances 0oa1\n"] {
        assert!(said.contains(told), "{told:?}\n{said}");
    }
    assert!(!said.contains(key.trim()), "the key is not told: {said}");
    assert!(said.starts_with("API key ") && !said.contains("from now on"), "no line of the gateway's log: {said}");
    let revoked = gateway.command_of(&["keys", "revoke", "ci"]).status().await.unwrap();
    assert!(revoked.success());
    let (code, said) = explain_at(&gateway, &key).await;
    assert!(code == Some(3) && said.starts_with("refused    the API key was revoked at 2"), "{said}");
    let others: Vec<_> = said.lines().skip(1).collect();
    assert!(matches!(others[..], [note] if note.starts_with("reading the API keys in ")), "{said}");
    let unknown = GeneratedKey::generate().unwrap();
    sqlx::query("DELETE FROM api_key").execute(&database.pool).await.unwrap();
    let (code, said) = explain_at(&gateway, unknown.text.expose_secret()).await;
    assert!(code == Some(3) && said.starts_with("refused    there is no such API key"), "{said}");
}
