//! Compression of Okta's JSON, which `sync_event` has in this form.
//!
//! A dictionary of what most events have in common makes a frame of zstd about a sixth as long as the JSON (measured with
//! events of the simulated org). A text that zstd cannot make smaller is stored unchanged. No reader takes such a text for
//! a frame: a frame of zstd begins with bytes with which no UTF-8 text begins.

use std::cell::RefCell;
use std::io;
use std::sync::LazyLock;

use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::{DecoderDictionary, EncoderDictionary};
use zstd::zstd_safe;

/// Dictionaries by their ids, from 1 on. Stored rows need them, so none is ever changed or removed.
/// `scripts/train-raw-dictionary` makes a new one.
const DICTIONARIES: [&[u8]; 1] = [include_bytes!("raw_json/1.zstd-dict")];

/// Index of the dictionary with which new events are compressed. A new dictionary comes one version before this index
/// changes, since gateways of two versions may share a database, and both must be able to read all events.
const WRITTEN_WITH: usize = 0;

/// The level of compression. Level 6 takes three times as long and saves a twentieth.
const LEVEL: i32 = 3;

/// The first bytes of a frame of zstd.
const FRAME: [u8; 4] = zstd_safe::MAGICNUMBER.to_le_bytes();

/// Maximum size of an event's JSON in bytes. A damaged frame may claim any size, and the memory is allocated before zstd
/// notices the damage.
const MAX_SIZE: u64 = 1 << 30;

static ENCODER: LazyLock<EncoderDictionary<'static>> =
    LazyLock::new(|| EncoderDictionary::copy(DICTIONARIES[WRITTEN_WITH], LEVEL));

static DECODERS: LazyLock<[DecoderDictionary<'static>; DICTIONARIES.len()]> =
    LazyLock::new(|| DICTIONARIES.map(DecoderDictionary::copy));

thread_local! {
    /// Working memory of zstd, which takes longer to allocate than to compress an event.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    /// Working memory for decompression.
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// An event's JSON that cannot be decompressed.
#[derive(Debug, thiserror::Error)]
pub enum DamagedJson {
    /// A later version wrote the value.
    #[error("needs the dictionary {0}, which this version does not have")]
    Dictionary(u32),
    /// The bytes are no frame of zstd, or their checksum is wrong.
    #[error("cannot be decompressed: {0}")]
    Frame(#[from] io::Error),
    /// The bytes are no text.
    #[error("is not UTF-8")]
    Text,
}

fn compressor() -> io::Result<Compressor<'static>> {
    let mut compressor = Compressor::with_prepared_dictionary(&ENCODER)?;
    compressor.include_checksum(true)?;
    Ok(compressor)
}

/// Returns the form in which an event's JSON is stored.
pub fn compress(json: &str) -> Vec<u8> {
    match compress_frame(json) {
        // zstd allocates for the worst case.
        Ok(frame) if frame.len() < json.len() => frame.as_slice().into(),
        Ok(_) => json.into(),
        Err(error) => {
            tracing::warn!(%error, "an event is stored uncompressed: zstd failed");
            json.into()
        }
    }
}

fn compress_frame(json: &str) -> io::Result<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|known| {
        let compressor = match known {
            Some(compressor) => compressor,
            None => known.insert(compressor()?),
        };
        compressor.compress(json.as_bytes())
    })
}

/// Returns the JSON of an event from the form in which it is stored, byte for byte.
///
/// # Errors
/// The value is damaged, or was written by a later version.
pub fn decompress(stored: &[u8]) -> Result<String, DamagedJson> {
    let bytes = if stored.starts_with(&FRAME) { decompress_frame(stored)? } else { stored.to_vec() };
    String::from_utf8(bytes).map_err(|_| DamagedJson::Text)
}

