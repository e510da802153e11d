//! The settings of readers: scopes and grants, what is wrong with them, and what they open beside the graph.

use std::fs;
use std::sync::Arc;

use reqwest::StatusCode;
use rustix::process::Signal;
use serde_json::{Value, json};
use sluice::auth::{Reader, Readers, ViewerKind};
use sluice::event::{Grant, GrantedPart, Rights, Rows, Scope, Scopes};

use crate::events::{lines, sync_event};
use crate::gateway::{Gateway, HOOK_SECRET, ORG};
use crate::process::GatewayProcess;
use crate::started_with::Place;

/// A reader's table with these settings beside its name and its token.
fn reader(more: &str) -> String {
    format!(
        "orgs = [{{name = 'acme'}}, {{name = 'beta'}}]\nreaders = [{{name = 'a', token = 'literal:hunter2 hunter2 1', {more}}}]"
    )
}

#[test]
fn wrong_scopes_and_grants_are_faults() {
    for (more, place, mend) in [
        ("scopes = []", "readers[0] (a).scopes: ", "omit it, or name scopes"),
        ("scopes = ['metrics', 'events']", "readers[0] (a).scopes[1]: ", "there are: events:read, events:details"),
        ("scopes = ['events:read', 'events:details']", "readers[0] (a).scopes: ", "events:details needs people:read"),
        ("see = []", "readers[0] (a).see: ", "omit it to show everything"),
        ("documents = \"trusted\"", "readers[0] (a).documents: ", "set graphql.trusted_documents"),
        ("see = [{org = 'acme'}, {org = 'gamma'}]", "readers[0] (a).see[1].org: ", "there are: acme, beta"),
        (
            "see = [{org = 'acme', applications = []}]",
            "readers[0] (a).see[0].applications: ",
            "omit it to grant the whole org",
        ),
        (
            "see = [{org = 'acme', instances = ['0oa1', '']}]",
            "readers[0] (a).see[0].instances[1]: ",
            "nothing that Okta names",
        ),
        (
            "see = [{org = 'acme', applications = ['box'], instances = ['0oa1']}]",
            "readers[0] (a).see[0]: ",
            "write a grant for each",
        ),
    ] {
        Place::new(reader(more)).check(&[]).assert_fault(place, mend);
    }
    let many = format!("see = [{{org = 'acme', instances = [{}]}}]", vec!["'0oa1'"; 1_001].join(", "));
    Place::new(reader(&many)).check(&[]).assert_fault("readers[0] (a).see[0].instances: ", "at most 1000");
    let unknown = Place::new(reader("see = [{org = 'acme', instance = '0oa1'}]")).check(&[]);
    assert!(unknown.errors.contains("`instance`, expected one of `org`, `applications`, `instances`"), "{unknown:?}");
}

#[test]
fn settings_become_rights() {
    let more =
        "scopes = ['events:read', 'ingest'], see = [{org = 'beta'}, {org = 'acme', instances = ['0oa2', '0oa1']}]";
    let settings = Place::new(reader(more)).read(&|_| None);
    let viewer = settings.readers.identify("hunter2 hunter2 1").unwrap();
    let grants = [
        Grant { org: "beta".to_owned(), part: GrantedPart::Whole },
        Grant { org: "acme".to_owned(), part: GrantedPart::Instances(vec!["0oa1".to_owned(), "0oa2".to_owned()]) },
    ];
    let scopes: Scopes = [Scope::EventsRead, Scope::Ingest].into_iter().collect();
    assert_eq!(*viewer.rights, Rights::new(scopes, Rows::granted(grants)));
    assert_eq!((viewer.kind, viewer.name.as_deref(), viewer.expires), (ViewerKind::Reader, Some("a"), None));
    let note = "note: reader a: no scopes and no see, so they may read everything";
    let [unlimited, limited] = ["", more].map(|more| Place::new(reader(more)).check(&[]).output);
    assert!(unlimited.contains(note) && !limited.contains(note), "{unlimited}{limited}");
}

