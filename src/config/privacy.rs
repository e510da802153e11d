//! The `[orgs.privacy]` tables: the members of an org's events that are removed or hashed before anything is stored.

use super::check::Checker;
use super::file::PrivacyTable;
use crate::okta::{EventPointer, Privacy};

impl Checker<'_> {
    /// Checks what an org removes and hashes.
    pub(super) fn privacy(&mut self, place: &str, table: &PrivacyTable) -> Option<Privacy> {
        let drop = self.pointers(&format!("{place}.drop"), &table.drop);
        let hash = self.pointers(&format!("{place}.hash"), &table.hash);
        for (index, pointer) in table.hash.iter().enumerate().filter(|(_, pointer)| table.drop.contains(pointer)) {
            self.faults
                .push(format!("{place}.hash[{index}]: {pointer:?} is in drop, too: what is removed cannot be hashed"));
        }
        let key = match table.hash_key.as_deref().map(|named| self.secrets.find_strong(named)) {
            Some(Ok(key)) => Some(key),
            Some(Err(fault)) => {
                self.faults.push(format!("{place}.hash_key: {fault}"));
                None
            }
            None if !table.hash.is_empty() => {
                let why = "without a secret, anybody could hash a name and look for it";
                self.faults.push(format!("{place}.hash_key: required for hash, such as \"env:HASH_KEY\": {why}"));
                None
            }
            None => None,
        };
        (!drop.is_empty() || !hash.is_empty()).then(|| Privacy::new(drop, hash, key))
    }

    fn pointers(&mut self, place: &str, texts: &[String]) -> Vec<EventPointer> {
        let mut pointers = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            match EventPointer::parse(text) {
                Ok(pointer) => pointers.push(pointer),
                Err(fault) => self.faults.push(format!("{place}[{index}]: {text:?}: {fault}")),
            }
        }
        pointers
    }
}