fn decompress_frame(frame: &[u8]) -> Result<Vec<u8>, DamagedJson> {
    let size = zstd_safe::get_frame_content_size(frame).ok().flatten().filter(|size| *size <= MAX_SIZE);
    let size = size.and_then(|size| usize::try_from(size).ok());
    let damaged = |fault| io::Error::new(io::ErrorKind::InvalidData, fault);
    let size = size.ok_or_else(|| damaged("the frame has no valid size"))?;
    let id = zstd_safe::get_dict_id_from_frame(frame).ok_or_else(|| damaged("the frame names no dictionary"))?.get();
    let place = usize::try_from(id).ok().and_then(|id| id.checked_sub(1));
    let dictionary = place.and_then(|place| DECODERS.get(place)).ok_or(DamagedJson::Dictionary(id))?;
    DECOMPRESSOR.with_borrow_mut(|known| {
        let decompressor = match known {
            Some(decompressor) => decompressor,
            None => known.insert(Decompressor::new()?),
        };
        decompressor.set_prepared_dictionary(dictionary)?;
        Ok(decompressor.decompress(frame, size)?)
    })
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;

    use proptest::prelude::*;

    use super::*;

    /// An event, as Okta's documents show one.
    const EVENT: &str = r#"{"uuid":"5a1f1f9e-8a1f-11ee-8c90-0242ac120002","published":"2026-03-01T10:00:00.000Z","eventType":"application.provision.user.sync","version":"0","displayMessage":"Sync user in external application","severity":"INFO","actor":{"id":"00uab","type":"User","alternateId":"admin@acme.example","displayName":"Ädmin","detailEntry":null},"client":{"userAgent":null,"zone":null,"device":null,"id":null,"ipAddress":null,"geographicalContext":null},"outcome":{"result":"SUCCESS","reason":null},"target":[],"transaction":{"type":"JOB","id":"puj1","detail":{}},"debugContext":{"debugData":{}},"legacyEventType":null}"#;

    #[test]
    fn an_event_takes_less_than_half_and_comes_back() {
        let stored = compress(EVENT);
        assert!(stored.len() < EVENT.len() / 2, "{} of {}", stored.len(), EVENT.len());
        assert_eq!(stored.capacity(), stored.len(), "queued events take memory that nobody counts");
        assert_eq!(decompress(&stored).unwrap(), EVENT);
    }

    #[test]
    fn a_large_event_and_then_a_small_one_come_back() {
        let large = EVENT.repeat(2_000);
        assert_eq!(decompress(&compress(&large)).unwrap(), large);
        assert_eq!(decompress(&compress(EVENT)).unwrap(), EVENT);
    }

    #[test]
    fn what_zstd_cannot_make_smaller_is_stored_as_it_is() {
        assert_eq!(compress("{}"), b"{}");
        assert_eq!(decompress(b"{}").unwrap(), "{}");
    }

    #[test]
    fn every_dictionary_has_the_id_by_which_rows_name_it() {
        for (place, dictionary) in DICTIONARIES.iter().enumerate() {
            let id = zstd_safe::get_dict_id_from_dict(dictionary).map(NonZero::get);
            assert_eq!(id, u32::try_from(place + 1).ok());
        }
        let id = zstd_safe::get_dict_id_from_frame(&compress(EVENT)).map(NonZero::get);
        assert_eq!(id, u32::try_from(WRITTEN_WITH + 1).ok());
    }

    #[test]
    fn a_row_of_a_later_version_names_its_dictionary() {
        let mut later = compress(EVENT);
        // The id of the dictionary follows the first bytes and the frame's descriptor.
        later[5] = 77;
        let error = decompress(&later).unwrap_err();
        assert_eq!(error.to_string(), "needs the dictionary 77, which this version does not have");
    }

    #[test]
    fn a_damaged_byte_is_noticed() {
        let whole = compress(EVENT);
        for place in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[place] ^= 0x10;
            let read = decompress(&damaged);
            assert!(read.as_deref().is_ok_and(|json| json == EVENT) || read.is_err(), "byte {place}");
        }
        assert!(decompress(&whole[..whole.len() / 2]).is_err());
    }

    proptest! {
        #[test]
        fn every_text_comes_back(text in "\\PC*", times in 1..40_usize) {
            let text = text.repeat(times);
            prop_assert_eq!(decompress(&compress(&text)).unwrap(), text);
        }
    }
}
