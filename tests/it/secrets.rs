//! Secrets: each is named in one of three forms, is long enough, and is no other one's. A text that is none is told with
//! the mend, and no part of it is shown.

use crate::started_with::{OTHER, Place, SECRET, STRONG};

/// Texts that name no secret, and what is said of them.
const UNNAMED: [(&str, &str); 20] = [
    ("$DASHBOARD_TOKEN", "a shell variable or a placeholder"),
    ("${DASHBOARD_TOKEN}", "a shell variable or a placeholder"),
    ("$(cat hunter2)", "a shell variable or a placeholder"),
    ("%DASHBOARD_TOKEN%", "a shell variable or a placeholder"),
    ("{{ hunter2 }}", "a shell variable or a placeholder"),
    ("<the hunter2 of the reader>", "a shell variable or a placeholder"),
    ("ENV:DASHBOARD_TOKEN", "does not begin with env:, file: or literal:"),
    ("Env:DASHBOARD_TOKEN", "does not begin with env:"),
    ("evn:DASHBOARD_TOKEN", "does not begin with env:"),
    ("env :DASHBOARD_TOKEN", "does not begin with env:"),
    (" env:DASHBOARD_TOKEN", "does not begin with env:"),
    ("fiel:/run/secrets/hunter2", "does not begin with env:"),
    ("FILE:/run/secrets/hunter2", "does not begin with env:"),
    ("Literal:hunter2 hunter2 hunter2", "does not begin with env:"),
    ("Bearer hunter2", "begins with `Bearer `, which belongs to the header"),
    ("bearer hunter2 hunter2 hunter2", "begins with `Bearer `"),
    ("a", "is neither env:NAME, nor file:PATH, nor literal:SECRET"),
    ("hunter2 hunter2 hunter2", "is neither env:NAME"),
    ("hunter2/hunter2==:hunter2", "is neither env:NAME"),
    ("", "is empty"),
];

/// Contents of variables and files that are no secrets, and what is said of them.
const NO_SECRETS: [(&str, &str); 8] = [
    ("$DASHBOARD_TOKEN", "is a variable or placeholder that was not replaced"),
    ("${HUNTER:-hunter2 hunter2}", "is a variable or placeholder"),
    ("Bearer hunter2 hunter2", "begins with `Bearer `, which belongs to the header"),
    ("SSWS hunter2 hunter2 hunter2", "begins with `SSWS `, which belongs to the header"),
    ("env:DASHBOARD_TOKEN_OF_HUNTER2", "contains the name of a secret"),
    ("file:/run/secrets/hunter2", "contains the name of a secret"),
    (
        "hunter2 hunter2",
        "has fewer than 16 characters: create a long random one, for example with `openssl rand -hex 32`",
    ),
    ("hunter2\thunter2 hunter2", "contains characters that a header cannot carry: use printable ASCII"),
];

