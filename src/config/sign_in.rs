//! The table `sign_in` of an issuer: how people sign in by OpenID Connect.

use std::time::Duration;

use super::check::Checker;
use super::file::SignInTable;
use crate::auth::{ClientSecret, SignInSettings};

/// The scopes that are requested if the settings name none.
const DEFAULT_SCOPES: [&str; 2] = ["openid", "profile"];

/// The default length of a session, in hours.
const SESSION_HOURS: u64 = 8;

/// The longest allowed session, in hours: 30 days.
const MAX_SESSION_HOURS: u64 = 720;

impl Checker<'_> {
    pub(super) fn sign_in(&mut self, place: &str, table: SignInTable, has_jwks: bool) -> Option<SignInSettings> {
        let place = format!("{place}.sign_in");
        if has_jwks {
            self.faults.push(format!(
                "{place}: needs the issuer's metadata, of which jwks would be no part: remove jwks, and sluice finds the keys at url"
            ));
        }
        let is_plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| (b'!'..=b'~').contains(&byte));
        if !is_plain(&table.client_id) {
            self.faults.push(format!("{place}.client_id: expected the client's id, in ASCII and without blanks"));
        }
        let scopes = table.scopes.unwrap_or_else(|| DEFAULT_SCOPES.map(str::to_owned).to_vec());
        if let Some(index) = scopes.iter().position(|scope| !is_plain(scope)) {
            self.faults.push(format!("{place}.scopes[{index}]: expected a scope, in ASCII and without blanks"));
        }
        if !scopes.iter().any(|scope| scope == "openid") {
            self.faults.push(format!("{place}.scopes: must have \"openid\", without which there is no ID token"));
        }
        let hours = table.session_hours.unwrap_or(SESSION_HOURS);
        if !(1..=MAX_SESSION_HOURS).contains(&hours) {
            self.faults.push(format!("{place}.session_hours: expected 1 to {MAX_SESSION_HOURS} (30 days)"));
        }
        let client_secret = self.secret(&format!("{place}.client_secret"), &table.client_secret)?;
        Some(SignInSettings {
            client_id: table.client_id,
            client_secret: ClientSecret::new(client_secret),
            scopes,
            session: Duration::from_secs(hours.saturating_mul(3_600)),
        })
    }
}
