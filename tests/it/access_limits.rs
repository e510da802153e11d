//! The limits of API keys, sign-ins under way and sessions, over tables that are filled by SQL.

use std::process::Stdio;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use secrecy::ExposeSecret as _;
use serde_json::json;
use sluice::access::NewApiKey;
use sluice::auth::{ClientHeader, GeneratedKey, TrustedProxies};
use sluice::event::Rights;
use sqlx::AssertSqlSafe;
use tokio::time::Instant;

use crate::browser::{Browser, location};
use crate::database::TestDatabase;
use crate::gateway::Gateway;
use crate::process::GatewayProcess;
use crate::sign_in::{issuer, settings_of};
use crate::socket::Heard;

impl TestDatabase {
    async fn execute(&self, sql: impl Into<String>) {
        sqlx::query(AssertSqlSafe(sql.into())).execute(&self.pool).await.unwrap();
    }

    /// Adds keys that nobody has, which were added at a time. `more` are further columns with their values.
    async fn fill_keys(&self, name: &str, number: u32, (columns, values): (&str, &str)) {
        self.execute(format!(
            "INSERT INTO api_key (id, name, hash, rights, expires_at {columns}) SELECT '{name}' || n, '{name}' || n, \
             sha256(('{name}' || n)::bytea), '{{\"scopes\": [\"events:read\"]}}', now() + interval '1 day' {values} \
             FROM generate_series(1, {number}) n"
        ))
        .await;
    }
}

/// Runs `sluice keys add`, and returns its exit status and what it prints.
async fn add(gateway: &GatewayProcess, name: &str) -> (Option<i32>, String, String) {
    let mut command = gateway.command_of(&["keys", "add", "--name", name]);
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().await.unwrap();
    let [out, errors] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (output.status.code(), out.trim().to_owned(), errors)
}

async fn ask(gateway: &GatewayProcess, key: &str) -> (StatusCode, String) {
    let client = Client::builder().no_proxy().build().unwrap();
    let request = client.post(format!("http://{}/graphql", gateway.address)).bearer_auth(key);
    let response = request.json(&json!({"query": "{ viewer { name } }"})).send().await.unwrap();
    (response.status(), response.text().await.unwrap())
}

async fn wait_for(gateway: &mut GatewayProcess, key: &str, status: StatusCode) {
    gateway.wait_until(async |gateway| ask(gateway, key).await.0 == status).await;
}

/// Adds a key beside the limit, as if somebody had written it by hand, and returns its text.
async fn write_by_hand(database: &TestDatabase, name: &str, created_at: &str) -> String {
    let key = GeneratedKey::generate().unwrap();
    let insert = "INSERT INTO api_key (id, name, hash, rights, created_at, expires_at) VALUES ($1, $2, $3, \
                  '{\"scopes\": [\"events:read\"]}', $4::text::timestamptz, now() + interval '1 day')";
    let query = sqlx::query(insert).bind(&key.id).bind(name).bind(&key.hash[..]).bind(created_at);
    query.execute(&database.pool).await.unwrap();
    key.text.expose_secret().to_owned()
}

#[tokio::test]
async fn no_more_than_ten_thousand_usable_keys_are_added() {
    let database = TestDatabase::new().await;
    let mut gateway = GatewayProcess::prepare_over(&database.url, "");
    database.fill_keys("other", 9_999, ("", "")).await;
    // Keys that open nothing do not count.
    database.fill_keys("revoked", 500, (", revoked_at", ", now()")).await;
    database.execute("UPDATE api_key SET expires_at = now() - interval '1 s' WHERE name LIKE 'revoked%0'").await;
    gateway.start_again().await;
    let (code, last, errors) = add(&gateway, "last").await;
    assert_eq!(code, Some(0), "{errors}");
    wait_for(&mut gateway, &last, StatusCode::OK).await;
    let refusal = "there are 10000 API keys already, which is the most that gateways hold: revoke some first";
    let (code, out, errors) = add(&gateway, "more").await;
    assert!(code == Some(1) && out.is_empty() && errors.contains(refusal), "{out}{errors}");
    let (code, _, errors) = add(&gateway, "last").await;
    assert!(code == Some(1) && errors.contains("there is an API key \"last\" already"), "{errors}");
    assert!(database.store().access_records().revoke_api_key("other7").await.unwrap().is_some());
    let (code, more, errors) = add(&gateway, "more").await;
    assert_eq!(code, Some(0), "{errors}");
    for key in [&more, &last] {
        wait_for(&mut gateway, key, StatusCode::OK).await;
    }
    assert!(!gateway.output().contains("more usable API keys"), "{}", gateway.output());
}

