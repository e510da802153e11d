//! The command `sluice keys`: what it prints where, what it refuses, and that a secret is nowhere but in its output.

use std::process::Stdio;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use crate::database::TestDatabase;
use crate::process::GatewayProcess;
use crate::started_with::Place;

/// Output of a command.
struct Said {
    code: Option<i32>,
    out: String,
    errors: String,
}

/// Runs `sluice keys` on the database of a gateway.
async fn keys(gateway: &GatewayProcess, words: &[&str]) -> Said {
    let mut command = gateway.command_of(&[&["keys"], words].concat());
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().await.unwrap();
    let [out, errors] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    Said { code: output.status.code(), out, errors }
}

async fn ask(gateway: &GatewayProcess, key: &str) -> (StatusCode, Value) {
    let client = Client::builder().no_proxy().build().unwrap();
    let request = client.post(format!("http://{}/graphql", gateway.address)).bearer_auth(key);
    let query = json!({"query": "{ viewer { name kind scopes sees { org applications applicationInstances } } }"});
    let response = request.json(&query).send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

/// Returns all rows of all tables as text.
async fn all_rows(database: &TestDatabase) -> String {
    let tables =
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&database.pool).await.unwrap();
    let mut all = String::new();
    for table in tables {
        let rows = format!("SELECT coalesce(string_agg(t::text, ' '), '') FROM {table} t");
        let rows: String = sqlx::query_scalar(AssertSqlSafe(rows)).fetch_one(&database.pool).await.unwrap();
        all.push_str(&rows);
    }
    all
}

#[tokio::test]
async fn a_key_is_added_used_listed_and_revoked_and_its_secret_is_nowhere_else() {
    let database = TestDatabase::new().await;
    let mut gateway = GatewayProcess::prepare_over(&database.url, "");
    gateway.variables.push(("RUST_LOG", "debug,sqlx=debug".to_owned()));
    let see = ["--see", "acme/applications=office365,slack", "--see", "acme/instances=0oa1"];
    let added = keys(
        &gateway,
        &[&["add", "--name", "ci", "--scopes", "events:read,people:read", "--days", "7"], &see[..]].concat(),
    )
    .await;
    assert_eq!(added.code, Some(0), "{}", added.errors);
    let key = added.out.strip_suffix('\n').unwrap();
    assert!(key.len() == 64 && key.starts_with("slk_") && !key.contains('\n'), "only the key is printed: {key}");
    assert!(
        added
            .errors
            .contains("Scopes: events:read,people:read; sees: acme/applications=office365,slack acme/instances=0oa1.")
    );
    let (id, secret) = key[4..].split_once('_').unwrap();
    assert!(added.errors.contains(id) && !added.errors.contains(secret), "{}", added.errors);
    // A gateway that starts later knows the key from its start, and needs no readers to be closed.
    gateway.start_again().await;
    let (status, answer) = ask(&gateway, key).await;
    let sees = json!([{"org": "acme", "applications": ["office365", "slack"], "applicationInstances": null},
        {"org": "acme", "applications": null, "applicationInstances": ["0oa1"]}]);
    let viewer = json!({"name": "ci", "kind": "API_KEY", "scopes": ["EVENTS_READ", "PEOPLE_READ"], "sees": sees});
    assert_eq!((status, &answer["data"]["viewer"]), (StatusCode::OK, &viewer), "{answer}");
    let altered = format!("{}{}", &key[..63], if key.ends_with('0') { '1' } else { '0' });
    for refused in [&altered, &key[..63], "nobody's"] {
        assert_eq!(ask(&gateway, refused).await.0, StatusCode::UNAUTHORIZED);
    }
    let listed = keys(&gateway, &["list"]).await;
    assert!(
        listed.out.starts_with(&format!("ci  slk_{id}…  Scopes: events:read,people:read; sees: acme/app")),
        "{}",
        listed.out
    );
    assert!(listed.out.contains("created ") && listed.out.contains("expires ") && !listed.out.contains("revoked"));
    let unlimited = keys(&gateway, &["add", "--name", "all"]).await;
    assert!(unlimited.errors.contains("sees: everything."), "{}", unlimited.errors);
    let revoked = keys(&gateway, &["revoke", "ci"]).await;
    assert_eq!((revoked.code, revoked.out.contains("every gateway refuses it within 3 seconds")), (Some(0), true));
    gateway.wait_until(async |gateway| ask(gateway, key).await.0 == StatusCode::UNAUTHORIZED).await;
    let listed = keys(&gateway, &["list"]).await;
    let (all, ci) = listed.out.split_at(listed.out.find("ci  slk_").unwrap());
    assert!(all.starts_with("all  slk_") && ci.contains("revoked ") && !all.contains("revoked"), "{}", listed.out);
    let rows = all_rows(&database).await;
    assert!(rows.contains(id));
    for text in [&rows, &gateway.output(), &listed.out, &listed.errors, &revoked.out, &revoked.errors] {
        assert!(!text.contains(secret) && !text.contains(&secret[..43]) && !text.contains(&key[..60]));
    }
}

