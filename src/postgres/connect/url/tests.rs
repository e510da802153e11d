//! Tests of URLs: the options parsed from them, and faults that show no value.

use sqlx::ConnectOptions as _;

use super::*;

/// A password that no fault may show.
const SECRET: &str = "hunter2";

fn hosts(url: &str) -> Vec<String> {
    let parsed = DatabaseUrl::parse(url).unwrap_or_else(|faults| panic!("{url}: {faults:?}"));
    parsed.hosts.into_iter().map(|host| host.name).collect()
}

#[test]
fn a_url_names_one_host_or_several() {
    for (url, expected) in [
        ("postgres://sluice@db/log", &["db:5432"][..]),
        ("POSTGRESQL://sluice:hunter2@db:5433/log?sslmode=disable", &["db:5433"]),
        ("postgres://u:p@h1:1,h2:2/log", &["h1:1", "h2:2"]),
        ("postgres://u:p@h1,h2:2/log", &["h1:5432", "h2:2"]),
        ("postgres://u@h1,h2/log?port=7", &["h1:7", "h2:7"]),
        ("postgres://u@/log?host=a,b&port=1,2", &["a:1", "b:2"]),
        ("postgres:///log?host=a,b", &["a:5432", "b:5432"]),
        ("postgres://u@one/log?hostaddr=10.0.0.1", &["10.0.0.1:5432"]),
        ("postgres://u@one:7/log?host=two", &["two:7"]),
        ("postgres://u@[::1],[fe80::2]:5433/log", &["[::1]:5432", "[fe80::2]:5433"]),
        ("postgres://u@%2Fvar%2Frun%2Fpostgresql/log", &["/var/run/postgresql/.s.PGSQL.5432"]),
        ("postgres://u@%2Ftmp:5433,db/log", &["/tmp/.s.PGSQL.5433", "db:5432"]),
        ("postgres:///log?host=/tmp&port=5433", &["/tmp/.s.PGSQL.5433"]),
        ("postgres://a@b:hunter2@db/log", &["db:5432"]),
        ("postgres://db", &["db:5432"]),
    ] {
        assert_eq!(hosts(url), expected, "{url}");
    }
}

/// Every host is logged in to with the password of the URL, wherever it stands there.
#[test]
fn every_host_has_the_password_of_the_url() {
    for url in ["postgres://u:hunter2@h1,h2/log", "postgres://u@h1,h2/log?password=hunter2"] {
        let hosts = DatabaseUrl::parse(url).ok().unwrap().hosts;
        assert_eq!(hosts.len(), 2);
        for host in hosts {
            assert_eq!(host.options.to_url_lossy().password(), Some(SECRET), "{}", host.name);
        }
    }
}

#[test]
fn a_url_says_who_connects_to_which_database_and_how() {
    let url = "postgres://an%40admin:hunter2%2F@db/the%20log?sslmode=require&application_name=one&connect_timeout=7\
               &options=-c%20search_path%3Da%2Cb%20--geqo=off&options[work_mem]=8MB&target_session_attrs=primary";
    let parsed = DatabaseUrl::parse(url).ok().unwrap();
    let options = &parsed.hosts[0].options;
    assert_eq!((options.get_username(), options.get_database()), ("an@admin", Some("the log")));
    assert_eq!(options.get_application_name(), Some("one"));
    assert!(matches!(options.get_ssl_mode(), PgSslMode::Require));
    assert_eq!(parsed.connect_timeout, Some(Duration::from_secs(7)));
    let settings: Vec<_> = parsed.settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(settings, ["search_path=a,b", "geqo=off", "work_mem=8MB"]);
    assert_eq!(parsed.confidential, ["an@admin", "hunter2/", "the log"]);

    let parsed = DatabaseUrl::parse("postgres://ignored@db/ignored?user=me&password=a%26b+c&dbname=log").ok().unwrap();
    let options = &parsed.hosts[0].options;
    assert_eq!((options.get_username(), options.get_database()), ("me", Some("log")));
    assert_eq!(options.get_application_name(), Some("sluice"));
    assert_eq!(parsed.confidential, ["me", "a&b+c", "log"]);
    for (parameters, is_verified) in [("sslmode=verify-full", true), ("sslrootcert=system", true), ("ssl=true", false)]
    {
        let parsed = DatabaseUrl::parse(&format!("postgres://db/log?{parameters}")).ok().unwrap();
        let mode = parsed.hosts[0].options.get_ssl_mode();
        assert_eq!(matches!(mode, PgSslMode::VerifyFull), is_verified, "{parameters}: {mode:?}");
        assert!(matches!(mode, PgSslMode::VerifyFull | PgSslMode::Require), "{parameters}: {mode:?}");
    }
}

