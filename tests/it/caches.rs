//! Caches of clients: each event is shown with the names that it has, not with those of another event.

use serde_json::json;

use crate::events::sync_events;
use crate::gateway::Gateway;
use crate::npm;

#[tokio::test]
async fn caches_show_each_event_with_its_own_names() {
    let gateway = Gateway::start().await;
    let mut events = sync_events("one", 5);
    for (event, name) in events.iter_mut().zip(["Anna Before", "Anna After"]) {
        event["actor"] =
            json!({"id": "00usame", "type": "User", "alternateId": "anna@acme.example", "displayName": name});
        event["target"][2]["displayName"] = name.into();
        event["target"][0]["alternateId"] = format!("Label of {name}").into();
    }
    for (event, name) in events[2..].iter_mut().zip(["System One", "System Two"]) {
        event["actor"] = json!({"type": "SystemPrincipal", "displayName": name});
        event["target"][1] = json!({"type": "AppUser", "displayName": name});
    }
    for event in &events {
        gateway.deliver(std::slice::from_ref(event)).await;
    }
    let wire = gateway.query("{ syncEvents { nodes { admin { oktaId displayName } } } }").await;
    let admins = [
        (Some("00uadmin"), "Ada Admin"),
        (None, "System Two"),
        (None, "System One"),
        (Some("00usame"), "Anna After"),
        (Some("00usame"), "Anna Before"),
    ];
    let nodes = admins.map(|(id, name)| json!({"admin": {"oktaId": id, "displayName": name}}));
    assert_eq!(wire["syncEvents"]["nodes"], json!(nodes));
    npm::run("caches.mjs", &[&gateway.url("/graphql")]).await;
}
