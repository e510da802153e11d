//! Documents that clients need not send: trusted ones, which the operator lists, and persisted ones, which clients
//! register by Apollo's protocol.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::sync::Arc;

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use super::GraphRequest;
use super::refusal::RequestRefusal;
use crate::auth::AllowedDocuments;
use crate::language::parser::parse;
use crate::lru_cache::LruCache;

/// Settings of the documents that are executed.
#[derive(Clone, Debug, Default)]
pub struct DocumentOptions {
    /// Documents that the operator trusts, by their ids.
    pub trusted: BTreeMap<String, String>,
    /// True if every other document is refused.
    pub trusted_only: bool,
    /// Total size of the documents that clients may register by their hashes, in bytes. With 0, they may register none.
    pub persisted_bytes: usize,
}

/// The known documents.
pub(in crate::graphql) struct Documents {
    trusted: BTreeMap<String, Arc<str>>,
    trusted_texts: HashSet<Arc<str>>,
    trusted_only: bool,
    persisted: Option<Mutex<LruCache<String, Arc<str>>>>,
}

/// The document of a request.
#[derive(Debug)]
pub(in crate::graphql) struct FoundDocument {
    pub(in crate::graphql) text: Arc<str>,
    /// The hash under which the document is registered, if it can be executed.
    pub(in crate::graphql) register: Option<String>,
}

impl Documents {
    pub(in crate::graphql) fn new(options: DocumentOptions) -> Self {
        let persists = options.persisted_bytes > 0 && !options.trusted_only;
        let trusted: BTreeMap<_, Arc<str>> = options.trusted.into_iter().map(|(id, text)| (id, text.into())).collect();
        Self {
            trusted_texts: trusted.values().cloned().collect(),
            trusted,
            trusted_only: options.trusted_only,
            persisted: persists.then(|| Mutex::new(LruCache::new(options.persisted_bytes))),
        }
    }

    /// Finds the document of a request from a viewer that may send these documents.
    pub(in crate::graphql) fn find(
        &self,
        request: &mut GraphRequest,
        allowed: AllowedDocuments,
    ) -> Result<FoundDocument, RequestRefusal> {
        if let Some(id) = &request.document_id {
            let known = self.trusted(id).ok_or_else(|| {
                RequestRefusal::new("DOCUMENT_NOT_FOUND", "`documentId` is not the id of a trusted document here")
            })?;
            return Ok(FoundDocument { text: known, register: None });
        }
        match (request.query.take(), request.persisted_hash.take()) {
            (Some(text), None) => self.written(text, allowed, None),
            (Some(text), Some(hash)) => {
                if hex(&Sha256::digest(&text)) != hash {
                    let message = "`extensions.persistedQuery.sha256Hash` is not the SHA-256 of `query`";
                    return Err(RequestRefusal::new("PERSISTED_QUERY_HASH_MISMATCH", message));
                }
                self.written(text, allowed, self.persisted.is_some().then_some(hash))
            }
            (None, hash) => self.by_hash(&hash.unwrap_or_default(), allowed),
        }
    }

    fn by_hash(&self, hash: &str, allowed: AllowedDocuments) -> Result<FoundDocument, RequestRefusal> {
        if let Some(text) = self.trusted(hash) {
            return Ok(FoundDocument { text, register: None });
        }
        self.check_other(allowed)?;
        // The protocol prescribes these messages, and clients compare them.
        let Some(persisted) = &self.persisted else {
            return Err(RequestRefusal::new("PERSISTED_QUERY_NOT_SUPPORTED", "PersistedQueryNotSupported"));
        };
        let found = persisted.lock().get(hash);
        metrics::counter!("sluice_persisted_queries_total", "result" => if found.is_some() { "hit" } else { "miss" })
            .increment(1);
        let text = found.ok_or_else(|| RequestRefusal::new("PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound"))?;
        Ok(FoundDocument { text, register: None })
    }

    /// Keeps a document that can be executed, so that its hash is enough next time.
    pub(in crate::graphql) fn keep(&self, hash: String, text: &Arc<str>) {
        if let Some(persisted) = &self.persisted {
            persisted.lock().insert(hash, Arc::clone(text), text.len());
        }
    }

    fn written(
        &self,
        text: String,
        allowed: AllowedDocuments,
        register: Option<String>,
    ) -> Result<FoundDocument, RequestRefusal> {
        if !self.trusted_texts.contains(text.as_str()) {
            self.check_other(allowed)?;
        }
        Ok(FoundDocument { text: text.into(), register })
    }

    /// Checks that a document which is not trusted may be executed.
    fn check_other(&self, allowed: AllowedDocuments) -> Result<(), RequestRefusal> {
        let message = if self.trusted_only {
            "this gateway executes trusted documents only (graphql.trusted_only), and this is none of them"
        } else if allowed == AllowedDocuments::Trusted {
            "this reader may send trusted documents only (`documents = \"trusted\"` in [[readers]], or in all matching \
             [[issuers.rules]]), and this is none of them"
        } else {
            return Ok(());
        };
        Err(RequestRefusal::new("DOCUMENT_NOT_TRUSTED", message))
    }

    /// Finds a trusted document. An id that is a SHA-256 may also be written as `sha256:…`.
    fn trusted(&self, id: &str) -> Option<Arc<str>> {
        let known = self.trusted.get(id).or_else(|| self.trusted.get(id.strip_prefix("sha256:")?));
        known.cloned()
    }
}

/// Returns the message of the error of syntax in a text; None if it is a document.
pub fn syntax_fault(text: &str) -> Option<String> {
    parse(text, usize::MAX).err().map(|fault| fault.message)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        _ = write!(text, "{byte:02x}");
        text
    })
}