#[tokio::test]
async fn of_more_keys_a_gateway_refuses_those_that_were_added_first_and_says_so() {
    let database = TestDatabase::new().await;
    let mut gateway = GatewayProcess::prepare_over(&database.url, "");
    let first = write_by_hand(&database, "first", "2026-01-01T00:00:00Z").await;
    database.fill_keys("other", 9_999, (", created_at", ", '2026-02-01T00:00:00Z'")).await;
    database.fill_keys("revoked", 500, (", revoked_at", ", now()")).await;
    gateway.start_again().await;
    wait_for(&mut gateway, &first, StatusCode::OK).await;
    let newest = write_by_hand(&database, "newest", "2026-03-01T00:00:00Z").await;
    wait_for(&mut gateway, &newest, StatusCode::OK).await;
    let (status, said) = ask(&gateway, &first).await;
    assert!(status == StatusCode::UNAUTHORIZED && said.contains("there is no such API key"), "{status} {said}");
    let warned = "the database has more usable API keys than a gateway holds: those that were added first are refused";
    assert_eq!(gateway.output().matches(warned).count(), 1, "{}", gateway.output());
    assert!(database.store().access_records().revoke_api_key("other7").await.unwrap().is_some());
    wait_for(&mut gateway, &first, StatusCode::OK).await;
    let key = GeneratedKey::generate().unwrap();
    let (id, hash, rights) = (key.id, key.hash, Rights::of_unlimited_reader());
    let more = NewApiKey { id, name: "more".to_owned(), hash, rights, days: 1 };
    let refused = database.store().access_records().add_api_key(&more).await.unwrap_err();
    assert!(refused.to_string().starts_with("there are 10000 API keys already"), "{refused}");
}

/// Adds sign-ins under way of strangers, the last of which expire at a time from now.
async fn fill_logins(database: &TestDatabase, number: u32, expires: &str) {
    database
        .execute(format!(
            "INSERT INTO login (state_hash, browser_hash, issuer, nonce, verifier, return_to, expires_at) \
             SELECT sha256(('{expires}' || n)::bytea), sha256('browser'), 'okta', 'n', 'v', '/', \
             now() + interval '{expires}' - make_interval(secs => ({number} - n) * 0.001) \
             FROM generate_series(1, {number}) n"
        ))
        .await;
}

const LOGINS: &str = "SELECT count(*) FROM login";

#[tokio::test]
async fn of_ten_thousand_sign_ins_only_the_earliest_gives_way_to_a_stranger() {
    let issuer = issuer().await;
    let database = TestDatabase::new().await;
    let gateway = Gateway::start_over(database.clone(), settings_of(&issuer, &database, "owners")).await;
    let (mut early, mut person, mut late) = (Browser::default(), Browser::default(), Browser::default());
    fill_logins(&database, 100, "9 minutes").await;
    let back = person.come_back(&gateway, "/auth/login").await;
    // Later ones than that of the person.
    fill_logins(&database, 9_899, "11 minutes").await;
    assert_eq!(database.number(LOGINS).await, 10_000);
    let started = Instant::now();
    for _ in 0..100 {
        let begun = Browser::default().go(&gateway, "/auth/login").await;
        assert_eq!(begun.status(), StatusCode::SEE_OTHER);
    }
    eprintln!("100 sign-ins have begun beside 10,000 others in {:?}", started.elapsed());
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert_eq!(database.number(LOGINS).await, 10_000);
    let strangers = "SELECT count(*) FROM login WHERE expires_at < now() + interval '9 minutes'";
    assert_eq!(database.number(strangers).await, 0, "the earliest have given way");
    // The rows that stay are not written, nor locked, at each beginning.
    let touched = "SELECT count(*) FROM login WHERE xmax <> 0";
    assert_eq!(database.number(touched).await, 0);
    let finished = person.go(&gateway, &back).await;
    assert_eq!((finished.status(), location(&finished)), (StatusCode::SEE_OTHER, "/".to_owned()));
    // Somebody who began before 10,000 others begins again.
    let lost = early.come_back(&gateway, "/auth/login").await;
    fill_logins(&database, 10_000, "12 minutes").await;
    let begun = late.come_back(&gateway, "/auth/login").await;
    assert_eq!(database.number(LOGINS).await, 10_000);
    let refused = early.go(&gateway, &lost).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    assert!(refused.text().await.unwrap().contains("This sign-in is not known"));
    assert_eq!(late.go(&gateway, &begun).await.status(), StatusCode::SEE_OTHER);
    // Expired ones all go at once.
    database.execute("UPDATE login SET expires_at = now() - interval '1 s'").await;
    early.come_back(&gateway, "/auth/login").await;
    assert_eq!(database.number(LOGINS).await, 1);
}

