//! Tests of what is removed and hashed, in events of all forms.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn pointers(texts: &[&str]) -> Vec<EventPointer> {
    texts.iter().map(|text| EventPointer::parse(text).unwrap()).collect()
}

fn privacy(drop: &[&str], hash: &[&str]) -> Privacy {
    Privacy::new(pointers(drop), pointers(hash), Some("a key of 16 letters".into()))
}

fn apply(privacy: &Privacy, event: &str) -> String {
    applied(privacy, event).json
}

fn applied(privacy: &Privacy, event: &str) -> PrivateEvent {
    privacy.apply(&RawValue::from_string(event.to_owned()).unwrap())
}

#[test]
fn members_are_removed_and_hashed_and_the_rest_stays_byte_for_byte() {
    let privacy = privacy(&["/client/ipAddress", "/request/ipChain/*/ip", "/nothing"], &["/actor/alternateId"]);
    let event = r#"{"uuid":"1", "client":{"ipAddress":"192.0.2.7","zone" : 1.50},"actor":{"alternateId":"Ada@Acme.example"},
        "request":{"ipChain":[{"ip":"192.0.2.7","version":"V4"},7]},"odd":"\u00e9\ud800","ipAddress":"kept"}"#;
    let hash = privacy.hash("ada@acme.example");
    let expected = r#"{"uuid":"1","client":{"zone":1.50},"actor":{"alternateId":"HASH"},"request":{"ipChain":[{"version":"V4"},7]},"odd":"\u00e9\ud800","ipAddress":"kept"}"#;
    let once = applied(&privacy, event);
    assert_eq!(once.json, expected.replace("HASH", &hash));
    assert_eq!((once.dropped, once.hashed), (2, 1));
    let again = applied(&privacy, &once.json);
    assert_eq!((again.dropped, again.hashed, again.json), (0, 0, once.json), "a hash is not hashed");
}

#[test]
fn a_member_that_is_there_twice_is_removed_twice() {
    let privacy = privacy(&["/client/ipAddress"], &["/actor/id"]);
    let event = r#"{"client":{"ipAddress":1,"ip\u0041ddress":2},"client":{"ipAddress":3},"actor":{"id":"a","id":"a"}}"#;
    let hash = privacy.hash("a");
    let expected = format!(r#"{{"client":{{}},"client":{{}},"actor":{{"id":"{hash}","id":"{hash}"}}}}"#);
    assert_eq!(apply(&privacy, event), expected);
}

#[test]
fn a_target_that_is_in_no_list_counts_as_the_item_of_one() {
    let privacy = privacy(&["/target/*/displayName"], &["/target/0/alternateId"]);
    let hash = privacy.hash("b");
    for (target, expected) in [
        (r#"{"id":"u","alternateId":"b","displayName":"B"}"#, r#"{"id":"u","alternateId":"HASH"}"#),
        (r#"[{"alternateId":"b","displayName":"B"}]"#, r#"[{"alternateId":"HASH"}]"#),
        (r#"[[{"displayName":"B"}],null]"#, r#"[[{"displayName":"B"}],null]"#),
    ] {
        let expected = format!(r#"{{"target":{}}}"#, expected.replace("HASH", &hash));
        assert_eq!(apply(&privacy, &format!(r#"{{"target":{target}}}"#)), expected);
    }
}

#[test]
fn everything_in_a_hashed_value_is_hashed_once() {
    let privacy = privacy(&[], &["/client"]);
    let event = r#"{"client":{"a":[1,true,null,{"b":"x"}]}}"#;
    let once = apply(&privacy, event);
    let [number, yes, text] = ["1", "true", "x"].map(|text| privacy.hash(text));
    assert_eq!(once, format!(r#"{{"client":{{"a":["{number}","{yes}",null,{{"b":"{text}"}}]}}}}"#));
    assert_eq!(apply(&privacy, &once), once);
    let both = self::privacy(&["/client/a/3"], &["/client", "/client/a/*"]);
    assert_eq!(
        apply(&both, event),
        format!(r#"{{"client":{{"a":["{number}","{yes}",null]}}}}"#),
        "what is dropped is gone"
    );
    let other = Privacy::new(Vec::new(), pointers(&["/client"]), Some("another key, as long".into()));
    assert_ne!(apply(&other, event), once);
    let without = Privacy::new(Vec::new(), pointers(&["/client"]), None);
    assert_eq!(apply(&without, event), "{}", "without a key, nothing is kept");
}

#[test]
fn what_sluice_needs_cannot_be_removed() {
    for needed in [
        "/uuid",
        "/published",
        "/eventType",
        "/*",
        "/target",
        "/target/*",
        "/target/0",
        "/target/*/id",
        "/target/1/id",
        "/target/id",
        "/target/*/type",
        "/target/*/*",
        "/*/*/id",
    ] {
        assert!(matches!(EventPointer::parse(needed), Err(PointerFault::Needed(_))), "{needed}");
    }
    for wrong in ["", "/", "client", "client/ipAddress", "/a~", "/a~2b"] {
        assert_eq!(EventPointer::parse(wrong), Err(PointerFault::NoPointer), "{wrong}");
    }
    for good in ["/client", "/target/*/alternateId", "/actor/id", "/a~1b/~0", "/uuid2", "/transaction/detail/*"] {
        assert_eq!(EventPointer::parse(good).unwrap().to_string(), good);
    }
}

proptest! {
    /// Random events, and random pointers of their members: nothing is left where one of them points, and a second time changes
    /// nothing.
    #[test]
    fn nothing_is_left_where_a_pointer_points(
        values in prop::collection::vec("[a-z]{8}", 12),
        is_dropped in prop::collection::vec(any::<bool>(), 6),
        is_listed in any::<bool>(),
    ) {
        const PLACES: [&str; 6] = [
            "/client/ipAddress", "/actor/alternateId", "/target/*/alternateId", "/target/*/detail/*", "/debug/*", "/*/deep/*/x",
        ];
        let canary = |nth: usize| format!("canary-{}-{nth}", values[nth]);
        let targets: Vec<_> = (0..3)
            .map(|nth| json!({"id": format!("0oa{nth}"), "alternateId": canary(nth), "detail": [canary(3 + nth)]}))
            .collect();
        let targets = if is_listed { json!(targets) } else { targets[0].clone() };
        let event = json!({
            "uuid": "1", "client": {"ipAddress": canary(6)}, "actor": {"alternateId": canary(7), "deep": {"y": {"x": canary(8)}}},
            "target": targets, "debug": {"a": canary(9), "b": {"c": canary(10)}}, "kept": canary(11),
        });
        let of = |wanted: bool| {
            let places = PLACES.iter().zip(&is_dropped).filter(|(_, dropped)| **dropped == wanted);
            places.map(|(place, _)| *place).collect::<Vec<_>>()
        };
        let privacy = privacy(&of(true), &of(false));
        let applied = apply(&privacy, &event.to_string());
        for nth in 0..11 {
            prop_assert!(!applied.contains(&canary(nth)), "{nth} is left in {applied}");
        }
        prop_assert!(applied.contains(&canary(11)));
        prop_assert_eq!(apply(&privacy, &applied), applied);
    }
}
