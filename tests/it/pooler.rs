//! PgBouncer in front of the database: sluice works with all its settings in session mode; in any other mode it reports
//! the mode and exits.

use std::process::Stdio;
use std::time::Duration;

use reqwest::StatusCode;
use tokio::time::timeout;

use crate::events::{sync_event, sync_events, uuid};
use crate::pgbouncer::PgBouncer;
use crate::postgres_server::PostgresServer;
use crate::process::GatewayProcess;
use crate::traffic::Traffic;

/// Time limit for a command that must exit at once.
const AT_ONCE: Duration = Duration::from_secs(30);

/// Session mode with PgBouncer's defaults, and with a setting that is common for other clients.
const SESSION_MODES: [&str; 2] =
    ["pool_mode = session", "pool_mode = session\nignore_startup_parameters = extra_float_digits,options"];

#[tokio::test]
async fn in_session_mode_everything_works_with_every_setting() {
    let server = PostgresServer::start().await;
    let mut stored = 0;
    for mode in SESSION_MODES {
        let pooler = PgBouncer::start(&server, mode);
        // The operator's own options must reach the database, too.
        let url = format!("{}?options=-c%20geqo_seed%3D0.25", pooler.url());
        let mut gateway = GatewayProcess::prepare_over(&url, "");
        gateway.start_again().await;
        let last = sync_event("last");
        let follower = tokio::spawn(crate::traffic::follow(gateway.address, uuid(&last).to_owned()));
        let mut events = sync_events("one", 3);
        events.push(last);
        stored += events.len();
        Traffic::new().deliver(gateway.address, &events).await.unwrap();
        let (seen, _) = timeout(AT_ONCE, follower).await.expect("the subscriber is told").unwrap();
        assert_eq!(seen.len(), stored);
        let function = "CREATE OR REPLACE FUNCTION seen() RETURNS text LANGUAGE sql AS $$ SELECT concat_ws(' ', \
                        current_setting('statement_timeout'), current_setting('timezone'), current_setting('jit'), \
                        current_setting('geqo_seed')) $$";
        server.execute(function).await;
        server.execute("CREATE TABLE IF NOT EXISTS seen_by (settings text)").await;
        server.execute("TRUNCATE seen_by").await;
        let trigger = "CREATE OR REPLACE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                       INSERT INTO public.seen_by SELECT public.seen(); RETURN NULL; END $$; \
                       DROP TRIGGER IF EXISTS note ON log_head; \
                       CREATE TRIGGER note AFTER UPDATE ON log_head FOR EACH ROW EXECUTE FUNCTION note()";
        server.execute(trigger).await;
        let event = [sync_event("noted")];
        Traffic::new().deliver(gateway.address, &event).await.unwrap();
        stored += 1;
        let seen = server.value("SELECT min(settings) FROM seen_by").await;
        assert_eq!(seen.as_deref(), Some("10s UTC off 0.25"), "{mode}");
        assert_eq!(gateway.status("/readyz").await, Some(StatusCode::OK));
        gateway.signal(rustix::process::Signal::TERM);
        assert!(gateway.ended().await.success(), "{}", gateway.output());
        let said = gateway.output();
        let mut lines = said.lines().filter(|line| !line.contains("\"ready\""));
        assert!(!lines.any(|line| line.contains("database")), "nothing is amiss: {said}");
        server.execute("DROP TRIGGER note ON log_head").await;
    }
}

#[tokio::test]
async fn in_other_modes_it_ends_at_once_and_says_what_to_do() {
    let server = PostgresServer::start().await;
    for settings in [
        "pool_mode = transaction",
        "pool_mode = transaction\nserver_round_robin = 1\nmin_pool_size = 5",
        "pool_mode = transaction\nmax_db_connections = 1",
        "pool_mode = statement",
    ] {
        let pooler = PgBouncer::start(&server, settings);
        let gateway = GatewayProcess::prepare_over(&pooler.url(), "");
        for mut command in [gateway.serve(), gateway.command("migrate")] {
            let output = timeout(AT_ONCE, command.args(["--log-format", "text"]).stderr(Stdio::piped()).output())
                .await
                .expect("it ends")
                .unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{settings}: {said}");
            let last = said.lines().last().unwrap_or_default();
            let names = last.starts_with("sluice: ") && last.contains("a pooler in transaction mode is in front");
            assert!(names && last.contains("give the database's own address, or a pool in session mode"), "{said}");
        }
        // The refused commands have created no tables.
        assert_eq!(server.value("to_regclass('log_head')").await, None, "{settings}");
    }
}

#[tokio::test]
async fn a_parameter_that_a_pooler_refuses_is_named() {
    let server = PostgresServer::start().await;
    let pooler = PgBouncer::start(&server, "pool_mode = session");
    let mut gateway = GatewayProcess::prepare_over(&pooler.url(), "");
    // sluice sends `PGOPTIONS`, a variable of libpq, at the start of each session.
    gateway.variables.push(("PGOPTIONS", "-c geqo=off".to_owned()));
    let output = timeout(AT_ONCE, gateway.command("migrate").stderr(Stdio::piped()).output()).await.unwrap().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let last = said.lines().last().unwrap_or_default();
    assert!(last.contains("refuses the parameter options") && last.contains("ignore_startup_parameters"), "{said}");
}
