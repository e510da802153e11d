//! Text-search vectors in PostgreSQL's binary form. The gateway encodes them, so that PostgreSQL need not parse texts
//! during an append.

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo};
use sqlx::{Encode, Postgres, Type};

use crate::event::{Occurrence, Words};

/// A text-search vector (`tsvector`) in PostgreSQL's binary form. Each word has one position for each place in which it
/// stands, and the weight of that position encodes the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchVector(Vec<u8>);

impl SearchVector {
    /// Returns the vector of an event's words.
    pub fn of(occurrence: &Occurrence) -> Self {
        let (mut entries, mut number) = (Vec::new(), 0_u32);
        for (word, places) in Words::of(occurrence).iter() {
            // The two upper bits are the weight, 3 to 0 for A to D. The others are the position.
            let marks = places.map(|place| (3 - place as u16) << 14 | (place as u16 + 1));
            // A word consists of letters and digits, so the zero byte can end it.
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

    /// Returns the number of bytes.
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
