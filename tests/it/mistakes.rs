//! Mistakes that operators and clients make with credentials: one line says what is wrong and which setting mends it, in the
//! answer, in the gateway's log and by `sluice access explain`.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use okta_sim::{AuthorizationServer, IssuerBehaviour};
use reqwest::{Client, StatusCode};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use sluice::access::NewApiKey;
use sluice::auth::{GeneratedKey, Readers};
use sluice::config::Settings;
use sluice::event::Rights;
use time::OffsetDateTime;
use tokio::net::TcpListener;

use crate::access_explained::explain_at;
use crate::browser::PUBLIC_URL;
use crate::database::TestDatabase;
use crate::gateway::{Gateway, settings};
use crate::process::GatewayProcess;
use crate::sign_in;
use crate::socket::{Socket, handshake};

/// A token that no issuer and no reader has.
const OPAQUE: &str = "00Aa1bB2cC3dD4eE5fF6gG7hH8iI9jJ0kK1lL2mM3n";

async fn issuer() -> AuthorizationServer {
    AuthorizationServer::start(TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap()
}

async fn ask(gateway: &GatewayProcess, token: &str) -> (StatusCode, Value) {
    let client = Client::builder().no_proxy().build().unwrap();
    let request = client.post(format!("http://{}/graphql", gateway.address)).bearer_auth(token);
    let response = request.json(&json!({"query": "{ viewer { name } }"})).send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

/// Returns the lines of a gateway's log about refusals.
fn refusals(gateway: &GatewayProcess) -> Vec<Value> {
    let output = gateway.output();
    let lines = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["message"].as_str().is_some_and(|text| text.starts_with("refused "))).collect()
}

/// A mistake: the token, and what one line must say of it.
struct Mistake {
    name: &'static str,
    token: String,
    says: Vec<String>,
}

fn mistake(name: &'static str, token: String, says: &[&str]) -> Mistake {
    Mistake { name, token, says: says.iter().map(|text| (*text).to_owned()).collect() }
}

/// Returns the claims of a token that is accepted, some of which are changed.
fn claims(changes: &Value) -> Value {
    let mut claims = json!({"aud": "api://sluice", "sub": "00u1", "groups": ["auditors"]});
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

fn signed_with_secret(header: &Header, changes: &Value) -> String {
    jsonwebtoken::encode(header, &claims(changes), &EncodingKey::from_secret(b"x")).unwrap()
}

fn mistakes(issuer: &AuthorizationServer, away: &AuthorizationServer) -> Vec<Mistake> {
    let (url, now) = (issuer.url(), OffsetDateTime::now_utc().unix_timestamp());
    let token = |changes: Value| issuer.token(&claims(&changes)).unwrap();
    let header = |kid: &str, algorithm| Header { kid: Some(kid.to_owned()), ..Header::new(algorithm) };
    let with_secret = signed_with_secret(&header("key-0", Algorithm::HS256), &json!({"iss": url, "exp": now + 60}));
    let good = token(json!({}));
    let foreign_header = "eyJhbGciOiJFUzUxMiIsImtpZCI6ImtleS0wIn0";
    let foreign = format!("{foreign_header}.{}", good.split_once('.').unwrap().1);
    let altered = issuer.sign(&header("key-0", Algorithm::ES256), &claims(&json!({"sub": "00u2"}))).unwrap();
    let altered = format!("{}.{}", altered.rsplit_once('.').unwrap().0, good.rsplit_once('.').unwrap().1);
    vec![
        mistake(
            "an opaque token",
            OPAQUE.to_owned(),
            &["no signed JSON Web Token", "custom authorization server", "issuers.url"],
        ),
        mistake(
            "a token of the org's own authorization server",
            token(json!({"iss": "http://127.0.0.1:1"})),
            &["own authorization server", "issuers.custom.url"],
        ),
        mistake(
            "a slash at the end",
            token(json!({"iss": format!("{url}/")})),
            &[&format!("its issuer is \"{url}/\", but issuers.okta.url is \"{url}\"")],
        ),
        mistake(
            "another issuer",
            token(json!({"iss": "https://other.example"})),
            &["no issuer \"https://other.example\" is configured (issuers.url)"],
        ),
        mistake(
            "another audience",
            token(json!({"aud": ["api://default", "a\nb"]})),
            &["it is for the audience [\"api://default\",\"a\\nb\"], but issuers.okta.audience is \"api://sluice\""],
        ),
        mistake(
            "a shared secret",
            with_secret,
            &["it is signed with HS256, which issuers.okta.algorithms does not allow"],
        ),
        mistake(
            "an algorithm that nobody allows",
            foreign,
            &["it is signed with ES512, which issuers.okta.algorithms"],
        ),
        mistake(
            "a token without a signature",
            format!("eyJhbGciOiJub25lIn0.{}.", good.split('.').nth(1).unwrap()),
            &["it is not signed (its alg is none): tokens of issuers.okta must be signed"],
        ),
        mistake(
            "a key of another server",
            issuer.sign(&header("key-9", Algorithm::ES256), &claims(&json!({}))).unwrap(),
            &["a key that the issuer does not have", "issuers.okta"],
        ),
        mistake("an altered token", altered, &["its signature is wrong", "issuers.okta"]),
        mistake(
            "an issuer that is away",
            away.token(&claims(&json!({}))).unwrap(),
            &["the keys of issuers.away could not be fetched"],
        ),
        mistake(
            "an expired token",
            token(json!({"exp": now - 3600, "iat": now - 7200})),
            &["it expired at 20", "this machine's clock says 20", "issuers.okta.leeway_seconds"],
        ),
        mistake(
            "a token of tomorrow",
            token(json!({"nbf": now + 3600})),
            &["it is valid from 20", "this machine's clock says 20", "issuers.okta.leeway_seconds"],
        ),
        mistake(
            "a token for long",
            token(json!({"exp": now + 400_000})),
            &["it is valid for 400000 s, but issuers.okta.max_token_seconds is 86400"],
        ),
        mistake("a token without an issuer", token(json!({"iss": null})), &["its claim \"iss\" is missing"]),
        mistake("a token without an end", token(json!({"exp": null})), &["its claim \"exp\" is missing"]),
        mistake("a token without an audience", token(json!({"aud": null})), &["its claim \"aud\" is missing"]),
        mistake(
            "no claim of a rule",
            token(json!({"groups": null})),
            &["no rule of issuers.okta.rules matches it, so it has no rights: groups is missing, scp is missing"],
        ),
        mistake(
            "no list of texts",
            token(json!({"groups": [7], "scp": ["other"]})),
            &[
                "no rule of issuers.okta.rules matches it",
                "groups is neither a text nor a list of texts, scp has other values",
            ],
        ),
        mistake(
            "more claims than the rules ask for",
            token(json!({"groups": ["staff"], "roles": ["auditors"]})),
            &["no rule of issuers.okta.rules matches it", "groups has other values, scp is missing"],
        ),
    ]
}

/// Mistakes of a kind that comes before them.
const REPEATED: [&str; 4] = [
    "an algorithm that nobody allows",
    "a token without an audience",
    "no list of texts",
    "more claims than the rules ask for",
];

fn toml_of(issuer: &AuthorizationServer, away: &AuthorizationServer) -> String {
    let rule = |claim: &str, has: &str| {
        format!("[[issuers.rules]]\nclaim = \"{claim}\"\nhas = \"{has}\"\nscopes = [\"events:read\"]\n")
    };
    let table = |name: &str, url: &str| {
        let rules = rule("groups", "auditors") + &rule("scp", "sluice.events");
        format!("[[issuers]]\nname = \"{name}\"\nurl = \"{url}\"\naudience = \"api://sluice\"\n{rules}")
    };
    let custom = "http://127.0.0.1:1/oauth2/default";
    [table("okta", &issuer.url()), table("away", &away.url()), table("custom", custom)].concat()
}

#[tokio::test]
async fn each_refused_token_has_one_line_in_the_answer_the_log_and_the_explanation() {
    let (issuer, away, database) = (issuer().await, issuer().await, TestDatabase::new().await);
    away.behave(IssuerBehaviour::Status(500));
    let mut gateway = GatewayProcess::prepare("data", &toml_of(&issuer, &away));
    gateway.variables = vec![("DATABASE_URL", database.url.clone())];
    gateway.start_again().await;
    let mut logged = 0;
    for Mistake { name, token, says } in mistakes(&issuer, &away) {
        let (status, answer) = ask(&gateway, &token).await;
        let has_no_rights = says.iter().any(|text| text.contains("no rule"));
        let expected = match name {
            _ if has_no_rights => StatusCode::FORBIDDEN,
            // The token may be right.
            "an issuer that is away" => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::UNAUTHORIZED,
        };
        assert_eq!(status, expected, "{name}: {answer}");
        let message = answer["errors"][0]["message"].as_str().unwrap();
        let fault = message.strip_prefix("the token is refused: ").unwrap();
        assert!(says.iter().all(|text| fault.contains(text)) && !fault.contains('\n'), "{name}: {says:?} {fault}");
        // The log has one line for each kind of mistake within a minute.
        let lines = refusals(&gateway);
        let of_kind = |line: &&Value| line["fault"] == fault;
        if !REPEATED.contains(&name) {
            logged += 1;
            assert_eq!(lines.iter().filter(of_kind).count(), 1, "{name}: {lines:?}");
        }
        assert_eq!(lines.len(), logged, "{name}: {lines:?}");
        let (code, said) = explain_at(&gateway, &token).await;
        assert_eq!(code, Some(3), "{name}: {said}");
        if has_no_rights {
            assert!(said.contains("refused    no rule of issuers.okta.rules matches"), "{name}: {said}");
        } else {
            let refused = said.lines().find(|line| line.starts_with("refused ")).unwrap();
            assert!(says.iter().all(|text| refused.contains(text)), "{name}: {says:?} {said}");
        }
        assert!(!said.contains(&token) && !gateway.output().contains(&token), "{name}");
    }
    let (_, said) = explain_at(&gateway, &away.token(&claims(&json!({}))).unwrap()).await;
    let reason = format!(
        "{}/.well-known/openid-configuration answers with 500 Internal Server Error (issuers.away.url)",
        away.url()
    );
    assert!(said.contains(&reason), "{said}");
    let output = gateway.output();
    assert!(output.contains("the issuer's keys could not be fetched (issuers.away.url)"), "{output}");
    let unknown = refusals(&gateway).into_iter().find(|line| line["fault"].as_str().unwrap().contains("other.example"));
    let configured = unknown.unwrap()["configured"].as_str().unwrap().to_owned();
    assert!(configured.starts_with(&format!("okta ({}), away (", issuer.url())), "{configured}");
}

#[tokio::test]
async fn the_log_names_a_refused_key_by_its_public_id_alone() {
    let database = TestDatabase::new().await;
    let mut gateway = GatewayProcess::prepare_over(&database.url, "");
    let mut keys = Vec::new();
    for name in ["expired", "revoked", "altered", "short"] {
        let key = GeneratedKey::generate().unwrap();
        let rights = Rights::of_unlimited_reader();
        let new = NewApiKey { id: key.id.clone(), name: name.to_owned(), hash: key.hash, rights, days: 1 };
        database.store().access_records().add_api_key(&new).await.unwrap();
        keys.push((key.id, key.text.expose_secret().to_owned()));
    }
    let expire = "UPDATE api_key SET expires_at = now() - interval '1 s' WHERE name = 'expired'";
    sqlx::query(expire).execute(&database.pool).await.unwrap();
    assert!(database.store().access_records().revoke_api_key("revoked").await.unwrap().is_some());
    gateway.start_again().await;
    let last = if keys[2].1.ends_with('0') { "1" } else { "0" };
    keys[2].1.replace_range(63.., last);
    keys[3].1.truncate(40);
    let unknown = GeneratedKey::generate().unwrap();
    keys.push((unknown.id, unknown.text.expose_secret().to_owned()));
    for (index, (id, text)) in keys.iter().enumerate() {
        let (status, answer) = ask(&gateway, text).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{answer}");
        let lines = refusals(&gateway);
        assert_eq!(lines.len(), index + 1, "{lines:?}");
        let line = lines.last().unwrap();
        assert_eq!((&line["id"], &line["fault"]), (&json!(id), &answer["errors"][0]["message"]), "{line}");
        assert!(!gateway.output().contains(&text[15..]), "the secret is not in the log");
    }
    assert_eq!(ask(&gateway, "slk_nothing").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(refusals(&gateway).len(), keys.len(), "the log has one line for each kind");
}

/// Asks without a token over HTTP, and gives the message.
async fn refusal(gateway: &Gateway, token: Option<&str>) -> String {
    let mut request = gateway.client.post(gateway.url("/graphql")).json(&json!({"query": "{ viewer { name } }"}));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
    let answer: Value = response.json().await.unwrap();
    answer["errors"][0]["message"].as_str().unwrap().to_owned()
}

async fn close_reason(gateway: &Gateway) -> (Option<u16>, String) {
    let mut socket = Socket::connect(handshake(gateway.address, "graphql-transport-ws")).await.unwrap();
    socket.send(json!({"type": "connection_init"})).await;
    socket.close_reason().await
}

/// Makes the settings of a gateway over a database.
type Make<'a> = &'a dyn Fn(&TestDatabase) -> Settings;

#[tokio::test]
async fn whoever_has_no_token_is_told_which_kinds_the_gateway_accepts() {
    let issuer = sign_in::issuer().await;
    let signed_in = |database: &TestDatabase| sign_in::settings_of(&issuer, database, "owners");
    let readers = || Readers::new(vec![("secret-name".to_owned(), "the secret-name's token".into())]);
    let with_tokens = |database: &TestDatabase| {
        let mut settings = signed_in(database);
        let file = format!(
            "access.public_url = \"{PUBLIC_URL}\"\n{}",
            toml_of(&issuer, &issuer).split("[[issuers]]\nname = \"away\"").next().unwrap()
        );
        settings.issuers = crate::started_with::Place::new(file).read(&|_| None).issuers;
        settings.public_url = None;
        settings
    };
    let closed = |database: &TestDatabase| {
        let settings = settings(database);
        settings.readers.close();
        settings
    };
    let of_reader = |database: &TestDatabase| Settings { readers: readers(), ..settings(database) };
    let all = |database: &TestDatabase| Settings {
        readers: readers(),
        issuers: with_tokens(database).issuers,
        ..settings(database)
    };
    let how = "is required: send it as `Authorization: Bearer …`, or in connection_init as `authorization`";
    let session = "the session of a person who has signed in";
    let cases: [(Make<'_>, &str, String, &str); 5] = [
        (
            &of_reader,
            "a reader's token",
            format!("a reader's token {how}"),
            "the token is unknown: this gateway accepts a reader's token",
        ),
        (&closed, "an API key", format!("an API key {how}"), "the token is unknown: this gateway accepts an API key"),
        (
            &signed_in,
            session,
            format!("{session} is required: sign in at /auth/login"),
            "this gateway accepts the session",
        ),
        (
            &with_tokens,
            "a token of an issuer",
            format!("a token of an issuer {how}"),
            "the token is refused: it is no signed JSON",
        ),
        (
            &all,
            "a reader's token or a token of an issuer",
            format!("a reader's token or a token of an issuer {how}"),
            "the token is refused: no reader has it, and as a token of an issuer, it is no signed",
        ),
    ];
    for (settings, listed, required, unknown) in cases {
        let database = TestDatabase::new().await;
        let gateway = Gateway::start_over(database.clone(), settings(&database)).await;
        let said = refusal(&gateway, None).await;
        assert_eq!(said, required);
        let refused = refusal(&gateway, Some(OPAQUE)).await;
        assert!(refused.contains(unknown), "{refused}");
        let (code, reason) = close_reason(&gateway).await;
        assert_eq!((code, reason), (Some(4403), format!("Forbidden: {listed} is required")));
        for text in [&said, &refused] {
            assert!(
                !text.contains("secret-name") && !text.contains("okta (") && !text.contains(&issuer.url()),
                "{text}"
            );
        }
    }
}
