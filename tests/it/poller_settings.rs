//! Access to an org's APIs, and what is said where settings are wrong: one line that names the setting.

use okta_sim::{Scope, ServiceApp};
use sluice::okta::{ClientKey, Credentials};

use crate::gateway::Gateway;
use crate::okta_org::{OktaOrg, wait_until};

const CLIENT: &str = "0oaclient";

fn key(client_id: &str, pem: &str) -> Credentials {
    Credentials::Key(ClientKey::read(client_id, None, &pem.into()).unwrap())
}

/// An org that knows a service app, and the app's private key.
async fn org_with(change: impl FnOnce(&mut ServiceApp)) -> (OktaOrg, String) {
    let (mut app, pem) = ServiceApp::with_new_key(CLIENT).unwrap();
    change(&mut app);
    (OktaOrg::start_with(|options| options.service_apps = vec![app]).await, pem)
}

/// What is said first of a gateway that reads the org so.
async fn error(org: &OktaOrg, credentials: Credentials) -> String {
    let gateway = Gateway::start_with(|settings| org.read_with(settings, credentials)).await;
    error_of(&gateway).await
}

async fn error_of(gateway: &Gateway) -> String {
    let ledger = gateway.database.store().ledger();
    let error = async || {
        ledger.poll_cursor("acme").await.unwrap().and_then(|cursor| cursor.last_error).map(|error| error.message)
    };
    wait_until("an error", async || error().await.is_some()).await;
    let error = error().await.unwrap();
    assert!(error.lines().count() == 1 && !error.contains("BEGIN"), "{error}");
    error
}

#[tokio::test]
async fn a_service_app_reads_with_its_key_bound_or_not() {
    for dpop in [true, false] {
        let (mut org, pem) = org_with(|app| app.dpop = dpop).await;
        org.happen(5);
        let gateway = Gateway::start_with(|settings| org.read_with(settings, key(CLIENT, &pem))).await;
        org.wait_for(&gateway.database.pool, 5).await;
        // A token that is not accepted any more, and another nonce: both are made up for within a request.
        org.api.revoke_tokens();
        org.api.renew_nonce();
        org.happen(5);
        org.wait_for(&gateway.database.pool, 10).await;
        org.assert_stored(&gateway.database.pool).await;
        let cursor = gateway.database.store().ledger().poll_cursor("acme").await.unwrap().unwrap();
        assert_eq!(cursor.last_error, None);
        assert!(org.requests().filter(|request| request.status == 401).count() <= 1);
    }
}

#[tokio::test]
async fn a_scope_for_applications_is_not_needed() {
    let (mut org, pem) = org_with(|app| app.scopes = vec![Scope::ReadLogs]).await;
    org.happen(5);
    let gateway = Gateway::start_with(|settings| org.read_with(settings, key(CLIENT, &pem))).await;
    org.wait_for(&gateway.database.pool, 5).await;
}

#[tokio::test]
async fn what_is_wrong_is_said_with_its_setting() {
    let (org, pem) = org_with(|_| ()).await;
    let token = error(&org, Credentials::Token("wrong".into())).await;
    assert!(token.starts_with("api.token: Okta does not accept it"), "{token}");
    let (_, other) = ServiceApp::with_new_key(CLIENT).unwrap();
    let wrong_key = error(&org, key(CLIENT, &other)).await;
    assert!(wrong_key.starts_with("api.private_key: Okta does not accept it"), "{wrong_key}");
    let client = error(&org, key("0oaother", &pem)).await;
    assert!(client.starts_with("api.client_id or api.private_key: Okta does not accept them"), "{client}");

    let (org, pem) = org_with(|app| app.scopes = vec![Scope::ReadApps]).await;
    let scope = error(&org, key(CLIENT, &pem)).await;
    assert!(scope.starts_with("api.client_id: the app lacks the scope okta.logs.read"), "{scope}");

    for hours in [-3, 3] {
        let (app, pem) = ServiceApp::with_new_key(CLIENT).unwrap();
        let org = OktaOrg::start_with(|options| {
            options.service_apps = vec![app];
            options.clock_ahead = time::Duration::hours(hours);
        })
        .await;
        let clock = error(&org, key(CLIENT, &pem)).await;
        assert!(clock.starts_with("this machine's clock is ") && clock.contains("set the clock"), "{clock}");
    }
}

#[tokio::test]
async fn an_address_where_no_org_answers_is_said() {
    let org = OktaOrg::start().await;
    let nobody = Gateway::start_with(|settings| {
        org.read_by(settings);
        settings.orgs.get_mut("acme").unwrap().url = Some("http://127.0.0.1:9".to_owned());
    })
    .await;
    let told = error_of(&nobody).await;
    assert!(told.starts_with("url: no answer from Okta: "), "{told}");
    // Another program: a gateway, say.
    let elsewhere = Gateway::start().await;
    let wrong = Gateway::start_with(|settings| {
        org.read_by(settings);
        settings.orgs.get_mut("acme").unwrap().url = Some(elsewhere.url(""));
    })
    .await;
    let told = error_of(&wrong).await;
    assert!(told.starts_with("url: not an Okta org: "), "{told}");
}
