//! Settings are checked as a whole before anything starts: every fault is told with its place, and no secret is.

use std::fs;
use std::path::Path;

use sluice::okta::Credentials;

use crate::started_with::{OTHER, Place, SECRET, STRONG, THIRD};

/// An org whose APIs are read so.
macro_rules! org_api {
    ($api:literal) => {
        concat!("orgs = [{name = 'one', url = 'https://acme.okta.com', api = {", $api, "}}]")
    };
}

/// The warnings where nothing is configured.
const OPEN: [&str; 3] =
    ["everybody on this machine may query", "everybody on this machine may deliver", "no [orgs.api]"];

/// What is wrong, where, and what to do about it.
const FAULTS: [(&str, &str, &str); 43] = [
    (r#"orgs = [{name = ""}]"#, "orgs[0] ().name: ", "expected 1 to 100 letters, digits"),
    (r#"orgs = [{name = "one"}, {name = "a/b"}]"#, "orgs[1] (a/b).name: ", "`-`, `_` or `.`"),
    (r#"orgs = [{name = "one"}, {name = "one"}]"#, "orgs[1] (one): ", "another org has this name"),
    (r#"orgs = [{name = "one", url = "acme.okta.com"}]"#, "orgs[0] (one).url: ", "expected https://acme.okta.com"),
    (r#"orgs = [{name = "one", url = ""}]"#, "orgs[0] (one).url: ", "expected https://acme.okta.com"),
    (r#"orgs = [{name = "one", url = "https://"}]"#, "orgs[0] (one).url: ", "expected https://acme.okta.com"),
    (r#"orgs = [{name = "one", url = "ftp://a.b"}]"#, "orgs[0] (one).url: ", "expected https://acme.okta.com"),
    (r#"orgs = [{name = "one", url = "https://a.b/c"}]"#, "orgs[0] (one).url: ", "expected https://acme.okta.com"),
    (r#"orgs = [{name = "one", hook_header = "x key"}]"#, "orgs[0] (one).hook_header: ", "is not a header's name"),
    (r#"orgs = [{name = "one", hook_header = ""}]"#, "orgs[0] (one).hook_header: ", "is not a header's name"),
    (
        r#"orgs = [{name = "one", hook_secrets = ["literal:hunter2 hunter2 hunter2", ""]}]"#,
        "orgs[0] (one).hook_secrets[1]: ",
        "is empty",
    ),
    (
        r#"orgs = [{name = "one", hook_secrets = ["literal:hunter2\n"]}]"#,
        "orgs[0] (one).hook_secrets[0]: ",
        "printable ASCII",
    ),
    (
        r#"orgs = [{name = "one", hook_secrets = ["env:EMPTY"]}]"#,
        "orgs[0] (one).hook_secrets[0]: env:EMPTY",
        "is empty",
    ),
    (r#"orgs = [{name = "one", event_types = []}]"#, "orgs[0] (one).event_types: ", r#"omit it, or write ["*"]"#),
    (
        r#"orgs = [{name = "one", event_types = ["a", "*.b"]}]"#,
        "orgs[0] (one).event_types[1]: ",
        "may only be the last character",
    ),
    (r#"orgs = [{name = "one", event_types = [""]}]"#, "orgs[0] (one).event_types[0]: ", "neither an event type nor"),
    (
        r#"orgs = [{name = "one", api = {token = "literal:hunter2"}}]"#,
        "orgs[0] (one).api: ",
        "url = \"https://acme.okta.com\"",
    ),
    (org_api!(""), "orgs[0] (one).api: ", "give either token, or client_id and private_key"),
    (
        org_api!("token = 'literal:hunter2', client_id = 'a'"),
        "orgs[0] (one).api: ",
        "give either token, or client_id and",
    ),
    (org_api!("client_id = 'a'"), "orgs[0] (one).api: ", "give either token, or client_id and private_key"),
    (org_api!("token = 'env:NONE'"), "orgs[0] (one).api.token: ", "variable NONE is not set"),
    (org_api!("client_id = 'a', private_key = 'file:none'"), "orgs[0] (one).api.private_key: none: ", "No such file"),
    (
        org_api!("client_id = 'a', private_key = 'literal:hunter2'"),
        "orgs[0] (one).api.private_key: ",
        "save the key as PEM in Okta",
    ),
    (
        org_api!("token = 'literal:hunter2', rate_share = 1.5"),
        "orgs[0] (one).api.rate_share: ",
        "above 0 and at most 1",
    ),
    (org_api!("token = 'literal:hunter2', poll_seconds = 0"), "orgs[0] (one).api.poll_seconds: ", "from 1 to 3600"),
    (
        org_api!("token = 'literal:hunter2', catalogue_seconds = 1"),
        "orgs[0] (one).api.catalogue_seconds: ",
        "from 10 to 86400",
    ),
    (
        org_api!("token = 'literal:hunter2', settle_seconds = 1"),
        "orgs[0] (one).api.settle_seconds: ",
        "from 60 to 86400",
    ),
    (r#"access = {trusted_proxies = ["10.0.0.0/8", "proxy"]}"#, "access.trusted_proxies[1]: \"proxy\": ", "an address"),
    (r#"access = {trusted_proxies = ["10.0.0.1/8"]}"#, "access.trusted_proxies[0]: \"10.0.0.1/8\": ", "10.0.0.0/8"),
    (r#"access = {client_header = "x-real-ip"}"#, "access.client_header: ", "\"x-forwarded-for\" or \"forwarded\""),
    (r"limits = {connections_per_address = 0}", "limits.connections_per_address: ", "must be from 1 to 1000000"),
    (
        r"limits = {connections = 9, connections_per_address = 9}",
        "limits.connections_per_address: ",
        "must be less than limits.connections (9)",
    ),
    (
        r#"readers = [{name = "", token = "literal:hunter2 hunter2 hunter2"}]"#,
        "readers[0] ().name: ",
        "must not be empty",
    ),
    (
        r#"readers = [{name = "a", token = "literal:hunter2 hunter2 1"}, {name = "a", token = "literal:hunter2 hunter2 2"}]"#,
        "readers[1] (a): ",
        "another reader",
    ),
    (r#"readers = [{name = "a", token = ""}]"#, "readers[0] (a).token: ", "is empty"),
    (r#"readers = [{name = "a", token = "literal: hunter2"}]"#, "readers[0] (a).token: ", "use printable ASCII"),
    (r#"readers = [{name = "a", token = "literal:hunter2é"}]"#, "readers[0] (a).token: ", "use printable ASCII"),
    (r#"readers = [{name = "a", token = "env:NONE"}]"#, "readers[0] (a).token: ", "variable NONE is not set"),
    (r#"readers = [{name = "a", token = "file:none"}]"#, "readers[0] (a).token: none: ", "No such file"),
    (r#"readers = [{name = "a", token = "env:"}]"#, "readers[0] (a).token: env: ", "write env:NAME"),
    (r#"readers = [{name = "a", token = "file:"}]"#, "readers[0] (a).token: file: ", "write file:NAME"),
    (r#"readers = [{name = "a", token = "file:empty"}]"#, "readers[0] (a).token: file:empty", "is empty"),
    (
        r#"readers = [{name = "a", token = "file:two-lines"}]"#,
        "readers[0] (a).token: file:two-lines",
        "printable ASCII",
    ),
];

#[test]
fn a_fault_is_told_in_one_line_with_its_place_and_its_mend() {
    for (settings, place, mend) in FAULTS {
        let directory = Place::new(settings);
        directory.write("empty", "\n");
        directory.write("two-lines", "hunter2\nhunter2\n");
        directory.check(&[("EMPTY", "")]).assert_fault(place, mend);
    }
    let garbage = Place::new("").check(&[("DATABASE_URL", "garbage")]);
    garbage.assert_fault("--database-url (DATABASE_URL): this is not a PostgreSQL URL", "expected postgres://");
    for url in ["http://sluice:hunter2@nats", "nats://sluice:hunter2@", "nats://one,,hunter2", "nats://one:hunter2"] {
        let fault = Place::new("").check(&[("SLUICE_NATS_URL", url)]);
        fault.assert_fault("--nats-url (SLUICE_NATS_URL): ", "expected nats://");
    }
    Place::new("").check(&[("SLUICE_NATS_URL", "nats://sluice:hunter2@one:4222,tls://two")]).assert_right(&OPEN);
    Place::new("").check(&[("SLUICE_NATS_URL", "")]).assert_right(&OPEN);
    let unset = Place::new("").check(&[("SLUICE_OKTA_URL", "acme")]);
    unset.assert_fault("orgs[0] (default).url: ", "expected https://acme.okta.com");
}

#[test]
fn a_limit_has_its_bounds() {
    let limits = [
        "connections",
        "head_seconds",
        "body_seconds",
        "sockets",
        "operations_per_socket",
        "connection_init_seconds",
        "sockets_per_client",
        "streams",
        "streams_per_client",
        "socket_write_seconds",
        "socket_ping_seconds",
        "query_body_bytes",
        "delivery_body_bytes",
        "delivery_events",
        "waiting_bytes",
        "window_bytes",
        "query_seconds",
        "append_seconds",
        "hook_seconds",
        "query_connections",
        "query_wait_seconds",
        "query_waiting",
        "query_statements",
        "query_long_statements",
        "complexity",
        "document_bytes",
        "document_tokens",
        "document_depth",
        "document_fields",
        "document_root_fields",
        "document_aliases",
        "document_directives",
        "document_values",
    ];
    let settings = |number: u64| limits.map(|limit| format!("{limit} = {number}\n")).concat();
    for wrong in [0, u32::MAX.into()] {
        let said = Place::new(format!("[limits]\n{}", settings(wrong))).check(&[]);
        let faults = said.faults();
        for limit in limits.into_iter().filter(|limit| wrong == 0 || !limit.ends_with("_bytes")) {
            let told = format!("limits.{limit}: must be from 1 to ");
            assert_eq!(faults.iter().filter(|fault| fault.starts_with(&told)).count(), 1, "{said:?}");
        }
    }
    Place::new(format!("[limits]\n{}", settings(1))).check(&[]).assert_right(&OPEN);
    let off = Place::new("limits = {batch = 0, persisted_bytes = 0, drain_seconds = 0}");
    off.check(&[]).assert_right(&OPEN);
    let large = Place::new("limits = {batch = 1_000_001}").check(&[]);
    large.assert_fault("limits.batch: ", "must be from 0 to 1000000");
}

#[test]
fn who_trusts_everybody_is_warned() {
    let proxies = Place::new(r#"access = {trusted_proxies = ["127.0.0.1", "fd00::/8"], client_header = "Forwarded"}"#);
    proxies.check(&[]).assert_right(&OPEN);
    let everybody = Place::new(r#"access = {trusted_proxies = ["0.0.0.0/0"]}"#);
    everybody.check(&[]).assert_right(&[OPEN[0], OPEN[1], OPEN[2], "lets every client claim any address"]);
}

#[test]
fn what_cannot_be_read_is_told_with_its_line() {
    let cases = [
        ("\nlimit = 1", 2, "`limit`, expected one of `orgs`, `readers`, `issuers`, `graphql`, `access`, `limits`"),
        ("[[orgs]]\nname = 'a'\nhook_secret = []", 3, "`hook_secret`, expected one of `name`, `url`, `hook_secrets`"),
        (
            "[[readers]]\nname = 'a'\ntoken = 'b'\norg = 'c'",
            4,
            "`org`, expected one of `name`, `token`, `scopes`, `see`",
        ),
        ("\n[limits]\nsocket = 1", 3, "`socket`, expected one of `connections`, `connections_per_address`"),
        ("[limits]\nsockets = '1'", 2, "sockets: expected a whole number"),
        ("limits = {drain_seconds = true}", 1, "drain_seconds: expected a whole number"),
        ("[[orgs]]\nname = 'a'\n[orgs.api]\nrate_share = '0.5'", 4, "rate_share: expected a number"),
        ("[graphql]\nintrospection = 'yes'", 2, "introspection: expected true or false"),
        ("[graphql]\nintrospect = true", 2, "`introspect`, expected one of `introspection`, `trusted_documents`"),
        ("[limits]\nsockets = -1", 2, "sockets: the number is out of range: expected a whole number, 0 or more"),
        ("[limits]\nquery_connections = 99_999_999_999", 2, "query_connections: the number is out of range"),
        ("\n\n[[orgs]]\nurl = 'https://a.b'", 3, "missing field `name`"),
        ("\n[[readers]]\nname = 'a'", 2, "missing field `token`"),
        ("[[orgs]]\nname = 'a'\nname = 'a'", 3, "duplicate key"),
        ("[[orgs]]\n\nname = 'a", 3, "expected `'`"),
        ("[[orgs]\nname = 'a'", 1, "unclosed array table"),
        ("[[orgs]]\nname = 'a'\nhook_secrets = [\"hunter2]", 3, "expected"),
        ("[[readers]]\nname = 'a'\ntoken = 123456", 3, "expected a string"),
    ];
    for (settings, line, words) in cases {
        let said = Place::new(settings).check(&[]);
        let fault = said.faults().join("\n");
        assert!(fault.starts_with("sluice.toml") && fault.contains(&format!("line {line}")), "{said:?}");
        assert!(fault.contains(words), "{said:?}");
    }
    let number = Place::new("[[readers]]\nname = 'a'\ntoken = 123456").check(&[]);
    assert!(!format!("{number:?}").contains("123456"), "a secret that is no text is not shown either: {number:?}");
    Place::new(b"\xff").check(&[]).assert_fault("sluice.toml: ", "UTF-8");
    let elsewhere = Place::new("").run(&["serve", "--check", "--config", "none.toml"], &[]);
    elsewhere.assert_fault("none.toml: ", "No such file");
}

#[test]
fn every_fault_is_told_at_once() {
    let settings = "orgs = [{name = 'a', url = 'b', hook_secrets = ['env:A', 'file:b']}]\nlimits = {sockets = 0}";
    let said = Place::new(settings).run(&["serve", "--check", "--listen", "0.0.0.0:80"], &[]);
    let faults = said.faults();
    let told = |words: &str| faults.iter().filter(|fault| fault.contains(words)).count();
    let words = ["(a).url", "hook_secrets[0]", "hook_secrets[1]", "limits.sockets", "no reader", "no hook secret"];
    assert_eq!((words.map(told), faults.len()), ([1; 6], 6), "{said:?}");
}

#[test]
fn what_others_can_reach_is_open_to_nobody() {
    const ORG: &str = "orgs = [{name = 'one', hook_secrets = ['literal:hunter2 hunter2 hunter2']}]";
    const READER: &str = "readers = [{name = 'a', token = 'literal:hunter2 hunter2 reader'}]";
    for address in ["0.0.0.0:80", "[::]:80", "192.0.2.1:80", "[2001:db8::1]:80"] {
        let check = |settings: &str| Place::new(settings).run(&["serve", "--check", "--listen", address], &[]);
        let place = format!("{address} is not a loopback address, and ");
        check(ORG).assert_fault(&place, "there are no readers: add [[readers]] with a name and a token");
        check(READER).assert_fault(&place, "org default has no hook secret: add hook_secrets");
        let two = "orgs = [{name = 'one', hook_secrets = ['literal:hunter2 hunter2 hunter2']}, {name = 'two'}]";
        check(&format!("{two}\n{READER}")).assert_fault(&place, "org two has no hook secret");
        check(&format!("{ORG}\n{READER}")).assert_right(&["org one has no [orgs.api]"]);
        let set = Place::new(READER).check(&[("SLUICE_LISTEN", address), ("SLUICE_HOOK_SECRET", STRONG)]);
        set.assert_right(&["org default has no [orgs.api]"]);
    }
    for address in ["127.0.0.1:80", "127.1.2.3:80", "[::1]:80"] {
        let said = Place::new("").check(&[("SLUICE_LISTEN", address)]);
        said.assert_right(&OPEN);
        assert!(said.output.ends_with(&format!("1 org(s), listening on {address}\n")), "{said:?}");
    }
}

#[test]
fn a_command_line_that_cannot_be_read_is_told_with_the_argument() {
    let place = Place::new("");
    let cases = [
        ("serve --listen here", "127.0.0.1:80", "'here' for '--listen <ADDR>': expected an address and a port"),
        ("serve", "8080", "'8080' for '--listen <ADDR>': expected an address and a port, such as"),
        ("serve --listen :8080", "127.0.0.1:80", "such as 127.0.0.1:8080, [::1]:8080 or localhost:8080"),
        ("serve --listen no.such.name.invalid:80", "127.0.0.1:80", "the name cannot be looked up"),
        ("serve --log-format xml", "127.0.0.1:80", "[possible values: text, json]"),
        ("serve --chekc", "127.0.0.1:80", "a similar argument exists: '--check'"),
        ("sevre", "127.0.0.1:80", "a similar subcommand exists: 'serve'"),
        ("serve --config", "127.0.0.1:80", "a value is required for '--config <FILE>'"),
    ];
    for (arguments, listen, words) in cases {
        let said = place.run(&arguments.split(' ').collect::<Vec<_>>(), &[("SLUICE_LISTEN", listen)]);
        assert_eq!(said.code, Some(2), "{said:?}");
        assert!(said.errors.starts_with("error: ") && said.errors.contains(words), "{said:?}");
    }
    let help = place.run(&["serve", "--help"], &[]);
    assert!(help.code == Some(0) && help.output.contains("DATABASE_URL"), "{help:?}");
}

#[test]
fn secrets_come_from_the_environment_files_and_the_settings_themselves() {
    let settings = r#"
        [[orgs]]
        name = "one"
        hook_header = "X-Key"
        hook_secrets = ["env:HOOK", "file:keys/hook", "literal:said out loud: hunter2"]
        [[readers]]
        name = "a"
        token = "file:keys/token"
    "#;
    let place = Place::new(settings);
    fs::create_dir(place.0.path().join("keys")).unwrap();
    place.write("keys/hook", "hunter2 of the file\r\n");
    place.write("keys/token", STRONG);
    let unread = ["org one has no [orgs.api]"];
    place.check(&[("HOOK", "hunter2 of the environment")]).assert_right(&unread);
    let file = place.0.path().join("sluice.toml");
    let elsewhere = Place::new("").run(&["--check", "--config", file.to_str().unwrap()], &[("HOOK", OTHER)]);
    elsewhere.assert_right(&unread);

    let settings = place.read(&|name| (name == "HOOK").then(|| "hunter2 of the environment".to_owned()));
    let hook = &settings.orgs["one"].hook;
    for right in ["hunter2 of the environment", "hunter2 of the file", "said out loud: hunter2"] {
        assert!(hook.accept(Some(right.as_bytes())), "{right}");
    }
    for wrong in ["env:HOOK", "file:keys/hook", "hunter2 of the file\r\n", ""] {
        assert!(!hook.accept(Some(wrong.as_bytes())), "{wrong}");
    }
    let reader = settings.readers.identify(STRONG);
    assert_eq!(reader.unwrap().name.as_deref(), Some("a"));
    assert!(!format!("{settings:?}").contains(SECRET));
}

#[test]
fn an_org_is_read_with_a_token_or_a_key() {
    let quiet = ["[[readers]]", "hook secret"];
    let place = Place::new(org_api!("client_id = '0oa1', private_key = 'file:key.pem', rate_share = 0.25"));
    let (_, pem) = okta_sim::ServiceApp::with_new_key("0oa1").unwrap();
    place.write("key.pem", pem);
    place.check(&[]).assert_right(&quiet);
    let settings = place.read(&|_| None);
    let api = settings.orgs["one"].api.as_ref().unwrap();
    assert!(matches!(api.credentials.get(), Credentials::Key(_)) && !format!("{api:?}").contains("PRIVATE"));
    assert!((api.options.rate_share - 0.25).abs() < f64::EPSILON && api.options.poll_interval.as_secs() == 10);
    let variables = [("SLUICE_OKTA_URL", "https://acme.okta.com"), ("SLUICE_OKTA_TOKEN", SECRET)];
    Place::new("").check(&variables).assert_right(&quiet);
    let value = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    assert!(Place::new("").read(&value).orgs["default"].api.is_some());
    Place::new("").check(&variables[1..]).assert_fault("orgs[0] (default).api: ", "the org's URL is missing");
    let plain = Place::new("orgs = [{name = 'one', url = 'http://okta-sim:80', api = {token = 'literal:hunter2'}}]");
    plain.check(&[]).assert_right(&["(one).api: http://okta-sim:80 is not https", quiet[0], quiet[1]]);
}

#[test]
fn trusted_documents_are_read_beside_the_settings() {
    let place = Place::new("[graphql]\nintrospection = false\ntrusted_documents = 'trusted.json'\ntrusted_only = true");
    place.check(&[]).assert_fault("graphql.trusted_documents: trusted.json: ", "No such file");
    for (text, says) in [
        ("", "expected a JSON object of ids and documents"),
        ("[]", "expected a JSON object"),
        (r#"{"a": 7}"#, "expected a string"),
        ("{}", "the file has no documents"),
        (r#"{"a": "{ a }", "b": "{"}"#, "\"b\": the document cannot be read at line 1, column 2"),
    ] {
        place.write("trusted.json", text);
        place.check(&[]).assert_fault("graphql.trusted_documents: trusted.json: ", says);
    }
    place.write("trusted.json", r#"{"head": "{ ingestion { head } }"}"#);
    let graphql = place.read(&|_| None).graphql;
    assert!(graphql.trusted_only && !graphql.introspection);
    assert_eq!(
        graphql.trusted_documents.into_iter().collect::<Vec<_>>(),
        [("head".into(), "{ ingestion { head } }".into())]
    );
    let none = Place::new("graphql = {trusted_only = true}").check(&[]);
    none.assert_fault("graphql.trusted_only: ", "there are no trusted documents");
    assert!(Place::new("").read(&|_| None).graphql.introspection);
}

#[test]
fn the_example_is_right_and_its_comments_are_the_defaults() {
    let example = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/sluice.toml")).unwrap();
    let place = Place::new(&example);
    let variables = [("ACME_HOOK_SECRET", STRONG), ("ACME_OKTA_TOKEN", OTHER), ("DASHBOARD_TOKEN", THIRD)];
    place.run(&["serve", "--check", "--listen", "0.0.0.0:8080"], &variables).assert_right(&[]);
    place.check(&variables[1..]).assert_fault("orgs[0] (acme).hook_secrets[0]: ", "ACME_HOOK_SECRET is not set");
    place.check(&variables[..2]).assert_fault("readers[0] (dashboard).token: ", "DASHBOARD_TOKEN is not set");
    // Its settings that are comments made settings.
    let is_setting = |line: &str| line.contains(" = ") || line.starts_with([' ', '[', ']']);
    let line = |line| str::strip_prefix(line, "# ").filter(|line| is_setting(line)).unwrap_or(line);
    let whole = example.lines().map(line).collect::<Vec<_>>().join("\n");
    for setting in ["event_types = [", "[limits]", "sockets = 10_000"] {
        assert!(whole.lines().any(|line| line.starts_with(setting)), "{whole}");
    }
    let [written, meant] = [&example, &whole].map(|settings| {
        // Each variable has a value of its own.
        let mut settings = Place::new(settings).read(&|name| (name != "RUST_LOG").then(|| format!("{STRONG} {name}")));
        settings.limits.connections_per_address = Some(settings.limits.connections_per_address());
        format!("{:?} {:?} {:?}", settings.orgs, settings.graphql, settings.limits)
    });
    assert_eq!(written, meant);
}
