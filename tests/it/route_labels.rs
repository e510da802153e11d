//! The labels of routes in metrics and spans.

use std::collections::BTreeSet;

use reqwest::Client;
use serde_json::{Value, json};

use crate::process::GatewayProcess;

const TOKEN: &str = "the reader's own token";

/// Paths, and the labels of their routes.
const ROUTES: [(&str, &str); 12] = [
    ("/graphql", "/graphql"),
    ("/graphql/x", "none"),
    ("/nowhere", "none"),
    ("/", "/"),
    ("/graphiql", "/graphiql"),
    ("/graphiql/x.js", "/graphiql/{file}"),
    ("/livez", "/livez"),
    ("/readyz", "/readyz"),
    ("/metrics", "/metrics"),
    ("/okta/acme/hooks", "/okta/{org}/hooks"),
    ("/okta/acme/import", "/okta/{org}/import"),
    ("/auth/session", "/auth/session"),
];

#[tokio::test]
async fn the_label_of_a_route_is_its_path_whatever_the_settings_are() {
    let readers = format!("[[readers]]\nname = \"reader\"\ntoken = \"literal:{TOKEN}\"\n");
    let public_url = "[access]\npublic_url = \"https://sluice.example\"\n";
    let origins = "allowed_origins = [\"https://portal.example\"]\n";
    let client = Client::builder().no_proxy().build().unwrap();
    for settings in [readers.clone(), format!("{public_url}{origins}{readers}")] {
        let mut gateway = GatewayProcess::prepare("data", &settings);
        gateway.variables.push(("RUST_LOG", "sluice=debug".to_owned()));
        gateway.start_again().await;
        let url = |path: &str| format!("http://{}{path}", gateway.address);
        for (path, _) in ROUTES {
            client.get(url(path)).bearer_auth(TOKEN).send().await.unwrap();
        }
        let query = client.post(url("/graphql")).bearer_auth(TOKEN).json(&json!({"query": "{ __typename }"}));
        assert!(query.send().await.unwrap().status().is_success());
        let metrics = client.get(url("/metrics")).bearer_auth(TOKEN).send().await.unwrap().text().await.unwrap();
        let expected: BTreeSet<_> = ROUTES.iter().map(|(_, label)| (*label).to_owned()).collect();
        for name in ["sluice_http_requests_total", "sluice_http_request_seconds_count"] {
            let series = metrics.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix("{route=\""));
            let labels: BTreeSet<_> = series.map(|rest| rest.split('"').next().unwrap().to_owned()).collect();
            assert_eq!(labels, expected, "{name}: {settings}");
        }
        let said = gateway.output();
        let lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let spans = lines.filter_map(|line| Some(line["spans"][0]["route"].as_str()?.to_owned()));
        assert_eq!(spans.collect::<BTreeSet<_>>(), expected, "{settings}");
    }
}
