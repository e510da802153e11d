//! Faults of the `[[issuers]]` tables.

use crate::started_with::{OTHER, Place, STRONG};

#[test]
fn faults_of_the_settings_are_named() {
    let issuer = |lines: &str| format!("[[issuers]]\nname = \"okta\"\n{lines}");
    let good = "url = \"https://acme.okta.com/oauth2/default\"\naudience = \"api://sluice\"\n";
    let rule = "[[issuers.rules]]\nclaim = \"scp\"\nhas = \"x\"\nscopes = [\"events:read\"]\n";
    for (file, place, reason) in [
        (issuer(good), "issuers[0] (okta).rules", "add [[issuers.rules]]"),
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
    let public = "access.public_url = \"https://sluice.example\"\n";
    let sign_in = "sign_in = { client_id = \"0oa1\", client_secret = \"literal:s3cret\" }\n";
    let only_sign_in = format!("{}{sign_in}", good.replace("audience = \"api://sluice\"\n", ""));
    for (file, place, reason) in [
        (issuer(&format!("{only_sign_in}{rule}")), "issuers[0] (okta).sign_in", "access.public_url is missing"),
        (
            format!("{public}{}", issuer(&format!("{good}{}{rule}", sign_in.replace("0oa1", "api://sluice")))),
            "issuers[0] (okta).audience",
            "must not be sign_in.client_id",
        ),
        (
            format!("{public}{}", issuer(&format!("{only_sign_in}jwks = \"file:keys.json\"\n{rule}"))),
            "issuers[0] (okta).sign_in",
            "remove jwks",
        ),
        (
            format!(
                "{public}{}",
                issuer(&format!("{}{rule}", only_sign_in.replace(" }", ", scopes = [\"profile\"] }")))
            ),
            "issuers[0] (okta).sign_in.scopes",
            "openid",
        ),
        (
            format!("{public}{}", issuer(&format!("{}{rule}", only_sign_in.replace(" }", ", session_hours = 0 }")))),
            "issuers[0] (okta).sign_in.session_hours",
            "1 to 720",
        ),
        (
            format!("{public}{}", issuer(&format!("{}{rule}", only_sign_in.replace("literal:s3cret", "env:MISSING")))),
            "issuers[0] (okta).sign_in.client_secret",
            "MISSING is not set",
        ),
        (
            issuer(&format!("{}{rule}", good.replace("audience = \"api://sluice\"\n", ""))),
            "issuers[0] (okta).audience",
            "is missing",
        ),
        ("access.public_url = \"http://sluice.example\"".to_owned(), "access.public_url", "without a path"),
        ("access.public_url = \"https://sluice.example/path\"".to_owned(), "access.public_url", "without a path"),
    ] {
        Place::new(file).check(&[]).assert_fault(place, reason);
    }
    let said = Place::new(format!("{public}{}", issuer(&format!("{only_sign_in}{rule}")))).check(&[]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let said = Place::new(issuer(&format!("{good}{rule}"))).check(&[]);
    assert_eq!(said.code, Some(0), "{said:?}");
}

#[test]
fn mistakes_in_rules_and_urls_have_their_remedy() {
    let issuer = |lines: &str| format!("[[issuers]]\nname = \"okta\"\n{lines}");
    let good = "url = \"https://acme.okta.com/oauth2/default\"\naudience = \"api://sluice\"\n";
    let rule = "[[issuers.rules]]\nclaim = \"scp\"\nhas = \"x\"\nscopes = [\"events:read\"]\n";
    for (file, place, reason) in [
        (
            issuer(&format!("{}{rule}", good.replace("https", "http"))),
            "issuers[0] (okta).url",
            "default\": expected https://…, or http://… on this machine",
        ),
        (
            issuer(&format!("{}{rule}", good.replace("https://acme.okta.com/oauth2/default", "portal"))),
            "issuers[0] (okta).url",
            "this machine; an issuer whose name is no address needs jwks",
        ),
        (
            issuer(&format!("{good}{}", rule.replace("\"events:read\"", ""))),
            "issuers[0] (okta).rules[0].scopes",
            "an empty list allows nothing: name scopes",
        ),
        (
            issuer(&format!("{good}{rule}see = [{{ org = \"default\", instances = [\"claim:mine\"] }}]\n")),
            "issuers[0] (okta).rules[0].see[0].instances",
            "without a list: write \"claim:NAME\"",
        ),
    ] {
        Place::new(file).check(&[]).assert_fault(place, reason);
    }
    let plain = Place::new(issuer(&format!("{}{rule}", good.replace("https", "http")))).check(&[]);
    assert!(plain.faults()[0].ends_with("on this machine"), "jwks would be no remedy: {plain:?}");
}

/// Certain mistakes that might be mended elsewhere are told before the gateway starts.
#[test]
fn settings_that_cannot_work_are_warned_of() {
    let settings = |url: &str, more: &str| {
        let rule = "[[issuers.rules]]\nclaim = \"scp\"\nhas = \"x\"\nscopes = [\"events:read\"]\n";
        format!(
            "access.public_url = \"https://sluice.example\"\nreaders = [{{name = \"r\", token = \"literal:{STRONG}\"}}]\n\
                 orgs = [{{name = \"acme\", hook_secrets = [\"literal:{OTHER}\"], api = {{token = \"literal:t\"}}, url = \"https://acme.okta.com\"}}]\n\
                 [[issuers]]\nname = \"okta\"\nurl = \"{url}\"\n{more}{rule}"
        )
    };
    let audience = "audience = \"api://sluice\"\n";
    let sign_in = "sign_in = { client_id = \"0oa1\", client_secret = \"literal:s3cret\" }\n";
    let file = format!("{audience}jwks = \"file:keys.json\"\n");
    for (url, more, warnings) in [
        ("https://acme.okta.com/oauth2/default", audience, &[][..]),
        (
            "https://acme.okta.com/oauth2/default/",
            audience,
            &["issuers[0] (okta).url: \"https://acme.okta.com/oauth2/default/\": the issuers of Okta have no slash"],
        ),
        (
            "https://acme.okta.com",
            audience,
            &["the access tokens of an Okta org's own authorization server are opaque"],
        ),
        ("https://acme.okta.com", sign_in, &[]),
        // Auth0's issuers end in a slash.
        ("https://acme.eu.auth0.com/", audience, &[]),
        ("https://notokta.com/", audience, &[]),
        (
            "https://portal.example",
            file.as_str(),
            &["(okta).jwks: keys.json cannot be read: No such file or directory"],
        ),
    ] {
        Place::new(settings(url, more)).check(&[]).assert_right(warnings);
    }
    for (keys, warnings) in [
        ("{}", &["(okta).jwks: keys.json: it is no JSON object with a list `keys`"][..]),
        (
            r#"{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}"#,
            &["it has no public key with which signatures could be verified"],
        ),
        (
            r#"{"keys": [{"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#,
            &[],
        ),
    ] {
        let place = Place::new(settings("https://portal.example", &file));
        place.write("keys.json", keys);
        place.check(&[]).assert_right(warnings);
    }
}
