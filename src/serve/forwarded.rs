//! The client's address and host as a trusted proxy reports them, in `X-Forwarded-For` and `X-Forwarded-Host` or in
//! `Forwarded` (RFC 7239).

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, header};

use crate::auth::{ClientHeader, TrustedProxies};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Returns the address of the client whose request the proxy at `peer` forwards.
///
/// Each proxy appends the address from which it received the request. Read from the end, the first address that is not
/// a trusted proxy's is the client's, since the client may have written those before it. If the list ends early or has
/// no valid address, the last trusted proxy counts as the client.
pub(super) fn client(proxies: &TrustedProxies, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    let mut client = peer;
    let mut named = named_clients(proxies.header, headers).into_iter().rev();
    while proxies.contains(client) {
        let Some(next) = named.next().and_then(|text| address(&text)) else { break };
        client = next;
    }
    client
}

/// Returns the requested hosts as a trusted proxy reports them.
pub(super) fn hosts(header: ClientHeader, headers: &HeaderMap) -> Vec<String> {
    match header {
        ClientHeader::XForwardedFor => list(headers, &X_FORWARDED_HOST),
        ClientHeader::Forwarded => forwarded(headers, "host"),
    }
}

fn named_clients(header: ClientHeader, headers: &HeaderMap) -> Vec<String> {
    match header {
        ClientHeader::XForwardedFor => list(headers, &X_FORWARDED_FOR),
        ClientHeader::Forwarded => forwarded(headers, "for"),
    }
}

/// Returns the values of a list header in all its lines.
fn list(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let lines = headers.get_all(name).iter().map(|line| line.to_str().unwrap_or_default());
    lines.flat_map(|line| line.split(',')).map(|value| value.trim().to_owned()).collect()
}

/// Returns a parameter of each element of `Forwarded`, or an empty text if an element lacks it.
fn forwarded(headers: &HeaderMap, parameter: &str) -> Vec<String> {
    let lines = headers.get_all(header::FORWARDED).iter().map(|line| line.to_str().unwrap_or_default());
    let elements = lines.flat_map(|line| split_unquoted(line, ','));
    elements.map(|element| parameter_of(element, parameter).unwrap_or_default()).collect()
}

fn parameter_of(element: &str, wanted: &str) -> Option<String> {
    split_unquoted(element, ';').into_iter().find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case(wanted).then(|| unquoted(value.trim()))
    })
}

/// Splits a text at a separator outside of quotation marks.
fn split_unquoted(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut start, mut is_quoted, mut is_escaped) = (Vec::new(), 0, false, false);
    for (at, letter) in text.char_indices() {
        if is_escaped {
            is_escaped = false;
        } else if is_quoted && letter == '\\' {
            is_escaped = true;
        } else if letter == '"' {
            is_quoted = !is_quoted;
        } else if letter == separator && !is_quoted {
            parts.push(&text[start..at]);
            start = at + letter.len_utf8();
        }
    }
    parts.push(&text[start..]);
    parts
}

fn unquoted(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')) else {
        return value.to_owned();
    };
    let mut letters = inner.chars();
    let mut text = String::with_capacity(inner.len());
    while let Some(letter) = letters.next() {
        text.extend(if letter == '\\' { letters.next() } else { Some(letter) });
    }
    text
}

/// Parses an address with or without a port: `192.0.2.7`, `192.0.2.7:80`, `2001:db8::7`, `[2001:db8::7]:80`.
fn address(text: &str) -> Option<IpAddr> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, _) = rest.split_once(']')?;
        return address.parse().map(IpAddr::V6).ok();
    }
    let without_port = text.split_once(':').map(|(address, _)| address);
    text.parse().ok().or_else(|| without_port?.parse().map(IpAddr::V4).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(header: ClientHeader, lines: &[(HeaderName, &str)]) -> String {
        let networks = ["127.0.0.1", "10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap());
        let proxies = TrustedProxies::new(networks.to_vec(), header);
        let headers = lines.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        client(&proxies, "127.0.0.1".parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn the_last_address_that_is_no_proxys_is_the_client() {
        for (line, client) in [
            ("192.0.2.7", "192.0.2.7"),
            ("192.0.2.7:4711", "192.0.2.7"),
            ("198.51.100.1, 192.0.2.7", "192.0.2.7"),
            ("192.0.2.7, 10.0.0.1, 10.0.0.2", "192.0.2.7"),
            ("192.0.2.7,  fd00::1", "192.0.2.7"),
            ("2001:db8::7", "2001:db8::7"),
            ("[2001:db8::7]:4711", "2001:db8::7"),
            ("10.0.0.1", "10.0.0.1"),
            ("unknown, 10.0.0.1", "10.0.0.1"),
            ("", "127.0.0.1"),
            ("192.0.2.7, unknown", "127.0.0.1"),
            ("192.0.2.7, example.com", "127.0.0.1"),
        ] {
            assert_eq!(asked(ClientHeader::XForwardedFor, &[(X_FORWARDED_FOR, line)]), client, "{line}");
        }
        let lines = [(X_FORWARDED_FOR, "192.0.2.8"), (X_FORWARDED_FOR, "192.0.2.7, 10.0.0.1")];
        assert_eq!(asked(ClientHeader::XForwardedFor, &lines), "192.0.2.7");
    }

    #[test]
    fn forwarded_is_read_with_its_quotation_marks() {
        for (line, client) in [
            ("for=192.0.2.7", "192.0.2.7"),
            ("For=192.0.2.7;proto=https;by=10.0.0.1", "192.0.2.7"),
            ("for=\"[2001:db8::7]:4711\", for=10.0.0.1;host=a", "2001:db8::7"),
            ("for=192.0.2.7, by=\"x,for=198.51.100.1\";for=\"10.0.0.\\1\"", "192.0.2.7"),
            ("for=192.0.2.7, for=_hidden", "127.0.0.1"),
            ("for=192.0.2.7, host=a", "127.0.0.1"),
            ("for=\"192.0.2.7", "127.0.0.1"),
        ] {
            assert_eq!(asked(ClientHeader::Forwarded, &[(header::FORWARDED, line)]), client, "{line}");
        }
    }

    #[test]
    fn one_header_alone_is_believed() {
        let both = [(X_FORWARDED_FOR, "192.0.2.7"), (header::FORWARDED, "for=198.51.100.1")];
        assert_eq!(asked(ClientHeader::XForwardedFor, &both), "192.0.2.7");
        assert_eq!(asked(ClientHeader::Forwarded, &both), "198.51.100.1");
        assert_eq!(asked(ClientHeader::XForwardedFor, &both[1..]), "127.0.0.1");
    }

    #[test]
    fn hosts_are_told_in_the_same_header_as_the_client() {
        let headers = HeaderMap::from_iter([
            (X_FORWARDED_HOST, "sluice.example:8443, inner".parse().unwrap()),
            (header::FORWARDED, "for=192.0.2.7;host=\"other.example:80\", for=10.0.0.1".parse().unwrap()),
        ]);
        assert_eq!(hosts(ClientHeader::XForwardedFor, &headers), ["sluice.example:8443", "inner"]);
        assert_eq!(hosts(ClientHeader::Forwarded, &headers), ["other.example:80", ""]);
    }
}
