//! The words of an event as PostgreSQL keeps them, so that it has nothing to read.

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo};
use sqlx::{Encode, Postgres, Type};

use crate::event::{Occurrence, Words};

/// A text-search vector (`tsvector`), in the form in which PostgreSQL receives one: each word with a position for each place,
/// labelled with its weight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchVector(Vec<u8>);

impl SearchVector {
    /// The vector of an event's words.
    pub fn of(occurrence: &Occurrence) -> Self {
        let (mut entries, mut number) = (Vec::new(), 0_u32);
        for (word, places) in Words::of(occurrence).iter() {
            // Weights A to D are 3 to 0 in the two upper bits; a position stands below them.
            let marks = places.map(|place| (3 - place as u16) << 14 | (place as u16 + 1));
            // A word is letters and digits only: there is no zero in it but the one that ends it.
            entries.extend_from_slice(word.as_bytes());
            entries.push(0);
            entries.extend_from_slice(&marks.clone().fold(0_u16, |count, _| count + 1).to_be_bytes());
            entries.extend(marks.flat_map(u16::to_be_bytes));
            number += 1;
        }
        let mut bytes = number.to_be_bytes().to_vec();
        bytes.append(&mut entries);
        Self(bytes)
    }

    /// How many bytes it has.
    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }
}

impl Type<Postgres> for SearchVector {
    fn type_info() -> PgTypeInfo {
        const TSVECTOR: Oid = Oid(3614);
        PgTypeInfo::with_oid(TSVECTOR)
    }
}

impl PgHasArrayType for SearchVector {
    fn array_type_info() -> PgTypeInfo {
        const TSVECTORS: Oid = Oid(3643);
        PgTypeInfo::with_oid(TSVECTORS)
    }
}

impl Encode<'_, Postgres> for SearchVector {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }
}
