//! The `[access]` table: the URL at which browsers reach the gateway, the trusted proxies, the header in which they name the client's address, and the origins whose
//! pages may query and subscribe.

use super::check::Checker;
use super::file::AccessTable;
use crate::auth::{AllowedOrigins, ClientHeader, Network, PublicUrl, TrustedProxies};

impl Checker<'_> {
    pub(super) fn public_url(&mut self, table: &AccessTable) -> Option<PublicUrl> {
        let text = table.public_url.as_deref()?;
        let url = text.parse();
        url.map_err(|_| {
            let fault = format!(
                "access.public_url: {text:?}: expected the address that people type, without a path: \
                 \"https://sluice.example.com\", or http on localhost"
            );
            self.faults.push(fault);
        })
        .ok()
    }

    pub(super) fn trusted_proxies(&mut self, table: &AccessTable) -> TrustedProxies {
        let mut networks: Vec<Network> = Vec::with_capacity(table.trusted_proxies.len());
        for (index, text) in table.trusted_proxies.iter().enumerate() {
            match text.parse() {
                Ok(network) => networks.push(network),
                Err(fault) => self.faults.push(format!("access.trusted_proxies[{index}]: {text:?}: {fault}")),
            }
        }
        if networks.iter().any(Network::is_everything) {
            let warning = "access.trusted_proxies: a network of all addresses lets every client claim any address";
            self.warnings.push(warning.to_owned());
        }
        let header = match table.client_header.as_deref().map(str::to_ascii_lowercase).as_deref() {
            None | Some("x-forwarded-for") => ClientHeader::XForwardedFor,
            Some("forwarded") => ClientHeader::Forwarded,
            Some(_) => {
                self.faults.push("access.client_header: expected \"x-forwarded-for\" or \"forwarded\"".to_owned());
                ClientHeader::default()
            }
        };
        TrustedProxies::new(networks, header)
    }

    pub(super) fn allowed_origins(&mut self, table: &AccessTable, is_open: bool) -> AllowedOrigins {
        let mut origins = Vec::with_capacity(table.allowed_origins.len());
        for (index, text) in table.allowed_origins.iter().enumerate() {
            match text.parse() {
                Ok(origin) => origins.push(origin),
                Err(fault) => self.faults.push(format!("access.allowed_origins[{index}]: {text:?}: {fault}")),
            }
        }
        if !origins.is_empty() && is_open {
            let fault = "access.allowed_origins: pages of other origins need a token: configure [[readers]] or [[issuers]], or set access.open = false";
            self.faults.push(fault.to_owned());
        }
        AllowedOrigins::new(origins)
    }
}
