//! The configured orgs, as resolvers know them.

use std::collections::BTreeMap;

/// The configured names of all orgs.
#[derive(Clone, Debug, Default)]
pub(in crate::graphql) struct Orgs(pub(in crate::graphql) Vec<String>);

/// The addresses of the orgs, for links into their admin consoles.
#[derive(Clone)]
pub struct OrgUrls(pub BTreeMap<String, String>);
