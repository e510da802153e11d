//! The sender of requests, as records of the access log describe it.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use axum::http::{Extensions, HeaderMap};
use serde_json::{Map, Value};

use crate::access_log;
use crate::serve::client::RequestClient;

/// The headers with which clients name themselves, and those with their versions: of the routers of WunderGraph and Apollo, and
/// of The Guild's Hive.
pub(in crate::serve) const CLIENT_HEADERS: [(&str, &str); 3] = [
    ("graphql-client-name", "graphql-client-version"),
    ("apollographql-client-name", "apollographql-client-version"),
    ("x-graphql-client-name", "x-graphql-client-version"),
];

/// The sender of a request, or of all requests on one socket. It is empty if there is no access log.
#[derive(Clone, Debug, Default)]
pub(in crate::serve) struct RequestSender(Option<Arc<SenderFacts>>);

#[derive(Debug)]
pub(super) struct SenderFacts {
    pub(super) address: IpAddr,
    /// The name that the client gives itself.
    pub(super) client: Option<String>,
    pub(super) version: Option<String>,
    /// The code with which the sender's rights have ended.
    pub(super) rights_end: OnceLock<&'static str>,
}

impl RequestSender {
    /// Describes the sender of a request.
    pub(in crate::serve) fn of(extensions: &Extensions, headers: &HeaderMap) -> Self {
        if !access_log::is_on() {
            return Self(None);
        }
        let text = |name: &str| Some(access_log::short_name(headers.get(name)?.to_str().ok()?));
        Self::new(RequestClient::address_of(extensions), named(text))
    }

    fn new(address: IpAddr, (client, version): (Option<String>, Option<String>)) -> Self {
        Self(Some(Arc::new(SenderFacts { address, client, version, rights_end: OnceLock::new() })))
    }

    pub(super) const fn facts(&self) -> Option<&Arc<SenderFacts>> {
        self.0.as_ref()
    }

    /// Names the client as the payload of `connection_init` does, since browsers let pages set no headers of a socket.
    pub(in crate::serve) fn take_names(&mut self, payload: &Map<String, Value>) {
        let Some(facts) = &self.0 else { return };
        let found = named(|name| {
            let (_, value) = payload.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
            Some(access_log::short_name(value.as_str()?))
        });
        if found.0.is_some() {
            *self = Self::new(facts.address, found);
        }
    }

    /// Takes note that the sender's rights have ended, and with them its operations.
    pub(in crate::serve) fn rights_ended(&self, code: &'static str) {
        if let Some(facts) = &self.0 {
            // The first end counts.
            _ = facts.rights_end.set(code);
        }
    }
}

/// Returns the client's name and version, by the first pair of headers that has a name.
fn named(text: impl Fn(&str) -> Option<String>) -> (Option<String>, Option<String>) {
    let mut pairs = CLIENT_HEADERS.into_iter();
    let found = pairs.find_map(|(name, version)| Some((text(name).filter(|name| !name.is_empty())?, text(version))));
    found.map_or((None, None), |(name, version)| (Some(name), version))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use serde_json::json;

    use super::*;

    #[test]
    fn without_an_access_log_nothing_is_kept_of_a_sender() {
        let headers = HeaderMap::from_iter([("graphql-client-name".parse().unwrap(), "portal".parse().unwrap())]);
        let mut sender = RequestSender::of(&Extensions::new(), &headers);
        sender.take_names(json!({"graphql-client-name": "portal"}).as_object().unwrap());
        sender.rights_ended("REVOKED");
        assert!(sender.facts().is_none());
    }

    #[test]
    fn clients_name_themselves_in_connection_init() {
        let mut sender = RequestSender::new(Ipv4Addr::LOCALHOST.into(), (Some("header".to_owned()), None));
        let names = |sender: &RequestSender| {
            let facts = sender.facts().unwrap();
            (facts.client.clone().unwrap(), facts.version.clone())
        };
        sender.take_names(json!({"authorization": "Bearer t", "graphql-client-name": 7}).as_object().unwrap());
        assert_eq!(names(&sender), ("header".to_owned(), None));
        let init = json!({"ApolloGraphQL-Client-Name": "portal", "apollographql-client-version": "1.2"});
        sender.take_names(init.as_object().unwrap());
        assert_eq!(names(&sender), ("portal".to_owned(), Some("1.2".to_owned())));
    }
}
