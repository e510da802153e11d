//! The database's URL: every command refuses an invalid URL, names the part that is wrong, and prints no value of it.

use crate::started_with::Place;

/// Commands that need the database's URL.
const COMMANDS: [&[&str]; 5] =
    [&["serve", "--check"], &["serve"], &["migrate"], &["import", "-"], &["rejected", "list"]];

#[test]
fn every_command_refuses_a_url_that_is_none_of_postgresql() {
    let place = Place::new("");
    for (url, fault) in [
        ("jdbc:postgresql://127.0.0.1:1/log?password=hunter2", "this is a jdbc:postgresql: URL"),
        ("mysql://sluice:hunter2@127.0.0.1:1/log", "this is a mysql: URL"),
        ("postgres://sluice@127.0.0.1:1/log?pasword=hunter2", "pasword: PostgreSQL's URLs have no such parameter"),
        ("postgres://sluice@127.0.0.1:1/log?sslpassword=hunter2", "sslpassword: sluice cannot do"),
        ("postgres://sluice@127.0.0.1:1/log?target_session_attrs=standby", "target_session_attrs: sluice reads and"),
        ("postgres://sluice:pass/hunter2@127.0.0.1:1/log", "a port is not a number"),
    ] {
        for command in COMMANDS {
            let said = place.run(command, &[("DATABASE_URL", url)]);
            assert_eq!(said.code, Some(1), "{command:?}: {said:?}");
            let expected = format!("--database-url (DATABASE_URL): {fault}");
            assert!(said.errors.contains(&expected), "{command:?}: {said:?}");
        }
    }
    let both = place.check(&[("DATABASE_URL", "postgres://a@b:hunter2/log?sslmode=hunter2")]);
    assert!(both.errors.contains("a port is not a number") && both.errors.contains("sslmode: expected"), "{both:?}");
}

#[test]
fn urls_with_several_hosts_and_every_known_parameter_are_right() {
    let parameters = "target_session_attrs=read-write&connect_timeout=3&sslmode=disable&application_name=one&\
                      options=-c%20geqo%3Doff&channel_binding=prefer&gssencmode=disable&password=hunter2";
    for url in [
        format!("postgresql://sluice:hunter2@127.0.0.1:1,[::1]:2,db/log?{parameters}"),
        format!("postgres:///log?host=127.0.0.1,%2Ftmp&port=1,2&user=sluice&{parameters}"),
    ] {
        let said = Place::new("").check(&[("DATABASE_URL", &url)]);
        assert_eq!(said.code, Some(0), "{said:?}");
    }
}

#[test]
fn a_database_that_cannot_be_reached_is_told_with_its_address_and_the_cause() {
    let url = "postgres://sluice:hunter2@127.0.0.1:1,[::1]:1/hunter2?password=hunter2";
    // The log lines of sqlx must not contain the password either.
    let said = Place::new("").run(&["migrate"], &[("DATABASE_URL", url), ("RUST_LOG", "trace,sqlx=trace")]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let last = said.errors.lines().last().unwrap_or_default();
    let expected = "sluice: the database cannot be reached: 127.0.0.1:1: connection refused; [::1]:1: ";
    assert!(last.starts_with(expected), "{said:?}");
}
