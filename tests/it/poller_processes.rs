//! Gateways as processes that read an org's System Log and die: another one goes on, within seconds.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::database::TestDatabase;
use crate::okta_org::{OktaOrg, TOKEN, count, wait_until};

/// A gateway over a database that reads the org `default`, as its environment says.
fn start(org: &OktaOrg, database: &TestDatabase) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command.args(["serve", "--listen", "127.0.0.1:0"]).current_dir(std::env::temp_dir()).env_clear();
    command.env("DATABASE_URL", &database.url).env("SLUICE_OKTA_URL", org.api.url()).env("SLUICE_OKTA_TOKEN", TOKEN);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap()
}

fn signal(gateway: &Child, signal: Signal) {
    kill_process(Pid::from_raw(gateway.id().unwrap().try_into().unwrap()).unwrap(), signal).unwrap();
}

/// How many events of the sync family there are.
fn family(org: &OktaOrg) -> usize {
    let entries = org.api.log().entries();
    entries.iter().filter(|entry| !entry.event_type.starts_with("user.")).count()
}

/// Things happen; gives how long it takes until they are stored.
async fn stored_after(org: &mut OktaOrg, database: &TestDatabase) -> Duration {
    let began = Instant::now();
    org.happen(30);
    let expected = family(org);
    wait_until("what happened", async || count(&database.pool).await == expected).await;
    began.elapsed()
}

/// How many connections of the database lead.
async fn leaders(database: &TestDatabase) -> i64 {
    let sql = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
               WHERE l.locktype = 'advisory' AND d.datname = current_database() AND l.granted";
    database.number(sql).await
}

#[tokio::test]
async fn when_the_gateway_that_reads_dies_another_goes_on() {
    let mut org = OktaOrg::start().await;
    org.have_history(200, 24);
    let database = TestDatabase::new().await;
    let first = start(&org, &database);
    let expected = family(&org);
    org.wait_for(&database.pool, expected).await;
    let second = start(&org, &database);
    tokio::time::sleep(Duration::from_secs(2)).await;
    signal(&first, Signal::KILL);
    let took = stored_after(&mut org, &database).await;
    assert!(took < Duration::from_secs(10), "killed: {took:?}");
    // One that stands still holds its connections: PostgreSQL ends the one that leads.
    let third = start(&org, &database);
    wait_until("a leader", async || leaders(&database).await == 1).await;
    signal(&second, Signal::STOP);
    let took = stored_after(&mut org, &database).await;
    assert!(took < Duration::from_secs(40), "standing still: {took:?}");
    // Awake again it finds that it does not lead any more, and doubles nothing.
    signal(&second, Signal::CONT);
    stored_after(&mut org, &database).await;
    let stored = count(&database.pool).await;
    assert_eq!((stored, leaders(&database).await), (family(&org), 1));
    assert_eq!(org.starts(), 1, "each went on by the link");
    drop((second, third));
}
