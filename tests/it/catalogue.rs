//! Applications and their instances, as events tell of them; and global ids.

use serde_json::{Value, json};

use crate::events::{delivery, sync_event};
use crate::gateway::{Gateway, HOOK_SECRET};

/// The labels of the instances, in their order, and the key of the application of each.
const INSTANCES: [(&str, &str); 7] = [
    ("Alpha", "slack"),
    ("beta", "office365"),
    ("Beta 2", "office365"),
    ("Gamma", "slack"),
    ("delta", "Workday"),
    ("delta", "office365"),
    ("Zeta", "a_custom_app"),
];

async fn start_with_instances() -> Gateway {
    let gateway = Gateway::start().await;
    let events = (0..).zip(INSTANCES).map(|(index, (label, application))| {
        let mut event = sync_event(&format!("{index}"));
        event["target"][0]["alternateId"] = label.into();
        event["target"][0]["displayName"] = format!("The {application}").into();
        event["debugContext"]["debugData"]["appname"] = application.into();
        event
    });
    gateway.deliver(&events.collect::<Vec<_>>()).await;
    gateway
}

/// Reads a list from one end to the other, so many at a time.
async fn read_all(gateway: &Gateway, query: &str, list: &str, size: usize, forward: bool) -> Vec<Value> {
    let (mut nodes, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let variables =
            if forward { json!({"first": size, "after": cursor}) } else { json!({"last": size, "before": cursor}) };
        let page = gateway.query_with(query, variables).await[list].clone();
        let found = page["nodes"].as_array().unwrap().clone();
        assert!(!found.is_empty() && found.len() <= size, "{page}");
        let info = &page["pageInfo"];
        let (behind, ahead) =
            if forward { ("hasPreviousPage", "hasNextPage") } else { ("hasNextPage", "hasPreviousPage") };
        assert_eq!(info[behind], json!(!nodes.is_empty()), "{page}");
        let at = if forward { nodes.len() } else { 0 };
        nodes.splice(at..at, found);
        if info[ahead] == false {
            return nodes;
        }
        cursor = info[if forward { "endCursor" } else { "startCursor" }].clone();
    }
}

#[tokio::test]
async fn the_catalogue_is_the_same_list_however_it_is_read() {
    let gateway = start_with_instances().await;
    let arguments = "($first: Int, $after: String, $last: Int, $before: String)";
    let given = "first: $first, after: $after, last: $last, before: $before";
    let info = "pageInfo { hasNextPage hasPreviousPage startCursor endCursor }";
    let instances = format!("query {arguments} {{ applicationInstances({given}) {{ nodes {{ label }} {info} }} }}");
    let applications =
        format!("query {arguments} {{ applications({given}) {{ nodes {{ name eventCount }} {info} }} }}");
    let mut labels = INSTANCES.map(|(label, _)| label);
    labels.sort_by_key(|label| label.to_lowercase());
    let labels: Vec<_> = labels.into_iter().map(|label| json!({"label": label})).collect();
    let names = [("a_custom_app", 1), ("office365", 3), ("slack", 2), ("Workday", 1)];
    let names: Vec<_> = names.into_iter().map(|(name, count)| json!({"name": name, "eventCount": count})).collect();
    for size in [1, 2, 3, 100] {
        for forward in [true, false] {
            let found = read_all(&gateway, &instances, "applicationInstances", size, forward).await;
            assert_eq!(found, labels, "{size} {forward}");
            let found = read_all(&gateway, &applications, "applications", size, forward).await;
            assert_eq!(found, names, "{size} {forward}");
        }
    }
}

