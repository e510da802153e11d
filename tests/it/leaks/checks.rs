//! The checks of answers against the model.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::leaks::readers::TestReader;
use crate::leaks::world::{APPLICATIONS, Cell, ORGS, World, WorldEvent, application_canary, org_name};

/// The keys of a dimension in the part of the catalogue that a reader sees, with the names there; None for other dimensions.
pub(crate) fn texts_of_keys(world: &World, reader: &TestReader, by: &str) -> Option<BTreeMap<String, Vec<String>>> {
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for cell in world.cells.iter().filter(|cell| reader.sees(cell)) {
        let Some(application) = cell.application else { continue };
        match (by, &cell.instance) {
            ("APPLICATION", _) => {
                let name = format!("Name {}", application_canary(cell.org, application));
                texts.entry(APPLICATIONS[application].to_owned()).or_default().push(name);
            }
            ("APPLICATION_INSTANCE", Some(id)) => {
                texts.entry(id.clone()).or_default().push(format!("Label rowx{}x", cell.number));
            }
            ("APPLICATION_INSTANCE", None) => {}
            _ => return None,
        }
    }
    Some(texts).filter(|_| by.starts_with("APPLICATION"))
}

/// Checks events of an answer against those of the model, in order.
pub(crate) fn check_events(reader: &TestReader, expected: &[&WorldEvent], found: &[&Value]) {
    let identity = |found: &&Value| (found["org"].clone(), found["uuid"].clone());
    let expected_ids: Vec<_> = expected.iter().map(|event| (json!(org_name(event.org)), json!(event.uuid))).collect();
    assert_eq!(found.iter().map(identity).collect::<Vec<_>>(), expected_ids);
    let names = reader.has("people:read");
    for (event, found) in expected.iter().zip(found) {
        let of = |place: &str| event.raw.pointer(place).cloned().unwrap_or_default();
        let shown = |place: &str| if names { of(place) } else { Value::Null };
        assert_eq!(
            found["u"],
            json!({"oktaId": of("/target/2/id"), "alternateId": shown("/target/2/alternateId"),
            "displayName": shown("/target/2/displayName")})
        );
        assert_eq!(found["applicationUser"]["alternateId"], shown("/target/1/alternateId"));
        assert_eq!(found["admin"]["displayName"], shown("/actor/displayName"));
        assert_eq!(found["outcome"], json!({"result": of("/outcome/result"), "reason": shown("/outcome/reason")}));
        assert_eq!(found["message"], of("/displayMessage"));
    }
}

pub(crate) fn check_uuid(world: &World, reader: &TestReader, answer: &Value, uuid: &str, org: Option<usize>) -> bool {
    let same: Vec<_> =
        world.events.iter().filter(|event| event.uuid == uuid && org.is_none_or(|org| org == event.org)).collect();
    let seen: Vec<_> = same.iter().copied().filter(|event| reader.sees(&world.cells[event.cell])).collect();
    match seen.as_slice() {
        [] => assert_eq!(answer["data"]["a"], Value::Null),
        [_] => check_events(reader, &seen, &[&answer["data"]["a"]]),
        _ => assert_eq!(answer["errors"][0]["extensions"]["code"], "AMBIGUOUS_ORG"),
    }
    seen.len() < same.len()
}

pub(crate) fn check_nodes(world: &World, reader: &TestReader, found: &Value, ids: &[String]) -> bool {
    let sees_some = |is_it: &dyn Fn(&Cell) -> bool| world.cells.iter().any(|cell| is_it(cell) && reader.sees(cell));
    let is_seen = |id: &str| {
        let parts: Vec<_> = id.split(':').collect();
        let is_org = |cell: &Cell| parts.get(1) == Some(&org_name(cell.org).as_str());
        match parts[0] {
            "SyncEvent" => world
                .events
                .iter()
                .any(|event| event.position.to_string() == parts[1] && reader.sees(&world.cells[event.cell])),
            "Application" => {
                sees_some(&|cell| is_org(cell) && cell.application.is_some_and(|one| APPLICATIONS[one] == parts[2]))
            }
            "ApplicationInstance" => sees_some(&|cell| is_org(cell) && cell.instance.as_deref() == Some(parts[2])),
            _ => (0..ORGS).any(|org| world.rejected[org] == id && reader.sees_ingestion(org)),
        }
    };
    for (id, node) in ids.iter().zip(found.as_array().unwrap()) {
        assert_eq!(node.is_null(), !is_seen(id), "{id}: {node}");
    }
    ids.iter().any(|id| !is_seen(id))
}

pub(crate) fn check_catalogue(world: &World, reader: &TestReader, found: &Value) -> bool {
    let mut instances = BTreeMap::new();
    let mut applications: BTreeMap<(String, &str), u64> = BTreeMap::new();
    for cell in world.cells.iter().filter(|cell| reader.sees(cell)) {
        let Some(application) = cell.application else { continue };
        let count = world.events.iter().filter(|event| event.cell == cell.number).count() as u64;
        *applications.entry((org_name(cell.org), APPLICATIONS[application])).or_default() += count;
        if let Some(id) = &cell.instance {
            instances.insert((org_name(cell.org), id.clone()), count);
        }
    }
    let text = |node: &Value, field: &str| node[field].as_str().unwrap().to_owned();
    let nodes = |list: &Value| list["nodes"].as_array().unwrap().clone();
    let found_instances: BTreeMap<_, _> = nodes(&found["applicationInstances"])
        .iter()
        .map(|node| ((text(node, "org"), text(node, "instanceId")), node["eventCount"].as_u64().unwrap()))
        .collect();
    assert_eq!(found_instances, instances);
    let known = nodes(&found["applications"]);
    assert_eq!(known.len(), applications.len());
    for node in &known {
        let (org, name) = (text(node, "org"), text(node, "name"));
        let at = APPLICATIONS.iter().position(|known| *known == name).unwrap();
        assert_eq!(applications.get(&(org.clone(), APPLICATIONS[at])), node["eventCount"].as_u64().as_ref(), "{node}");
        let number = (0..ORGS).find(|number| org_name(*number) == org).unwrap();
        assert_eq!(node["displayName"], format!("Name {}", application_canary(number, at)));
        let own = nodes(&node["instances"]);
        assert!(own.iter().all(|one| instances.contains_key(&(org.clone(), text(one, "instanceId")))), "{node}");
    }
    assert!(
        nodes(&found["b"]).iter().all(|node| instances.contains_key(&(text(node, "org"), text(node, "instanceId"))))
    );
    instances.len() < world.cells.iter().filter(|cell| cell.instance.is_some()).count()
}
