//! The URL at which people reach the gateway: where they begin to sign in, and what the gateway calls itself.

use reqwest::StatusCode;
use reqwest::header::{HOST, SET_COOKIE};
use serde_json::Value;
use sluice::auth::{ClientHeader, TrustedProxies};

use crate::browser::{PUBLIC_URL, client, location};
use crate::database::TestDatabase;
use crate::gateway::Gateway;
use crate::process::GatewayProcess;
use crate::sign_in::{issuer, settings_of};

/// The cookies of a sign-in are for the host at which it begins, so that must be the public URL's.
#[tokio::test]
async fn a_sign_in_under_another_name_begins_at_the_public_url() {
    let (issuer, database) = (issuer().await, TestDatabase::new().await);
    let mut settings = settings_of(&issuer, &database, "owners");
    settings.trusted_proxies = TrustedProxies::new(vec!["127.0.0.1".parse().unwrap()], ClientHeader::XForwardedFor);
    let gateway = Gateway::start_over(database, settings).await;
    let go = async |path: &str, lines: &[(&str, &str)]| {
        let request = client().get(gateway.url(path));
        let request = lines.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.send().await.unwrap()
    };
    for (path, moved) in [
        ("/auth/login", "/auth/login?moved=1"),
        ("/auth/login?to=/graphiql%3Fa=1", "/auth/login?to=%2Fgraphiql%3Fa%3D1&moved=1"),
        ("/auth/login?to=/&issuer=okta", "/auth/login?issuer=okta&to=%2F&moved=1"),
    ] {
        for host in [&[][..], &[("host", "evil.example")], &[("x-forwarded-host", "evil.example")]] {
            let response = go(path, host).await;
            assert_eq!(response.status(), StatusCode::SEE_OTHER, "{path} {host:?}");
            assert_eq!(location(&response), format!("{PUBLIC_URL}{moved}"), "{host:?}");
            assert!(response.headers().get(SET_COOKIE).is_none(), "{path}");
        }
        // A browser is moved once only, since a proxy may hide the host.
        let again = go(moved, &[]).await;
        assert!(location(&again).starts_with(&issuer.url()), "{again:?}");
    }
    for lines in [[(HOST.as_str(), "Sluice.example:443")], [("x-forwarded-host", "sluice.example")]] {
        let response = go("/auth/login", &lines).await;
        assert!(location(&response).starts_with(&issuer.url()), "{lines:?}: {response:?}");
    }
    assert_eq!(go("/auth/login?to=//evil.example", &[]).await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_ready_line_has_the_address_that_people_type() {
    let mut gateway = GatewayProcess::start_with("[access]\npublic_url = \"https://sluice.example\"\n").await;
    gateway.wait_until(async |process| process.output().contains("\"ready\"")).await;
    let said = gateway.output();
    let ready = said.lines().find(|line| line.contains("\"ready\"")).unwrap();
    let ready: Value = serde_json::from_str(ready).unwrap();
    assert_eq!(
        (&ready["page"], &ready["graphql"]),
        (&"https://sluice.example/".into(), &"https://sluice.example/graphql".into())
    );
}