/// The limit of an address, by which it cannot displace the sign-ins of others.
#[tokio::test]
async fn an_address_begins_at_most_a_thousand_sign_ins() {
    let issuer = issuer().await;
    let database = TestDatabase::new().await;
    let mut settings = settings_of(&issuer, &database, "owners");
    settings.trusted_proxies = TrustedProxies::new(vec!["127.0.0.1/32".parse().unwrap()], ClientHeader::default());
    let gateway = Gateway::start_over(database.clone(), settings).await;
    let client = Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
    let begin = async |address: &str| {
        let request = client.get(gateway.url("/auth/login")).header("x-forwarded-for", address);
        let request = request.header("x-forwarded-host", "sluice.example");
        request.send().await.unwrap()
    };
    for _ in 0..1_000 {
        assert_eq!(begin("192.0.2.1").await.status(), StatusCode::SEE_OTHER);
    }
    let refused = begin("192.0.2.1").await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    let page = refused.text().await.unwrap();
    assert!(page.contains("more than 1,000 sign-ins have begun within 10 minutes"), "{page}");
    assert_eq!(begin("192.0.2.2").await.status(), StatusCode::SEE_OTHER);
    assert_eq!(database.number(LOGINS).await, 1_001);
}

/// Adds sessions of a person that have begun a number of minutes ago.
async fn fill_sessions(database: &TestDatabase, subject: &str, number: u32, (began, revoked): (&str, &str)) {
    database
        .execute(format!(
            "INSERT INTO session (hash, issuer, subject, claims, id_token, created_at, expires_at, revoked_at) \
             SELECT sha256(('{subject} {began} {revoked}' || n)::bytea), 'okta', '{subject}', '{{}}', 'token', \
             now() + interval '{began}', now() + interval '1 hour', {revoked} FROM generate_series(1, {number}) n"
        ))
        .await;
}

const LIVE: &str = "SELECT count(*) FROM session WHERE subject = '00u1' AND revoked_at IS NULL";

#[tokio::test]
async fn the_earliest_of_fifty_sessions_ends_when_a_person_signs_in_again() {
    let issuer = issuer().await;
    let database = TestDatabase::new().await;
    let gateway = Gateway::start_over(database.clone(), settings_of(&issuer, &database, "owners")).await;
    let first = Browser::signed_in(&gateway).await;
    let mut socket = first.socket(&gateway).await;
    fill_sessions(&database, "00u2", 60, ("0 minutes", "NULL")).await;
    fill_sessions(&database, "00u1", 48, ("1 minute", "NULL")).await;
    // Sessions that have ended do not count.
    fill_sessions(&database, "00u1", 60, ("2 minutes", "now()")).await;
    let fiftieth = Browser::signed_in(&gateway).await;
    assert!(socket.hears_nothing(Duration::from_secs(3)).await, "there are fifty");
    assert_eq!(database.number(LIVE).await, 50);
    let next = Browser::signed_in(&gateway).await;
    assert_eq!(socket.hear().await, Heard::Closed(Some(4403)));
    assert_eq!(database.number(LIVE).await, 50);
    assert_eq!(database.number("SELECT count(*) FROM session WHERE subject = '00u1'").await, 50, "the ended are gone");
    assert_eq!(database.number("SELECT count(*) FROM session WHERE subject = '00u2'").await, 60);
    assert_eq!(first.ask(&gateway, "{ __typename }").await.0, StatusCode::UNAUTHORIZED);
    for browser in [&fiftieth, &next] {
        let (status, answer) = browser.ask(&gateway, "{ __typename }").await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
}
