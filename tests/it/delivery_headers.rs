//! The headers of deliveries that are kept, and those that earlier versions stored.

use serde_json::{Value, json};

use crate::database::TestDatabase;
use crate::events::{delivery, sync_event};
use crate::gateway::{Gateway, HOOK_SECRET, ORG, settings};
use crate::okta_org::wait_until;
use crate::started_with::Place;

/// Headers in which proxies and gateways put secrets.
const SECRETS: [&str; 9] = [
    "x-okta-token",
    "x-okta-api-key",
    "x-okta-authorization",
    "x-okta-client-secret",
    "x-vault-token",
    "cf-access-jwt-assertion",
    "x-amzn-oidc-data",
    "x-forwarded-client-cert",
    "x-auth-request-access-token",
];

#[tokio::test]
async fn only_headers_of_the_list_and_of_the_settings_are_kept() {
    let gateway = Gateway::start_with(|settings| {
        settings.orgs.get_mut(ORG).unwrap().keep_headers = vec!["X-Edge-Location".to_owned()];
    })
    .await;
    let mut request = gateway.client.post(gateway.url("/okta/acme/hooks")).header("authorization", HOOK_SECRET);
    for name in SECRETS {
        request = request.header(name, "s3cr3t");
    }
    let kept = [
        ("content-type", "application/json"),
        ("user-agent", "Okta hooks"),
        ("date", "Sun, 01 Nov 2026 10:11:12 GMT"),
        ("x-request-id", "r1"),
        ("x-okta-request-id", "o1"),
        ("x-edge-location", "fra"),
    ];
    for (name, value) in kept.into_iter().chain([("x-forwarded-for", "198.51.100.1"), ("cookie", "s3cr3t")]) {
        request = request.header(name, value);
    }
    let body = delivery(&[sync_event("one")]).to_string();
    let length = body.len().to_string();
    assert_eq!(request.body(body).send().await.unwrap().status(), 200);
    let headers =
        gateway.query("{ syncEvents { nodes { headers } } }").await["syncEvents"]["nodes"][0]["headers"].take();
    let mut expected: Value = kept.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
    expected["content-length"] = json!(length);
    expected["host"] = json!(gateway.address.to_string());
    assert_eq!(headers, expected);
}

#[tokio::test]
async fn headers_that_an_earlier_version_stored_are_reduced_step_by_step() {
    let database = TestDatabase::new().await;
    let insert = "INSERT INTO delivery (id, org, headers, received_at) \
                  SELECT lpad(to_hex(n), 32, '0')::uuid, CASE WHEN n % 2 = 0 THEN 'acme' ELSE 'gone' END, \
                  '{\"authorization\":\"[redacted]\",\"user-agent\":\"Okta\",\"x-edge\":\"fra\",\"x-vault-token\":\"s3cr3t\"}', \
                  now() FROM generate_series(1, 2500) n";
    sqlx::query(insert).execute(&database.pool).await.unwrap();
    let mut settings = settings(&database);
    settings.orgs.get_mut(ORG).unwrap().keep_headers = vec!["x-edge".to_owned()];
    let gateway = Gateway::start_over(database.clone(), settings).await;
    let left = "SELECT count(*) FROM delivery WHERE headers LIKE '%s3cr3t%' OR headers LIKE '%authorization%'";
    wait_until("no secret is left", async || database.number(left).await == 0).await;
    let kept: Vec<(String, String, i64)> =
        sqlx::query_as("SELECT org, headers, count(*) FROM delivery GROUP BY org, headers ORDER BY org")
            .fetch_all(&database.pool)
            .await
            .unwrap();
    let expected = [
        ("acme".to_owned(), r#"{"user-agent":"Okta","x-edge":"fra"}"#.to_owned(), 1250),
        ("gone".to_owned(), r#"{"user-agent":"Okta"}"#.to_owned(), 1250),
    ];
    assert_eq!(kept, expected);
    let through = "SELECT count(*) FROM headers_reduced WHERE through = lpad(to_hex(2500), 32, '0')::uuid";
    wait_until("it is noted", async || database.number(through).await == 1).await;
    gateway.stop().await;
}

#[test]
fn settings_do_not_keep_what_bears_a_secret() {
    let org = |names: &str, more: &str| format!("orgs = [{{name = 'one', keep_headers = [{names}]{more}}}]");
    for (names, more, says) in [
        ("'x y'", "", "orgs[0] (one).keep_headers[0]: \"x y\" is not a header's name"),
        ("'x-a', ''", "", "orgs[0] (one).keep_headers[1]: \"\" is not a header's name"),
        ("'Cookie'", "", "orgs[0] (one).keep_headers[0]: \"Cookie\" contains a secret"),
        ("'X-Key'", ", hook_header = 'x-key'", "orgs[0] (one).keep_headers[0]: \"X-Key\" contains a secret"),
    ] {
        let said = Place::new(org(names, more)).check(&[]);
        assert!(said.code == Some(1) && said.errors.contains(says), "{says}: {said:?}");
    }
    assert_eq!(Place::new(org("'X-Edge-Location'", "")).check(&[]).code, Some(0));
}