#[tokio::test]
async fn rights_change_at_sighup_and_a_reader_without_limits_is_named_at_the_start() {
    let table = |more: &str| format!("[[readers]]\nname = \"one\"\ntoken = \"literal:the token of one\"\n{more}");
    let mut gateway = GatewayProcess::start_with(&table("")).await;
    assert!(gateway.output().contains("reader one: no scopes and no see"), "{}", gateway.output());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let (graphql, metrics) =
        (format!("http://{}/graphql", gateway.address), format!("http://{}/metrics", gateway.address));
    let ask = async |query: &str| -> Value {
        let request = client.post(&graphql).bearer_auth("the token of one").json(&json!({"query": query}));
        request.send().await.unwrap().json().await.unwrap()
    };
    let viewer = "{ viewer { name kind scopes expiresAt sees { org applications applicationInstances } } }";
    let all = json!(["EVENTS_READ", "EVENTS_DETAILS", "PEOPLE_READ", "INGESTION_READ", "METRICS"]);
    let expected = json!({"name": "one", "kind": "READER", "scopes": all, "expiresAt": null, "sees": null});
    assert_eq!(ask(viewer).await["data"]["viewer"], expected);
    let status = async || client.get(&metrics).bearer_auth("the token of one").send().await.unwrap().status();
    assert_eq!(status().await, StatusCode::OK);
    let file = gateway.beside("sluice.toml");
    let settings = fs::read_to_string(&file).unwrap();
    let more = "scopes = [\"events:read\"]\nsee = [{ org = \"acme\", applications = [\"box\"] }]\n";
    fs::write(&file, settings.replace(&table(""), &table(more))).unwrap();
    gateway.signal(Signal::HUP);
    gateway.wait_until(async |process| process.output().contains("reader one has other rights")).await;
    let expected = json!([{"org": "acme", "applications": ["box"], "applicationInstances": null}]);
    let now = ask(viewer).await["data"]["viewer"].clone();
    assert_eq!((&now["scopes"], &now["sees"]), (&json!(["EVENTS_READ"]), &expected));
    assert_eq!(ask("{ ingestion { head } }").await["errors"][0]["extensions"]["code"], "FORBIDDEN");
    let refused = client.get(&metrics).bearer_auth("the token of one").send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let refused: Value = refused.json().await.unwrap();
    assert_eq!(refused["error"]["code"], "FORBIDDEN");
    assert!(refused["error"]["message"].as_str().unwrap().contains("the scope metrics"), "{refused}");
}

#[tokio::test]
async fn imports_are_opened_by_the_orgs_secret_or_by_the_scope() {
    let reader = |name: &str, scopes: Scopes, org: &str| Reader {
        name: name.to_owned(),
        token: format!("the token of {name}").into(),
        rights: Arc::new(Rights::new(scopes, Rows::granted([Grant { org: org.to_owned(), part: GrantedPart::Whole }]))),
        documents: sluice::auth::AllowedDocuments::Any,
    };
    let ingest = Scopes::default().with(Scope::Ingest);
    let readers = vec![
        reader("importer", ingest, ORG),
        reader("importer of beta", ingest, "beta"),
        reader("reader", Scopes::READING, ORG),
    ];
    let gateway = Gateway::start_with(|settings| settings.readers = Readers::with_rights(readers)).await;
    let post = async |way: &str, authorization: &str| {
        let request =
            gateway.client.post(gateway.url(&format!("/okta/acme/{way}"))).header("authorization", authorization);
        let response = request.body(lines(&[sync_event("one")])).send().await.unwrap();
        (response.status(), response.json::<Value>().await.unwrap())
    };
    for (authorization, status, says) in [
        (HOOK_SECRET, StatusCode::OK, ""),
        ("Bearer the token of importer", StatusCode::OK, ""),
        ("Bearer the token of importer of beta", StatusCode::FORBIDDEN, "does not see all of the org"),
        ("Bearer the token of reader", StatusCode::FORBIDDEN, "the scope ingest"),
        ("Bearer the token of nobody", StatusCode::UNAUTHORIZED, "begins with `Bearer `"),
        ("nothing", StatusCode::UNAUTHORIZED, "does not hold a hook secret"),
    ] {
        let (found, answer) = post("import", authorization).await;
        assert_eq!(found, status, "{authorization}: {answer}");
        assert!(answer["error"]["message"].as_str().unwrap_or_default().contains(says), "{authorization}: {answer}");
    }
    // The other ways in are the org's alone.
    for way in ["hooks", "workflows", "log-stream"] {
        assert_eq!(post(way, "Bearer the token of importer").await.0, StatusCode::UNAUTHORIZED, "{way}");
    }
    let open = Gateway::start().await;
    let request = open.client.post(open.url("/okta/acme/import")).header("authorization", "Bearer anything");
    assert_eq!(request.body("").send().await.unwrap().status(), StatusCode::UNAUTHORIZED, "without readers");
}
