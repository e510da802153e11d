//! Commands work where a log is: a wrong directory, database, org or id is an error, and nothing is made there.

use std::fs;
use std::process::Stdio;

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::database::TestDatabase;
use crate::events::{lines, sync_events};
use crate::gateway::Gateway;
use crate::process::GatewayProcess;

/// Runs a command: its exit status, and what it said on both outputs.
async fn run(place: &GatewayProcess, words: &[&str]) -> (Option<i32>, String, String) {
    let mut command = place.command_of(words);
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().await.unwrap();
    let [said, errors] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.code(), said, errors)
}

#[tokio::test]
async fn a_directory_without_a_log_stays_as_it_is() {
    let place = GatewayProcess::prepare("wrong", "");
    let file = place.beside("events.ndjson");
    fs::write(&file, lines(&sync_events("one", 3))).unwrap();
    let file = file.to_str().unwrap();
    let commands: [&[&str]; 6] = [
        &["import", file],
        &["rejected", "list"],
        &["rejected", "retry"],
        &["rejected", "drop", "--all"],
        &["log", "new-era", "--reason", "none"],
        &["migrate"],
    ];
    for command in commands {
        let (code, said, errors) = run(&place, command).await;
        assert_eq!((code, said.as_str()), (Some(1), ""), "{command:?}: {errors}");
        let told = format!("sluice: there is no PostgreSQL of sluice in {}: ", place.data_dir.display());
        assert!(errors.starts_with(&told) && errors.contains("--create"), "{command:?}: {errors}");
        assert!(!place.data_dir.exists(), "{command:?}");
    }
    let (code, said, errors) = run(&place, &["import", "--create", file]).await;
    assert_eq!(code, Some(0), "{errors}");
    assert!(said.contains("stored     3"), "{said}");
    let told = format!("importing into org acme of the private PostgreSQL in {}\n", place.data_dir.display());
    assert!(errors.contains(&told), "{errors}");
    let (code, _, errors) = run(&place, &["rejected", "list"]).await;
    assert_eq!(code, Some(0), "it is there now: {errors}");
}

#[tokio::test]
async fn a_database_without_a_log_stays_as_it_is() {
    let database = TestDatabase::new().await;
    let name = format!("empty_{}", uuid::Uuid::new_v4().simple());
    sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name} TEMPLATE template0")))
        .execute(&database.pool)
        .await
        .unwrap();
    let url = format!("{}/{name}", database.url.rsplit_once('/').unwrap().0);
    let place = GatewayProcess::prepare_over(&url, "");
    let file = place.beside("events.ndjson");
    fs::write(&file, lines(&sync_events("one", 3))).unwrap();
    let file = file.to_str().unwrap();
    let commands: [&[&str]; 4] =
        [&["import", file], &["rejected", "list"], &["log", "new-era", "--reason", "none"], &["migrate"]];
    for command in commands {
        let (code, said, errors) = run(&place, command).await;
        assert_eq!((code, said.as_str()), (Some(1), ""), "{command:?}: {errors}");
        assert!(errors.contains("sluice: the database has no log of sluice: "), "{command:?}: {errors}");
        assert!(!errors.contains(&name), "the database's name is not told: {errors}");
    }
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let tables = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    assert_eq!(sqlx::query_scalar::<_, i64>(tables).fetch_one(&mut connection).await.unwrap(), 0);
    connection.close().await.unwrap();
    let (code, _, errors) = run(&place, &["migrate", "--create"]).await;
    assert_eq!(code, Some(0), "{errors}");
    let (code, _, errors) = run(&place, &["import", file]).await;
    assert!(code == Some(0) && errors.contains("importing into org acme of the database at "), "{errors}");
}

#[tokio::test]
async fn an_unknown_org_or_id_is_an_error_and_changes_nothing() {
    let gateway = GatewayProcess::start().await;
    let file = gateway.beside("broken.ndjson");
    fs::write(&file, format!("{}\nbroken\n", lines(&sync_events("one", 2)).trim_end())).unwrap();
    assert_eq!(run(&gateway, &["import", file.to_str().unwrap()]).await.0, Some(3));
    for (words, says) in [
        (&["list", "9999"][..], "there is no rejection with the id 9999: `sluice rejected list` shows all"),
        (&["list", "1", "9999"], "with the id 9999: "),
        (&["retry", "9999"], "with the id 9999: "),
        (&["drop", "1", "9999", "10000"], "with the id 9999, 10000: "),
        (&["list", "--org", "nope"], "--org: there is no org \"nope\", and it has no rejections; the orgs are: acme"),
        (&["retry", "--org", "nope"], "--org: there is no org \"nope\""),
        (&["drop", "--org", "nope"], "--org: there is no org \"nope\""),
    ] {
        let (code, said, errors) = run(&gateway, &[&["rejected"], words].concat()).await;
        assert_eq!((code, said.as_str()), (Some(1), ""), "{words:?}: {errors}");
        assert!(errors.contains(says), "{words:?}: {errors}");
    }
    let (code, said, _) = run(&gateway, &["rejected", "list", "--org", "acme"]).await;
    assert_eq!(code, Some(0));
    assert!(said.starts_with("1  ") && said.contains(&format!("  import {}:3, ", file.display())), "{said}");
}

#[tokio::test]
async fn an_import_without_the_gateways_settings_does_not_go_into_another_org() {
    let gateway = GatewayProcess::start().await;
    let file = gateway.beside("events.ndjson");
    fs::write(&file, lines(&sync_events("one", 2))).unwrap();
    assert_eq!(run(&gateway, &["import", file.to_str().unwrap()]).await.0, Some(0));
    // The settings have no org, so there is only `default`.
    fs::write(gateway.beside("sluice.toml"), "").unwrap();
    let (code, said, errors) = run(&gateway, &["import", file.to_str().unwrap()]).await;
    assert_eq!((code, said.as_str()), (Some(1), ""), "{errors}");
    let says =
        "the log has no events of org default, but of acme: use the gateway's settings (--config or SLUICE_CONFIG)";
    assert!(errors.contains(says), "{errors}");
    let (code, said, errors) = run(&gateway, &["import", "--org", "default", file.to_str().unwrap()]).await;
    assert!(code == Some(0) && said.contains("stored     2"), "{said}{errors}");
}

#[tokio::test]
async fn what_is_rejected_is_told_with_its_file_and_line() {
    let gateway = Gateway::start().await;
    let body = format!("{}\nbroken\n", lines(&sync_events("one", 1)).trim_end());
    gateway.post("import", body).await;
    gateway.post_hook("{}").await;
    let query = "{ ingestion { rejected { nodes { source file line } } } }";
    let nodes: Value = gateway.query(query).await["ingestion"]["rejected"]["nodes"].clone();
    assert_eq!(
        nodes,
        json!([{"source": "EVENT_HOOK", "file": null, "line": null}, {"source": "IMPORT", "file": null, "line": 2}])
    );
}
