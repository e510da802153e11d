//! Faults of the `[[issuers]]` tables.

use crate::started_with::Place;

#[test]
fn faults_of_the_settings_are_named() {
    let issuer = |lines: &str| format!("[[issuers]]\nname = \"okta\"\n{lines}");
    let good = "url = \"https://acme.okta.com/oauth2/default\"\naudience = \"api://sluice\"\n";
    let rule = "[[issuers.rules]]\nclaim = \"scp\"\nhas = \"x\"\nscopes = [\"events:read\"]\n";
    for (file, place, reason) in [
        (issuer(good), "issuers[0] (okta).rules", "add [[issuers.rules]]"),
        (issuer(&format!("{}{rule}", good.replace("https", "http"))), "issuers[0] (okta).url", "expected https://"),
        (issuer(&format!("{}{rule}", good.replace("api://sluice", ""))), "issuers[0] (okta).audience", "empty"),
        (issuer(&format!("{good}jwks = \"keys.json\"\n{rule}")), "issuers[0] (okta).jwks", "file:PATH"),
        (issuer(&format!("{good}algorithms = [\"HS256\"]\n{rule}")), "issuers[0] (okta).algorithms[0]", "RS256"),
        (issuer(&format!("{good}algorithms = []\n{rule}")), "issuers[0] (okta).algorithms", "empty list"),
        (issuer(&format!("{good}leeway_seconds = 3600\n{rule}")), "issuers[0] (okta).leeway_seconds", "at most 300"),
        (issuer(&format!("{good}max_token_seconds = 0\n{rule}")), "issuers[0] (okta).max_token_seconds", "31536000"),
        (
            issuer(&format!("{good}{}", rule.replace("events:read", "everything"))),
            "issuers[0] (okta).rules[0].scopes[0]",
            "events:read",
        ),
        (
            issuer(&format!("{good}{rule}see = [{{ org = \"x\" }}]\n")),
            "issuers[0] (okta).rules[0].see[0].org",
            "there is no org",
        ),
        (
            issuer(&format!("{good}{rule}see = [{{ org = \"default\", instances = \"mine\" }}]\n")),
            "issuers[0] (okta).rules[0].see[0].instances",
            "claim:NAME",
        ),
        (
            format!("{}{rule}{}{rule}", issuer(good), issuer(&good.replace("default", "other"))),
            "issuers[1] (okta): ",
            "another issuer has this name",
        ),
    ] {
        Place::new(file).check(&[]).assert_fault(place, reason);
    }
    let said = Place::new(issuer(&format!("{good}{rule}"))).check(&[]);
    assert_eq!(said.code, Some(0), "{said:?}");
}
