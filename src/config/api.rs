//! The `[orgs.api]` table: the credentials and options for reading an org's APIs.

use std::time::Duration;

use super::OrgApiSettings;
use super::check::Checker;
use super::file::ApiTable;
use crate::ingest::ApiOptions;
use crate::okta::{ClientKey, Credentials};

impl Checker<'_> {
    /// Checks the table; None if the credentials are wrong.
    pub(super) fn api(&mut self, place: &str, url: Option<&str>, table: ApiTable) -> Option<OrgApiSettings> {
        let place = format!("{place}.api");
        match url {
            Some(url) if url.starts_with("http://") && !is_here(url) => {
                let warning = format!("{place}: {url} is not https, so the token is sent unencrypted");
                self.warnings.push(warning);
            }
            Some(_) => {}
            None => {
                let fault = format!("{place}: the org's URL is missing: add url = \"https://acme.okta.com\"");
                self.faults.push(fault);
            }
        }
        let options = self.api_options(&place, &table);
        let credentials = self.credentials(&place, table)?.into();
        Some(OrgApiSettings { credentials, options })
    }

    fn credentials(&mut self, place: &str, table: ApiTable) -> Option<Credentials> {
        match (table.token, table.client_id, table.private_key) {
            (Some(token), None, None) => self.secret(&format!("{place}.token"), &token).map(Credentials::Token),
            (None, Some(client_id), Some(key)) => {
                let place = format!("{place}.private_key");
                let pem =
                    self.secrets.find_text(&key).map_err(|fault| self.faults.push(format!("{place}: {fault}"))).ok()?;
                let key = ClientKey::read(&client_id, table.key_id, &pem);
                if key.is_none() {
                    self.faults.push(format!(
                        "{place}: not a private key in PEM format (RSA, P-256 or P-384); save the key as PEM in Okta"
                    ));
                }
                key.map(Credentials::Key)
            }
            _ => {
                self.faults.push(format!("{place}: give either token, or client_id and private_key"));
                None
            }
        }
    }

    fn api_options(&mut self, place: &str, table: &ApiTable) -> ApiOptions {
        let mut options = ApiOptions::default();
        if let Some(share) = table.rate_share {
            if !(share > 0.0 && share <= 1.0) {
                self.faults
                    .push(format!("{place}.rate_share: must be above 0 and at most 1: a share of Okta's rate limit"));
            }
            options.rate_share = share;
        }
        if let Some(seconds) = table.poll_seconds {
            if !(1..=3600).contains(&seconds) {
                self.faults.push(format!("{place}.poll_seconds: must be from 1 to 3600"));
            }
            options.poll_interval = Duration::from_secs(seconds);
        }
        if let Some(seconds) = table.catalogue_seconds {
            if !(10..=86_400).contains(&seconds) {
                self.faults.push(format!("{place}.catalogue_seconds: must be from 10 to 86400"));
            }
            options.catalogue_interval = Duration::from_secs(seconds);
        }
        if let Some(seconds) = table.settle_seconds {
            if !(60..=86_400).contains(&seconds) {
                self.faults.push(format!("{place}.settle_seconds: must be from 60 to 86400"));
            }
            options.settle = Duration::from_secs(seconds);
        }
        options
    }
}

/// Returns true if a URL's host is this machine.
fn is_here(url: &str) -> bool {
    let host = url.trim_start_matches("http://");
    ["127.", "localhost", "[::1]"].iter().any(|own| host.starts_with(own))
}