#[tokio::test]
async fn mistakes_are_named_and_add_nothing() {
    let database = TestDatabase::new().await;
    let gateway = GatewayProcess::prepare_over(&database.url, "");
    let add = ["add", "--name", "ci"];
    for (words, says) in [
        (&["--scopes", "events:write"][..], "--scopes[0]: there is no scope \"events:write\"; there are: events:read"),
        (&["--scopes", "events:details"], "--scopes: events:details needs people:read"),
        (&["--see", "other"], "--see[0].org: there is no org \"other\"; there are: acme"),
        (
            &["--see", "acme", "--see", "acme/users=ada"],
            "--see: \"acme/users=ada\" is no grant: expected ORG, ORG/applications=KEY",
        ),
        (&["--see", "acme/instances="], "--see[0].instances[0]: \"\" is nothing that Okta names"),
        (&["--days", "0"], "0 is not in 1..=3650"),
        (&["--days", "3651"], "3651 is not in 1..=3650"),
        (&["--days", "x"], "invalid digit"),
    ] {
        let said = keys(&gateway, &[&add[..], words].concat()).await;
        assert!(
            said.code != Some(0) && said.out.is_empty() && said.errors.contains(says),
            "{words:?}: {}",
            said.errors
        );
    }
    for name in ["", "a b", "ä", &"n".repeat(101)] {
        let said = keys(&gateway, &["add", "--name", name]).await;
        assert!(said.errors.contains("--name: expected 1 to 100 letters"), "{name}: {}", said.errors);
    }
    assert_eq!(database.number("SELECT count(*) FROM api_key").await, 0);
    assert_eq!(keys(&gateway, &["list"]).await.out, "there are no API keys\n");
    let said = keys(&gateway, &["revoke", "ci"]).await;
    assert!(said.errors.contains("there is no API key \"ci\" to revoke; there are: none"), "{}", said.errors);
    for name in ["ci", "nightly"] {
        assert_eq!(keys(&gateway, &["add", "--name", name]).await.code, Some(0));
    }
    let said = keys(&gateway, &add).await;
    assert!(said.code == Some(1) && said.out.is_empty(), "{}", said.out);
    assert!(said.errors.contains("there is an API key \"ci\" already, added at "), "{}", said.errors);
    let said = keys(&gateway, &["revoke", "cI"]).await;
    assert!(said.code == Some(1) && said.errors.contains("there are: ci, nightly"), "{}", said.errors);
    // A name is free again when its key is revoked.
    assert_eq!(keys(&gateway, &["revoke", "ci"]).await.code, Some(0));
    assert_eq!(keys(&gateway, &add).await.code, Some(0));
    assert_eq!(database.number("SELECT count(*) FROM api_key WHERE name = 'ci'").await, 2);
}

#[test]
fn a_gateway_for_keys_alone_may_listen_on_any_address() {
    let check = |access: &str| {
        let org = "orgs = [{name = 'one', hook_secrets = ['literal:hunter2 hunter2 hunter2']}]";
        Place::new(format!("{org}\n{access}")).run(&["serve", "--check", "--listen", "0.0.0.0:80"], &[])
    };
    check("access = {open = false}").assert_right(&["org one has no [orgs.api]"]);
    for open in ["", "access = {open = true}"] {
        check(open).assert_fault("0.0.0.0:80 is not a loopback address, and ", "or set access.open = false");
    }
}
