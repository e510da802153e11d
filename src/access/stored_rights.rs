//! Rights as the database stores them, in JSON.

use serde::{Deserialize, Serialize};

use crate::event::{Grant, GrantedPart, Rights, Rows, Scope};

/// Stored rights. A field that is not known here may restrict them, so it is an error.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredRights {
    scopes: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    see: Option<Vec<StoredGrant>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredGrant {
    org: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    applications: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    instances: Option<Vec<String>>,
}

/// Returns the JSON of rights.
pub(super) fn write(rights: &Rights) -> String {
    let see = match rights.rows() {
        Rows::All => None,
        Rows::Granted(grants) => Some(grants.iter().map(stored_grant).collect()),
    };
    let scopes = rights.scopes().iter().map(|scope| scope.name().to_owned()).collect();
    // Strings and lists of them are always written.
    serde_json::to_string(&StoredRights { scopes, see }).unwrap_or_default()
}

fn stored_grant(Grant { org, part }: &Grant) -> StoredGrant {
    let (applications, instances) = match part {
        GrantedPart::Whole => (None, None),
        GrantedPart::Applications(names) => (Some(names.clone()), None),
        GrantedPart::Instances(ids) => (None, Some(ids.clone())),
    };
    StoredGrant { org: org.clone(), applications, instances }
}

/// Returns the rights in a JSON text; None if this version does not understand it fully.
pub(super) fn read(text: &str) -> Option<Rights> {
    let StoredRights { scopes, see } = serde_json::from_str(text).ok()?;
    let scopes = scopes.iter().map(|name| Scope::named(name)).collect::<Option<_>>()?;
    let Some(see) = see else { return Some(Rights::new(scopes, Rows::All)) };
    let grants = see.into_iter().map(|StoredGrant { org, applications, instances }| {
        let part = match (applications, instances) {
            (None, None) => GrantedPart::Whole,
            (Some(names), None) => GrantedPart::Applications(names),
            (None, Some(ids)) => GrantedPart::Instances(ids),
            (Some(_), Some(_)) => return None,
        };
        Some(Grant { org, part })
    });
    Some(Rights::new(scopes, Rows::granted(grants.collect::<Option<Vec<_>>>()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Scopes;

    #[test]
    fn rights_are_read_as_they_were_written() {
        let org = "acme".to_owned();
        let parts = [
            GrantedPart::Whole,
            GrantedPart::Applications(vec!["office365".to_owned(), "a\"b".to_owned()]),
            GrantedPart::Instances(vec!["0oa1".to_owned()]),
        ];
        let granted = parts.map(|part| Rows::granted([Grant { org: org.clone(), part }]));
        let rows = granted.into_iter().chain([Rows::All, Rows::nothing().clone()]);
        for rows in rows {
            for scopes in [Scopes::READING, Scopes::default(), Scopes::default().with(Scope::Metrics)] {
                let rights = Rights::new(scopes, rows.clone());
                assert_eq!(read(&write(&rights)), Some(rights));
            }
        }
    }

    #[test]
    fn rights_of_another_version_are_not_guessed() {
        for text in [
            "",
            "{}",
            r#"{"scopes": ["events:write"]}"#,
            r#"{"scopes": ["events:read"], "sees": []}"#,
            r#"{"scopes": ["events:read"], "see": [{"org": "acme", "users": ["ada"]}]}"#,
            r#"{"scopes": ["events:read"], "see": [{"org": "acme", "applications": ["a"], "instances": ["b"]}]}"#,
            r#"{"scopes": ["events:read"], "see": {"org": "acme"}}"#,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
