//! Tests of the keys that a gateway holds.

use futures_util::FutureExt as _;
use secrecy::ExposeSecret as _;
use time::Duration as SignedDuration;

use super::super::rights_end::RightsEnd;
use super::*;
use crate::event::{Rights, Rows, Scope, Scopes};

fn record(key: &GeneratedKey) -> ApiKeyRecord {
    let now = Timestamp::now();
    ApiKeyRecord {
        id: key.id.clone(),
        name: "ci".to_owned(),
        hash: key.hash.to_vec(),
        rights: Some(Rights::new(Scopes::default().with(Scope::EventsRead), Rows::All)),
        created_at: now,
        expires_at: now.plus(SignedDuration::days(1)),
        revoked_at: None,
        last_used_at: None,
    }
}

#[test]
fn a_key_is_accepted_only_with_its_secret_and_until_it_is_over() {
    let (key, other) = (GeneratedKey::generate().unwrap(), GeneratedKey::generate().unwrap());
    let keys = ApiKeys::default();
    let identify = |key: &GeneratedKey| keys.find(key.text.expose_secret(), Timestamp::now());
    assert_eq!(identify(&key), Err(KeyFault::Unknown), "no keys were read yet");
    assert!(!keys.are_read() && !keys.exist());
    keys.replace(Vec::new());
    assert!(keys.are_read() && !keys.exist());
    let record = record(&key);
    keys.replace(vec![record.clone()]);
    let viewer = identify(&key).unwrap();
    assert_eq!((viewer.name.as_deref(), viewer.kind), (Some("ci"), ViewerKind::ApiKey));
    assert_eq!(viewer.credential, Credential::ApiKey("ci".to_owned()));
    assert_eq!((viewer.expires, viewer.require(Scope::EventsRead)), (Some(record.expires_at), Ok(())));
    assert!(viewer.require(Scope::PeopleRead).is_err());
    assert_eq!(identify(&other), Err(KeyFault::Unknown));
    let forged = ApiKeyRecord { hash: other.hash.to_vec(), ..record.clone() };
    keys.replace(vec![forged]);
    assert_eq!(identify(&key), Err(KeyFault::Unknown), "the id is right, and the secret is not");
    let now = Timestamp::now();
    keys.replace(vec![ApiKeyRecord { expires_at: now, ..record.clone() }]);
    assert_eq!(identify(&key), Err(KeyFault::Expired { key: "ci".to_owned(), at: now }));
    keys.replace(vec![ApiKeyRecord { revoked_at: Some(now), ..record.clone() }]);
    assert_eq!(identify(&key), Err(KeyFault::Revoked { key: "ci".to_owned(), at: now }));
    assert!(keys.exist());
    keys.replace(vec![ApiKeyRecord { rights: None, ..record }]);
    assert!(Scope::ALL.into_iter().all(|scope| identify(&key).unwrap().require(scope).is_err()));
}

#[tokio::test]
async fn only_changes_of_a_keys_rights_cut_its_clients_off() {
    let key = GeneratedKey::generate().unwrap();
    let keys = ApiKeys::default();
    let first = record(&key);
    let now = Timestamp::now();
    let changes: [(&str, bool, Vec<ApiKeyRecord>); 6] = [
        ("nothing", false, vec![first.clone()]),
        ("its use", false, vec![ApiKeyRecord { last_used_at: Some(now), ..first.clone() }]),
        ("its rights", true, vec![ApiKeyRecord { rights: Some(Rights::everything()), ..first.clone() }]),
        ("its end", true, vec![ApiKeyRecord { expires_at: now, ..first.clone() }]),
        ("its revocation", true, vec![ApiKeyRecord { revoked_at: Some(now), ..first.clone() }]),
        ("its row", true, Vec::new()),
    ];
    for (what, is_cut_off, records) in changes {
        keys.replace(vec![first.clone()]);
        let viewer = keys.find(key.text.expose_secret(), Timestamp::now()).unwrap();
        keys.replace(records);
        let end = viewer.rights_end().now_or_never();
        assert_eq!(end == Some(RightsEnd::Revoked), is_cut_off, "{what}: {end:?}");
    }
}
