//! A delivery without the right secret leaves a trace: in its answer, in the log, in the metrics and in `ingestion`.

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::events::{delivery, sync_events};
use crate::gateway::{Gateway, HOOK_SECRET, settings};
use crate::okta_org::wait_until;
use crate::process::GatewayProcess;

const SOURCES: &str = "{ ingestion { sources { source state lastError { message at } } } }";

fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

/// Posts a delivery; gives the status and what is said.
async fn post(url: &str, secret: Option<&str>) -> (StatusCode, String) {
    let request = client().post(format!("{url}/okta/acme/hooks"));
    let request = if let Some(secret) = secret { request.header("authorization", secret) } else { request };
    let response = request.body(delivery(&sync_events("one", 1)).to_string()).send().await.unwrap();
    let status = response.status();
    let answer: Value = response.json().await.unwrap();
    (status, answer["error"]["message"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn every_gateway_tells_of_it_until_something_comes() {
    let gateway = Gateway::start().await;
    let other = Gateway::start_over(gateway.database.clone(), settings(&gateway.database)).await;
    let hook = async || other.query(SOURCES).await["ingestion"]["sources"][0].clone();
    assert_eq!(hook().await, json!({"source": "EVENT_HOOK", "state": "WAITING", "lastError": null}));
    for (secret, says) in [
        (None, "the header authorization is missing: name it in Okta"),
        (Some("wrong"), "does not hold a hook secret of this org: it must be one of the org's hook_secrets (in Okta: "),
        (Some("Bearer wrong"), "begins with `Bearer `: the hook secret must be the header's whole value"),
    ] {
        let (status, said) = post(&gateway.url(""), secret).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert!(said.contains(says) && !said.contains("wrong"), "{said}");
        let told = |hook: &Value| hook["lastError"]["message"].as_str().is_some_and(|error| error.contains(says));
        wait_until("the refusal", async || told(&hook().await)).await;
        let hook = hook().await;
        assert!(hook["state"] == "FAILING" && hook["lastError"]["at"].is_string(), "{hook}");
    }
    assert_eq!(post(&gateway.url(""), Some(HOOK_SECRET)).await.0, StatusCode::OK);
    let is_well = json!({"source": "EVENT_HOOK", "state": "RECEIVING", "lastError": null});
    wait_until("a delivery", async || hook().await == is_well).await;
}

#[tokio::test]
async fn the_log_has_one_line_however_many_there_are() {
    let gateway = GatewayProcess::start().await;
    let url = format!("http://{}", gateway.address);
    for secret in [Some("Bearer hunter2"), None, Some("hunter2"), Some("hunter2")] {
        assert_eq!(post(&url, secret).await.0, StatusCode::UNAUTHORIZED);
    }
    let said = gateway.output();
    let lines: Vec<Value> = said
        .lines()
        .filter(|line| line.contains("refused a delivery without the org's hook secret"))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let [line] = &lines[..] else { panic!("{said}") };
    let fields =
        ["level", "org", "header", "has_header", "begins_with_bearer", "requests"].map(|field| line[field].clone());
    assert_eq!(json!(fields), json!(["WARN", "acme", "authorization", true, true, 1]), "{line}");
    assert!(!said.contains("hunter2"), "{said}");
    let metrics = client().get(format!("{url}/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("sluice_hooks_refused_total{org=\"acme\"} 4\n"), "{metrics}");
}