#[test]
fn a_fault_names_its_part_and_no_value() {
    for (url, expected) in [
        ("jdbc:postgresql://db/log?password=hunter2", "this is a jdbc:postgresql: URL; expected postgres://"),
        ("mysql://u:hunter2@db/log", "this is a mysql: URL; expected postgres://"),
        ("postgresql+asyncpg://u:hunter2@db/log", "this is a postgresql+asyncpg: URL; "),
        ("https://hunter2", "this is a https: URL; "),
        ("hunter2://db", "this is not a PostgreSQL URL; expected postgres://"),
        ("host=db password=hunter2", "a list of keywords and values; expected postgres://"),
        ("hunter2", "this is not a PostgreSQL URL; "),
        ("", "this is not a PostgreSQL URL; "),
        (
            "postgres://u@db/log?pasword=hunter2",
            "pasword: PostgreSQL's URLs have no such parameter; is password meant?",
        ),
        ("postgres://u@db/log?sslmod=hunter2", "sslmod: PostgreSQL's URLs have no such parameter; is sslmode meant?"),
        ("postgres://u@db/log?schema=hunter2", "schema: PostgreSQL's URLs have no such parameter"),
        ("postgres://u@db/log?sslpassword=hunter2", "sslpassword: sluice cannot do what this parameter asks for"),
        ("postgres://u@db/log?require_auth=hunter2", "require_auth: sluice cannot do"),
        ("postgres://u@db/log?target_session_attrs=standby", "target_session_attrs: sluice reads and writes at one"),
        ("postgres://u@db/log?target_session_attrs=prefer-standby", "needs one that takes writes"),
        ("postgres://u@db/log?target_session_attrs=hunter2", "expected read-write, primary or any"),
        ("postgres://u@db/log?channel_binding=require", "channel_binding: channel binding is not supported"),
        ("postgres://u@db/log?sslmode=hunter2", "sslmode: expected disable, prefer, require, verify-ca or verify-full"),
        ("postgres://u@db/log?sslrootcert=hunter2", "sslrootcert: the file cannot be read: No such file"),
        ("postgres://u@db/log?sslkey=/dev/null", "sslcert and sslkey: expected both, or neither"),
        ("postgres://u@db/log?connect_timeout=0", "connect_timeout: expected a number of seconds from 1 to 60"),
        ("postgres://u@db/log?statement-cache-capacity=0", "statement-cache-capacity: expected a number"),
        ("postgres://u@db/log?options=hunter2", "options: expected settings as -c name=value or --name=value"),
        ("postgres://u@db/log?options[a-b]=hunter2", "options: expected names of settings"),
        ("postgres://u@db/log?port=1&port=2", "port: is given twice"),
        ("postgres://u@db/log?password=a&hunter2", "a parameter has no value"),
        ("postgres://u@db/log?hunter2@%20=1", "a parameter's name is none"),
        ("postgres://u@a,b/log?port=1,2,3", "port: expected one for all hosts, or one for each"),
        ("postgres://u@a,b/log?hostaddr=10.0.0.1&host=a,b", "host and hostaddr: expected as many"),
        ("postgres://u@a/log?hostaddr=hunter2", "hostaddr: expected IP addresses"),
        (
            "postgres://u@a/log?hostaddr=10.0.0.1&sslmode=verify-full",
            "hostaddr: cannot be used with sslmode=verify-full",
        ),
        ("postgres://u@db:hunter2/log", "a port is not a number from 1 to 65535"),
        ("postgres://u:pass/hunter2@db/log", "a port is not a number from 1 to 65535"),
        ("postgres://u:12/hunter2@db", "the database's name has a `/` or `@` in it, or the password has"),
        ("postgres://u@::1/log", "IPv6 addresses stand in brackets"),
        ("postgres://u@[::1/log", "a host begins with `[` and has no `]`"),
        ("postgres://u@[hunter2]/log", "a host in brackets: expected an IPv6 address"),
        ("postgres://u@hun%20ter2/log", "a host has a character that no host has"),
        ("postgres://%ff@db/log", "the user is not UTF-8"),
        ("postgres://u:%00@db/log", "the password holds a zero byte"),
    ] {
        let faults = DatabaseUrl::parse(url).err().unwrap_or_else(|| panic!("{url} has a fault"));
        assert!(faults.iter().any(|fault| fault.contains(expected)), "{url}: {faults:?}");
        assert!(faults.iter().all(|fault| !fault.contains(SECRET) && !fault.contains('\n')), "{url}: {faults:?}");
    }
    let many = vec!["db"; MAX_HOSTS + 1].join(",");
    assert!(DatabaseUrl::parse(&format!("postgres://{many}/log")).is_err());
    let all = DatabaseUrl::parse("postgres://u@db:0/log?sslmod=a&pasword=b").err().unwrap();
    assert_eq!(all.len(), 3, "every fault is told: {all:?}");
}
