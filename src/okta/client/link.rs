//! `Link` headers (RFC 8288). Okta sends either one header with all links or one header for each link.

use reqwest::Url;
use reqwest::header::{HeaderMap, LINK};

use super::error::OktaError;
use super::resource::Resource;

/// Returns true if a URL leads to this resource of the org.
pub(super) fn is_of(url: &Url, origin: &Url, resource: Resource) -> bool {
    url.origin() == origin.origin()
        && url.path() == resource.path()
        && url.username().is_empty()
        && url.password().is_none()
}

/// Returns the link to the next page, if there is one.
pub(super) fn next(headers: &HeaderMap, base: &Url) -> Result<Option<Url>, OktaError> {
    for value in headers.get_all(LINK) {
        let Ok(value) = value.to_str() else { continue };
        if let Some((target, _)) = links(value).into_iter().find(|(_, parameters)| is_next(parameters)) {
            let url = base.join(target).map_err(|_| OktaError::NotOkta("a `next` link cannot be read".to_owned()))?;
            return Ok(Some(url));
        }
    }
    Ok(None)
}

/// Splits a header into links: the text between `<` and `>`, and the parameters. Both may contain commas.
fn links(value: &str) -> Vec<(&str, &str)> {
    let mut links = Vec::new();
    let mut rest = value;
    while let Some((_, after)) = rest.split_once('<') {
        let Some((target, after)) = after.split_once('>') else { break };
        let mut quoted = false;
        let end = after.find(|letter| {
            quoted ^= letter == '"';
            letter == ',' && !quoted
        });
        let (parameters, further) = after.split_at(end.unwrap_or(after.len()));
        links.push((target, parameters));
        rest = further;
    }
    links
}

fn is_next(parameters: &str) -> bool {
    parameters.split(';').filter_map(|parameter| parameter.split_once('=')).any(|(name, value)| {
        name.trim().eq_ignore_ascii_case("rel")
            && value.trim().trim_matches('"').split_whitespace().any(|relation| relation.eq_ignore_ascii_case("next"))
    })
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn found(values: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(LINK, HeaderValue::from_str(value).unwrap());
        }
        let base = Url::parse("https://acme.okta.example/api/v1/logs?limit=1").unwrap();
        next(&headers, &base).unwrap().map(String::from)
    }

    #[test]
    fn the_next_link_is_found_in_every_form() {
        let url = "https://acme.okta.example/api/v1/logs?filter=a,%20b&after=1_2";
        let (own, next) = (format!("<{url}&x>; rel=\"self\""), format!("<{url}>; rel=\"next\""));
        for values in [
            vec![own.as_str(), next.as_str()],
            vec![next.as_str(), own.as_str()],
            vec![&format!("{own}, {next}")],
            vec![&format!("{own},{next}")],
            vec![&format!("<{url}>;title=\"a, <b>\"; REL=next")],
            vec![&format!("<{url}>; rel=\"last next\"")],
            vec!["<?filter=a,%20b&after=1_2>; rel=\"next\""],
        ] {
            assert_eq!(found(&values).as_deref(), Some(url), "{values:?}");
        }
        for values in [vec![], vec![own.as_str()], vec!["<x"], vec!["garbage"], vec!["<x>; rel=\"nextish\""]] {
            assert_eq!(found(&values), None, "{values:?}");
        }
    }

    #[test]
    fn a_link_is_of_the_org_only_with_its_scheme_host_port_and_path() {
        let origin = Url::parse("https://acme.okta.example").unwrap();
        let is_of = |text: &str| is_of(&Url::parse(text).unwrap(), &origin, Resource::Logs);
        assert!(is_of("https://acme.okta.example/api/v1/logs?after=1"));
        assert!(is_of("https://ACME.okta.example:443/api/v1/logs"));
        for other in [
            "http://acme.okta.example/api/v1/logs",
            "https://acme.okta.example:444/api/v1/logs",
            "https://acme.okta.example.evil.example/api/v1/logs",
            "https://acme.okta.example@evil.example/api/v1/logs",
            "https://user@acme.okta.example/api/v1/logs",
            "https://acme.okta.example/api/v1/users",
        ] {
            assert!(!is_of(other), "{other}");
        }
    }
}
