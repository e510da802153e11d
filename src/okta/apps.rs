//! The Apps API, `GET /api/v1/apps`: the application instances of an org.

use serde_json::value::RawValue;

use super::delivery::MalformedBody;
use super::json::Members;

/// The maximum number of instances on a page.
pub const APPS_PAGE: usize = 200;

/// An application instance as the Apps API returns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedInstance {
    /// Okta's id, `0oa…`.
    pub id: String,
    /// Okta's key of the application.
    pub name: Option<String>,
    /// The name of the instance in the org.
    pub label: Option<String>,
    /// `ACTIVE` or `INACTIVE`.
    pub status: Option<String>,
}

/// Reads a page of the list. Items without an id are skipped.
///
/// # Errors
/// The body is not a list.
pub fn read_apps_page(body: &[u8]) -> Result<Vec<ListedInstance>, MalformedBody> {
    let apps: Vec<&RawValue> =
        serde_json::from_slice(body).map_err(|_| MalformedBody::Shape("a list of applications"))?;
    let read = |app: &RawValue| {
        let members = Members::read(app)?;
        let text = |name: &str| members.non_empty_text(name);
        Some(ListedInstance { id: text("id")?, name: text("name"), label: text("label"), status: text("status") })
    };
    Ok(apps.into_iter().filter_map(read).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_an_id_is_an_instance() {
        let page = br#"[{"id":"0oa1","name":"slack","label":"Chat","status":"ACTIVE","x":[]},{"id":"0oa2"},{},7]"#;
        let page = read_apps_page(page).unwrap();
        assert_eq!((page.len(), page[0].label.as_deref(), page[1].name.as_deref()), (2, Some("Chat"), None));
        assert!(read_apps_page(b"{}").is_err());
    }
}
