//! How many subscribers one client may have.

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite;

use crate::event_stream::EventStream;
use crate::gateway::Gateway;
use crate::socket::{Socket, handshake};

#[tokio::test]
async fn one_client_has_so_many_sockets_and_streams() {
    let gateway = Gateway::start_with(|settings| {
        settings.limits.sockets_per_client = 1;
        settings.limits.streams_per_client = 1;
    })
    .await;
    let socket = gateway.socket().await;
    let Err(tungstenite::Error::Http(refused)) =
        Socket::connect(handshake(gateway.address, "graphql-transport-ws")).await
    else {
        panic!("a second socket is refused");
    };
    assert_eq!(refused.status().as_u16(), 429);
    let problem: Value = serde_json::from_slice(refused.body().as_deref().unwrap()).unwrap();
    assert_eq!(problem["error"]["code"], "TOO_MANY_SUBSCRIBERS", "{problem}");
    let live = || gateway.event_stream("subscription { syncEvents { events { uuid } } }", &json!({}));
    let stream = EventStream::open(live()).await;
    let refused = live().send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    let refused: Value = refused.json().await.unwrap();
    assert_eq!(refused["errors"][0]["extensions"]["code"], "TOO_MANY_SUBSCRIBERS", "{refused}");
    assert_eq!(gateway.ask("{ __typename }", json!({})).await["data"]["__typename"], "Query");
    drop((socket, stream));
    while Socket::connect(handshake(gateway.address, "graphql-transport-ws")).await.is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
