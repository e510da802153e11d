//! The file of trusted documents: a JSON object of ids and documents, as Relay's compiler and similar tools write it.

use std::collections::BTreeMap;
use std::path::Path;

use crate::graphql::syntax_fault;

/// Reads the file. Every document must be valid GraphQL syntax.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, String>, Vec<String>> {
    let place = path.display();
    let text = std::fs::read(path).map_err(|error| vec![format!("{place}: {error}")])?;
    let documents: BTreeMap<String, String> = serde_json::from_slice(&text).map_err(|error| {
        vec![format!("{place}: expected a JSON object of ids and documents, {{\"id\": \"query …\"}}: {error}")]
    })?;
    let faults = documents.iter().filter_map(|(id, document)| Some((id, syntax_fault(document)?)));
    let mut faults: Vec<_> = faults.map(|(id, fault)| format!("{place}: {id:?}: {fault}")).collect();
    if documents.is_empty() {
        faults.push(format!("{place}: the file has no documents"));
    }
    if faults.is_empty() { Ok(documents) } else { Err(faults) }
}
