//! Tests of the APIs over real sockets: their responses, and the rules by which they reject requests.

mod access;
mod lists;
mod proofs;

use reqwest::header::HeaderMap;
use reqwest::{Client, Url};
use serde_json::Value;
use time::OffsetDateTime;
use tokio::net::TcpListener;

use super::*;
use crate::organisation::{Organisation, OrganisationOptions};

/// The APIs and a client.
struct Sim {
    api: OktaApi,
    organisation: Organisation,
    client: Client,
}

/// A response.
#[derive(Debug)]
struct Told {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Sim {
    async fn start(options: ApiOptions) -> Self {
        let organisation = Organisation::new(OrganisationOptions { outsiders: 0.2, ..OrganisationOptions::default() });
        let options = ApiOptions { tokens: vec![ApiToken::new("good")], ..options };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = OktaApi::start(listener, SystemLog::new(), AppDirectory::of(&organisation), options).unwrap();
        Self { api, organisation, client: Client::builder().no_proxy().build().unwrap() }
    }

    /// Persists events that have just happened.
    fn happen(&mut self, events: usize) {
        for _ in 0..events {
            let event = self.organisation.event_at(OffsetDateTime::now_utc());
            self.api.log().record(&event);
        }
    }

    fn url(&self, path: &str, parameters: &[(&str, &str)]) -> Url {
        let mut url: Url = format!("{}{path}", self.api.url()).parse().unwrap();
        url.query_pairs_mut().extend_pairs(parameters);
        url
    }

    async fn get_with(&self, url: Url, headers: &[(&str, &str)]) -> Told {
        let mut request = self.client.get(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Told::read(request.send().await.unwrap()).await
    }

    async fn get(&self, url: Url) -> Told {
        self.get_with(url, &[("authorization", "SSWS good")]).await
    }

    async fn logs(&self, parameters: &[(&str, &str)]) -> Told {
        self.get(self.url("/api/v1/logs", parameters)).await
    }
}

impl Told {
    async fn read(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, body: response.json().await.unwrap() }
    }

    /// Returns the link with a relation.
    fn link(&self, relation: &str) -> Option<Url> {
        let values = self.headers.get_all("link").iter().flat_map(|value| value.to_str().unwrap().split(", "));
        let mut links = values.filter_map(|link| link.strip_suffix(&format!("; rel=\"{relation}\"")));
        links.next().map(|link| link.trim_matches(['<', '>']).parse().unwrap())
    }

    fn uuids(&self) -> Vec<String> {
        self.body.as_array().unwrap().iter().map(|event| event["uuid"].as_str().unwrap().to_owned()).collect()
    }

    /// Asserts that the response is an error with this status, which names a rule with these words.
    #[track_caller]
    fn assert_refused(&self, status: u16, rule: &str) {
        assert!(self.status == status && self.body.to_string().contains(rule), "{rule}: {self:?}");
    }

    fn number(&self, header: &str) -> i64 {
        self.headers[header].to_str().unwrap().parse().unwrap()
    }
}