/// The settings that hold secrets, with a text in the place of one, and where the fault is.
fn places(text: &str) -> [(String, &'static str); 3] {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\t', "\\t");
    [
        (format!(r#"readers = [{{name = "a", token = "{text}"}}]"#), "readers[0] (a).token: "),
        (format!(r#"orgs = [{{name = "one", hook_secrets = ["{text}"]}}]"#), "orgs[0] (one).hook_secrets[0]: "),
        (
            format!(r#"orgs = [{{name = "one", url = "https://acme.okta.com", api = {{token = "{text}"}}}}]"#),
            "orgs[0] (one).api.token: ",
        ),
    ]
}

#[test]
fn a_text_that_names_no_secret_is_told_with_the_forms() {
    for (text, says) in UNNAMED {
        for (settings, place) in places(text) {
            let said = Place::new(settings).check(&[("DASHBOARD_TOKEN", STRONG)]);
            said.assert_fault(place, says);
            said.assert_fault(place, "write env:NAME, file:PATH or, for a secret in the settings themselves, literal:");
        }
    }
}

#[test]
fn what_a_variable_or_a_file_holds_must_be_a_secret() {
    for (text, says) in NO_SECRETS {
        // Okta's tokens are as long as Okta makes them.
        let number = if says.contains("fewer") { 2 } else { 3 };
        for (settings, place) in places("env:HELD").into_iter().take(number) {
            Place::new(settings).check(&[("HELD", text)]).assert_fault(place, &format!("env:HELD {says}"));
        }
        for (settings, place) in places("file:held").into_iter().take(number) {
            let directory = Place::new(settings);
            directory.write("held", text);
            directory.check(&[]).assert_fault(place, &format!("file:held {says}"));
        }
        for (settings, place) in places(&format!("literal:{text}")).into_iter().take(number) {
            Place::new(settings).check(&[]).assert_fault(place, &format!("the secret {says}"));
        }
    }
}

#[test]
fn a_secret_in_the_place_of_a_variables_name_is_not_shown() {
    let said = Place::new(r#"readers = [{name = "a", token = "env:hunter2"}]"#).check(&[]);
    said.assert_fault("readers[0] (a).token: ", "the environment variable that env: names is not set");
}

#[test]
fn no_two_secrets_are_alike() {
    let settings = |one: &str, other: &str| {
        format!(
            "[[orgs]]\nname = 'one'\nhook_secrets = ['env:FIRST', '{one}']\n\
             [[orgs]]\nname = 'two'\nhook_secrets = ['{other}']\n\
             [[readers]]\nname = 'a'\ntoken = 'literal:the reader of hunter2'\n"
        )
    };
    let check =
        |one: &str, other: &str| Place::new(settings(one, other)).check(&[("FIRST", STRONG), ("SECOND", OTHER)]);
    let alike = |place: &str| format!("{place} has the same secret: create one for each");
    check("env:FIRST", "env:SECOND")
        .assert_fault("orgs[0] (one).hook_secrets[1]: ", &alike("orgs[0] (one).hook_secrets[0]"));
    let literal = format!("literal:{STRONG}");
    check("env:SECOND", &literal)
        .assert_fault("orgs[1] (two).hook_secrets[0]: ", &alike("orgs[0] (one).hook_secrets[0]"));
    check("env:SECOND", "literal:the reader of hunter2")
        .assert_fault("readers[0] (a).token: ", &alike("orgs[1] (two).hook_secrets[0]"));
    let said = Place::new("readers = [{name = 'a', token = 'env:SLUICE_HOOK_SECRET'}]")
        .check(&[("SLUICE_HOOK_SECRET", STRONG)]);
    said.assert_fault("readers[0] (a).token: ", &alike("orgs[0] (default).hook_secrets[0]"));
    assert_eq!(check("env:SECOND", "literal:one more of hunter2").code, Some(0));
}

#[test]
fn what_is_logged_is_checked_too() {
    let place = Place::new("");
    for (chosen, says) in [
        ("inof", "\"inof\" is neither a level (off, error, warn, info, debug or trace) nor a target"),
        ("info,sluice::lgo=debug", "\"sluice::lgo\" is no target"),
        ("sluice=loudly", "the level is none of off, error"),
    ] {
        place.check(&[("RUST_LOG", chosen)]).assert_fault("RUST_LOG: ", says);
        for command in [&["serve"][..], &["migrate"], &["import", "-"], &["rejected", "list"]] {
            let said = place.run(command, &[("RUST_LOG", chosen), ("SLUICE_LOG_FORMAT", "text")]);
            assert!(said.code == Some(1) && said.errors.contains("RUST_LOG: "), "{command:?}: {said:?}");
        }
    }
    assert_eq!(place.check(&[("RUST_LOG", "warn,sluice::postgres::connect=debug,hyper=info")]).code, Some(0));
    assert!(!STRONG.is_empty() && STRONG.contains(SECRET));
}

#[test]
fn what_hooks_cannot_bring_is_told() {
    let said = Place::new("orgs = [{name = 'one'}]").check(&[]);
    let told = "org one has no [orgs.api]: events that its hooks miss are lost; of the ";
    assert!(said.output.contains(told) && said.output.contains(" never come by event hooks, such as "), "{said:?}");
    let only_lifecycle = Place::new("orgs = [{name = 'one', event_types = ['application.lifecycle.*']}]").check(&[]);
    assert!(
        only_lifecycle.output.contains("events that its hooks miss are lost (see docs/okta.md)"),
        "all of them come by hooks: {only_lifecycle:?}"
    );
    let api = "orgs = [{name = 'one', url = 'https://acme.okta.com', api = {token = 'literal:hunter2'}}]";
    let said = Place::new(api).check(&[]);
    assert!(
        said.output.contains("note: org one: of the ") && said.output.contains("the System Log provides them"),
        "{said:?}"
    );
    let beginning = Place::new("orgs = [{name = 'one', event_types = ['application.provision']}]").check(&[]);
    let told = "warning: orgs[0] (one).event_types[0]: \"application.provision\" is not a known event type";
    assert!(
        beginning.output.contains(told) && beginning.output.contains("write \"application.provision.*\""),
        "{beginning:?}"
    );
}
