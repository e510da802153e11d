//! The application instance in an admin console URL.

/// Returns the instance id in a URL such as
/// `https://acme-admin.okta.com/admin/app/office365/instance/0oahjhk34aUxGnWcZ0h7/`: the path segment after the last
/// `instance`. None if the URL has no such segment.
pub fn instance_id_in_url(url: &str) -> Option<&str> {
    let path = url.split(['?', '#']).next()?.split_once("://")?.1;
    let segments: Vec<_> = path.split('/').skip(1).collect();
    // The last one counts, since an application may be called `instance` too.
    let at = segments.iter().rposition(|segment| *segment == "instance")?;
    let id = segments.get(at + 1)?;
    (!id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric())).then_some(*id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_segment_after_instance() {
        let id = Some("0oahjhk34aUxGnWcZ0h7");
        assert_eq!(instance_id_in_url("https://acme.okta.com/admin/app/office365/instance/0oahjhk34aUxGnWcZ0h7/"), id);
        assert_eq!(instance_id_in_url("https://a.okta.com/admin/app/x/instance/0oahjhk34aUxGnWcZ0h7?tab=a#b"), id);
        assert_eq!(instance_id_in_url("https://a.okta.com/admin/app/instance/instance/0oahjhk34aUxGnWcZ0h7"), id);
        for bad in ["", "0oahjhk34aUxGnWcZ0h7", "https://instance/0oa1", "https://a.okta.com/admin/app/x/instance/"] {
            assert_eq!(instance_id_in_url(bad), None, "{bad}");
        }
    }
}