#[tokio::test]
async fn the_catalogue_is_searched_by_names_and_labels() {
    let gateway = start_with_instances().await;
    let query = "query ($search: String, $application: String) { \
                 applicationInstances(search: $search, application: $application) { nodes { label } } \
                 applications(search: $search) { nodes { name } } }";
    let cases = [
        (json!({"search": "BETA"}), vec!["beta", "Beta 2"], vec![]),
        (json!({"search": "0oa3"}), vec!["Gamma"], vec![]),
        (json!({"search": "DELTA", "application": "office365"}), vec!["delta"], vec![]),
        (
            json!({"application": "slack", "search": "the "}),
            vec![],
            vec!["a_custom_app", "office365", "slack", "Workday"],
        ),
        (json!({"search": "365"}), vec![], vec!["office365"]),
        (json!({"search": "%"}), vec![], vec![]),
        (json!({"search": "_"}), vec![], vec!["a_custom_app"]),
        (json!({"search": "nothing"}), vec![], vec![]),
    ];
    for (variables, labels, names) in cases {
        let found = gateway.query_with(query, variables.clone()).await;
        let texts = |list: &str, field: &str| -> Vec<Value> {
            found[list]["nodes"].as_array().unwrap().iter().map(|node| node[field].clone()).collect()
        };
        assert_eq!(texts("applicationInstances", "label"), labels, "{variables}");
        assert_eq!(texts("applications", "name"), names, "{variables}");
    }
}

#[tokio::test]
async fn global_ids_lead_back_to_what_they_are_of() {
    let gateway = start_with_instances().await;
    let lists = "{ syncEvents { nodes { id } } applications { nodes { id } } applicationInstances { nodes { id } } }";
    let lists = gateway.query(lists).await;
    let ids = lists.as_object().unwrap().values().flat_map(|list| list["nodes"].as_array().unwrap());
    let ids: Vec<Value> = ids.map(|node| node["id"].clone()).collect();
    assert_eq!(ids.len(), 2 * INSTANCES.len() + 4);
    let nodes = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }";
    let found = gateway.query_with(nodes, json!({"ids": ids})).await;
    assert_eq!(found["nodes"], ids.iter().map(|id| json!({"id": id})).collect::<Value>());
    let node = "query ($id: ID!) { node(id: $id) { __typename ... on ApplicationInstance { instanceId } } }";
    let first = &lists["applicationInstances"]["nodes"][0]["id"];
    let found = gateway.query_with(node, json!({"id": first})).await;
    assert_eq!(found["node"], json!({"__typename": "ApplicationInstance", "instanceId": "0oa0"}));
    for nothing in ["", "garbage", "SyncEvent:999", "SyncEvent:-1", "Application:acme:none", "ApplicationInstance:x:y"]
    {
        assert_eq!(gateway.query_with(node, json!({"id": nothing})).await, json!({"node": null}), "{nothing}");
    }
    let mixed = json!({"ids": ["garbage", first]});
    assert_eq!(gateway.query_with(nodes, mixed).await["nodes"], json!([null, {"id": first}]));
}

#[tokio::test]
async fn an_instance_lists_events_of_its_own_org_only() {
    let gateway = Gateway::start_with(|settings| {
        let mut other = settings.orgs["acme"].clone();
        other.url = Some("https://other.okta.example/".to_owned());
        settings.orgs.insert("other".to_owned(), other);
    })
    .await;
    gateway.deliver(&[sync_event("shared")]).await;
    let body = delivery(&[sync_event("shared"), sync_event("shared")]).to_string();
    let request = gateway.client.post(gateway.url("/okta/other/hooks")).header("authorization", HOOK_SECRET);
    assert_eq!(request.body(body).send().await.unwrap().status(), 200);
    let query = "query ($org: String!) { applicationInstance(by: {instanceId: \"0oashared\"}, org: $org) { adminUrl eventCount \
                 syncEvents { nodes { org } } application { syncEvents(filter: {orgs: [\"acme\"]}) { nodes { org } } } } }";
    for (org, events, host) in [("acme", 1, "acme"), ("other", 2, "other")] {
        let found = gateway.query_with(query, json!({"org": org})).await["applicationInstance"].take();
        let of_acme = usize::from(org == "acme");
        let expected = json!({
            "adminUrl": format!("https://{host}.okta.example/admin/app/office365/instance/0oashared/"),
            "eventCount": events,
            "syncEvents": {"nodes": vec![json!({"org": org}); events]},
            "application": {"syncEvents": {"nodes": vec![json!({"org": org}); of_acme]}},
        });
        assert_eq!(found, expected);
    }
}
